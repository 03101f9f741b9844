"""Named array kernels: the single seam where a backend may replace a reference.

A kernel is a pure function on arrays with a check that runs first, a reference body, and a name such as
`conv2d.forward`. A backend is a mapping from kernel names to functions, installed under the entry-point group
`refdet.backends`. A backend that owns its array type adds the two names `array.to_host` and `array.to_device`: a kernel
that it lacks and that is not portable then makes an explicit round trip through the host, counted in `ROUND_TRIPS`.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Generic, NamedTuple, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")


class Backend(NamedTuple):
    name: str
    kernels: Mapping[str, Callable[..., Any]]
    fallback: str  # "reference": run the reference where the backend has no kernel; "error": refuse


KERNELS: dict[str, Kernel[..., Any]] = {}
ROUND_TRIPS: Counter[str] = Counter()
_active: ContextVar[Backend | None] = ContextVar("refdet_backend", default=None)


class Kernel(Generic[P, R]):
    """A pure function of arrays with a checked contract and a replaceable body."""

    def __init__(self, name: str, reference: Callable[P, R], check: Callable[P, object], portable: bool) -> None:
        if name in KERNELS:
            raise ValueError(f"kernel {name!r} is already defined in {KERNELS[name].__module__}")
        functools.update_wrapper(self, reference)
        KERNELS[name], self.name, self.reference, self.check, self.portable = self, name, reference, check, portable

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        self.check(*args, **kwargs)
        backend = active_backend()
        if self.name in backend.kernels:
            return cast(R, backend.kernels[self.name](*args, **kwargs))
        if backend.fallback == "error":
            raise NotImplementedError(f"backend {backend.name!r} has no kernel {self.name!r}, and fallback='error'")
        if self.portable or "array.to_host" not in backend.kernels:
            return self.reference(*args, **kwargs)
        ROUND_TRIPS[self.name] += 1
        to_host, to_device = backend.kernels["array.to_host"], backend.kernels["array.to_device"]
        return cast(R, to_device(self.reference(*to_host(args), **to_host(kwargs))))


def kernel(
    name: str, *, check: Callable[P, object], portable: bool = False
) -> Callable[[Callable[P, R]], Kernel[P, R]]:
    """Declare a reference kernel; `check` has its signature and raises on bad input.

    `portable` promises that the body, of NumPy's dispatch protocols and other kernels alone, runs on any array type.
    """
    return lambda reference: Kernel(name, reference, check, portable)


def active_backend() -> Backend:
    """Return the backend of the innermost `use_backend`, else the one that `REFDET_BACKEND` names unless empty."""
    return _active.get() or find_backend(os.environ.get("REFDET_BACKEND") or "reference")


@functools.cache
def find_backend(name: str, fallback: str = "reference") -> Backend:
    """Load the backend installed under `name`; `"reference"` is the plain NumPy one."""
    if fallback not in ("reference", "error"):
        raise ValueError(f"use_backend: fallback must be 'reference' or 'error', got {fallback!r}")
    if name == "reference":
        return Backend("reference", {}, "reference")
    from importlib.metadata import entry_points  # here, as it takes longer to load than the rest of this file

    installed = {entry.name: entry for entry in entry_points(group="refdet.backends")}
    if name not in installed:
        raise LookupError(f"no backend named {name!r}; installed: {', '.join(['reference', *sorted(installed)])}")
    try:
        return Backend(name, installed[name].load(), fallback)
    except ImportError as error:
        raise LookupError(f"backend {name!r} does not load: {error}") from error


@contextlib.contextmanager
def use_backend(backend: str | Backend, *, fallback: str = "reference") -> Iterator[None]:
    """Run kernels from a backend, given by the name it is installed under or itself, inside a `with` block."""
    if not isinstance(backend, (str, Backend)):
        raise TypeError(f"use_backend: backend must be a name or a Backend, got {backend!r}")
    token = _active.set(find_backend(backend, fallback) if isinstance(backend, str) else backend)
    try:
        yield
    finally:
        _active.reset(token)

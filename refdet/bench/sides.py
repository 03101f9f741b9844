"""Who can take part in a comparison, and how each is called.

`reference` is refdet's own NumPy, any other plain name a refdet backend (`numba-cpu`), `torch` is PyTorch on the CPU,
`pycocotools` the COCO API, `pydensecrf` the fully connected CRFs of Krähenbühl & Koltun, and `package.module:attribute`
a function that takes the number of threads and returns a `Side`. A side turns a workload into a call without arguments;
converting inputs and outputs between array types happens before and after it, untimed. A library is imported only when
its side is opened, in the side's own process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

import numpy as np

from refdet.bench.groups import load_attribute
from refdet.bench.procedures import PROCEDURES
from refdet.bench.workloads import Inputs, Workload
from refdet.core.check import Array
from refdet.core.kernel import KERNELS, Backend, find_backend, use_backend

LIBRARIES = {"torch": "torch", "pycocotools": "pycocotools", "pydensecrf": "pydensecrf2"}  # module: package


class Unsupported(Exception):  # noqa: N818 - not an error: the side says why it has no part in a workload
    """Raised by a side that cannot run a workload; the message is the reason."""


class Runnable(NamedTuple):
    """A prepared workload."""

    call: Callable[[], Any]  # what is timed
    outputs: Callable[[Any], list[Array]]  # its result as NumPy arrays


class Side(Protocol):
    """One of the two contestants, inside its own process."""

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the libraries that do the work."""
        ...

    @property
    def traces_memory(self) -> bool:
        """Whether its buffers are NumPy arrays, which report to tracemalloc."""
        ...

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        """Return the call to time, or raise `Unsupported`."""
        ...


class RefdetSide:
    """refdet under one of its backends; a kernel that the backend lacks is not timed."""

    def __init__(self, backend: str) -> None:
        self._backend: Backend = find_backend(backend, "reference" if backend == "reference" else "error")
        self.traces_memory = backend == "reference"
        self.versions = {"numpy": np.__version__}
        library = backend.partition("-")[0]
        if library != "reference" and importlib.util.find_spec(library):
            self.versions[library] = str(importlib.import_module(library).__version__)

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        kernels, name = self._backend.kernels, workload.kernel
        if name in PROCEDURES:
            return self._prepare_procedure(PROCEDURES[name](inputs))
        if name not in KERNELS:
            raise Unsupported(f"refdet has no kernel {name}")
        if self._backend.fallback == "error" and name not in kernels:
            raise Unsupported(f"backend {self._backend.name} has no kernel {name}")
        if "array.to_device" in kernels and "array.synchronize" not in kernels:
            raise Unsupported(f"backend {self._backend.name} has no array.synchronize, so the end of a call is unknown")
        to_device: Callable[[Any], Any] = kernels.get("array.to_device", _unchanged)
        to_host: Callable[[Any], Any] = kernels.get("array.to_host", _unchanged)
        synchronize: Callable[[], Any] | None = kernels.get("array.synchronize")
        arrays = tuple(inputs.values())
        op, _, direction = name.rpartition(".")
        params = dict(workload.params)
        if direction == "forward":
            params["keep_residual"] = False
        elif direction == "backward":
            forward_params = {key: value for key, value in params.items() if key != "needs"}
            *forward_arrays, dy = arrays
            _, residual = KERNELS[f"{op}.forward"].reference(*forward_arrays, keep_residual=True, **forward_params)
            arrays = (residual, dy)
        arrays, kernel = to_device(arrays), KERNELS[name]

        def call() -> Any:
            with use_backend(self._backend.name, fallback=self._backend.fallback):
                result = kernel(*arrays, **params)
            if synchronize is not None:
                synchronize()
            return result[0] if direction == "forward" else result

        return Runnable(call, lambda result: _as_list(to_host(result)))

    def _prepare_procedure(self, procedure: Callable[[], Any]) -> Runnable:
        """Return a computation that calls many kernels; those that the backend lacks run their reference."""

        def call() -> Any:
            with use_backend(self._backend.name):
                return procedure()

        return Runnable(call, _as_list)


def _unchanged(value: Any) -> Any:
    return value


def _as_list(result: Any) -> list[Array]:
    """Return the arrays of an answer; gradients that were not asked for are None and left out."""
    results = result if isinstance(result, tuple) else (result,)
    return [np.asarray(array) for array in results if array is not None]


def open_side(name: str, threads: int) -> Side:
    """Import what the side needs and return it, limited to `threads` threads."""
    if name == "torch":
        from refdet.bench.torch_side import TorchSide

        return TorchSide(threads)
    if name == "pycocotools":
        from refdet.bench.pycocotools_side import PycocotoolsSide

        return PycocotoolsSide(threads)
    if name == "pydensecrf":
        from refdet.bench.pydensecrf_side import PydensecrfSide

        return PydensecrfSide(threads)
    if ":" in name:
        side: Side = load_attribute(name)(threads)
        return side
    return RefdetSide(name)


def check_side(name: str) -> None:
    """Raise a LookupError, in one sentence, if nothing of this name can take part; imports nothing."""
    backends = ["reference", *sorted(entry.name for entry in entry_points(group="refdet.backends"))]
    if name in LIBRARIES:
        if importlib.util.find_spec(name) is None:
            raise LookupError(f"{name} is not installed; pip install {LIBRARIES[name]}, or name another side")
    elif ":" in name:
        load_attribute(name)
    elif name not in backends:
        raise LookupError(
            f"no side named {name!r}; there are: {', '.join([*backends, *LIBRARIES])}, and package.module:attribute"
        )

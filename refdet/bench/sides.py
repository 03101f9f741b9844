"""Who can take part in a comparison, and how each is called.

`reference` is refdet's own NumPy, any other plain name a refdet backend (`numba-cpu`) or one of `LIBRARIES`, and
`package.module:attribute` a function that takes the number of threads and returns a `Side`. A side turns a workload
into a call without arguments; converting inputs and outputs between array types happens before and after it, untimed. A
library is imported only when its side is opened, in the side's own process, which may be another interpreter's: this
module and those of the libraries import of third-party packages NumPy and the library alone.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Callable, Mapping
from importlib.metadata import entry_points
from typing import Any, NamedTuple, Protocol

import numpy as np

from refdet.bench.groups import load_attribute
from refdet.bench.procedures import PROCEDURES
from refdet.bench.workloads import Inputs, Workload
from refdet.core.check import Array
from refdet.core.kernel import KERNELS, Backend, find_backend, use_backend


class Library(NamedTuple):
    """A library that can take part, as `side` in refdet/bench/<module>_side.py."""

    module: str
    side: str
    needs: tuple[str, ...]  # modules
    packages: tuple[str, ...]  # that pip installs
    has_devices: bool = False  # whether it can compute on a GPU too


LIBRARIES = {
    "torch": Library("torch", "TorchSide", ("torch",), ("torch",), has_devices=True),
    "torchvision": Library(
        "torchvision", "TorchvisionSide", ("torch", "torchvision"), ("torchvision",), has_devices=True
    ),
    "onnxruntime": Library("onnxruntime", "OnnxruntimeSide", ("onnxruntime", "onnx"), ("onnxruntime", "onnx")),
    "pycocotools": Library("pycocotools", "PycocotoolsSide", ("pycocotools",), ("pycocotools",)),
    "faster-coco-eval": Library("faster_coco_eval", "FasterCocoEvalSide", ("faster_coco_eval",), ("faster-coco-eval",)),
    "pydensecrf": Library("pydensecrf", "PydensecrfSide", ("pydensecrf",), ("pydensecrf2",)),
}
BACKENDS = {"numba-cpu": ("numba", "cpu"), "numba-cuda": ("numba_cuda", "cuda")}  # needed module, extra of refdet


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
        import refdet.boxes  # noqa: F401 - declares kernels

        self._backend: Backend = find_backend(backend, "reference" if backend == "reference" else "error")
        self.traces_memory = "array.to_device" not in self._backend.kernels
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


def open_side(name: str, threads: int, device: str = "cpu") -> Side:
    """Import what the side needs and return it, limited to `threads` threads; `device` is "cpu" or "cuda"."""
    if name in LIBRARIES:
        module = f"refdet.bench.{LIBRARIES[name].module}_side"
        make = getattr(importlib.import_module(module), LIBRARIES[name].side)
        opened: Side = make(threads, device) if LIBRARIES[name].has_devices else make(threads)
        return opened
    if ":" in name:
        side: Side = load_attribute(name)(threads)
        return side
    return RefdetSide(name)


def check_side(name: str, *, executable: str | None = None) -> None:
    """Raise a LookupError, in one sentence, if nothing of this name can take part; imports nothing.

    `executable` is the interpreter that has the library, if it is another than this.
    """
    backends = ["reference", *sorted(entry.name for entry in entry_points(group="refdet.backends"))]
    if name in LIBRARIES:
        _check_library(name, executable)
    elif executable is not None:
        raise LookupError(f"{name} is no library that another interpreter has; those are: {', '.join(LIBRARIES)}")
    elif ":" in name:
        load_attribute(name)
    elif name not in backends:
        raise LookupError(
            f"no side named {name!r}; there are: {', '.join([*backends, *LIBRARIES])}, and package.module:attribute"
        )
    elif name in BACKENDS and importlib.util.find_spec(BACKENDS[name][0]) is None:
        module, extra = BACKENDS[name]
        raise LookupError(f"{name} needs {module}, which is not installed; pip install 'refdet[{extra}]'")


def _check_library(name: str, executable: str | None) -> None:
    """Raise a LookupError if an interpreter lacks what a library needs."""
    needs, packages = LIBRARIES[name].needs, " ".join(LIBRARIES[name].packages)
    if executable is None:
        if any(importlib.util.find_spec(module) is None for module in needs):
            raise LookupError(f"{name} is not installed; pip install {packages}, or name another side")
        return
    program = f"import importlib.util as u, sys; sys.exit(any(u.find_spec(m) is None for m in {('numpy', *needs)!r}))"
    try:
        status = subprocess.run([executable, "-c", program], capture_output=True, timeout=60).returncode
    except (OSError, subprocess.SubprocessError):
        raise LookupError(f"{executable} does not run Python") from None
    if status:
        raise LookupError(f"{executable} does not have {' and '.join(('numpy', *needs))}, which {name} needs there")

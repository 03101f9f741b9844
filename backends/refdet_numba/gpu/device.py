"""The GPU, its arrays, and the ways there and back.

Arrays on the device are CuPy's. Whatever is not a kernel of ours is said in NumPy's words and reaches CuPy through
NumPy's own protocols: `np.empty_like(x, shape=…)`, `np.argsort(x)`, `x[order]`. So nothing here or in a kernel's file
mentions CuPy but the functions below, and in the simulator, where arrays are NumPy's, the same lines run.

A kernel is launched by `launch` alone. It waits for nothing: whoever reads a result waits (`number`, `to_host`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet_numba.gpu.shim import IN_SIMULATOR, cuda

OLDEST = (7, 0)  # compute capability: Volta


def refuse_without_device() -> None:
    """Raise an ImportError, in one sentence, if no kernel of this backend could run on this machine."""
    if IN_SIMULATOR:
        return
    simulator = "NUMBA_ENABLE_CUDASIM=1 runs its kernels in a simulator, slowly"
    try:
        import cupy  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"CuPy, which carries its arrays, does not load ({error}); pip install 'refdet[cuda]'"
        ) from None
    try:
        found = cuda.is_available()
        capability = cuda.get_current_device().compute_capability if found else None
    except Exception as error:
        raise ImportError(f"the GPU or its driver does not answer ({_first_line(error)}); {simulator}") from None
    if capability is None:
        raise ImportError(f"there is no GPU with a CUDA driver of version 12 or newer; {simulator}")
    if capability < OLDEST:
        raise ImportError(f"the GPU has compute capability {capability}, at least {OLDEST} is needed; {simulator}")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def to_device(value: Any) -> Any:
    """Return `value` with every NumPy array in it on the device, contiguous and in the machine's byte order."""
    return _mapped(value, _array_to_device)


def to_host(value: Any) -> Any:
    """Return `value` with every array of the device in it as a NumPy array."""
    return _mapped(value, _array_to_host)


def _mapped(value: Any, function: Any) -> Any:
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(_mapped(item, function) for item in value))
    if isinstance(value, tuple | list):
        return type(value)(_mapped(item, function) for item in value)
    if isinstance(value, dict):
        return {key: _mapped(item, function) for key, item in value.items()}
    return function(value)


def _array_to_device(value: Any) -> Any:
    if not isinstance(value, np.ndarray):
        return value
    native = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("=")).reshape(value.shape)
    if IN_SIMULATOR:
        return native
    import cupy

    return cupy.asarray(native)


def _array_to_host(value: Any) -> Any:
    if IN_SIMULATOR or not hasattr(value, "__cuda_array_interface__"):
        return value
    import cupy

    return cupy.asnumpy(value)


def synchronize() -> None:
    """Wait until the device has done everything that it was given."""
    cuda.synchronize()


def number(x: Any) -> Any:
    """Return the only element of an array of the device; waits for it."""
    return x.item()


def contiguous(x: Any) -> Any:
    """Return x in row-major order; a copy only where it must be."""
    return x if x.flags.c_contiguous else x.copy()


def launch(kernel: Any, blocks: int | tuple[int, ...], threads: int | tuple[int, ...], *arguments: Any) -> None:
    """Run a kernel on a grid of blocks of threads; an empty grid is no work."""
    if np.prod(blocks, dtype=np.int64) > 0:
        kernel[blocks, threads](*map(_argument, arguments))


def _argument(value: Any) -> Any:
    """Return what a kernel gets for an argument; the place where a test hands over arrays of another type."""
    return value


def blocks_for(n: int, threads: int) -> int:
    """Return how many blocks of threads cover n pieces of work."""
    return -(-n // threads)

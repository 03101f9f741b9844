"""The one place that knows which package compiles for the GPU, and what it lacks.

Every file of this backend takes `cuda`, `jit`, `device_function` and `multiply` from here.

- `numba-cuda` replaces the module `numba.cuda` that Numba itself brings (deprecated, and crashing on recent drivers).
  It looks for `numpy.row_stack`, which NumPy 2.5 has dropped, so that name is given back before the first compilation.
- It warns of launches of fewer than 128 blocks, in the whole process. Greedy suppression is one block, and small inputs
  are no mistake: the warning is switched off.
- Compilation is lazy: a signature in the decorator would need a driver at import.
- With `NUMBA_ENABLE_CUDASIM=1` in the environment before the first import, kernels run in Numba's simulator, in Python
  and slowly. It lacks `libdevice` and several options of the decorator; here it gets them.

A product that feeds a sum is fused by the compiler: a · b + c is rounded once. Where a comparison depends on the bits
(IoU, NMS, borders of regions) kernels write `multiply(a, b)`, which rounds on its own, as NumPy does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

if not hasattr(np, "row_stack"):
    setattr(np, "row_stack", np.vstack)  # noqa: B010

from numba import cuda as cuda
from numba import types
from numba.core import config

IN_SIMULATOR = bool(config.ENABLE_CUDASIM)
NOT_IN_THE_SIMULATOR = {"cache", "forceinline", "launch_bounds", "lineinfo", "max_registers"}

if not IN_SIMULATOR and getattr(cuda, "implementation", "") != "NVIDIA":
    raise ImportError("the package numba-cuda is absent; pip install 'refdet[cuda]'")
if not IN_SIMULATOR:
    from numba.cuda.core import config as cuda_config

    cuda_config.CUDA_LOW_OCCUPANCY_WARNINGS = 0


def jit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Compile a kernel at its first launch; options that the simulator does not know are dropped in it."""
    if IN_SIMULATOR:
        options = {name: value for name, value in options.items() if name not in NOT_IN_THE_SIMULATOR}
    return lambda function: cuda.jit(**options)(function)


def device_function(function: Callable[..., Any]) -> Any:
    """Compile a function that kernels call; it becomes part of each of them."""
    return cuda.jit(device=True)(function) if IN_SIMULATOR else cuda.jit(device=True, inline="always")(function)


def multiply(a: Any, b: Any) -> Any:
    """Return a · b, rounded before anything is added to it."""
    return a * b


if not IN_SIMULATOR:
    from numba.cuda import libdevice
    from numba.cuda.extending import overload

    @overload(multiply)  # type: ignore[untyped-decorator]
    def _multiply(a: Any, b: Any) -> Any:
        rounded = libdevice.dmul_rn if types.float64 in (a, b) else libdevice.fmul_rn

        def body(a: Any, b: Any) -> Any:
            return rounded(a, b)

        return body

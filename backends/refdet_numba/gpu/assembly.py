"""What a kernel may cost, for the check that compiles and assembles it without a GPU.

Every file with kernels lists them in `ASSEMBLED`, with the types of their arguments as they are launched:

    ASSEMBLED = [Assembled(_iou, [matrix(float32), matrix(float32), matrix(float32), int32], registers=40)]

The check compiles each for sm_90, hands the PTX to ptxas and holds what it says against these limits. Refused are
registers spilt to memory; arithmetic in float64, which is easily written by accident (an int32 times a float32 is a
float64), unless the kernel is meant for it; and a fused multiply-add where a comparison depends on the bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from numba import types


class Assembled(NamedTuple):
    kernel: Any
    arguments: Sequence[Any]  # Numba's types
    registers: int  # of a thread, at most
    shared_bytes: int = 0  # of a block, at most
    float64: bool = False  # whether arithmetic in float64 belongs to it
    fused: bool = True  # whether a product and a sum may be rounded once


def array(dtype: Any, ndim: int) -> Any:
    """Return the type of a contiguous array."""
    return types.Array(dtype, ndim, "C")

"""Which kernel computes an implicit matrix product: the plain one, or one of the two for large products in float32.

| route | file                 | what it needs                                                    | against float32    |
|-------|----------------------|------------------------------------------------------------------|--------------------|
| plain | `implicit_gemm`      | nothing; float32 and float64, every shape, also in the simulator | is float32         |
| wide  | `implicit_gemm_wide` | float32, `suits`, compute capability 8.0                         | same order of sums |
| tf32  | `implicit_gemm_tf32` | the same                                                         | see its docstring  |

The wide and the tf32 kernel have never run on a device. They are compiled and assembled, and tests run their Python
over NumPy arrays of threads; that is not enough to trust them with results. So PREFERRED is the plain route, and is to
change only when they have given the right answers on hardware, and faster; `faster(..., preferred=TF32)` asks for one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from refdet_numba.gpu.device import blocks_for
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda

if TYPE_CHECKING:
    from refdet_numba.gpu.implicit_gemm import Grid

PLAIN, WIDE, TF32 = "plain", "wide", "tf32"
PREFERRED = PLAIN  # until the others have run on a device

TILE, TERMS, COPIED = 128, 16, 4  # a tile's sides; terms, and weights of consecutive outputs, copied together
FEWEST_OUTPUTS = 64  # half a tile: with fewer, most of its products are of zeros
FEWEST_TILES = 132  # the multiprocessors of an H100 or H200; these two limits are chosen, not measured
CAPABILITY = (8, 0)  # Ampere: cp.async and TF32


def faster(
    y: Any, x: Any, weight: Any, grid: Grid, groups: int, preferred: str = PREFERRED
) -> Callable[..., None] | None:
    """Return the function that is to take over from `implicit_gemm.multiply_into`, if any; it has its parameters."""
    if preferred == PLAIN or IN_SIMULATOR:
        return None
    row_major = y.flags.c_contiguous and x.flags.c_contiguous
    if not row_major or not suits(y.dtype.name, y.shape, x.shape, weight.shape, (grid.rows, grid.columns), groups):
        return None
    if cuda.get_current_device().compute_capability < CAPABILITY:
        return None
    from refdet_numba.gpu import implicit_gemm_tf32, implicit_gemm_wide

    return {WIDE: implicit_gemm_wide.multiply_into, TF32: implicit_gemm_tf32.multiply_into}[preferred]


def suits(
    dtype: str,
    y: tuple[int, ...],
    x: tuple[int, ...],
    weight: tuple[int, ...],
    positions: tuple[int, int],
    groups: int,
) -> bool:
    """Return whether arrays of these shapes can go the other routes, and are enough work for them.

    They can if copies are aligned and whole (terms a multiple of 16, outputs of a group of 4) and places fit an int32.

    >>> suits("float32", (1, 64, 200, 272), (1, 64, 200, 272), (64, 576), (200, 272), 1)
    True
    >>> suits("float32", (1, 64, 400, 544), (1, 3, 800, 1088), (64, 147), (400, 544), 1)
    False
    """
    n_outputs, n_terms = weight[0] // groups, weight[1]
    n_positions = x[0] * positions[0] * positions[1]
    aligned = n_terms % TERMS == 0 and n_outputs % COPIED == 0
    small = max(math.prod(y), math.prod(x), math.prod(weight), n_positions + TILE) < 2**31
    n_tiles = blocks_for(n_positions, TILE) * blocks_for(n_outputs, TILE) * groups
    enough = n_terms > 0 and n_outputs >= FEWEST_OUTPUTS and n_tiles >= FEWEST_TILES
    return dtype == "float32" and aligned and small and enough

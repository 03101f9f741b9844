"""Which algorithm computes a convolution. The choice looks at shapes alone.

| route | convolutions |
|---|---|
| Winograd's F(4×4, 3×3) (`winograd`) | 3 × 3 with stride 1, where `winograd.pays` |
| the same, of rewritten maps (`three_by_three`) | dilated 3 × 3; 5 × 5; 11 × 11 with stride 4; the like |
| sums in registers (`direct`) | all others: 1 × 1; 3 × 3 or 7 × 7 with stride 2; few channels; many groups |

Winograd's transforms turn an infinity into NaN, also where it was not read, and may overflow where the convolution does
not. So where an answer of theirs is not finite, the direct sums decide.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.direct import correlate_directly
from refdet_numba.cpu.three_by_three import correlate_as_3x3


def correlate(x: Array, weight: Array, bias: Array | None, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, O, Ho, Wo) from x (N, C, H, W), weight (O, C/g, kh, kw) and bias (O,), of the dtype of x."""
    arrays = native(x), native(weight), None if bias is None else native(bias)
    y = correlate_as_3x3(*arrays, output_size, geometry) if x.size and weight.size else None
    return correlate_directly(*arrays, output_size, geometry) if y is None else y

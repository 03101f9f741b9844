"""Which algorithm computes a convolution. The choice looks at shapes alone.

| route | convolutions |
|---|---|
| a kernel for each channel (`depthwise`) | as many groups as channels in and out, without stride and dilation |
| Winograd's F(4×4, 3×3) (`winograd`) | 3 × 3 with stride 1, where `winograd.pays` |
| Winograd's F(4×4, 5×5) (`winograd_5x5`) | 5 × 5 with stride 1, where `winograd_5x5.pays` |
| F(4×4, 3×3) of rewritten maps (`three_by_three`) | dilated 3 × 3; 5 × 5 otherwise; 11 × 11 with stride 4; the like |
| sums in registers (`direct`) | all others: 1 × 1; 3 × 3 or 7 × 7 with stride 2; few channels; many groups |

Winograd's transforms turn an infinity into NaN, also where it was not read, and may overflow where the convolution does
not. So where an answer of theirs is not finite, the direct sums decide.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.depthwise import correlate_depthwise, is_depthwise
from refdet_numba.cpu.direct import correlate_directly
from refdet_numba.cpu.three_by_three import correlate_as_3x3
from refdet_numba.cpu.winograd_5x5 import correlate_5x5, pays


def correlate(x: Array, weight: Array, bias: Array | None, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, O, Ho, Wo) from x (N, C, H, W), weight (O, C/g, kh, kw) and bias (O,), of the dtype of x."""
    arrays = native(x), native(weight), None if bias is None else native(bias)
    if is_depthwise(x, weight, output_size, geometry):
        return correlate_depthwise(*arrays, output_size, geometry)
    y = None
    if _winograd_5x5_pays(x, weight, output_size, geometry):
        y = correlate_5x5(*arrays, geometry.padding, geometry.groups)
    elif x.size and weight.size:
        y = correlate_as_3x3(*arrays, output_size, geometry)
    return correlate_directly(*arrays, output_size, geometry) if y is None else y


def _winograd_5x5_pays(x: Array, weight: Array, output_size: Pair, geometry: Geometry) -> bool:
    kernel_size, stride, ((top, bottom), (left, right)), dilation, groups = geometry
    (N, C, H, W), O = x.shape, weight.shape[0]
    return (
        (kernel_size, stride, dilation) == ((5, 5), (1, 1), (1, 1))
        and output_size == (H + top + bottom - 4, W + left + right - 4)
        and min(x.size, weight.size) > 0
        and pays((N, C, *output_size), O, groups)
    )

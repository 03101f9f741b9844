"""Which algorithm computes a convolution. The choice looks at shapes alone.

| route | convolutions |
|---|---|
| a kernel for each channel (`depthwise`) | as many groups as channels in and out, without stride and dilation |
| images in the lanes of vectors (`small_maps`) | without stride and dilation, of many small maps |
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
from refdet_numba.cpu.small_maps import correlate_small_maps, small_maps_pay
from refdet_numba.cpu.three_by_three import correlate_as_3x3
from refdet_numba.cpu.winograd_5x5 import correlate_5x5, pays


def correlate(x: Array, weight: Array, bias: Array | None, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, O, Ho, Wo) from x (N, C, H, W), weight (O, C/g, kh, kw) and bias (O,), of the dtype of x."""
    arrays = native(x), native(weight), None if bias is None else native(bias)
    if is_depthwise(x, weight, output_size, geometry):
        return correlate_depthwise(*arrays, output_size, geometry)
    y = None
    if _is_whole(output_size, x, geometry) and small_maps_pay(
        x.shape[0], (x.shape[1], weight.shape[0]), output_size, geometry
    ):
        y = correlate_small_maps(*arrays, geometry.padding)
    elif pays(x.shape, weight.shape[0], output_size, geometry) and _is_whole(output_size, x, geometry):
        y = correlate_5x5(*arrays, geometry.padding, geometry.groups)
    elif x.size and weight.size:
        y = correlate_as_3x3(*arrays, output_size, geometry)
    return correlate_directly(*arrays, output_size, geometry) if y is None else y


def _is_whole(size: Pair, x: Array, geometry: Geometry) -> bool:
    """Return whether a convolution without stride has outputs of this size, none left out."""
    return size == tuple(
        n + sum(p) - d * (k - 1)
        for n, p, k, d in zip(x.shape[2:], geometry.padding, geometry.kernel_size, geometry.dilation, strict=True)
    )

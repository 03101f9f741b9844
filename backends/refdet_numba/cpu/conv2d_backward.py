"""The gradients of a convolution: correlation's two transposes, and the sum of each channel.

    dx = correlateᵀ_x(dy, w),     dw = correlateᵀ_w(x, dy),     db[o] = Σ_{n, i, j} dy[n, o, i, j]

Workspace: that of the three, one after another.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair
from refdet.ops.conv2d import Conv2dResidual
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.channel_sums import channel_sums
from refdet_numba.cpu.correlate_input_adjoint import correlate_input_adjoint
from refdet_numba.cpu.correlate_weight_adjoint import correlate_weight_adjoint


def backward(
    residual: Conv2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Gradients:
    """Return dx, dweight and dbias; None for those that are not needed."""
    x, weight, _ = residual
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    height, width = x.shape[2:]
    dx = correlate_input_adjoint(dy, weight, (height, width), geometry) if needs[0] else None
    dweight = correlate_weight_adjoint(x, dy, geometry) if needs[1] else None
    dbias = channel_sums(dy) if needs[2] else None
    return dx, dweight, dbias

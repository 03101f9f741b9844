"""Transposed convolution and its gradients: those of convolution, in exchanged roles.

    y = correlateᵀ_x(x, w) + b
    dx = correlate(dy, w),     dw = correlateᵀ_w(dy, x),     db[c] = Σ_{n, i, j} dy[n, c, i, j]

Workspace: that of the one that is running.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair, conv_transpose_output_size
from refdet.ops.conv_transpose2d import ConvTranspose2dResidual
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.channel_sums import channel_sums
from refdet_numba.cpu.correlate import correlate
from refdet_numba.cpu.correlate_input_adjoint import correlate_input_adjoint
from refdet_numba.cpu.correlate_weight_adjoint import correlate_weight_adjoint


def forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> tuple[Array, ConvTranspose2dResidual | None]:
    """Return y (N, Cout, Ho, Wo) and the residual, as the reference does."""
    height, width = (
        conv_transpose_output_size(n, k, stride=s, before=p[0], after=p[1], output_padding=e, dilation=d)
        for n, k, s, p, e, d in zip(
            x.shape[2:], weight.shape[2:], stride, padding, output_padding, dilation, strict=True
        )
    )
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    y = correlate_input_adjoint(x, weight, (height, width), geometry)
    if bias is not None:
        y += native(bias)[:, None, None]
    return y, ConvTranspose2dResidual(x, weight, bias) if keep_residual else None


def backward(
    residual: ConvTranspose2dResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
) -> Gradients:
    """Return dx, dweight and dbias; None for those that are not needed."""
    x, weight, _ = residual
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    dx = correlate(dy, weight, None, x.shape[2:], geometry) if needs[0] else None
    dweight = correlate_weight_adjoint(dy, x, geometry) if needs[1] else None
    dbias = channel_sums(dy) if needs[2] else None
    return dx, dweight, dbias

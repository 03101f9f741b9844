"""Two-dimensional convolution: `correlate` chooses how."""

from __future__ import annotations

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair, conv_output_size
from refdet.ops.conv2d import Conv2dResidual
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.correlate import correlate


def forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> tuple[Array, Conv2dResidual | None]:
    """Return y (N, O, Ho, Wo) and the residual, as the reference does."""
    height, width = (
        conv_output_size(n, k, stride=s, before=p[0], after=p[1], dilation=d)
        for n, k, s, p, d in zip(x.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    )
    geometry = Geometry((weight.shape[2], weight.shape[3]), stride, padding, dilation, groups)
    y = correlate(x, weight, bias, (height, width), geometry)
    return y, Conv2dResidual(x, weight, bias) if keep_residual else None

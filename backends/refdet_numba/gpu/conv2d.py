"""Two-dimensional convolution and its gradients, by the implicit matrix products of `correlate`."""

from __future__ import annotations

from typing import Any

from refdet.core.geometry import Padding, Pair
from refdet.ops.conv2d import Conv2dResidual, output_size
from refdet.ops.correlation import Geometry
from refdet_numba.gpu.correlate import correlate, correlate_input_adjoint
from refdet_numba.gpu.correlate_weight_adjoint import correlate_weight_adjoint


def forward(
    x: Any,
    weight: Any,
    bias: Any,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
    keep_residual: bool,
) -> tuple[Any, Conv2dResidual | None]:
    """Return y (N, O, Ho, Wo) and the residual."""
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    y = correlate(x, weight, bias, output_size(x, weight, stride, padding, dilation), geometry)
    return y, Conv2dResidual(x, weight, bias) if keep_residual else None


def backward(
    residual: Conv2dResidual,
    dy: Any,
    *,
    needs: tuple[bool, bool, bool],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> tuple[Any | None, ...]:
    """Return dx, dweight and db[o] = Σ_{n,i,j} dy[n, o, i, j]."""
    x, weight, _ = residual
    geometry = Geometry(weight.shape[2:], stride, padding, dilation, groups)
    dx = correlate_input_adjoint(dy, weight, None, x.shape[2:], geometry) if needs[0] else None
    dweight = correlate_weight_adjoint(x, dy, geometry) if needs[1] else None
    dbias = dy.sum(axis=(0, 2, 3)) if needs[2] else None
    return dx, dweight, dbias

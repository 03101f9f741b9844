"""Global pooling: one number per plane, its average or its maximum.

    average: y[n, c] = (1 / HW) Σ_{h, w} x[n, c, h, w]
    maximum: y[n, c] = max_{h, w} x[n, c, h, w],     switch[n, c] = h·W + w of that pixel

Lin, Chen & Yan (2014), §3.2, for the average; Oquab, Bottou, Laptev & Sivic (2015) for the maximum.

Conventions: every pixel receives dy / HW of an average. Of equal maxima the first in row-major order wins and takes the
whole gradient; a NaN counts as the maximum, the first NaN if there are several. The average of an empty plane is NaN;
its maximum is −inf with switch −1. Sums accumulate in the dtype of x, pairwise in row-major order whatever the layout
in memory.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_flag, check_floating, check_gradient, check_rank, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.core.summation import total
from refdet.ops.pooling import read_only


class GlobalAvgPool2dResidual(NamedTuple):
    x: Array


class GlobalMaxPool2dResidual(NamedTuple):
    x: Array
    switches: Array  # of the shape of y


def _pooled_shape(x: Array, keepdims: bool) -> tuple[int, ...]:
    N, C = shape_of(x)[:2]
    return (N, C, 1, 1) if keepdims else (N, C)


def _check(op: str, x: Array, keepdims: bool) -> None:
    check_rank(op, "x", x, "N, C, H, W")
    check_floating(op, x=x)
    check_flag(op, "keepdims", keepdims)


def _check_avg(x: Array, *, keepdims: bool, keep_residual: bool) -> None:
    _check("global_avg_pool2d", x, keepdims)


def _check_avg_backward(residual: GlobalAvgPool2dResidual, dy: Array, *, needs: tuple[bool], keepdims: bool) -> None:
    check_gradient("global_avg_pool2d", dy, _pooled_shape(residual.x, keepdims), residual.x)


@kernel("global_avg_pool2d.forward", check=_check_avg, portable=True)
def global_avg_pool2d_forward(
    x: Array, *, keepdims: bool, keep_residual: bool
) -> tuple[Array, GlobalAvgPool2dResidual | None]:
    """Return y (N, C), or (N, C, 1, 1) with `keepdims`."""
    with np.errstate(invalid="ignore"):  # 0/0 in an empty plane
        y = total(x, (2, 3), keepdims=keepdims) / (x.shape[2] * x.shape[3])
    return y, GlobalAvgPool2dResidual(x) if keep_residual else None


@kernel("global_avg_pool2d.backward", check=_check_avg_backward, portable=True)
def global_avg_pool2d_backward(
    residual: GlobalAvgPool2dResidual, dy: Array, *, needs: tuple[bool], keepdims: bool
) -> Gradients:
    """Every pixel receives dy / HW."""
    N, C, H, W = residual.x.shape
    return (np.broadcast_to(np.reshape(dy, (N, C, 1, 1)), (N, C, H, W)) / (H * W),)


def _check_max(x: Array, *, keepdims: bool, keep_residual: bool) -> None:
    _check("global_max_pool2d", x, keepdims)


def _check_max_backward(residual: GlobalMaxPool2dResidual, dy: Array, *, needs: tuple[bool], keepdims: bool) -> None:
    check_gradient("global_max_pool2d", dy, _pooled_shape(residual.x, keepdims), residual.x)


@kernel("global_max_pool2d.forward", check=_check_max, portable=True)
def global_max_pool2d_forward(
    x: Array, *, keepdims: bool, keep_residual: bool
) -> tuple[tuple[Array, Array], GlobalMaxPool2dResidual | None]:
    """Return y and switches, (N, C), or (N, C, 1, 1) with `keepdims`."""
    N, C, H, W = x.shape
    shape = _pooled_shape(x, keepdims)
    if H * W == 0:
        y, switches = np.full_like(x, -np.inf, shape=shape), np.full_like(x, -1, dtype=np.int64, shape=shape)
    else:
        pixels = np.reshape(x, (N, C, H * W))
        winners = np.argmax(pixels, axis=2, keepdims=True)  # the first maximum, and the first NaN before any number
        y, switches = np.reshape(np.take_along_axis(pixels, winners, axis=2), shape), np.reshape(winners, shape)
    return (y, switches), GlobalMaxPool2dResidual(x, switches) if keep_residual else None


@kernel("global_max_pool2d.backward", check=_check_max_backward, portable=True)
def global_max_pool2d_backward(
    residual: GlobalMaxPool2dResidual, dy: Array, *, needs: tuple[bool], keepdims: bool
) -> Gradients:
    """The pixel that won receives dy, every other pixel none."""
    x, switches = residual
    N, C, H, W = x.shape
    pixel_index = np.reshape(np.arange(H * W, like=switches), (H, W))
    is_winner = pixel_index == np.reshape(switches, (N, C, 1, 1))
    return (np.where(is_winner, np.reshape(dy, (N, C, 1, 1)), np.zeros_like(x)),)


_global_avg_pool2d = differentiable(global_avg_pool2d_forward, global_avg_pool2d_backward)
_global_max_pool2d = differentiable(global_max_pool2d_forward, global_max_pool2d_backward)


def global_avg_pool2d(x: Tensor | Array, *, keepdims: bool = False) -> Tensor:
    """Average every plane.

    Args:
        x: (N, C, H, W), float32 or float64.
        keepdims: keep the two axes of the plane, with length 1.

    Returns:
        (N, C), or (N, C, 1, 1).

    >>> global_avg_pool2d(np.arange(8.0).reshape(1, 2, 2, 2)).data
    array([[1.5, 5.5]])
    """
    return _global_avg_pool2d(x, keepdims=keepdims)


def global_max_pool2d(x: Tensor | Array, *, keepdims: bool = False) -> tuple[Tensor, Array]:
    """Take the largest pixel of every plane, and remember where it was.

    Args:
        x: (N, C, H, W), float32 or float64.
        keepdims: keep the two axes of the plane, with length 1.

    Returns:
        y, (N, C) or (N, C, 1, 1), and the switches, int64 of the same shape, read-only: h·W + w of each maximum.

    >>> y, switches = global_max_pool2d(np.array([[[[1.0, 4.0], [4.0, 2.0]]]]))
    >>> y.data, switches
    (array([[4.]]), array([[1]]))
    """
    y, *extras = _global_max_pool2d.with_extras(x, keepdims=keepdims)
    return y, read_only(extras[0])

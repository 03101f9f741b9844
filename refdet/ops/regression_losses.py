r"""Losses of a prediction x against a target t, by their difference d = x − t.

| loss | L(d) | dL/dd |
|---|---|---|
| smooth L1 | d²/(2β) where \|d\| < β, else \|d\| − β/2 | d/β where \|d\| < β, else sign d |
| L1 | \|d\| | sign d, which is 0 at 0 |
| squared error | d² (no ½) | 2d |

Girshick, "Fast R-CNN" (2015), eq. 3: β = 1. Faster R-CNN's code writes σ, with β = 1/σ² (σ = 3 in its proposal
network). Caffe's `SmoothL1Loss` and torch's `smooth_l1_loss` have this form; torch's `huber_loss` is β times it.

Conventions: at |d| = β both branches of smooth L1 and of its gradient agree; β = 0 is L1, with gradient 0 at 0. x and
target have one shape and dtype, and neither broadcasts; both are differentiable, dL/dt = −dL/dx. NaN stays NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_number
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.loss_reduction import check_losses, check_losses_gradient, gradient_of_losses, reduce_losses
from refdet.ops.number import check_number_in_dtype


class RegressionResidual(NamedTuple):
    x: Array
    target: Array


def _of_both(dx: Array, needs: tuple[bool, bool]) -> Gradients:
    """Return the gradients of x and of target."""
    return dx if needs[0] else None, -dx if needs[1] else None


def _check_smooth_l1(x: Array, target: Array, *, beta: float, reduction: str, keep_residual: bool) -> None:
    check_losses("smooth_l1", reduction, x=x, target=target)
    check_number_in_dtype("smooth_l1", "beta", beta, x)


def _check_smooth_l1_backward(
    residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], beta: float, reduction: str
) -> None:
    check_losses_gradient("smooth_l1", dy, residual.x, reduction)


@kernel("smooth_l1.forward", check=_check_smooth_l1, portable=True)
def smooth_l1_forward(
    x: Array, target: Array, *, beta: float, reduction: str, keep_residual: bool
) -> tuple[Array, RegressionResidual | None]:
    """With q = min(|d|, β), both branches are q²/(2β) + (|d| − q)."""
    distance = np.absolute(x - target)
    losses = distance
    if beta > 0:
        q = np.minimum(distance, float(beta))
        losses = q * (q / float(beta)) / 2 + (distance - q)
    return reduce_losses(losses, reduction), RegressionResidual(x, target) if keep_residual else None


@kernel("smooth_l1.backward", check=_check_smooth_l1_backward, portable=True)
def smooth_l1_backward(
    residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], beta: float, reduction: str
) -> Gradients:
    """dL/dd = sign d · min(|d|, β)/β, in both branches."""
    d = residual.x - residual.target
    slope = np.sign(d)
    if beta > 0:
        slope = slope * (np.minimum(np.absolute(d), float(beta)) / float(beta))
    return _of_both(gradient_of_losses(dy, d, reduction) * slope, needs)


def _check_l1(x: Array, target: Array, *, reduction: str, keep_residual: bool) -> None:
    check_losses("l1", reduction, x=x, target=target)


def _check_l1_backward(residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], reduction: str) -> None:
    check_losses_gradient("l1", dy, residual.x, reduction)


@kernel("l1.forward", check=_check_l1, portable=True)
def l1_forward(
    x: Array, target: Array, *, reduction: str, keep_residual: bool
) -> tuple[Array, RegressionResidual | None]:
    """Return |x − t|, reduced."""
    losses = np.absolute(x - target)
    return reduce_losses(losses, reduction), RegressionResidual(x, target) if keep_residual else None


@kernel("l1.backward", check=_check_l1_backward, portable=True)
def l1_backward(residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], reduction: str) -> Gradients:
    """d|d|/dd = sign d."""
    d = residual.x - residual.target
    return _of_both(gradient_of_losses(dy, d, reduction) * np.sign(d), needs)


def _check_squared_error(x: Array, target: Array, *, reduction: str, keep_residual: bool) -> None:
    check_losses("squared_error", reduction, x=x, target=target)


def _check_squared_error_backward(
    residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], reduction: str
) -> None:
    check_losses_gradient("squared_error", dy, residual.x, reduction)


@kernel("squared_error.forward", check=_check_squared_error, portable=True)
def squared_error_forward(
    x: Array, target: Array, *, reduction: str, keep_residual: bool
) -> tuple[Array, RegressionResidual | None]:
    """Return (x − t)², reduced."""
    d = x - target
    return reduce_losses(d * d, reduction), RegressionResidual(x, target) if keep_residual else None


@kernel("squared_error.backward", check=_check_squared_error_backward, portable=True)
def squared_error_backward(
    residual: RegressionResidual, dy: Array, *, needs: tuple[bool, bool], reduction: str
) -> Gradients:
    """d(d²)/dd = 2d."""
    d = residual.x - residual.target
    return _of_both(gradient_of_losses(dy, d, reduction) * (2 * d), needs)


_smooth_l1 = differentiable(smooth_l1_forward, smooth_l1_backward)
_l1 = differentiable(l1_forward, l1_backward)
_squared_error = differentiable(squared_error_forward, squared_error_backward)


def smooth_l1(x: Tensor | Array, target: Tensor | Array, *, beta: float = 1.0, reduction: str = "mean") -> Tensor:
    """Return the loss that is quadratic below a distance of `beta` and linear above.

    Args:
        x, target: of one shape, float32 or float64.
        beta: where the two branches meet, ≥ 0; 0 is L1.
        reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or the shape of x for "none".

    >>> smooth_l1(np.array([0.0, 0.5, 1.0, -3.0]), np.zeros(4), reduction="none").data
    array([0.   , 0.125, 0.5  , 2.5  ])
    """
    return _smooth_l1(x, target, beta=check_number("smooth_l1", "beta", beta, low=0), reduction=reduction)


def l1(x: Tensor | Array, target: Tensor | Array, *, reduction: str = "mean") -> Tensor:
    """Return the absolute error.

    Args:
        x, target: of one shape, float32 or float64. reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or the shape of x for "none".

    >>> l1(np.array([1.0, -3.0]), np.array([2.0, 2.0])).item()
    3.0
    """
    return _l1(x, target, reduction=reduction)


def squared_error(x: Tensor | Array, target: Tensor | Array, *, reduction: str = "mean") -> Tensor:
    """Return the squared error, without a factor ½.

    Args:
        x, target: of one shape, float32 or float64. reduction: "mean", "sum" or "none".

    Returns:
        A scalar, or the shape of x for "none".

    >>> squared_error(np.array([1.0, 5.0]), np.array([2.0, 2.0])).item()
    5.0
    """
    return _squared_error(x, target, reduction=reduction)

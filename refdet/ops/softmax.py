"""Softmax and its logarithm along one axis.

    softmax(x)_i = e^(x_i − m) / Σ_j e^(x_j − m)
    log_softmax(x)_i = (x_i − m) − ln Σ_j e^(x_j − m),     m = max_j x_j

The shift by m changes nothing in exact arithmetic and keeps every exponent ≤ 0, so that no finite logit overflows:
±1e4 give exactly 0 and 1. The logarithm is never taken of a rounded softmax: log_softmax of (1e4, −1e4) is (0, −2e4).

Conventions: −∞ is a class that cannot be, y = 0 (log −∞), as long as some logit of the row is finite. A row with a
NaN, with +∞, or of −∞ alone is NaN throughout (∞ − ∞). An axis of length 0 gives an empty output; of length 1, ones
(zeros). Sums accumulate in the input's dtype.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_axis, check_floating, check_gradient, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel


class SoftmaxResidual(NamedTuple):
    y: Array


def _check(op: str) -> Any:
    def check(x: Array, *, axis: int, keep_residual: bool) -> None:
        check_floating(op, x=x)
        check_axis(op, axis, x.ndim)

    return check


def _check_backward(op: str) -> Any:
    def check(residual: SoftmaxResidual, dy: Array, *, needs: tuple[bool], axis: int) -> None:
        check_gradient(op, dy, shape_of(residual.y), residual.y)

    return check


def _below_maximum(x: Array, axis: int) -> Array:
    """Return x − max x, every element ≤ 0."""
    if x.shape[axis] == 0:
        return x
    with np.errstate(invalid="ignore", over="ignore"):  # ∞ − ∞ is NaN; the gap of two huge logits −∞
        below: Array = x - np.amax(x, axis=axis, keepdims=True)
    return below


@kernel("softmax.forward", check=_check("softmax"), portable=True)
def softmax_forward(x: Array, *, axis: int, keep_residual: bool) -> tuple[Array, SoftmaxResidual | None]:
    """Return e^(x − m) / Σ e^(x − m)."""
    exponentials = np.exp(_below_maximum(x, axis))
    y = exponentials / np.sum(exponentials, axis=axis, keepdims=True)
    return y, SoftmaxResidual(y) if keep_residual else None


@kernel("softmax.backward", check=_check_backward("softmax"), portable=True)
def softmax_backward(residual: SoftmaxResidual, dy: Array, *, needs: tuple[bool], axis: int) -> Gradients:
    """dx_i = y_i (dy_i − Σ_j dy_j y_j)."""
    y = residual.y
    return (y * (dy - np.sum(dy * y, axis=axis, keepdims=True)),)


@kernel("log_softmax.forward", check=_check("log_softmax"), portable=True)
def log_softmax_forward(x: Array, *, axis: int, keep_residual: bool) -> tuple[Array, SoftmaxResidual | None]:
    """Return (x − m) − ln Σ e^(x − m)."""
    below = _below_maximum(x, axis)
    with np.errstate(divide="ignore"):  # the sum is at least e⁰ = 1, or there are no logits
        y = below - np.log(np.sum(np.exp(below), axis=axis, keepdims=True))
    return y, SoftmaxResidual(y) if keep_residual else None


@kernel("log_softmax.backward", check=_check_backward("log_softmax"), portable=True)
def log_softmax_backward(residual: SoftmaxResidual, dy: Array, *, needs: tuple[bool], axis: int) -> Gradients:
    """dx_i = dy_i − e^(y_i) Σ_j dy_j."""
    return (dy - np.exp(residual.y) * np.sum(dy, axis=axis, keepdims=True),)


_softmax = differentiable(softmax_forward, softmax_backward)
_log_softmax = differentiable(log_softmax_forward, log_softmax_backward)


def softmax(x: Tensor | Array, *, axis: int) -> Tensor:
    """Turn logits into probabilities that sum to 1 along `axis`.

    Args:
        x: any rank ≥ 1, float32 or float64. axis: the axis of the classes, 1 for maps (N, C, ...); no default, since
            libraries disagree on one.

    Returns:
        Of the shape of x.

    >>> softmax(np.array([[10000.0, 10000.0, -10000.0]]), axis=1).data
    array([[0.5, 0.5, 0. ]])
    """
    return _softmax(x, axis=axis)


def log_softmax(x: Tensor | Array, *, axis: int) -> Tensor:
    """Return the logarithm of the softmax along `axis`, without taking it of a rounded one.

    Args:
        x: any rank ≥ 1, float32 or float64. axis: the axis of the classes.

    Returns:
        Of the shape of x.

    >>> log_softmax(np.array([[10000.0, -10000.0]]), axis=1).data
    array([[     0., -20000.]])
    """
    return _log_softmax(x, axis=axis)

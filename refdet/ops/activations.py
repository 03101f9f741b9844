"""Nonlinearities applied to each element.

| op | y | dy/dx | source |
|---|---|---|---|
| relu | max(x, 0) | 1 where x > 0, else 0 | Nair & Hinton (2010); Krizhevsky et al. (2012), 3.1; deck 003 |
| leaky_relu | x where x > 0, else a·x | 1 where x > 0, else a | Maas, Hannun & Ng (2013) |
| sigmoid | σ(x) = 1 / (1 + e^(−x)) | y·(1 − y) | |
| tanh | (eˣ − e^(−x)) / (eˣ + e^(−x)) | 1 − y² | |

Conventions. The subgradient at 0, at −0 as well, is 0 for relu and a for leaky_relu: the comparison is a strict x > 0.
NaN stays NaN in every output; at a NaN the relus' comparison is false, so the gradient of relu is 0 there and that of
leaky_relu a·dy. Where relu blocks, the gradient is 0 whatever dy is, infinite or NaN too. The sign of a zero is not
defined. leaky_relu of −∞ with a = 0 is 0·∞ = NaN.

The sigmoid is evaluated from e^(−|x|) ≤ 1, so nothing overflows: 1/(1 + e^(−|x|)) for x ≥ 0 and e^(−|x|)/(1 +
e^(−|x|)) below. Its tail below is exact down to the smallest number; above, y rounds to 1 from x ≈ 17 (float32) or 37
(float64) on, and the gradient, made from y, to 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_floating, check_gradient, check_number, shape_of
from refdet.core.elementwise import Gradients, Operand, Output
from refdet.core.kernel import kernel


def _check(op: str) -> Any:
    def check(x: Array, *, keep_residual: bool) -> None:
        check_floating(op, x=x)

    return check


def _check_backward(op: str) -> Any:
    def check(residual: Operand | Output, dy: Array, *, needs: tuple[bool]) -> None:
        check_gradient(op, dy, shape_of(residual[0]), residual[0])

    return check


def _check_leaky_relu(x: Array, *, negative_slope: float, keep_residual: bool) -> None:
    check_floating("leaky_relu", x=x)
    check_number("leaky_relu", "negative_slope", negative_slope)


def _check_leaky_relu_backward(residual: Operand, dy: Array, *, needs: tuple[bool], negative_slope: float) -> None:
    check_gradient("leaky_relu", dy, shape_of(residual.x), residual.x)


@kernel("relu.forward", check=_check("relu"), portable=True)
def relu_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return max(x, 0)."""
    return np.maximum(x, 0), Operand(x) if keep_residual else None


@kernel("relu.backward", check=_check_backward("relu"), portable=True)
def relu_backward(residual: Operand, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """The gradient passes where x > 0."""
    return (np.where(residual.x > 0, dy, np.zeros_like(dy)),)


@kernel("leaky_relu.forward", check=_check_leaky_relu, portable=True)
def leaky_relu_forward(x: Array, *, negative_slope: float, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return x where x > 0, else negative_slope · x."""
    with np.errstate(invalid="ignore"):  # 0 · ∞, also where x > 0 wins
        return np.where(x > 0, x, float(negative_slope) * x), Operand(x) if keep_residual else None


@kernel("leaky_relu.backward", check=_check_leaky_relu_backward, portable=True)
def leaky_relu_backward(residual: Operand, dy: Array, *, needs: tuple[bool], negative_slope: float) -> Gradients:
    """The gradient passes where x > 0, and negative_slope times it elsewhere."""
    with np.errstate(invalid="ignore"):
        return (np.where(residual.x > 0, dy, float(negative_slope) * dy),)


def logistic(x: Array) -> Array:
    """Return 1 / (1 + e^(−x)) by the form whose exponential is at most 1.

    >>> logistic(np.array([0.0]))
    array([0.5])
    """
    small = np.exp(-np.absolute(x))
    y: Array = np.where(x >= 0, 1 / (1 + small), small / (1 + small))
    return y


@kernel("sigmoid.forward", check=_check("sigmoid"), portable=True)
def sigmoid_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Output | None]:
    """Return 1 / (1 + e^(−x))."""
    y = logistic(x)
    return y, Output(y) if keep_residual else None


@kernel("sigmoid.backward", check=_check_backward("sigmoid"), portable=True)
def sigmoid_backward(residual: Output, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """dσ/dx = y·(1 − y)."""
    y = residual.y
    return (dy * (y * (1 - y)),)


@kernel("tanh.forward", check=_check("tanh"), portable=True)
def tanh_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Output | None]:
    """Return tanh x."""
    y = np.tanh(x)
    return y, Output(y) if keep_residual else None


@kernel("tanh.backward", check=_check_backward("tanh"), portable=True)
def tanh_backward(residual: Output, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d tanh/dx = 1 − y², which loses digits where y is rounded close to ±1 (beyond |x| ≈ 5 in float32)."""
    return (dy * (1 - residual.y * residual.y),)


_relu = differentiable(relu_forward, relu_backward)
_leaky_relu = differentiable(leaky_relu_forward, leaky_relu_backward)
_sigmoid = differentiable(sigmoid_forward, sigmoid_backward)
_tanh = differentiable(tanh_forward, tanh_backward)


def relu(x: Tensor | Array) -> Tensor:
    """Return max(x, 0), elementwise; the gradient at 0 is 0.

    Args:
        x: any shape, float32 or float64.

    >>> relu(np.array([-2.0, 0.0, 3.0])).data
    array([0., 0., 3.])
    """
    return _relu(x)


def leaky_relu(x: Tensor | Array, *, negative_slope: float = 0.01) -> Tensor:
    """Return x where x > 0, else negative_slope · x; the gradient at 0 is negative_slope.

    Args:
        x: any shape, float32 or float64.
        negative_slope: any finite number; 0.01 in Maas et al. and torch, 0.1 in Darknet.

    >>> leaky_relu(np.array([-2.0, 0.0, 3.0]), negative_slope=0.5).data
    array([-1.,  0.,  3.])
    """
    return _leaky_relu(x, negative_slope=negative_slope)


def sigmoid(x: Tensor | Array) -> Tensor:
    """Return 1 / (1 + e^(−x)), elementwise, without overflow.

    Args:
        x: any shape, float32 or float64; ±∞ give 1 and 0.

    >>> sigmoid(np.array([-10000.0, 0.0, 10000.0])).data
    array([0. , 0.5, 1. ])
    """
    return _sigmoid(x)


def tanh(x: Tensor | Array) -> Tensor:
    """Return the hyperbolic tangent, elementwise.

    Args:
        x: any shape, float32 or float64; ±∞ give ±1.

    >>> tanh(np.array([-10000.0, 0.0, 10000.0])).data
    array([-1.,  0.,  1.])
    """
    return _tanh(x)

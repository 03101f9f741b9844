"""The fully connected layer, and its identity with a convolution.

    y[..., o] = b[o] + Σ_f W[o, f] · x[..., f]

With the features f = (c·H + i)·W + j of a map (C, H, W) flattened in row-major order, this is the cross-correlation
with the kernel w[o, c, i, j] = W[o, (c·H + i)·W + j] at its only position (deck 004: "a fully connected layer can be
viewed as a convolution"; Sermanet et al., "OverFeat", 2014; Long, Shelhamer & Darrell, "Fully convolutional networks",
2015):

    linear(flatten(x), W, b) = conv2d(x, linear_as_conv(W, shape=(C, H, W)), b)          for x of size H × W

On a larger map the convolution gives the layer's answer for every H × W window of it.

Conventions: the weight is (outputs, inputs); sums accumulate in the input's dtype, in the order of the BLAS in use, and
over the rows of db pairwise; no features give y = b; no rows or no outputs give an empty y.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_gradient, check_rank, check_shape, integers, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.core.summation import total

Weight = TypeVar("Weight", Tensor, Array)


class LinearResidual(NamedTuple):
    x: Array
    weight: Array


def _check(x: Array, weight: Array, bias: Array | None, *, keep_residual: bool) -> None:
    check_floating("linear", optional=("bias",), x=x, weight=weight, bias=bias)
    check_rank("linear", "weight", weight, "O, F")
    if x.ndim < 1:
        raise ValueError("linear: x must have rank 1 or more (..., F), got rank 0")
    O, F = shape_of(weight)
    if x.shape[-1] != F:
        raise ValueError(
            f"linear: weight takes {F} features, x has {x.shape[-1]} (shapes {shape_of(weight)}, {shape_of(x)})"
        )
    if bias is not None:
        check_shape("linear", "bias", bias, (O,), "one per output")


def _check_backward(residual: LinearResidual, dy: Array, *, needs: tuple[bool, bool, bool]) -> None:
    x, weight = residual
    check_gradient("linear", dy, (*shape_of(x)[:-1], int(weight.shape[0])), x)


@kernel("linear.forward", check=_check, portable=True)
def linear_forward(
    x: Array, weight: Array, bias: Array | None, *, keep_residual: bool
) -> tuple[Array, LinearResidual | None]:
    """Return y = x Wᵀ + b, (..., F) -> (..., O)."""
    y = np.reshape(np.matmul(_rows(x), np.transpose(weight)), (*x.shape[:-1], weight.shape[0]))
    if bias is not None:
        y = y + bias
    return y, LinearResidual(x, weight) if keep_residual else None


@kernel("linear.backward", check=_check_backward, portable=True)
def linear_backward(residual: LinearResidual, dy: Array, *, needs: tuple[bool, bool, bool]) -> Gradients:
    """Return dX = dY·W, dW = dYᵀ·X and db = Σ_rows dY."""
    x, weight = residual
    rows, drows = _rows(x), _rows(dy)  # (n, F), (n, O)
    dx = np.reshape(np.matmul(drows, weight), x.shape) if needs[0] else None
    dweight = np.matmul(np.transpose(drows), rows) if needs[1] else None
    dbias = total(drows, (0,)) if needs[2] else None
    return dx, dweight, dbias


def _rows(x: Array) -> Array:
    """Return the leading axes as one: (..., F) -> (n, F)."""
    return np.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


_linear = differentiable(linear_forward, linear_backward)


def linear(x: Tensor | Array, weight: Tensor | Array, bias: Tensor | Array | None = None) -> Tensor:
    """Multiply the last axis of `x` by a matrix and add a bias.

    Args:
        x: (..., F), float32 or float64. weight: (O, F), of the dtype of x. bias: (O,) or None.

    Returns:
        (..., O).

    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0], [5.0, 6.0]]), np.array([0.0, 100.0])).data
    array([ 11., 117.])
    """
    return _linear(x, weight, bias)


def linear_as_conv(weight: Weight, *, shape: tuple[int, int, int]) -> Weight:
    """Return a linear weight as a convolution weight, so that the layer can slide.

    Args:
        weight: (O, C·H·W), tensor or array. shape: (C, H, W) of the map whose row-major flattening the layer takes.

    Returns:
        (O, C, H, W), of the type of `weight`: the same numbers in the same order.

    >>> linear_as_conv(np.arange(8.0).reshape(1, 8), shape=(2, 2, 2))[0, 1]
    array([[4., 5.],
           [6., 7.]])
    """
    weight = _tensor_or_array("linear_as_conv", weight)
    check_rank("linear_as_conv", "weight", _data(weight), "O, F")
    C, H, W = integers("linear_as_conv", "shape", shape, count=3, low=1)
    O, F = weight.shape
    if C * H * W != F:
        raise ValueError(
            f"linear_as_conv: weight takes {F} features (shape {shape_of(_data(weight))}), "
            f"a map of shape {(C, H, W)} has {C * H * W}"
        )
    return weight.reshape((O, C, H, W))


def conv_as_linear(weight: Weight) -> Weight:
    """Return a convolution weight as a linear weight: the inverse of `linear_as_conv`.

    Args:
        weight: (O, C, H, W), tensor or array, of a convolution applied to maps of exactly H × W.

    Returns:
        (O, C·H·W), of the type of `weight`.

    >>> conv_as_linear(np.arange(8.0).reshape(1, 2, 2, 2))
    array([[0., 1., 2., 3., 4., 5., 6., 7.]])
    """
    weight = _tensor_or_array("conv_as_linear", weight)
    check_rank("conv_as_linear", "weight", _data(weight), "O, C, H, W")
    O, *chw = weight.shape
    return weight.reshape((O, math.prod(chw)))


def _tensor_or_array(op: str, weight: Weight) -> Weight:
    """Return a tensor as it is, and anything else as the array that a tensor of it would hold."""
    found: Any = weight if isinstance(weight, Tensor) else as_tensor(op, "weight", weight).data
    check_floating(op, weight=_data(found))
    return cast(Weight, found)


def _data(weight: Tensor | Array) -> Array:
    return weight.data if isinstance(weight, Tensor) else weight

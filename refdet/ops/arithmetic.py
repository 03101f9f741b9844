"""Arithmetic, reductions and the matrix product as functions of tensors or arrays.

The definitions, the broadcasting and the gradients are those of `refdet/core/elementwise.py` and
`refdet/core/reduction.py`; tensors offer the same as operators and methods. A Python number takes the dtype of the
operand it meets; arrays of two dtypes are refused. Names follow NumPy, so some hide a built-in function here.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core import elementwise, reduction
from refdet.core.check import Array
from refdet.core.reduction import Axis

Operand = Tensor | Array | float

_add = differentiable(elementwise.add_forward, elementwise.add_backward)
_subtract = differentiable(elementwise.subtract_forward, elementwise.subtract_backward)
_multiply = differentiable(elementwise.multiply_forward, elementwise.multiply_backward)
_divide = differentiable(elementwise.divide_forward, elementwise.divide_backward)
_maximum = differentiable(elementwise.maximum_forward, elementwise.maximum_backward)
_minimum = differentiable(elementwise.minimum_forward, elementwise.minimum_backward)
_negative = differentiable(elementwise.negative_forward, elementwise.negative_backward)
_exp = differentiable(elementwise.exp_forward, elementwise.exp_backward)
_log = differentiable(elementwise.log_forward, elementwise.log_backward)
_sqrt = differentiable(elementwise.sqrt_forward, elementwise.sqrt_backward)
_absolute = differentiable(elementwise.absolute_forward, elementwise.absolute_backward)
_power = differentiable(elementwise.power_forward, elementwise.power_backward)
_cast = differentiable(elementwise.cast_forward, elementwise.cast_backward)
_sum = differentiable(reduction.sum_forward, reduction.sum_backward)
_mean = differentiable(reduction.mean_forward, reduction.mean_backward)
_amax = differentiable(reduction.amax_forward, reduction.amax_backward)
_matmul = differentiable(reduction.matmul_forward, reduction.matmul_backward)


def _operands(x: Operand, y: Operand) -> tuple[Tensor, Tensor]:
    """Return both as tensors, a Python number in the dtype of the other."""
    if _is_number(x) and not _is_number(y):
        second, first = _operands(y, x)
        return first, second
    first = x if isinstance(x, Tensor) else Tensor(x)
    if _is_number(y):
        return first, Tensor(np.full_like(first.data, y, shape=()))
    return first, y if isinstance(y, Tensor) else Tensor(y)


def _is_number(x: object) -> bool:
    return isinstance(x, (int, float)) and not isinstance(x, np.generic)


def add(x: Operand, y: Operand) -> Tensor:
    """Return x + y.

    >>> add(np.array([1.0, 2.0]), 10).data
    array([11., 12.])
    """
    return _add(*_operands(x, y))


def subtract(x: Operand, y: Operand) -> Tensor:
    """Return x − y.

    >>> subtract(10, np.array([1.0, 2.0])).data
    array([9., 8.])
    """
    return _subtract(*_operands(x, y))


def multiply(x: Operand, y: Operand) -> Tensor:
    """Return x · y.

    >>> multiply(np.array([[1.0], [2.0]]), np.array([3.0, 4.0])).data
    array([[3., 4.],
           [6., 8.]])
    """
    return _multiply(*_operands(x, y))


def divide(x: Operand, y: Operand) -> Tensor:
    """Return x / y; by 0 as IEEE 754 has it, with NumPy's warning.

    >>> divide(np.array([1.0, 6.0]), 2).data
    array([0.5, 3. ])
    """
    return _divide(*_operands(x, y))


def maximum(x: Operand, y: Operand) -> Tensor:
    """Return the larger of both, NaN if one is; at a tie x takes the gradient.

    >>> maximum(np.array([-1.0, 2.0]), 0).data
    array([0., 2.])
    """
    return _maximum(*_operands(x, y))


def minimum(x: Operand, y: Operand) -> Tensor:
    """Return the smaller of both, NaN if one is; at a tie x takes the gradient.

    >>> minimum(np.array([-1.0, 2.0]), 0).data
    array([-1.,  0.])
    """
    return _minimum(*_operands(x, y))


def negative(x: Tensor | Array) -> Tensor:
    """Return −x.

    >>> negative(np.array([1.0, -2.0])).data
    array([-1.,  2.])
    """
    return _negative(x)


def exp(x: Tensor | Array) -> Tensor:
    """Return eˣ.

    >>> exp(np.array([0.0])).data
    array([1.])
    """
    return _exp(x)


def log(x: Tensor | Array) -> Tensor:
    """Return ln x; −∞ at 0 and NaN below, with NumPy's warning.

    >>> log(np.array([1.0])).data
    array([0.])
    """
    return _log(x)


def sqrt(x: Tensor | Array) -> Tensor:
    """Return √x, whose gradient at 0 is +∞; NaN below 0, with NumPy's warning.

    >>> sqrt(np.array([0.0, 9.0])).data
    array([0., 3.])
    """
    return _sqrt(x)


def absolute(x: Tensor | Array) -> Tensor:
    """Return |x|, whose gradient at 0 is 0.

    >>> absolute(np.array([-3.0, 2.0])).data
    array([3., 2.])
    """
    return _absolute(x)


def power(x: Tensor | Array, exponent: float) -> Tensor:
    """Return xᵖ for a number p; for p = 0 the gradient is 0 everywhere.

    >>> power(np.array([2.0, 3.0]), 2).data
    array([4., 9.])
    """
    return _power(x, exponent=exponent)


def cast(x: Tensor | Array, dtype: Any) -> Tensor:
    """Return x rounded to float32 or float64, ties to even; the gradient is rounded back.

    >>> cast(np.array([1.0, 0.1]), "float32").data
    array([1. , 0.1], dtype=float32)
    """
    try:
        name = str(dtype) if dtype is None else np.dtype(dtype).name  # NumPy reads None as float64
    except TypeError:
        name = str(dtype)
    return _cast(x, dtype=name)


def sum(x: Tensor | Array, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Return Σ x over `axis` (None: all; an integer; a tuple); the sum of nothing is 0.

    >>> sum(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=0).data
    array([4., 6.])
    """
    return _sum(x, axis=axis, keepdims=keepdims)


def mean(x: Tensor | Array, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Return the mean over `axis` (None: all; an integer; a tuple); the mean of nothing is NaN.

    >>> mean(np.array([[1.0, 2.0], [3.0, 4.0]]), axis=1, keepdims=True).data
    array([[1.5],
           [3.5]])
    """
    return _mean(x, axis=axis, keepdims=keepdims)


def amax(x: Tensor | Array, axis: Axis = None, *, keepdims: bool = False) -> Tensor:
    """Return the largest x over `axis` (None: all; an integer; a tuple).

    The first maximum in row-major order takes the gradient; a NaN counts as one; the maximum of nothing is refused.

    >>> amax(np.array([[1.0, 2.0], [4.0, 3.0]]), axis=1).data
    array([2., 4.])
    """
    return _amax(x, axis=axis, keepdims=keepdims)


def matmul(x: Tensor | Array, y: Tensor | Array) -> Tensor:
    """Return the matrix product, by NumPy's rules for vectors and leading axes.

    >>> matmul(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1.0, 10.0])).data
    array([21., 43.])
    """
    return _matmul(x, y)

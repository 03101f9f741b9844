"""Sums, means and maxima over axes, and the matrix product, with their gradients.

`axis` is None (all), an integer, or a tuple. The sum of nothing is 0, the mean of nothing NaN, the maximum of nothing
an error. Sums accumulate in the input's dtype, pairwise whatever the memory layout (`core.summation`). At a tie of
`amax` the first maximum in row-major order over the reduced axes takes the whole gradient; a NaN counts as the maximum.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_axis, check_floating, check_gradient, shape_of, shapes_of
from refdet.core.elementwise import Gradients, Operands, sum_to_shape
from refdet.core.kernel import kernel
from refdet.core.summation import reduced_shape, total

Axis = int | tuple[int, ...] | None


class ReductionResidual(NamedTuple):
    x: Array


def reduced_axes(op: str, axis: Axis, ndim: int) -> tuple[int, ...]:
    """Return the axes that `axis` names, ascending, without repeats.

    >>> reduced_axes("sum", (-1, 0), 3), reduced_axes("sum", None, 2)
    ((0, 2), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    axes = sorted(check_axis(op, a, ndim) for a in (axis if isinstance(axis, tuple) else (axis,)))
    if len(set(axes)) != len(axes):
        raise ValueError(f"{op}: axis {axis} names an axis twice")
    return tuple(axes)


def _check(op: str, x: Array, axis: Axis) -> None:
    check_floating(op, x=x)
    reduced_axes(op, axis, x.ndim)


def _check_backward(op: str, residual: ReductionResidual, dy: Array, axis: Axis, keepdims: bool) -> None:
    shape = reduced_shape(residual.x, reduced_axes(op, axis, residual.x.ndim), keepdims)
    check_gradient(op, dy, shape, residual.x)


def _spread(dy: Array, x: Array, axis: Axis) -> Array:
    """Repeat `dy` along the reduced axes, back to the shape of `x`."""
    axes = reduced_axes("spread", axis, x.ndim)
    return np.broadcast_to(np.reshape(dy, reduced_shape(x, axes, keepdims=True)), x.shape)


def _check_sum(x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool) -> None:
    _check("sum", x, axis)


def _check_sum_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> None:
    _check_backward("sum", residual, dy, axis, keepdims)


@kernel("sum.forward", check=_check_sum, portable=True)
def sum_forward(x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool) -> tuple[Array, ReductionResidual | None]:
    """Return Σ x over `axis`."""
    y = total(x, reduced_axes("sum", axis, x.ndim), keepdims=keepdims)
    return y, ReductionResidual(x) if keep_residual else None


@kernel("sum.backward", check=_check_sum_backward, portable=True)
def sum_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> Gradients:
    """Every term of a sum receives its gradient."""
    return (_spread(dy, residual.x, axis),)


def _check_mean(x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool) -> None:
    _check("mean", x, axis)


def _check_mean_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> None:
    _check_backward("mean", residual, dy, axis, keepdims)


@kernel("mean.forward", check=_check_mean, portable=True)
def mean_forward(
    x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool
) -> tuple[Array, ReductionResidual | None]:
    """Return (1/n) Σ x over `axis`, n being the number of terms."""
    axes = reduced_axes("mean", axis, x.ndim)
    n_terms = math.prod(x.shape[a] for a in axes)
    with np.errstate(invalid="ignore"):  # 0/0 where there are no terms
        return total(x, axes, keepdims=keepdims) / n_terms, ReductionResidual(x) if keep_residual else None


@kernel("mean.backward", check=_check_mean_backward, portable=True)
def mean_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> Gradients:
    """Every term of a mean of n receives 1/n of its gradient."""
    n_terms = math.prod(residual.x.shape[a] for a in reduced_axes("mean", axis, residual.x.ndim))
    return (_spread(dy, residual.x, axis) / n_terms,)


def _check_amax(x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool) -> None:
    _check("amax", x, axis)
    axes = reduced_axes("amax", axis, x.ndim)
    if 0 in (x.shape[a] for a in axes):
        raise ValueError(
            f"amax: x of shape {shape_of(x)} has no element along axis {axis}; the maximum of nothing is not defined"
        )


def _check_amax_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> None:
    _check_backward("amax", residual, dy, axis, keepdims)


@kernel("amax.forward", check=_check_amax, portable=True)
def amax_forward(
    x: Array, *, axis: Axis, keepdims: bool, keep_residual: bool
) -> tuple[Array, ReductionResidual | None]:
    """Return the largest x over `axis`."""
    return np.amax(x, axis=axis, keepdims=keepdims), ReductionResidual(x) if keep_residual else None


@kernel("amax.backward", check=_check_amax_backward, portable=True)
def amax_backward(
    residual: ReductionResidual, dy: Array, *, needs: tuple[bool], axis: Axis, keepdims: bool
) -> Gradients:
    """The first maximum takes the gradient, every other element none."""
    x = residual.x
    axes = reduced_axes("amax", axis, x.ndim)
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    # the reduced axes become one last axis: (kept..., reduced)
    rows = np.reshape(np.transpose(x, kept + axes), (*(x.shape[a] for a in kept), math.prod(x.shape[a] for a in axes)))
    if rows.size == 0:
        return (np.zeros_like(x),)
    is_maximum = (rows == np.amax(rows, axis=-1, keepdims=True)) | (rows != rows)
    is_first_maximum = is_maximum & (np.cumsum(is_maximum, axis=-1) == 1)
    drows = np.where(is_first_maximum, np.reshape(dy, (*rows.shape[:-1], 1)), np.zeros_like(rows))
    dx = np.reshape(drows, tuple(x.shape[a] for a in kept + axes))
    order = kept + axes
    return (np.transpose(dx, sorted(range(x.ndim), key=order.__getitem__)),)


def _matmul_shape(x: Array, y: Array) -> tuple[int, ...]:
    """Return the shape of x @ y by NumPy's rules, or raise."""
    message = f"matmul: shapes do not match: {shapes_of({'x': x, 'y': y})}"
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError(f"{message}; both need at least one axis")
    if x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ValueError(f"{message}; the last axis of x must be as long as the second last of y")
    try:
        batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2])
    except ValueError:
        raise ValueError(f"{message}; the leading axes do not broadcast together") from None
    return (*batch, *((int(x.shape[-2]),) if x.ndim > 1 else ()), *((int(y.shape[-1]),) if y.ndim > 1 else ()))


def _check_matmul(x: Array, y: Array, *, keep_residual: bool) -> None:
    check_floating("matmul", x=x, y=y)
    _matmul_shape(x, y)


def _check_matmul_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> None:
    check_gradient("matmul", dy, _matmul_shape(residual.x, residual.y), residual.x)


@kernel("matmul.forward", check=_check_matmul, portable=True)
def matmul_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return the matrix product x y, over leading axes if there are any."""
    return np.matmul(x, y), Operands(x, y) if keep_residual else None


@kernel("matmul.backward", check=_check_matmul_backward, portable=True)
def matmul_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """For Y = X·M: dX = dY·Mᵀ, dM = Xᵀ·dY; a vector is a matrix of one row (left) or one column (right)."""
    x, y = residual
    rows = x if x.ndim > 1 else np.reshape(x, (1, -1))
    columns = y if y.ndim > 1 else np.reshape(y, (-1, 1))
    batch = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    d = np.reshape(dy, (*batch, rows.shape[-2], columns.shape[-1]))
    dx = dcolumns = None
    if needs[0]:
        dx = np.reshape(sum_to_shape(np.matmul(d, np.swapaxes(columns, -1, -2)), rows.shape), x.shape)
    if needs[1]:
        dcolumns = np.reshape(sum_to_shape(np.matmul(np.swapaxes(rows, -1, -2), d), columns.shape), y.shape)
    return dx, dcolumns

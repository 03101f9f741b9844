"""Elementwise arithmetic with broadcasting, and its gradients.

Where y = f(a, b) broadcasts its operands, the gradient of each operand is the sum over the axes along which it was
repeated: ∂L/∂a = Σ_repeats ∂L/∂y · ∂f/∂a.

Forward passes warn as NumPy does; gradients are silent: an overflow or a division by 0 in one is the ±∞ or NaN that it
is.

Kinks: |·| has gradient 0 at 0; at a tie of `maximum` and `minimum` the first operand receives the whole gradient; √ has
gradient +∞ at 0 (NaN where dy is 0). Operands must share one dtype: nothing is promoted. NaN propagates, as in NumPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import (
    Array,
    check_floating,
    check_gradient,
    check_number,
    check_shape,
    shape_of,
    shapes_of,
)
from refdet.core.kernel import kernel
from refdet.core.summation import total

Gradients = tuple[Array | None, ...]


class Operands(NamedTuple):
    """What the gradient of a binary operation needs."""

    x: Array
    y: Array


class Operand(NamedTuple):
    """What the gradient of a unary operation needs: its input."""

    x: Array


class Output(NamedTuple):
    """What the gradient of a unary operation needs: its output."""

    y: Array


def sum_to_shape(dy: Array, shape: tuple[int, ...]) -> Array:
    """Sum `dy` over the axes along which an array of `shape` was broadcast to it."""
    added = tuple(range(dy.ndim - len(shape)))
    stretched = tuple(i + len(added) for i, n in enumerate(shape) if n == 1 and dy.shape[i + len(added)] != 1)
    axes = added + stretched
    return np.reshape(total(dy, axes), shape) if axes else dy


def broadcast_shape(op: str, x: Array, y: Array) -> tuple[int, ...]:
    """Return the shape to which x and y broadcast, or say that they do not."""
    try:
        return np.broadcast_shapes(x.shape, y.shape)
    except ValueError:
        raise ValueError(f"{op}: shapes do not broadcast together: {shapes_of({'x': x, 'y': y})}") from None


def silently() -> np.errstate:
    """Return the context in which gradients are computed and added up."""
    return np.errstate(divide="ignore", over="ignore", invalid="ignore")


def _check_binary(op: str) -> Any:
    def check(x: Array, y: Array, *, keep_residual: bool) -> None:
        check_floating(op, x=x, y=y)
        broadcast_shape(op, x, y)

    return check


def _check_binary_backward(op: str) -> Any:
    def check(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> None:
        check_gradient(op, dy, broadcast_shape(op, residual.x, residual.y), residual.x)

    return check


def _check_unary(op: str) -> Any:
    def check(x: Array, *, keep_residual: bool) -> None:
        check_floating(op, x=x)

    return check


def _check_unary_backward(op: str) -> Any:
    def check(residual: Operand | Output, dy: Array, *, needs: tuple[bool]) -> None:
        check_gradient(op, dy, shape_of(residual[0]), residual[0])

    return check


# Each pair below is the operation and its partial derivatives ∂f/∂x, ∂f/∂y.


@kernel("add.forward", check=_check_binary("add"), portable=True)
def add_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return x + y."""
    return x + y, Operands(x, y) if keep_residual else None


@kernel("add.backward", check=_check_binary_backward("add"), portable=True)
def add_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """∂(x + y)/∂x = 1, ∂(x + y)/∂y = 1."""
    return _each(residual, needs, lambda: dy, lambda: dy)


@kernel("subtract.forward", check=_check_binary("subtract"), portable=True)
def subtract_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return x − y."""
    return x - y, Operands(x, y) if keep_residual else None


@kernel("subtract.backward", check=_check_binary_backward("subtract"), portable=True)
def subtract_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """∂(x − y)/∂x = 1, ∂(x − y)/∂y = −1."""
    return _each(residual, needs, lambda: dy, lambda: -dy)


@kernel("multiply.forward", check=_check_binary("multiply"), portable=True)
def multiply_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return x · y."""
    return x * y, Operands(x, y) if keep_residual else None


@kernel("multiply.backward", check=_check_binary_backward("multiply"), portable=True)
def multiply_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """∂(x y)/∂x = y, ∂(x y)/∂y = x."""
    x, y = residual
    return _each(residual, needs, lambda: dy * y, lambda: dy * x)


@kernel("divide.forward", check=_check_binary("divide"), portable=True)
def divide_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return x / y."""
    return x / y, Operands(x, y) if keep_residual else None


@kernel("divide.backward", check=_check_binary_backward("divide"), portable=True)
def divide_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """∂(x / y)/∂x = 1/y, ∂(x / y)/∂y = −x/y²."""
    x, y = residual
    return _each(residual, needs, lambda: dy / y, lambda: -dy * (x / y) / y)  # y² might overflow


@kernel("maximum.forward", check=_check_binary("maximum"), portable=True)
def maximum_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return the larger of x and y; NaN if either is."""
    return np.maximum(x, y), Operands(x, y) if keep_residual else None


@kernel("maximum.backward", check=_check_binary_backward("maximum"), portable=True)
def maximum_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """x receives the gradient where x ≥ y or x is NaN, y elsewhere."""
    x, y = residual
    x_wins = (x >= y) | (x != x)
    return _each(
        residual,
        needs,
        lambda: np.where(x_wins, dy, np.zeros_like(dy)),
        lambda: np.where(x_wins, np.zeros_like(dy), dy),
    )


@kernel("minimum.forward", check=_check_binary("minimum"), portable=True)
def minimum_forward(x: Array, y: Array, *, keep_residual: bool) -> tuple[Array, Operands | None]:
    """Return the smaller of x and y; NaN if either is."""
    return np.minimum(x, y), Operands(x, y) if keep_residual else None


@kernel("minimum.backward", check=_check_binary_backward("minimum"), portable=True)
def minimum_backward(residual: Operands, dy: Array, *, needs: tuple[bool, bool]) -> Gradients:
    """x receives the gradient where x ≤ y or x is NaN, y elsewhere."""
    x, y = residual
    x_wins = (x <= y) | (x != x)
    return _each(
        residual,
        needs,
        lambda: np.where(x_wins, dy, np.zeros_like(dy)),
        lambda: np.where(x_wins, np.zeros_like(dy), dy),
    )


def _each(residual: Operands, needs: tuple[bool, bool], dx: Any, dy: Any) -> Gradients:
    """Evaluate the gradients that are needed and sum each to its operand's shape."""
    with silently():
        return tuple(
            sum_to_shape(gradient(), operand.shape) if needed else None
            for operand, needed, gradient in zip(residual, needs, (dx, dy), strict=True)
        )


@kernel("negative.forward", check=_check_unary("negative"), portable=True)
def negative_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return −x."""
    return -x, Operand(x) if keep_residual else None


@kernel("negative.backward", check=_check_unary_backward("negative"), portable=True)
def negative_backward(residual: Operand, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d(−x)/dx = −1."""
    return (-dy,)


@kernel("exp.forward", check=_check_unary("exp"), portable=True)
def exp_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Output | None]:
    """Return eˣ."""
    y = np.exp(x)
    return y, Output(y) if keep_residual else None


@kernel("exp.backward", check=_check_unary_backward("exp"), portable=True)
def exp_backward(residual: Output, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d eˣ/dx = eˣ."""
    with silently():
        return (dy * residual.y,)


@kernel("log.forward", check=_check_unary("log"), portable=True)
def log_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return ln x."""
    return np.log(x), Operand(x) if keep_residual else None


@kernel("log.backward", check=_check_unary_backward("log"), portable=True)
def log_backward(residual: Operand, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d ln x/dx = 1/x."""
    with silently():
        return (dy / residual.x,)


@kernel("sqrt.forward", check=_check_unary("sqrt"), portable=True)
def sqrt_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Output | None]:
    """Return √x."""
    y = np.sqrt(x)
    return y, Output(y) if keep_residual else None


@kernel("sqrt.backward", check=_check_unary_backward("sqrt"), portable=True)
def sqrt_backward(residual: Output, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d√x/dx = 1/(2√x)."""
    with silently():
        return (dy / (2 * residual.y),)


@kernel("absolute.forward", check=_check_unary("absolute"), portable=True)
def absolute_forward(x: Array, *, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return |x|."""
    return np.absolute(x), Operand(x) if keep_residual else None


@kernel("absolute.backward", check=_check_unary_backward("absolute"), portable=True)
def absolute_backward(residual: Operand, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """d|x|/dx = sign x, which is 0 at 0."""
    with silently():
        return (dy * np.sign(residual.x),)


def _check_power(x: Array, *, exponent: float, keep_residual: bool) -> None:
    check_floating("power", x=x)
    check_number("power", "exponent", exponent)


def _check_power_backward(residual: Operand, dy: Array, *, needs: tuple[bool], exponent: float) -> None:
    check_gradient("power", dy, shape_of(residual.x), residual.x)


@kernel("power.forward", check=_check_power, portable=True)
def power_forward(x: Array, *, exponent: float, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return xᵖ for a number p."""
    return x ** float(exponent), Operand(x) if keep_residual else None


@kernel("power.backward", check=_check_power_backward, portable=True)
def power_backward(residual: Operand, dy: Array, *, needs: tuple[bool], exponent: float) -> Gradients:
    """d xᵖ/dx = p·xᵖ⁻¹, and 0 everywhere (x = 0 too) for p = 0."""
    if exponent == 0:
        return (np.zeros_like(dy),)
    with silently():
        return (dy * (float(exponent) * residual.x ** float(exponent - 1)),)


def _check_cast(x: Array, *, dtype: str, keep_residual: bool) -> None:
    check_floating("cast", x=x)
    if dtype not in ("float32", "float64"):
        raise TypeError(f"cast: dtype must be 'float32' or 'float64', got {dtype!r}")


def _check_cast_backward(residual: Operand, dy: Array, *, needs: tuple[bool], dtype: str) -> None:
    check_floating("cast", dy=dy)
    check_shape("cast", "dy", dy, shape_of(residual.x), "the shape of the output")
    if dy.dtype.name != dtype:
        raise TypeError(f"cast: dy must be {dtype}, the dtype of the output, got {dy.dtype.name}")


@kernel("cast.forward", check=_check_cast, portable=True)
def cast_forward(x: Array, *, dtype: str, keep_residual: bool) -> tuple[Array, Operand | None]:
    """Return x rounded to `dtype`, ties to even."""
    return x.astype(dtype), Operand(x) if keep_residual else None


@kernel("cast.backward", check=_check_cast_backward, portable=True)
def cast_backward(residual: Operand, dy: Array, *, needs: tuple[bool], dtype: str) -> Gradients:
    """The gradient returns in the dtype of x."""
    with silently():
        return (dy.astype(residual.x.dtype),)

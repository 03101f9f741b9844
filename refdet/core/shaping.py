"""Operations that move values without changing them, and their gradients.

Each is a linear map with a 0/1 matrix (every output is one input, or a constant), so each gradient is the transposed
map: what was copied is summed, what was dropped gets 0.

| operation | output |
|---|---|
| reshape | the same values in row-major order; one length may be −1 |
| transpose | axis i of the output is axis `axes[i]` of the input |
| broadcast_to | repeats along axes of length 1 |
| index | basic indexing: integers, slices, None, Ellipsis |
| gather | indexing with integer or boolean arrays; an element taken twice receives both gradients |
| concat, stack | along an old axis, along a new one |
| pad | `(before, after)` per axis: a constant; the edge value; or the mirror image that does not repeat the edge |
"""

from __future__ import annotations

import math
import numbers
from types import EllipsisType
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array, check_axis, check_choice, check_floating, check_gradient, integers, shape_of
from refdet.core.elementwise import Gradients, sum_to_shape
from refdet.core.kernel import kernel

Shape = tuple[int, ...]
PaddingPerAxis = tuple[tuple[int, int], ...]
BORDERS = ("constant", "edge", "reflect")


class ShapingResidual(NamedTuple):
    x: Array


class ConcatResidual(NamedTuple):
    xs: tuple[Array, ...]


def _check_reshape(x: Array, *, shape: Shape, keep_residual: bool) -> None:
    check_floating("reshape", x=x)
    resolved_shape(x, shape)


def resolved_shape(x: Array, shape: Shape) -> Shape:
    """Return `shape` with a −1 replaced by the length that the size of `x` leaves for it."""
    lengths = integers("reshape", "shape", shape, count=len(shape), low=-1)
    known = math.prod(n for n in lengths if n != -1)
    if lengths.count(-1) == 1 and known and x.size % known == 0:
        return tuple(x.size // known if n == -1 else n for n in lengths)
    if -1 in lengths or known != x.size:
        raise ValueError(
            f"reshape: x has {x.size} elements (shape {shape_of(x)}), which do not fit shape {tuple(shape)}"
        )
    return lengths


def _check_reshape_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], shape: Shape) -> None:
    check_gradient("reshape", dy, resolved_shape(residual.x, shape), residual.x)


@kernel("reshape.forward", check=_check_reshape, portable=True)
def reshape_forward(x: Array, *, shape: Shape, keep_residual: bool) -> tuple[Array, ShapingResidual | None]:
    """Return the values of x, in row-major order, in another shape."""
    return np.reshape(x, resolved_shape(x, shape)), ShapingResidual(x) if keep_residual else None


@kernel("reshape.backward", check=_check_reshape_backward, portable=True)
def reshape_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], shape: Shape) -> Gradients:
    """Return dy in the shape of x."""
    return (np.reshape(dy, residual.x.shape),)


def _check_transpose(x: Array, *, axes: tuple[int, ...], keep_residual: bool) -> None:
    check_floating("transpose", x=x)
    if sorted(check_axis("transpose", a, x.ndim) for a in axes) != list(range(x.ndim)):
        raise ValueError(f"transpose: axes must name each of the {x.ndim} axes of x once, got {axes}")


def _check_transpose_backward(
    residual: ShapingResidual, dy: Array, *, needs: tuple[bool], axes: tuple[int, ...]
) -> None:
    check_gradient("transpose", dy, tuple(shape_of(residual.x)[a] for a in axes), residual.x)


@kernel("transpose.forward", check=_check_transpose, portable=True)
def transpose_forward(x: Array, *, axes: tuple[int, ...], keep_residual: bool) -> tuple[Array, ShapingResidual | None]:
    """Return x with its axes in the order `axes`."""
    return np.transpose(x, axes), ShapingResidual(x) if keep_residual else None


@kernel("transpose.backward", check=_check_transpose_backward, portable=True)
def transpose_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], axes: tuple[int, ...]) -> Gradients:
    """Undo the permutation."""
    inverse = sorted(range(len(axes)), key=lambda i: axes[i] % len(axes))
    return (np.transpose(dy, inverse),)


def _check_broadcast_to(x: Array, *, shape: Shape, keep_residual: bool) -> None:
    check_floating("broadcast_to", x=x)
    shape = integers("broadcast_to", "shape", shape, count=len(shape), low=0)
    stretches = x.ndim <= len(shape) and all(
        n in (1, target) for n, target in zip(reversed(shape_of(x)), reversed(shape), strict=False)
    )
    if not stretches:
        raise ValueError(f"broadcast_to: x of shape {shape_of(x)} does not broadcast to {shape}")


def _check_broadcast_to_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], shape: Shape) -> None:
    check_gradient("broadcast_to", dy, shape, residual.x)


@kernel("broadcast_to.forward", check=_check_broadcast_to, portable=True)
def broadcast_to_forward(x: Array, *, shape: Shape, keep_residual: bool) -> tuple[Array, ShapingResidual | None]:
    """Return x repeated to `shape`."""
    return np.broadcast_to(x, shape), ShapingResidual(x) if keep_residual else None


@kernel("broadcast_to.backward", check=_check_broadcast_to_backward, portable=True)
def broadcast_to_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], shape: Shape) -> Gradients:
    """Sum over the repeats."""
    return (sum_to_shape(dy, residual.x.shape),)


def _check_index(x: Array, *, key: Any, keep_residual: bool) -> None:
    check_floating("index", x=x)
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, bool) or not (k is None or isinstance(k, (slice, EllipsisType, numbers.Integral))):
            raise TypeError(f"index: a key holds integers, slices, None and Ellipsis, got {k!r}; arrays are for gather")


def _check_gradient_like_output(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], key: Any) -> None:
    check_gradient("index", dy, shape_of(residual.x[key]), residual.x)


@kernel("index.forward", check=_check_index, portable=True)
def index_forward(x: Array, *, key: Any, keep_residual: bool) -> tuple[Array, ShapingResidual | None]:
    """Return x[key] for a key of integers, slices, None and Ellipsis."""
    return _read("index", x, key), ShapingResidual(x) if keep_residual else None


@kernel("index.backward", check=_check_gradient_like_output, portable=True)
def index_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], key: Any) -> Gradients:
    """Put dy where it was read; such a key reads no element twice."""
    dx = np.zeros_like(residual.x)
    dx[key] = dy
    return (dx,)


def _check_gather(x: Array, *, key: Any, keep_residual: bool) -> None:
    check_floating("gather", x=x)


def _check_gather_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], key: Any) -> None:
    nothing = np.broadcast_to(np.zeros_like(residual.x, shape=()), residual.x.shape)
    check_gradient("gather", dy, shape_of(nothing[key]), residual.x)


@kernel("gather.forward", check=_check_gather)
def gather_forward(x: Array, *, key: Any, keep_residual: bool) -> tuple[Array, ShapingResidual | None]:
    """Return x[key] for a key with integer or boolean arrays."""
    return _read("gather", x, key), ShapingResidual(x) if keep_residual else None


def _read(op: str, x: Array, key: Any) -> Array:
    """Return x[key], or say what was read from what."""
    try:
        values: Array = x[key]
    except (IndexError, ValueError) as error:  # out of range; a slice with step 0
        raise IndexError(f"{op}: the key {key!r} does not fit x of shape {shape_of(x)}: {error}") from None
    return values


@kernel("gather.backward", check=_check_gather_backward)
def gather_backward(residual: ShapingResidual, dy: Array, *, needs: tuple[bool], key: Any) -> Gradients:
    """Add dy where it was read, once for every time it was read, in row-major order of dy."""
    dx = np.zeros_like(residual.x)
    np.add.at(dx, key, dy)
    return (dx,)


def _check_concat(*xs: Array, axis: int, keep_residual: bool) -> None:
    _check_joinable("concat", xs)
    axis = check_axis("concat", axis, xs[0].ndim)
    for i, x in enumerate(xs):
        if x.ndim != xs[0].ndim or any(
            n != m for a, (n, m) in enumerate(zip(x.shape, xs[0].shape, strict=True)) if a != axis
        ):
            raise ValueError(
                f"concat: inputs must agree on every axis but {axis}; "
                f"input 0 has shape {shape_of(xs[0])}, input {i} {shape_of(x)}"
            )


def _check_joinable(op: str, xs: tuple[Array, ...]) -> None:
    if not xs:
        raise ValueError(f"{op}: needs at least one input")
    check_floating(op, **{f"input {i}": x for i, x in enumerate(xs)})


def _check_concat_backward(residual: ConcatResidual, dy: Array, *, needs: tuple[bool, ...], axis: int) -> None:
    first = shape_of(residual.xs[0])
    axis = check_axis("concat", axis, len(first))
    length = sum(int(x.shape[axis]) for x in residual.xs)
    check_gradient("concat", dy, (*first[:axis], length, *first[axis + 1 :]), residual.xs[0])


@kernel("concat.forward", check=_check_concat, portable=True)
def concat_forward(*xs: Array, axis: int, keep_residual: bool) -> tuple[Array, ConcatResidual | None]:
    """Return the inputs one after another along `axis`."""
    return np.concatenate(xs, axis=axis), ConcatResidual(xs) if keep_residual else None


@kernel("concat.backward", check=_check_concat_backward, portable=True)
def concat_backward(residual: ConcatResidual, dy: Array, *, needs: tuple[bool, ...], axis: int) -> Gradients:
    """Cut dy where the inputs met."""
    ends = np.cumsum([x.shape[axis] for x in residual.xs])[:-1].tolist()
    return tuple(np.split(dy, ends, axis=axis))


def _check_stack(*xs: Array, axis: int, keep_residual: bool) -> None:
    _check_joinable("stack", xs)
    check_axis("stack", axis, xs[0].ndim + 1)
    for i, x in enumerate(xs):
        if shape_of(x) != shape_of(xs[0]):
            raise ValueError(
                f"stack: inputs must have one shape; input 0 has {shape_of(xs[0])}, input {i} {shape_of(x)}"
            )


def _check_stack_backward(residual: ConcatResidual, dy: Array, *, needs: tuple[bool, ...], axis: int) -> None:
    first = shape_of(residual.xs[0])
    axis = check_axis("stack", axis, len(first) + 1)
    check_gradient("stack", dy, (*first[:axis], len(residual.xs), *first[axis:]), residual.xs[0])


@kernel("stack.forward", check=_check_stack, portable=True)
def stack_forward(*xs: Array, axis: int, keep_residual: bool) -> tuple[Array, ConcatResidual | None]:
    """Return the inputs side by side along a new `axis`."""
    return np.stack(xs, axis=axis), ConcatResidual(xs) if keep_residual else None


@kernel("stack.backward", check=_check_stack_backward, portable=True)
def stack_backward(residual: ConcatResidual, dy: Array, *, needs: tuple[bool, ...], axis: int) -> Gradients:
    """Each input receives its slice of dy."""
    slices = np.moveaxis(dy, axis, 0)
    return tuple(slices[i] for i in range(len(residual.xs)))


def _check_pad(x: Array, *, padding: PaddingPerAxis, border: str, value: float, keep_residual: bool) -> None:
    check_floating("pad", x=x)
    check_choice("pad", "border", border, BORDERS)
    if len(padding) != x.ndim:
        raise ValueError(f"pad: padding must be (before, after) for each of the {x.ndim} axes of x, got {padding}")
    for axis, (pair, size) in enumerate(zip(padding, shape_of(x), strict=True)):
        widest = max(integers("pad", f"padding of axis {axis}", pair, count=2, low=0))
        most = {"constant": widest, "edge": widest if size else 0, "reflect": max(size - 1, 0)}[border]
        if widest > most:
            raise ValueError(
                f"pad: border {border!r} can add at most {most} to axis {axis} of length {size}, got {tuple(pair)}"
            )


def _check_pad_backward(
    residual: ShapingResidual, dy: Array, *, needs: tuple[bool], padding: PaddingPerAxis, border: str, value: float
) -> None:
    shape = tuple(n + before + after for n, (before, after) in zip(shape_of(residual.x), padding, strict=True))
    check_gradient("pad", dy, shape, residual.x)


@kernel("pad.forward", check=_check_pad, portable=True)
def pad_forward(
    x: Array, *, padding: PaddingPerAxis, border: str, value: float, keep_residual: bool
) -> tuple[Array, ShapingResidual | None]:
    """Return x with `(before, after)` elements added around each axis."""
    if x.ndim == 0:
        return x, ShapingResidual(x) if keep_residual else None
    constant = {"constant_values": value} if border == "constant" else {}
    return np.pad(x, padding, border, **constant), ShapingResidual(x) if keep_residual else None  # type: ignore[call-overload]


@kernel("pad.backward", check=_check_pad_backward, portable=True)
def pad_backward(
    residual: ShapingResidual, dy: Array, *, needs: tuple[bool], padding: PaddingPerAxis, border: str, value: float
) -> Gradients:
    """Keep the gradient of what came from x; a border that repeats pixels adds its gradient to them, axis by axis."""
    dx = dy
    for axis, ((before, after), size) in enumerate(zip(padding, residual.x.shape, strict=True)):
        dpadded = np.moveaxis(dx, axis, 0)
        dinner = dpadded[before : before + size] + 0  # a copy: dy is not ours to change
        if border != "constant":
            for i in range(before):
                dinner[0 if border == "edge" else before - i] += dpadded[i]
            for i in range(after):
                dinner[size - 1 if border == "edge" else size - 2 - i] += dpadded[before + size + i]
        dx = np.moveaxis(dinner, 0, axis)
    return (dx,)

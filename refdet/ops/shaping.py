"""Operations that move values without changing them, as functions of tensors or arrays.

The definitions and the gradients are those of `refdet/core/shaping.py`: what was copied is summed, what was dropped
gets gradient 0. Results may be views of their inputs, which nothing here changes.
"""

from __future__ import annotations

import numbers
from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core import shaping
from refdet.core.check import Array, check_axis, check_integer, integers
from refdet.core.geometry import padding_pairs
from refdet.core.shaping import PaddingPerAxis, Shape

_reshape = differentiable(shaping.reshape_forward, shaping.reshape_backward)
_transpose = differentiable(shaping.transpose_forward, shaping.transpose_backward)
_broadcast_to = differentiable(shaping.broadcast_to_forward, shaping.broadcast_to_backward)
_index = differentiable(shaping.index_forward, shaping.index_backward)
_gather = differentiable(shaping.gather_forward, shaping.gather_backward)
_concat = differentiable(shaping.concat_forward, shaping.concat_backward)
_stack = differentiable(shaping.stack_forward, shaping.stack_backward)
_pad = differentiable(shaping.pad_forward, shaping.pad_backward)


def reshape(x: Tensor | Array, shape: Shape) -> Tensor:
    """Return the values of x, in row-major order, in another shape; one length may be −1.

    >>> reshape(np.arange(4.0), (2, -1)).data
    array([[0., 1.],
           [2., 3.]])
    """
    return _reshape(x, shape=integers("reshape", "shape", shape, count=np.size(shape), low=-1))


def transpose(x: Tensor | Array, axes: tuple[int, ...] | None = None) -> Tensor:
    """Return x with its axes in the order `axes`, reversed by default.

    >>> transpose(np.zeros((2, 3, 5)), (2, 0, 1)).shape
    (5, 2, 3)
    """
    x = as_tensor("transpose", "x", x)
    return _transpose(
        x,
        axes=tuple(reversed(range(x.ndim)))
        if axes is None
        else integers("transpose", "axes", axes, count=x.ndim, low=-x.ndim),
    )


def broadcast_to(x: Tensor | Array, shape: Shape) -> Tensor:
    """Return x repeated to `shape` along new leading axes and along those of length 1.

    >>> broadcast_to(np.array([[1.0], [2.0]]), (2, 3)).data
    array([[1., 1., 1.],
           [2., 2., 2.]])
    """
    return _broadcast_to(x, shape=integers("broadcast_to", "shape", shape, count=np.size(shape), low=0))


def index(x: Tensor | Array, key: Any) -> Tensor:
    """Return x[key] for any key that NumPy takes: integers, slices, None, Ellipsis, integer or boolean arrays.

    An element that a key of arrays reads twice receives both gradients.

    >>> index(np.array([1.0, 2.0, 3.0]), slice(None, None, -1)).data
    array([3., 2., 1.])
    """
    return as_tensor("index", "x", x)[key]


def take(x: Tensor | Array, indices: Tensor | Array, *, axis: int) -> Tensor:
    """Return the slices of x along `axis` that `indices` name, repeats allowed.

    Args:
        x: any shape. indices: integers of any shape, in [−n, n) for an axis of length n; negative ones count from its
            end. Others are refused: the values are read. axis: the axis that the axes of `indices` replace.

    >>> take(np.array([[1.0, 2.0, 3.0]]), np.array([2, 2, 0]), axis=1).data
    array([[3., 3., 1.]])
    """
    x = as_tensor("take", "x", x)
    axis = check_axis("take", axis, x.ndim)
    indices = indices.data if isinstance(indices, Tensor) else indices
    if indices is None:
        raise TypeError("take: indices must be an integer array, got None")
    check_integer("take", indices=indices)
    length = x.shape[axis]
    if indices.size and not (np.min(indices) >= -length and np.max(indices) < length):
        raise ValueError(
            f"take: indices must lie in [−{length}, {length}) for axis {axis} of x {x.shape}, "
            f"got {np.min(indices)} … {np.max(indices)}"
        )
    return x[(slice(None),) * axis + (indices,)]


def crop(x: Tensor | Array, *, top: int, left: int, height: int, width: int) -> Tensor:
    """Return the `height` × `width` window of the two last axes whose first pixel is (top, left).

    The window must lie inside x; it may be empty.

    >>> crop(np.arange(9.0).reshape(3, 3), top=1, left=0, height=2, width=2).data
    array([[3., 4.],
           [6., 7.]])
    """
    x = as_tensor("crop", "x", x)
    if x.ndim < 2:
        raise ValueError(f"crop: x must have at least two axes, got shape {x.shape}")
    corner = integers("crop", "(top, left)", (top, left), count=2, low=0)
    size = integers("crop", "(height, width)", (height, width), count=2, low=0)
    for start, length, available, name in zip(corner, size, x.shape[-2:], ("rows", "columns"), strict=True):
        if start + length > available:
            raise ValueError(f"crop: {name} {start} … {start + length} of x, which has {available} (shape {x.shape})")
    return _index(x, key=(..., *(slice(start, start + length) for start, length in zip(corner, size, strict=True))))


def pad(x: Tensor | Array, padding: Any, *, border: str = "constant", value: float = 0.0) -> Tensor:
    """Return x with elements added around it.

    Args:
        x: any shape.
        padding: an int, (vertical, horizontal) or ((top, bottom), (left, right)) for the two last axes; or
            (before, after) for every axis.
        border: "constant", "edge" (the border pixel again and again) or "reflect" (the image mirrored at the centre of
            its border pixel, which is not repeated).
        value: what a constant border holds; −∞ is fine.

    >>> pad(np.array([[1.0, 2.0, 3.0]]), (0, 2), border="reflect").data
    array([[3., 2., 1., 2., 3., 2., 1.]])
    """
    x = as_tensor("pad", "x", x)
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"pad: value must be a number, got {value!r}")
    if border != "constant" and value != 0:
        raise ValueError(f"pad: only a constant border takes a value, got border={border!r} and value={value!r}")
    return _pad(x, padding=_padding_per_axis(x, padding), border=border, value=float(value))


def _padding_per_axis(x: Tensor, padding: Any) -> PaddingPerAxis:
    """Return (before, after) for every axis of x."""
    of_pairs = isinstance(padding, Sequence) and all(isinstance(p, Sequence) and len(p) == 2 for p in padding)
    if of_pairs and len(padding) == x.ndim:
        each = (integers("pad", "padding", p, count=2, low=0) for p in padding)
        return tuple((before, after) for before, after in each)
    if x.ndim < 2 or isinstance(padding, str) or (of_pairs and len(padding) != 2):
        raise ValueError(
            f"pad: padding must be (before, after) for each of the {x.ndim} axes of x, or, for the two last axes, an "
            f"int, (vertical, horizontal) or ((top, bottom), (left, right)); got {padding!r} for shape {x.shape}"
        )
    last_two = padding_pairs("pad", padding, size=(1, 1), kernel_size=(1, 1), stride=(1, 1), dilation=(1, 1))
    return (*((0, 0),) * (x.ndim - 2), *last_two)


def concat(xs: Sequence[Tensor | Array], *, axis: int) -> Tensor:
    """Return the inputs one after another along `axis`.

    >>> concat([np.array([1.0]), np.array([2.0, 3.0])], axis=0).data
    array([1., 2., 3.])
    """
    return _concat(*_several("concat", xs), axis=axis)


def stack(xs: Sequence[Tensor | Array], *, axis: int) -> Tensor:
    """Return the inputs, all of one shape, side by side along a new `axis`.

    >>> stack([np.array([1.0, 2.0]), np.array([3.0, 4.0])], axis=1).data
    array([[1., 3.],
           [2., 4.]])
    """
    return _stack(*_several("stack", xs), axis=axis)


def _several(op: str, xs: Sequence[Tensor | Array]) -> list[Tensor]:
    """Return a sequence of tensors; one that is not a sequence, or holds what is not an array, is named."""
    if not isinstance(xs, (Sequence, Tensor, np.ndarray)):
        raise TypeError(f"{op}: needs a sequence of tensors or arrays, got {type(xs).__name__}")
    return [as_tensor(op, f"input {i}", x) for i, x in enumerate(xs)]

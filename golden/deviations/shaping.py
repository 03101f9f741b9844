"""How operations that move values differ: borders, the order of axes, what a negative or repeated index does."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.op_wrapping import Params, both, changing, fitted
from golden.wrapping import setting
from refdet.core.check import Array
from refdet.core.shaping import ShapingResidual
from refdet.verify.deviation import Body, Deviation


def symmetric_forward(body: Body) -> Body:
    """Mirror with the edge repeated, under border reflect."""

    def forward(x: Array, *, border: str, keep_residual: bool, **params: Any) -> Any:
        if border != "reflect" or x.ndim == 0:
            return body(x, border=border, keep_residual=keep_residual, **params)
        return np.pad(x, params["padding"], "symmetric"), ShapingResidual(x) if keep_residual else None

    return forward


def symmetric_backward(body: Body) -> Body:
    """Add the gradient of every copy to its original, axis by axis."""

    def backward(residual: Any, dy: Array, *, border: str, **params: Any) -> Any:
        if border != "reflect":
            return body(residual, dy, border=border, **params)
        dx = dy
        for axis, (pair, size) in enumerate(zip(params["padding"], residual.x.shape, strict=True)):
            original = np.pad(np.arange(size), pair, "symmetric")
            inner = np.zeros((size, *np.moveaxis(dx, axis, 0).shape[1:]), dy.dtype)
            np.add.at(inner, original, np.moveaxis(dx, axis, 0))
            dx = np.moveaxis(inner, 0, axis)
        return (dx,)

    return backward


def last_axis_first_forward(body: Body) -> Body:
    """Take the first pair for the last axis, unless an axis is too short for a mirror image of that width."""

    def forward(x: Array, *, padding: Any, **params: Any) -> Any:
        try:
            return body(x, padding=padding[::-1], **params)
        except IndexError:
            return body(x, padding=padding, **params)

    return forward


def last_axis_first_backward(body: Body) -> Body:
    """Return the gradient of that, of as much of dy as fits."""

    def backward(residual: Any, dy: Array, *, padding: Any, **params: Any) -> Any:
        shape = tuple(n + sum(pair) for n, pair in zip(residual.x.shape, padding[::-1], strict=True))
        try:
            return body(residual, fitted(dy, shape), padding=padding[::-1], **params)
        except IndexError:
            return body(residual, dy, padding=padding, **params)

    return backward


def columns_forward(body: Body) -> Body:
    """Read and write values in column-major order."""

    def forward(x: Array, *, shape: Any, keep_residual: bool) -> Any:
        return np.reshape(x, shape, order="F"), ShapingResidual(x) if keep_residual else None

    return forward


def columns_backward(body: Body) -> Body:
    """Undo it."""

    def backward(residual: Any, dy: Array, *, needs: Any, shape: Any) -> Any:
        return (np.reshape(dy, residual.x.shape, order="F"),)

    return backward


def clip_negative(params: Params) -> Params:
    """Read the first element for a negative index."""
    key = params["key"] if isinstance(params["key"], tuple) else (params["key"],)
    return {"key": tuple(np.maximum(k, 0) if _indices(k) else k for k in key)}


def _indices(k: Any) -> bool:
    return isinstance(k, np.ndarray) and k.dtype.kind == "i"


def negative_is_zero_forward(body: Body) -> Body:
    """Answer 0 for a negative index."""

    def forward(x: Array, *, key: Any, keep_residual: bool) -> Any:
        y, residual = body(x, key=key, keep_residual=keep_residual)
        return np.where(_outside(x, key), np.zeros_like(y), y), residual

    return forward


def negative_is_zero_backward(body: Body) -> Body:
    """Drop the gradient of what was not read."""

    def backward(residual: Any, dy: Array, *, key: Any, **params: Any) -> Any:
        return body(residual, np.where(_outside(residual.x, key), np.zeros_like(dy), dy), key=key, **params)

    return backward


def _outside(x: Array, key: Any) -> Array:
    """Return where the output was read by a negative index."""
    outside = np.zeros(x.shape, bool)[key]
    for axis, k in enumerate(key if isinstance(key, tuple) else (key,)):
        if _indices(k):
            is_first = np.reshape(np.arange(x.shape[axis]), (-1,) + (1,) * (x.ndim - axis - 1))
            read = np.broadcast_to(is_first, x.shape)[key]  # the index, made positive
            given = np.broadcast_to(is_first, x.shape)[_as_given(key, axis, x.shape[axis])]
            outside = outside | (read != given)
    return np.asarray(outside)


def _as_given(key: Any, axis: int, length: int) -> Any:
    """Return the key with negative indices of one axis moved to another element."""
    keys = list(key if isinstance(key, tuple) else (key,))
    keys[axis] = np.where(keys[axis] < 0, (keys[axis] % length + 1) % length, keys[axis])
    return tuple(keys)


def last_repeat_wins(body: Body) -> Body:
    """Add by dx[key] += dy, which reads before it writes: one gradient after the other, each in place of the last."""

    def backward(residual: Any, dy: Array, **params: Any) -> Any:
        dx = np.zeros_like(residual.x)
        for place in np.ndindex(*dy.shape):
            one = np.zeros_like(dy)
            one[place] = 1
            (read,) = body(residual, one, **params)  # 1 at what was read there
            dx[read != 0] = dy[place]
        return (dx,)

    return backward


DEVIATIONS = [
    Deviation(
        "pad.border=constant",
        "adds a constant, whatever border says",
        "Where the edge should repeat or be mirrored, there is the constant.",
        ("TensorRT, IPaddingLayer; Keras, ZeroPadding2D",),
        "Repeat the edge for edge, mirror without repeating it for reflect.",
        both(setting(border="constant"), "pad"),
    ),
    Deviation(
        "pad.border=symmetric",
        "repeats the edge when it mirrors",
        "Under border reflect the sequence is … b a a b …, not … c b a b c …",
        (
            "SciPy, scipy.ndimage with mode='reflect'",
            "OpenCV, BORDER_REFLECT (BORDER_REFLECT_101 does not repeat); TensorFlow, tf.pad with SYMMETRIC",
        ),
        "Begin the mirror image with the neighbour of the edge.",
        {"pad.forward": symmetric_forward, "pad.backward": symmetric_backward},
    ),
    Deviation(
        "pad.order=last_first",
        "takes the first pair of numbers for the last axis",
        "Each axis is padded by the numbers of another; the output has another shape unless they are alike. An axis "
        "may then be too short for its mirror image, which the library refuses.",
        ("PyTorch, torch.nn.functional.pad: the list begins with the last axis",),
        "Reverse the list of pairs.",
        {"pad.forward": last_axis_first_forward, "pad.backward": last_axis_first_backward},
    ),
    Deviation(
        "pad.value=0",
        "pads with 0, whatever value says",
        "The constant border is 0.",
        ("TensorRT, IPaddingLayer; Keras, ZeroPadding2D",),
        "Fill the border with the parameter value.",
        both(setting(value=0.0), "pad"),
    ),
    Deviation(
        "reshape.order=column_major",
        "reads and writes values in column-major order",
        "The first index runs fastest: the values are the same, elsewhere.",
        ("MATLAB, reshape, and what was written with it, such as R-CNN's and MatConvNet's code",),
        "Let the last index run fastest (C order).",
        {"reshape.forward": columns_forward, "reshape.backward": columns_backward},
    ),
    Deviation(
        "gather.negative=clip",
        "reads the first element for a negative index",
        "An index of −1 gives the first element instead of the last.",
        ("MXNet, mx.nd.take with its default mode='clip'; NumPy, numpy.take with mode='clip'",),
        "Add the length of the axis to a negative index.",
        both(changing(clip_negative), "gather"),
    ),
    Deviation(
        "gather.negative=zero",
        "answers 0 for a negative index",
        "An index of −1 gives 0 instead of the last element, and has no gradient.",
        ("TensorFlow, tf.gather on a GPU",),
        "Add the length of the axis to a negative index.",
        {"gather.forward": negative_is_zero_forward, "gather.backward": negative_is_zero_backward},
    ),
    Deviation(
        "gather.repeat=last",
        "keeps one gradient of an element that was read several times",
        "Repeated indices overwrite each other: the last gradient stays instead of the sum.",
        ("NumPy, dx[key] += dy, of which its documentation warns; numpy.add.at adds",),
        "Add every gradient, in row-major order: numpy.add.at.",
        {"gather.backward": last_repeat_wins},
    ),
]

"""Operations that move values, and the linear layer, by loops over indices."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._witness import Witness

Index = tuple[int, ...]


def copied(
    question: Question,
    shape: Index,
    sources: Iterable[tuple[Index, Index | None]],
    fill: float = 0.0,
    last: bool = False,
) -> dict[str, Any]:
    """Return y with y[output] = x[source] for every pair, `fill` where the source is None, and its gradient.

    `last`: of several gradients of one element the last stays, where they should add up.
    """
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    y, dx = np.full(shape, fill), np.zeros(x.shape)
    with_gradient = dy is not None and dy.shape == shape
    for output, source in sources:
        if source is not None:
            y[output] = x[source]
            if dy is not None and with_gradient:
                dx[source] = float(dy[output]) + (0.0 if last else dx[source])
    return {"y": y, "dx": dx} if with_gradient else {"y": y}


def source_along(position: int, size: int, border: str) -> int | None:
    """Return the element that stands at a position of a padded axis, 0 being its first real one; None: the constant."""
    if 0 <= position < size:
        return position
    if border == "constant" or size == 0:
        return None
    if border == "edge":
        return min(max(position, 0), size - 1)
    repeated = 0 if border == "symmetric" or size == 1 else 1  # whether the mirror stands on the edge or behind it
    while not 0 <= position < size:
        position = -position - 1 + repeated if position < 0 else 2 * size - 1 - repeated - position
    return position


def pad(question: Question, *, border: str = "", value: float | None = None, reverse: bool = False) -> dict[str, Any]:
    """Pad; `border` "constant" always, "symmetric" for reflect; `value`: always this; `reverse`: last axis first."""
    x = question.arguments["x"]
    assert x is not None
    padding = question.params["padding"][::-1] if reverse else question.params["padding"]
    asked = question.params["border"]
    used = border if border == "constant" or (border == "symmetric" and asked == "reflect") else asked
    shape = tuple(size + before + after for size, (before, after) in zip(x.shape, padding, strict=True))
    if used == "reflect" and any(max(pair) >= size for size, pair in zip(x.shape, padding, strict=True)):
        raise Skipped("a mirror image has fewer pixels than the image, as torch says")

    def sources() -> Iterable[tuple[Index, Index | None]]:
        for output in np.ndindex(*shape):
            source = [
                source_along(at - before, size, used)
                for at, size, (before, _) in zip(output, x.shape, padding, strict=True)
            ]
            yield output, None if None in source else tuple(at for at in source if at is not None)

    return copied(question, shape, sources(), question.params["value"] if value is None else value)


def numpy_pad_symmetric(question: Question) -> dict[str, Any]:
    """Pad by NumPy, whose mode "symmetric" repeats the edge."""
    x = question.arguments["x"]
    assert x is not None
    border, padding = question.params["border"], question.params["padding"]
    if border == "constant":
        return {"y": np.pad(x, padding, constant_values=question.params["value"])}
    return {"y": np.pad(x, padding, mode="symmetric" if border == "reflect" else "edge")}


def reshape(question: Question, *, first_fastest: bool = False) -> dict[str, Any]:
    """Give values another shape; `first_fastest`: the first index runs fastest, in both shapes."""
    x = question.arguments["x"]
    assert x is not None
    shape = tuple(question.params["shape"])

    def order(lengths: Index) -> Iterable[Index]:
        if first_fastest:
            return (index[::-1] for index in np.ndindex(*lengths[::-1]))
        return np.ndindex(*lengths)

    return copied(question, shape, zip(order(shape), order(x.shape), strict=True))


def gather(question: Question, *, negative: str = "from the end", last: bool = False) -> dict[str, Any]:
    """Index by arrays; `negative`: "clip" or "zero"; `last`: the last gradient of an element stays."""
    x = question.arguments["x"]
    assert x is not None
    key = question.params["key"]
    key = key if isinstance(key, tuple) else (key,)
    below = [isinstance(k, np.ndarray) and k.dtype != bool and bool((k < 0).any()) for k in key]
    numbers = np.arange(x.size).reshape(x.shape)[tuple(key)]  # NumPy's own indexing of flat numbers
    lost = np.zeros(numbers.shape, bool)
    if any(below):
        clipped = tuple(np.maximum(k, 0) if b else k for k, b in zip(key, below, strict=True))
        if negative == "clip":
            numbers = np.arange(x.size).reshape(x.shape)[clipped]
        elif negative == "zero":
            for k, b in zip(key, below, strict=True):
                lost = lost | (k < 0) if b else lost  # these keys are arrays alone, so that shapes agree
    pairs = (
        (output, None if lost[output] else tuple(int(i) for i in np.unravel_index(int(numbers[output]), x.shape)))
        for output in np.ndindex(*numbers.shape)
    )
    return copied(question, numbers.shape, pairs, last=last)


def linear(question: Question, *, transposed: bool = False) -> dict[str, Any]:
    """Multiply by a matrix; `transposed`: its numbers are taken in their order for (inputs, outputs)."""
    x, weight, bias = question.arguments.values()
    assert x is not None
    assert weight is not None
    outputs, inputs = int(weight.shape[0]), int(weight.shape[1])
    flat = [float(w) for w in weight.ravel()]

    def number(o: int, f: int) -> int:
        return f * outputs + o if transposed else o * inputs + f

    rows = x.reshape(-1, inputs).astype(np.float64)
    y = np.array(
        [
            [
                math.fsum(flat[number(o, f)] * float(row[f]) for f in range(inputs))
                + (0.0 if bias is None else float(bias[o]))
                for o in range(outputs)
            ]
            for row in rows
        ]
    ).reshape(*x.shape[:-1], outputs)
    answers: dict[str, Any] = {"y": y}
    dy = question.incoming_gradient
    if dy is None:
        return answers
    dy_rows = dy.reshape(-1, outputs).astype(np.float64)
    dx, dweight = np.zeros(rows.shape), np.zeros(weight.size)
    for n, o, f in np.ndindex(len(rows), outputs, inputs):
        dx[n, f] += dy_rows[n, o] * flat[number(o, f)]
        dweight[number(o, f)] += dy_rows[n, o] * rows[n, f]
    answers |= {"dx": dx.reshape(x.shape), "dweight": dweight.reshape(weight.shape)}
    return answers if bias is None else {**answers, "dbias": dy_rows.sum(0)}


def numpy_reshape(question: Question) -> dict[str, Any]:
    """Give values another shape by NumPy, in Fortran's order."""
    x = question.arguments["x"]
    assert x is not None
    return {"y": x.reshape(question.params["shape"], order="F")}


CONFORMING = [("pad", pad), ("reshape", reshape), ("gather", gather), ("linear", linear)]

WITNESSES = [
    Witness("gather.negative=clip", "gather", "numpy.take with mode='clip'", partial(gather, negative="clip")),
    Witness("gather.negative=zero", "gather", "TensorFlow, tf.gather on a GPU", partial(gather, negative="zero")),
    Witness("gather.repeat=last", "gather", "an assignment where there should be a sum", partial(gather, last=True)),
    Witness(
        "linear.weight=in_out",
        "linear",
        "Keras, keras/layers/core/dense.py: the kernel is (inputs, outputs)",
        partial(linear, transposed=True),
    ),
    Witness("pad.border=constant", "pad", "Keras, ZeroPadding2D has no other border", partial(pad, border="constant")),
    Witness("pad.border=symmetric", "pad", "OpenCV, BORDER_REFLECT: fedcba|abcdefgh", partial(pad, border="symmetric")),
    Witness("pad.border=symmetric", "pad", "numpy.pad with mode='symmetric'", numpy_pad_symmetric),
    Witness(
        "pad.order=last_first",
        "pad",
        "PyTorch, torch.nn.functional.pad: the first pair is of the last axis",
        partial(pad, reverse=True),
    ),
    Witness("pad.value=0", "pad", "Keras, ZeroPadding2D: zeros", partial(pad, value=0.0)),
    Witness(
        "reshape.order=column_major",
        "reshape",
        "MATLAB, reshape: the first index runs fastest",
        partial(reshape, first_fastest=True),
    ),
    Witness(
        "reshape.order=column_major",
        "reshape",
        "numpy.reshape with order='F'",
        numpy_reshape,
    ),
]

"""Convolution and its transpose: every output, or every stamp, one window at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.question import Question
from tests.witnesses._windows import number_of_windows, symmetric
from tests.witnesses._witness import Witness


def taps_along(kernel: int, start: int, dilation: int, turned: bool) -> list[tuple[int, int]]:
    """Return (tap, position) for one window of one axis; a turned kernel is read from its last tap."""
    return [(kernel - 1 - a if turned else a, start + a * dilation) for a in range(kernel)]


def placed(
    size: tuple[int, ...], kernel: tuple[int, ...], count: tuple[int, ...], params: Mapping[str, Any], turned: bool
) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield (i, j, a, b, row, column) for each tap of each window that lies in the plane."""
    for i, j in product(range(count[0]), range(count[1])):
        starts = [at * s - pad[0] for at, s, pad in zip((i, j), params["stride"], params["padding"], strict=True)]
        rows, columns = (
            taps_along(k, start, d, turned) for k, start, d in zip(kernel, starts, params["dilation"], strict=True)
        )
        for (a, row), (b, column) in product(rows, columns):
            if 0 <= row < size[0] and 0 <= column < size[1]:
                yield i, j, a, b, row, column


def correlate(
    small: tuple[int, ...], large: tuple[int, ...], weight: Array, params: Mapping[str, Any], **given: Any
) -> Any:
    """Return the sums over windows of the two of `x`, `w`, `y` that are given, float64, and the bias apart.

    x is the (N, C, ...) side that windows read from, y the (N, O, ...) side of the windows, w (O, C/g, kh, kw). The
    one of the three that is missing is computed: y forward, x and w backward, x for a transposed convolution.
    """
    groups = params["groups"]
    outputs, inputs = weight.shape[0] // groups, weight.shape[1]
    shape = {"y": small, "x": large, "w": weight.shape}
    (missing,) = shape.keys() - given.keys()
    tensors = {name: np.asarray(value, np.float64) for name, value in given.items()}
    total = tensors[missing] = np.zeros(shape[missing])
    turned = params.get("turned", False)
    for i, j, a, b, row, column in placed(large[2:], weight.shape[2:], small[2:], params, turned):
        for g in range(groups):
            y = tensors["y"][:, g * outputs : (g + 1) * outputs, i, j]
            x = tensors["x"][:, g * inputs : (g + 1) * inputs, row, column]
            w = tensors["w"][g * outputs : (g + 1) * outputs, :, a, b]
            if missing == "y":
                y += x @ w.T
            elif missing == "x":
                x += y @ w
            else:
                w += y.T @ x
    return total


def convolve(question: Question, *, turned: bool = False, one_padding: bool = False) -> dict[str, Any]:
    """Slide a kernel; `turned`: by 180 degrees; `one_padding`: the larger padding on both sides."""
    x, weight, bias = question.arguments.values()
    assert x is not None
    assert weight is not None
    params = {**question.params, "turned": turned}
    if one_padding:
        params = symmetric(params)
    count = tuple(
        number_of_windows(size + sum(pad) - d * (k - 1) - 1, s, ceil=False, last_start=None)
        for size, k, s, pad, d in zip(
            x.shape[2:], weight.shape[2:], params["stride"], params["padding"], params["dilation"], strict=True
        )
    )
    shape = (x.shape[0], weight.shape[0], *count)
    y = correlate(shape, x.shape, weight, params, x=x, w=weight)
    answers = {"y": y if bias is None else y + bias.astype(np.float64).reshape(1, -1, 1, 1)}
    dy = question.incoming_gradient
    if dy is None or dy.shape != shape:
        return answers
    answers["dx"] = correlate(shape, x.shape, weight, params, y=dy, w=weight)
    answers["dweight"] = correlate(shape, x.shape, weight, params, y=dy, x=x)
    return answers if bias is None else {**answers, "dbias": dy.astype(np.float64).sum((0, 2, 3))}


def transposed(
    question: Question, *, turned: bool = False, one_padding: bool = False, more: bool = True
) -> dict[str, Any]:
    """Stamp a kernel; `turned` and `one_padding` as in `convolve`, `more`: whether output_padding is heard."""
    x, weight, bias = question.arguments.values()
    assert x is not None
    assert weight is not None
    params = {**question.params, "turned": turned}
    if one_padding:
        params = symmetric(params)
    size = tuple(
        s * (n - 1) + d * (k - 1) + 1 - sum(pad) + (extra if more else 0)
        for n, k, s, pad, d, extra in zip(
            x.shape[2:],
            weight.shape[2:],
            params["stride"],
            params["padding"],
            params["dilation"],
            params["output_padding"],
            strict=True,
        )
    )
    shape = (x.shape[0], weight.shape[1] * params["groups"], *size)
    y = correlate(x.shape, shape, weight, params, y=x, w=weight)
    answers = {"y": y if bias is None else y + bias.astype(np.float64).reshape(1, -1, 1, 1)}
    dy = question.incoming_gradient
    if dy is None or dy.shape != shape:
        return answers
    answers["dx"] = correlate(x.shape, shape, weight, params, x=dy, w=weight)
    answers["dweight"] = correlate(x.shape, shape, weight, params, x=dy, y=x)
    return answers if bias is None else {**answers, "dbias": dy.astype(np.float64).sum((0, 2, 3))}


def scipy_convolve2d(question: Question) -> dict[str, Any]:
    """Convolve by SciPy, which turns the kernel."""
    from scipy.signal import convolve2d

    x, weight, bias = question.arguments.values()
    assert x is not None
    assert weight is not None
    params = question.params
    (sh, sw), (dh, dw) = params["stride"], params["dilation"]
    wide = np.zeros((*weight.shape[:2], *(d * (k - 1) + 1 for d, k in zip((dh, dw), weight.shape[2:], strict=True))))
    wide[:, :, ::dh, ::dw] = weight
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *params["padding"]))
    group = weight.shape[0] // params["groups"]
    extents = [p - k + 1 for p, k in zip(padded.shape[2:], wide.shape[2:], strict=True)]
    y = np.zeros((x.shape[0], weight.shape[0], -(-extents[0] // sh), -(-extents[1] // sw)))
    for n, o, c in np.ndindex(x.shape[0], *weight.shape[:2]):
        channel = o // group * weight.shape[1] + c
        y[n, o] += convolve2d(padded[n, channel], wide[o, c], mode="valid")[::sh, ::sw]
    return {"y": y if bias is None else y + bias.reshape(1, -1, 1, 1)}


CONFORMING = [("conv2d", convolve), ("conv_transpose2d", transposed)]

WITNESSES = [
    Witness(
        "conv.flip=yes",
        "conv2d",
        "Theano, theano/tensor/nnet/abstract_conv.py: filter_flip, the kernel read backwards",
        partial(convolve, turned=True),
    ),
    Witness("conv.flip=yes", "conv2d", "scipy.signal.convolve2d", scipy_convolve2d),
    Witness(
        "conv.pad=symmetric",
        "conv2d",
        "Caffe, src/caffe/layers/base_conv_layer.cpp: one pad an axis",
        partial(convolve, one_padding=True),
    ),
    Witness(
        "conv.pad=symmetric",
        "conv_transpose2d",
        "Caffe, src/caffe/layers/deconv_layer.cpp: one pad an axis",
        partial(transposed, one_padding=True),
    ),
    Witness(
        "deconv.flip=yes",
        "conv_transpose2d",
        "JAX, jax/_src/lax/convolution.py, conv_transpose: correlates the spread input unless transpose_kernel",
        partial(transposed, turned=True),
    ),
    Witness(
        "deconv.output_padding=none",
        "conv_transpose2d",
        "Caffe, src/caffe/layers/deconv_layer.cpp: stride * (input - 1) + extent - 2 * pad",
        partial(transposed, more=False),
    ),
]

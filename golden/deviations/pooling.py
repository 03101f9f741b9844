"""How pooling differs: where windows lie, and by what an average divides.

Max pooling has switches; where a deviation changes the number of windows, the switches that are kept for the gradient
are fitted to the right number, −1 for a window that is not there, and so is the gradient that comes in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from golden.op_wrapping import Params, both, changing, fitted
from golden.wrapping import Wrap, setting
from refdet.core.check import Array
from refdet.core.geometry import window_extent
from refdet.ops.pooling import PoolingWindows, output_shape
from refdet.verify.deviation import Body, Deviation

CAFFE = "Caffe, src/caffe/layers/pooling_layer.cpp"
DARKNET = "darknet (AlexeyAB), src/maxpool_layer.c"


def windows_of(params: Params) -> PoolingWindows:
    """Return the windows that the parameters of max or average pooling describe."""
    names = ("kernel_size", "stride", "padding", "ceil_mode", "convention")
    return PoolingWindows(dilation=params.get("dilation", (1, 1)), **{name: params[name] for name in names})


def regridded(change: Callable[[Params], Params]) -> dict[str, Wrap]:
    """Wrap max and average pooling with parameters that change the number of windows."""

    def max_forward(body: Body) -> Body:
        def forward(x: Array, **params: Any) -> Any:
            outputs, residual = body(x, **{**params, **change(params)})
            if residual is not None:
                shape = output_shape(x, windows_of(params))
                residual = residual._replace(switches=fitted(residual.switches, shape, -1))
            return outputs, residual

        return forward

    def max_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, **params: Any) -> Any:
            params |= change(params)
            shape = output_shape(residual.x, windows_of(params))
            residual = residual._replace(switches=fitted(residual.switches, shape, -1))
            return body(residual, fitted(dy, shape), needs=needs, **params)

        return backward

    def average_backward(body: Body) -> Body:
        def backward(residual: Any, dy: Array, *, needs: Any, **params: Any) -> Any:
            params |= change(params)
            shape = output_shape(residual.x, windows_of(params))
            return body(residual, fitted(dy, shape), needs=needs, **params)

        return backward

    return {
        "max_pool2d.forward": max_forward,
        "max_pool2d.backward": max_backward,
        "avg_pool2d.forward": changing(change),
        "avg_pool2d.backward": average_backward,
    }


def undropped(size: Any, params: Params) -> tuple[int, ...]:
    """Return how many windows there are if none is dropped: with ceil_mode ⌈room/stride⌉ + 1."""
    geometry = zip(
        size, params["kernel_size"], params["stride"], params["padding"], params.get("dilation", (1, 1)), strict=True
    )
    room = ((n + sum(p) - window_extent(k, d), s) for n, k, s, p, d in geometry)
    return tuple((-(-r // s) if params["ceil_mode"] else r // s) + 1 for r, s in room)


def never_drop(body: Body) -> Body:
    """Keep last windows that begin behind the pixels; 0/0 where padding does not count, and they hold some."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        size = undropped(x.shape[2:], params)
        geometry = zip(x.shape[2:], params["stride"], params["padding"], size, strict=True)
        rows, columns = (np.arange(count) * s < n + sum(p) for n, s, p, count in geometry)  # begin inside the padding
        nothing = np.where(rows[:, None] & columns & (not params["count_include_pad"]), np.nan, 0)
        dropped = fitted(np.ones(y.shape[2:]), size) == 0
        return np.where(dropped, nothing, fitted(y, (*y.shape[:2], *size))).astype(y.dtype), residual

    return forward


def where_padding_counts(wrap: Wrap) -> Wrap:
    """Return a wrapper that does so with count_include_pad alone."""

    def wrap_some(body: Body) -> Body:
        wrapped = wrap(body)

        def deviating(*arrays: Any, **params: Any) -> Any:
            return (wrapped if params["count_include_pad"] else body)(*arrays, **params)

        return deviating

    return wrap_some


def symmetric(params: Params) -> Params:
    """Pad both sides of an axis by the larger of the two numbers."""
    vertical, horizontal = (max(sides) for sides in params["padding"])
    return {"padding": ((vertical, vertical), (horizontal, horizontal))}


def n_pixels(x: Array, params: Params) -> Array:
    """Return how many pixels every window has, (Ho, Wo)."""
    windows = windows_of(params)
    count = np.zeros(windows.output_size(x.shape[2:]))
    for window, _ in windows.taps(x.shape[2:]):
        count[window] += 1
    return count


def empty_mean_is_zero(body: Body) -> Body:
    """Answer 0 for a window without a pixel."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        count = fitted(n_pixels(x, params), y.shape[2:])
        return np.where(count == 0, np.zeros_like(y), y), residual

    return forward


def area_forward(body: Body) -> Body:
    """Divide the sum of the pixels by the area of the window, wherever it lies."""

    def forward(x: Array, **params: Any) -> Any:
        y, residual = body(x, **params)
        total = np.zeros_like(y)
        for window, pixels in windows_of(params).taps(x.shape[2:]):
            total[:, :, *window] += x[:, :, *pixels]
        kh, kw = params["kernel_size"]
        return total / (kh * kw), residual

    return forward


def area_backward(body: Body) -> Body:
    """Give every pixel of a window dy over the area of the window."""

    def backward(residual: Any, dy: Array, *, needs: Any, **params: Any) -> Any:
        kh, kw = params["kernel_size"]
        dx = np.zeros_like(residual.x)
        for window, pixels in windows_of(params).taps(dx.shape[2:]):
            dx[:, :, *pixels] += dy[:, :, *window] / (kh * kw)
        return (dx,)

    return backward


WINDOWS = [
    Deviation(
        "pool.ceil=always",
        "rounds the number of windows up, whatever ceil_mode says",
        "There is one more row or column of windows wherever the stride does not divide; they hang over the edge.",
        (f"{CAFFE}: ceil, before round_mode was added", "SSD and Fast R-CNN models made with that Caffe"),
        "With ceil_mode=False, make ⌊(size + padding − extent)/stride⌋ + 1 windows.",
        regridded(lambda _: {"ceil_mode": True}),
    ),
    Deviation(
        "pool.ceil=never",
        "rounds the number of windows down, whatever ceil_mode says",
        "The last row or column of windows is missing where the stride does not divide.",
        (f"{DARKNET}: (w + padding − size) / stride + 1 in integers", "TensorFlow, tf.nn.max_pool2d with VALID"),
        "With ceil_mode=True, make ⌈(size + padding − extent)/stride⌉ + 1 windows, less an empty last one.",
        regridded(lambda _: {"ceil_mode": False}),
    ),
    Deviation(
        "pool.convention=caffe",
        "drops an empty last window only where the layer pads, whatever the convention",
        "Without padding, and with a stride larger than the kernel, a last window without a pixel stays.",
        (f'{CAFFE}: "if (pad_h_ || pad_w_)" stands before the test',),
        "Under convention torch drop a last window that begins at or beyond size + padding before it, always.",
        regridded(lambda _: {"convention": "caffe"}),
    ),
    Deviation(
        "pool.convention=torch",
        "drops an empty last window always, whatever the convention",
        "Without padding, and with a stride larger than the kernel, Caffe keeps a last window that is missing here.",
        ("PyTorch, aten/src/ATen/native/Pool.h, pooling_output_shape_pad_lr",),
        "Under convention caffe drop the last window only if some side of some axis is padded.",
        regridded(lambda _: {"convention": "torch"}),
    ),
    Deviation(
        "pool.pad=symmetric",
        "pads both sides of an axis alike, by the larger of the two numbers",
        "Where padding differs between the two ends of an axis, the windows lie elsewhere, and there may be more.",
        (f"{CAFFE}: one pad per axis", "PyTorch, torch.nn.functional.max_pool2d: one padding per axis"),
        "Pad each side by its own number, for instance with an explicit padding of the input first.",
        regridded(symmetric),
    ),
]

AVERAGES = [
    Deviation(
        "avgpool.drop=never",
        "keeps a last window that begins in the padding or behind it",
        "With ceil_mode there are more windows: the last ones have no pixel. Their mean is 0 where padding counts, "
        "and beyond it; else 0/0 = NaN.",
        (
            "OpenCV 5.0.0, dnn, AveragePool: run. Where padding does not count it has NaN beyond it too",
            "ONNX Runtime in 2023: onnx#4958",
        ),
        "Drop a last window that begins at or beyond size + padding before it.",
        {"avg_pool2d.forward": never_drop},
    ),
    Deviation(
        "avgpool.emptywin=0",
        "answers 0 for a window without a pixel",
        "Where padding does not count, the mean of no pixels is 0 instead of NaN.",
        ('PyTorch, aten/src/ATen/native/cpu/AvgPoolKernel.cpp: "hstart >= hend || wstart >= wend"',),
        "Divide by the number of pixels, 0, or do not pad as far.",
        {"avg_pool2d.forward": empty_mean_is_zero},
    ),
    Deviation(
        "avgpool.grad=area",
        "divides by the number of pixels forward, but by the area of the window backward",
        "At the border the gradient is too small.",
        ("darknet (AlexeyAB), src/maxpool_layer.c, backward_local_avgpool_layer: / (l.size*l.size)",),
        "Divide the gradient by the divisor of the forward pass.",
        {"avg_pool2d.backward": area_backward},
    ),
    Deviation(
        "avgpool.overhang=counts",
        "counts what a ceil window hangs over the padded map, where padding counts",
        "With count_include_pad=True averages divide by the area of the window, wherever it lies.",
        (
            "OpenCV 5.0.0, dnn, AveragePool: run",
            "ONNX Runtime, AveragePool of opset 7 to 18 on the CPU: onnxruntime#16203, corrected in onnxruntime#29629",
            "tract before tract#2851, AveragePool with ceil_mode",
        ),
        "Divide by the positions of the window inside the padded map.",
        {
            "avg_pool2d.forward": where_padding_counts(area_forward),
            "avg_pool2d.backward": where_padding_counts(area_backward),
        },
    ),
    Deviation(
        "avgpool.pad=area",
        "divides by the area of the window, wherever it lies",
        "Padding counts even with count_include_pad=False, and so does what a ceil window hangs over the edge.",
        (
            "Theano, theano/tensor/signal/pool.py, average_inc_pad with ignore_border: collector / (ws0 * ws1)",
            "Chainer, chainer/functions/pooling/average_pooling_2d.py: y = col.mean(axis=(2, 3)) over im2col",
        ),
        "Divide by the positions of the window inside the padded map, or inside the map with count_include_pad=False.",
        {"avg_pool2d.forward": area_forward, "avg_pool2d.backward": area_backward},
    ),
    Deviation(
        "avgpool.pad=count",
        "counts padding in the divisor, whatever count_include_pad says",
        "At the border averages are too small.",
        (
            f"{CAFFE}: pool_size is taken before clipping to the map",
            "OpenCV before opencv#10867, average pooling in dnn: as Caffe",
        ),
        "With count_include_pad=False divide by the number of pixels in the window.",
        both(setting(count_include_pad=True), "avg_pool2d"),
    ),
    Deviation(
        "avgpool.pad=exclude",
        "leaves padding out of the divisor, whatever count_include_pad says",
        "At the border averages are too large.",
        ("TensorFlow, tf.nn.avg_pool2d with SAME", "darknet (AlexeyAB), src/maxpool_layer.c: avg / counter"),
        "With count_include_pad=True divide by the positions of the window inside the padded map.",
        both(setting(count_include_pad=False), "avg_pool2d"),
    ),
]

DEVIATIONS = [*WINDOWS, *AVERAGES]

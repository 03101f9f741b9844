"""Max pooling, of windows and of whole planes, and unpooling, by loops over pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.witnesses._windows import Pair, symmetric, windows
from tests.witnesses._witness import Witness

FLT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class How:
    """What libraries do differently; the defaults are the definition."""

    start: float | None = None  # where the maximum starts; None: with the first pixel
    nothing: float = -math.inf  # the maximum of no pixels
    nan: str = "first"  # which NaN wins: "first", "last", or "none"
    ties: str = "first"  # who receives the gradient: "first", "split" or "all"
    unfound: int = -1  # the pixel of a window in which nothing is above the start, with the value 0; -1 is none
    zeros: bool = False  # padding takes part
    darknet: bool = False  # pads by kernel - 1 in all
    one_padding: bool = False  # the larger padding on both sides
    drop: bool = True  # a last window without pixels
    switch: str = "plane"  # what switches count: "plane", "image", "tensor", "nhwc" or "window"

    def wins(self, value: float, best: float | None) -> bool:
        """Whether a value replaces the best one before it, None if there is none."""
        if math.isnan(value):
            return {"first": best is None or not math.isnan(best), "last": True, "none": False}[self.nan]
        return best is None or value > best


CONFORMS = How()
Tap = tuple[int, float, Pair | None]  # number in the window, value, pixel; None for padding


def maximum_of(taps: Sequence[Tap], how: How) -> tuple[float, int, Pair | None, list[tuple[Pair, float]]]:
    """Return the maximum, the number of its tap, its pixel, and the shares of the gradient."""
    best, number, place = how.start, -1, None
    for tap, value, pixel in taps:
        if how.wins(value, best):
            best, number, place = value, tap, pixel
    if best is None:
        return how.nothing, -1, None, []
    shares = [(place, 1.0)] if place is not None else []
    if how.ties != "first":  # a NaN equals nothing, so where it wins all of its window is 0, or 0/0
        equal = [float(value == best) for _, value, _ in taps]
        divisor = (sum(equal) or math.nan) if how.ties == "split" else 1.0
        shares = [(pixel, e / divisor) for (*_, pixel), e in zip(taps, equal, strict=True) if pixel is not None]
    if place is None and how.unfound >= 0:
        return 0.0, 0, (0, how.unfound), [((0, how.unfound), 1.0)]
    return best, number if place is not None else -1, place, shares


def switch_of(how: How, index: tuple[int, int], shape: Sequence[int], number: int, place: Pair | None) -> int:
    """Return the number that stands for a pixel."""
    (n, c), (_, channels, height, width) = index, shape
    if place is None:
        return -1
    flat = place[0] * width + place[1]
    return {
        "plane": flat,
        "image": flat - n * channels * height * width,  # c planes into the image, less n * channels + c planes
        "tensor": (n * channels + c) * height * width + flat,
        "nhwc": flat * channels + c,
        "window": number,
    }[how.switch]


def max_pool(question: Question, how: How = CONFORMS, fixed: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Take the maximum of each window; `fixed` are parameters that are always so."""
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    params = {**question.params, **(fixed or {})}
    if how.one_padding:
        params = symmetric(params)
    if how.darknet:
        total = [k - 1 for k in params["kernel_size"]]
        params["padding"] = tuple((t // 2, t - t // 2) for t in total)
    (top, bottom), (left, right) = params["padding"]
    height, width = x.shape[2:]
    size, grid = windows((height, width), params, how.drop)
    shape = (*x.shape[:2], *size)
    y, switches, dx = np.zeros(shape), np.zeros(shape, np.int64), np.zeros(x.shape)
    with_gradient = dy is not None and dy.shape == shape
    for n, c in np.ndindex(*x.shape[:2]):
        for window in grid:
            taps: list[Tap] = []
            for a, b, h, w in window.taps:
                if 0 <= h < height and 0 <= w < width:
                    taps.append((a * params["kernel_size"][1] + b, float(x[n, c, h, w]), (h, w)))
                elif how.zeros and -top <= h < height + bottom and -left <= w < width + right:
                    taps.append((-1, 0.0, None))
            here = (n, c, *window.place)
            y[here], number, place, shares = maximum_of(taps, how)
            switches[here] = switch_of(how, (n, c), x.shape, number, place)
            for pixel, share in shares:
                if dy is not None and with_gradient:
                    dx[n, c, *pixel] += share * float(dy[here])
    answers: dict[str, Any] = {"y": y, "switches": switches}
    return {**answers, "dx": dx} if with_gradient else answers


def onnxruntime_max_pool(question: Question) -> dict[str, Any]:
    """Take the maximum of each window by ONNX Runtime, without gradients."""
    import onnx
    import onnxruntime

    x, params = question.arguments["x"], question.params
    assert x is not None
    if params["convention"] != "torch":
        raise Skipped("ONNX has no such convention")
    (top, bottom), (left, right) = params["padding"]
    node = onnx.helper.make_node(
        "MaxPool",
        ["x"],
        ["y", "switches"],
        kernel_shape=params["kernel_size"],
        strides=params["stride"],
        dilations=params["dilation"],
        ceil_mode=int(params["ceil_mode"]),
        pads=[top, left, bottom, right],
    )
    graph = onnx.helper.make_graph(
        [node],
        "pool",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, x.shape)],
        [
            onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None),
            onnx.helper.make_tensor_value_info("switches", onnx.TensorProto.INT64, None),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 22)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y, switches = session.run(None, {"x": x})
    return {"y": y, "switches": switches}


def global_max_pool(question: Question, how: How = CONFORMS) -> dict[str, Any]:
    """Take the maximum of each plane."""
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    shape = (*x.shape[:2], 1, 1) if question.params["keepdims"] else x.shape[:2]
    y, switches, dx = np.zeros(x.shape[:2]), np.zeros(x.shape[:2], np.int64), np.zeros(x.shape)
    for n, c in np.ndindex(*x.shape[:2]):
        taps = [(h * x.shape[3] + w, float(x[n, c, h, w]), (h, w)) for h, w in np.ndindex(*x.shape[2:])]
        y[n, c], number, place, shares = maximum_of(taps, how)
        switches[n, c] = switch_of(how, (n, c), x.shape, number, place)
        for pixel, share in shares:
            dx[n, c, *pixel] += share * float(dy.reshape(y.shape)[n, c]) if dy is not None else 0.0
    answers = {"y": y.reshape(shape), "switches": switches.reshape(shape)}
    return answers if dy is None else {**answers, "dx": dx}


def unpool(question: Question, overlap: str | None = None, gradient_to_all: bool = False) -> dict[str, Any]:
    """Put values back; `overlap`, where given, is what always becomes of values that meet.

    `gradient_to_all`: also those that were overwritten receive a gradient.
    """
    x, switches, dy = question.arguments["x"], question.arguments["switches"], question.incoming_gradient
    assert x is not None
    assert switches is not None
    height, width = question.params["output_size"]
    overlap = overlap or question.params["overlap"]
    y = np.zeros((*x.shape[:2], height * width))
    writers: dict[tuple[int, ...], list[tuple[int, ...]]] = {}  # of each pixel, those that are seen in it
    for index in np.ndindex(*x.shape):
        pixel = (*index[:2], int(switches[index]))
        if pixel[2] >= 0:
            y[pixel] = float(x[index]) + (y[pixel] if overlap == "add" else 0.0)
            all_of_them = overlap == "add" or gradient_to_all
            writers[pixel] = [*writers.get(pixel, []), index] if all_of_them else [index]
    answers = {"y": y.reshape(*x.shape[:2], height, width)}
    if dy is None:
        return answers
    dx = np.zeros(x.shape)
    for (n, c, flat), indices in writers.items():
        for index in indices:
            dx[index] = float(dy[n, c, flat // width, flat % width])
    return {**answers, "dx": dx}


CONFORMING = [("max_pool2d", max_pool), ("global_max_pool2d", global_max_pool), ("max_unpool2d", unpool)]

HOW = {
    "maxpool.drop=never": (
        "ONNX 1.16, onnx/defs/nn/defs.cc: ceil((size + pads - extent) / stride + 1)",
        How(drop=False),
    ),
    "maxpool.emptywin=0": ("the effect as described: webmachinelearning/webnn#935", How(nothing=0.0)),
    "maxpool.emptywin=0_at_0": ("OpenCV 5.0.0, dnn, as it answers", How(start=-FLT_MAX, unfound=0)),
    "maxpool.emptywin=flt_max": ("Caffe, src/caffe/layers/pooling_layer.cpp: -FLT_MAX, then >", How(start=-FLT_MAX)),
    "maxpool.grad_tie=all": ("Theano, theano/tensor/signal/pool.py, MaxPoolGrad: maxout == x", How(ties="all")),
    "maxpool.grad_tie=split": ("PyTorch, torch.amax: the gradient by the number of maxima", How(ties="split")),
    "maxpool.nan=last": ("PyTorch, MaxPoolKernel.cpp: (val > maxval) || isnan(val)", How(nan="last")),
    "maxpool.nan=number": ("Caffe, src/caffe/layers/pooling_layer.cpp: only > replaces", How(nan="none")),
    "maxpool.pad=darknet": ("darknet (AlexeyAB), src/maxpool_layer.c: w_offset = -l.pad / 2", How(darknet=True)),
    "maxpool.pad=zero": ("Keras, ZeroPadding2D before a pooling layer without padding", How(zeros=True)),
    "maxpool.switch=image": ("OpenCV 5.0.0, dnn, MaxPool, less n * C + c planes as for ONNX", How(switch="image")),
    "maxpool.switch=nhwc": (
        "TensorFlow, tf.nn.max_pool_with_argmax: (y * width + x) * channels + c",
        How(switch="nhwc"),
    ),
    "maxpool.switch=tensor": ("ONNX, MaxPool: Indices into the flattened tensor", How(switch="tensor")),
    "maxpool.switch=window": ("Chainer, max_pooling_nd.py: argmax over the columns", How(switch="window")),
    "pool.pad=symmetric": ("Caffe, src/caffe/layers/pooling_layer.cpp: one pad an axis", How(one_padding=True)),
}
FIXED: dict[str, tuple[str, dict[str, Any]]] = {
    "pool.ceil=always": ("Caffe, src/caffe/layers/pooling_layer.cpp: ceil", {"ceil_mode": True}),
    "pool.ceil=never": ("darknet (AlexeyAB), src/maxpool_layer.c: an integer division", {"ceil_mode": False}),
    "pool.convention=caffe": ("Caffe, pooling_layer.cpp: if (pad_h_ || pad_w_)", {"convention": "caffe"}),
    "pool.convention=torch": ("PyTorch, Pool.h: pooling_output_shape_pad_lr", {"convention": "torch"}),
}
GLOBAL = (
    "maxpool.grad_tie=all",
    "maxpool.grad_tie=split",
    "maxpool.nan=last",
    "maxpool.nan=number",
    "maxpool.switch=nhwc",
)

WITNESSES = [
    *(Witness(key, "max_pool2d", source, partial(max_pool, how=how)) for key, (source, how) in HOW.items()),
    *(Witness(key, "max_pool2d", source, partial(max_pool, fixed=fixed)) for key, (source, fixed) in FIXED.items()),
    *(
        Witness(key, "global_max_pool2d", HOW[key][0], partial(global_max_pool, how=HOW[key][1]))
        for key in (*GLOBAL, "maxpool.switch=tensor")
    ),
    Witness("maxpool.switch=tensor", "max_pool2d", "ONNX Runtime, MaxPool on the CPU", onnxruntime_max_pool),
    Witness(
        "unpool.grad=all",
        "max_unpool2d",
        "the gradient of torch.nn.functional.max_unpool2d: dy at every index",
        partial(unpool, gradient_to_all=True),
    ),
    Witness("unpool.overlap=add", "max_unpool2d", "tf.scatter_nd: np.add.at by loops", partial(unpool, overlap="add")),
    Witness(
        "unpool.overlap=last",
        "max_unpool2d",
        "PyTorch, aten/src/ATen/native/cpu/MaxUnpoolKernel.cpp: output[index] = input",
        partial(unpool, overlap="last"),
    ),
]

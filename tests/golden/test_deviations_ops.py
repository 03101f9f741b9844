"""What deviations of array operations answer, on examples that can be worked out in the head."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest

from golden.deviations import batch_normalisation, resizing
from refdet.core.kernel import KERNELS, Backend, use_backend
from refdet.verify.deviation import Deviation, deviating
from refdet.verify.forward import kernel_answers

FAMILIES = (
    "activations",
    "batch_normalisation",
    "convolution",
    "losses",
    "max_pooling",
    "normalisation",
    "pooling",
    "reductions",
    "resizing",
    "shaping",
    "softmax",
)
DEVIATIONS: dict[str, Deviation] = {
    d.key: d for family in FAMILIES for d in importlib.import_module(f"golden.deviations.{family}").DEVIATIONS
}
NAN, INF = math.nan, math.inf

NONE = ((0, 0), (0, 0))
CONV: dict[str, Any] = {"stride": (1, 1), "padding": NONE, "dilation": (1, 1), "groups": 1}
DECONV: dict[str, Any] = {**CONV, "output_padding": (0, 0)}
AVG: dict[str, Any] = {
    "kernel_size": (1, 2),
    "stride": (1, 2),
    "padding": NONE,
    "ceil_mode": False,
    "count_include_pad": True,
    "convention": "torch",
}
MAX: dict[str, Any] = {**{k: v for k, v in AVG.items() if k != "count_include_pad"}, "dilation": (1, 1)}
LEFT, ONCE = {"padding": ((0, 0), (1, 0))}, {"kernel_size": (1, 1), "stride": (1, 4), "ceil_mode": True}
BN: dict[str, Any] = {"training": True, "momentum": 0.25, "eps": 3.0, "convention": "onnx"}
LRN: dict[str, Any] = {"size": 2, "alpha": 2.0, "beta": 1.0, "k": 2.0, "convention": "torch"}
L2: dict[str, Any] = {"eps": 4.0, "convention": "clamp"}
DROP: dict[str, Any] = {"p": 0.75, "training": True, "convention": "inverted"}
NEAREST: dict[str, Any] = {"size": (1, 3), "ratio": (1.0, 1.0), "coordinates": "asymmetric", "rounding": "floor"}
LINEAR: dict[str, Any] = {"size": (1, 4), "ratio": (1.0, 0.5), "coordinates": "half_pixel"}
CE: dict[str, Any] = {"ignore_label": -1, "normalize": "valid"}
SUM, MEAN = {"reduction": "sum"}, {"reduction": "mean"}
LN_2 = math.log(2)


def row(*values: Any) -> list[Any]:
    """Return one plane of one row."""
    return [[[list(values)]]]


def channels(*values: Any) -> list[Any]:
    """Return one image of one position."""
    return [list(values)]


# key: algorithm, inputs in the kernel's order (lists; None is absent), params, what is answered, dy and its gradients
EXAMPLES: dict[str, tuple[str, list[Any], dict[str, Any], dict[int | str, Any], Any]] = {
    # [1 2 3] with taps (1, 10): 1·10 + 2, 2·10 + 3 instead of 1 + 20, 2 + 30
    "conv.flip=yes": (
        "conv2d",
        [row(1, 2, 3), row(1, 10), None],
        CONV,
        {0: row(12, 23), "d0": row(10, 1, 0), "d1": row(2, 1)},
        row(1, 0),
    ),
    "conv.pad=symmetric": ("conv2d", [row(1, 2), row(1, 10), None], {**CONV, **LEFT}, {0: row(10, 21, 2)}, None),
    "deconv.flip=yes": (
        "conv_transpose2d",
        [row(1), row(1, 10), None],
        DECONV,
        {0: row(10, 1), "d0": row(12), "d1": row(2, 1)},
        row(1, 2),
    ),
    "deconv.output_padding=none": (
        "conv_transpose2d",
        [row(7), row(1), None],
        {**DECONV, "stride": (1, 2), "output_padding": (0, 1)},
        {0: row(7), "d0": row(3)},
        row(3, 5),
    ),
    # the file says 1 2 3 4 5 6: read as 3 × 2, its columns are (1, 3, 5) and (2, 4, 6)
    "linear.weight=in_out": (
        "linear",
        [[1, 10, 100], [[1, 2, 3], [4, 5, 6]], None],
        {},
        {0: [531, 642], "d0": [1, 3, 5], "d1": [[1, 0, 10], [0, 100, 0]]},
        [1, 0],
    ),
    "pool.ceil=always": ("max_pool2d", [row(1, 2, 9)], MAX, {0: row(2, 9), 1: row(1, 2), "d0": row(0, 5, 0)}, row(5)),
    "pool.ceil=never": (
        "avg_pool2d",
        [row(1, 3, 9)],
        {**AVG, "ceil_mode": True},
        {0: row(2), "d0": row(1, 1, 0)},
        row(2, 5),
    ),
    "pool.convention=caffe": ("max_pool2d", [row(1, 2, 3)], {**MAX, **ONCE}, {0: row(1, -INF)}, None),
    "pool.convention=torch": ("avg_pool2d", [row(1, 2, 3)], {**AVG, **ONCE, "convention": "caffe"}, {0: row(1)}, None),
    "pool.pad=symmetric": ("max_pool2d", [row(1, 2)], {**MAX, **LEFT}, {0: row(1, 2), "d0": row(3, 0)}, row(3)),
    "maxpool.drop=never": (
        "max_pool2d",
        [row(1, 2, 3)],
        {**MAX, **ONCE},
        {0: row(1, -INF), 1: row(0, -1), "d0": row(5, 0, 0)},
        row(5),
    ),
    "maxpool.emptywin=0": ("max_pool2d", [row(1, 2, 3)], {**MAX, **ONCE, "convention": "caffe"}, {0: row(1, 0)}, None),
    # the second window lies behind three pixels
    "maxpool.emptywin=0_at_0": (
        "max_pool2d",
        [row(1, 2, 3)],
        {**MAX, **ONCE, "convention": "caffe"},
        {0: row(1, 0), 1: row(0, 0), "d0": row(9, 0, 0)},
        row(4, 5),
    ),
    "maxpool.emptywin=flt_max": (
        "max_pool2d",
        [row(-INF, -INF)],
        MAX,
        {0: row(-float(np.finfo(np.float32).max)), 1: row(-1)},
        None,
    ),
    "maxpool.grad_tie=all": ("max_pool2d", [row(7, 7)], MAX, {0: row(7), 1: row(0), "d0": row(4, 4)}, row(4)),
    "maxpool.grad_tie=split": ("max_pool2d", [row(7, 7)], MAX, {"d0": row(2, 2)}, row(4)),
    "maxpool.nan=number": ("max_pool2d", [row(NAN, 1)], MAX, {0: row(1), 1: row(1), "d0": row(0, 3)}, row(3)),
    "maxpool.nan=last": ("max_pool2d", [row(NAN, NAN)], MAX, {0: row(NAN), 1: row(1), "d0": row(0, 3)}, row(3)),
    "maxpool.pad=darknet": ("max_pool2d", [row(1, 2, 3)], MAX, {0: row(2, 3), 1: row(1, 2)}, None),
    "maxpool.pad=zero": (
        "max_pool2d",
        [row(-1, -2, -3)],
        {**MAX, **LEFT},
        {0: row(0, -2), 1: row(-1, 1), "d0": row(0, 5, 0)},
        row(4, 5),
    ),
    # the second image begins at pixel 2 of the batch
    "maxpool.switch=image": ("max_pool2d", [[[[[1, 2]]], [[[4, 3]]]]], MAX, {1: [[[[1]]], [[[-2]]]]}, None),
    "maxpool.switch=tensor": ("max_pool2d", [[[[[1, 2]], [[4, 3]]]]], MAX, {1: [[[[1]], [[2]]]]}, None),
    "maxpool.switch=nhwc": ("max_pool2d", [[[[[1, 2]], [[4, 3]]]]], MAX, {1: [[[[2]], [[1]]]]}, None),
    "maxpool.switch=window": ("max_pool2d", [row(1, 2, 4, 3)], MAX, {1: row(1, 0)}, None),
    "unpool.grad=all": (
        "max_unpool2d",
        [row(3, 4), row(1, 1)],
        {"output_size": (1, 2), "overlap": "last"},
        {0: row(0, 4), "d0": row(2, 2)},
        row(1, 2),
    ),
    "unpool.overlap=add": (
        "max_unpool2d",
        [row(3, 4), row(1, 1)],
        {"output_size": (1, 2), "overlap": "last"},
        {0: row(0, 7), "d0": row(2, 2)},
        row(1, 2),
    ),
    "unpool.overlap=last": (
        "max_unpool2d",
        [row(3, 4), row(1, 1)],
        {"output_size": (1, 2), "overlap": "add"},
        {0: row(0, 4), "d0": row(0, 2)},
        row(1, 2),
    ),
    "avgpool.drop=never": (
        "avg_pool2d",
        [row(1, 2, 3)],
        {**AVG, **ONCE},
        {0: row(1, 0), "d0": row(5, 0, 0)},
        row(5),
    ),
    "avgpool.emptywin=0": (
        "avg_pool2d",
        [row(6)],
        {**AVG, "kernel_size": (1, 1), "stride": (1, 1), **LEFT, "count_include_pad": False},
        {0: row(0, 6)},
        None,
    ),
    "avgpool.grad=area": (
        "avg_pool2d",
        [row(6)],
        {**AVG, **LEFT, "count_include_pad": False},
        {0: row(6), "d0": row(2)},
        row(4),
    ),
    "avgpool.overhang=counts": (
        "avg_pool2d",
        [row(2, 4, 6)],
        {**AVG, "ceil_mode": True},
        {0: row(3, 3), "d0": row(1, 1, 2)},
        row(2, 4),
    ),
    "avgpool.pad=area": (
        "avg_pool2d",
        [row(2, 4, 6)],
        {**AVG, "ceil_mode": True},
        {0: row(3, 3), "d0": row(1, 1, 2)},
        row(2, 4),
    ),
    "avgpool.pad=count": (
        "avg_pool2d",
        [row(6)],
        {**AVG, **LEFT, "count_include_pad": False},
        {0: row(3), "d0": row(2)},
        row(4),
    ),
    "avgpool.pad=exclude": ("avg_pool2d", [row(6)], {**AVG, **LEFT}, {0: row(6), "d0": row(4)}, row(4)),
    # 1 and 3: mean 2, σ² = 1
    "bn.eps=outside": (
        "batch_norm",
        [[[1], [3]], [4], None, None, None],
        BN,
        # D = 1 + 3: ∓¼ · 4; dx = 4/4 (dy − ½ − x̂ · 4 · Σdy x̂/2) = 1 − ½ − ¼ · 4 · ¼/2 for the first
        {0: [[-1], [1]], "d0": [[0.375], [-0.375]]},
        [[1], [0]],
    ),
    "bn.eps=at_least_1.001e-5": (
        "batch_norm",
        [[[1.001e-5**0.5 * 2]], None, None, [0], [0]],
        {**BN, "training": False, "eps": 1e-9},
        {0: [[2]]},
        None,
    ),
    "bn.frozen=batch": (
        "batch_norm",
        [[[1], [3]], None, None, [9], [9]],
        {**BN, "training": False},
        {0: [[-0.5], [0.5]]},
        None,
    ),
    "bn.momentum=complement": ("batch_norm", [[[1], [3]], None, None, [10], [0]], BN, {1: [8], 2: [0.25]}, None),
    "bn.running_var=biased": (
        "batch_norm",
        [[[1], [3]], None, None, [0], [0]],
        {**BN, "convention": "torch"},
        {1: [0.5], 2: [0.25]},
        None,
    ),
    "bn.running_var=unbiased": ("batch_norm", [[[1], [3]], None, None, [0], [0]], BN, {2: [1.5]}, None),
    # σ² = 2: √(2 + 2) = 2; dx = ½ (dy − ½ − x̂ · Σdy x̂/1) = ½ (½ − ¼) for the first
    "bn.var=unbiased": (
        "batch_norm",
        [[[1], [3]], None, None, None, None],
        {**BN, "eps": 2.0},
        {0: [[-0.5], [0.5]], "d0": [[0.125], [-0.125]]},
        [[1], [0]],
    ),
    "lrn.alpha=divided": (
        "local_response_norm",
        [channels(3)],
        {**LRN, "convention": "paper"},
        {0: channels(3 / 11), "d0": channels(1 / 11 - 2 * 9 / 121)},
        channels(1),
    ),
    "lrn.alpha=undivided": ("local_response_norm", [channels(3)], LRN, {0: channels(3 / 20)}, None),
    "lrn.even=after": ("local_response_norm", [channels(1, 2)], LRN, {0: channels(1 / 7, 2 / 6)}, None),
    "lrn.even=before": (
        "local_response_norm",
        [channels(1, 2)],
        {**LRN, "convention": "onnx"},
        {0: channels(1 / 3, 2 / 7)},
        None,
    ),
    "lrn.k=1": ("local_response_norm", [channels(3)], LRN, {0: channels(3 / 10)}, None),
    "lrn.window=radius": (
        "local_response_norm",
        [channels(1, 2)],
        {**LRN, "size": 1, "convention": "paper"},
        {0: channels(1 / 12, 2 / 12)},
        None,
    ),
    "l2.axes=image": (
        "l2_normalize",
        [[[[3, 4]]], [10]],
        L2,
        {0: [[[6, 8]]], "d0": [[[1.28, -0.96]]], "d1": [0.6]},
        [[[1, 0]]],
    ),
    "l2.clamp_grad=pass": (
        "l2_normalize",
        [channels(3, 4), None],
        {**L2, "eps": 5.0},
        {0: channels(0.6, 0.8), "d0": channels(0.128, -0.096)},
        channels(1, 0),
    ),
    "l2.eps=clamp": (
        "l2_normalize",
        [channels(3, 4), None],
        {**L2, "convention": "outside"},
        {0: channels(0.6, 0.8)},
        None,
    ),
    "l2.eps=inside": ("l2_normalize", [channels(3), None], {**L2, "eps": 16.0}, {0: channels(0.6)}, None),
    "l2.eps=outside": ("l2_normalize", [channels(4), None], L2, {0: channels(0.5)}, None),
    "l2.eps=square": ("l2_normalize", [channels(3), None], L2, {0: channels(1)}, None),
    "dropout.p=keep": ("dropout", [[3.0], [True]], DROP, {0: [4.0], "d0": [8.0]}, [6.0]),
    "dropout.scale=inference": ("dropout", [[4.0], [True]], {**DROP, "training": False}, {0: [1.0]}, None),
    "dropout.scale=training": ("dropout", [[4.0], [True]], {**DROP, "convention": "original"}, {0: [16.0]}, None),
    # 0 8 16 24 halved: centres ½ and 2½, triangles of width 2: weights 3/8 3/8 1/8, and 1/8 less at the border
    "resize.antialias=yes": (
        "resize_bilinear",
        [row(0, 8, 16, 24)],
        {"size": (1, 2), "ratio": (1.0, 2.0), "coordinates": "half_pixel"},
        {0: row((3 * 8 + 16) / 7, (8 + 3 * 16 + 3 * 24) / 7)},
        None,
    ),
    # at −¼, ¼, ¾, 1¼ pixel 0 weighs 111, 111, 29, −9, and what is inside 102, 140, 140, 102
    "resize.border=renormalised": (
        "resize_bicubic",
        [row(102, 0)],
        {**LINEAR, "a": -0.5},
        {0: row(111, 102 * 111 / 140, 102 * 29 / 140, -9)},
        None,
    ),
    "resize.border=zero": (
        "resize_bilinear",
        [row(8, 16)],
        LINEAR,
        {0: row(6, 10, 14, 12), "d0": row(0.75, 0)},
        row(1, 0, 0, 0),
    ),
    "resize.coord=align_corners": ("resize_bilinear", [row(0, 9)], LINEAR, {0: row(0, 3, 6, 9)}, None),
    "resize.coord=asymmetric": ("resize_bilinear", [row(0, 8)], LINEAR, {0: row(0, 4, 8, 8)}, None),
    "resize.coord=half_pixel": (
        "resize_bilinear",
        [row(0, 8)],
        {**LINEAR, "coordinates": "asymmetric"},
        {0: row(0, 2, 6, 8), "d0": row(0.75, 0.25)},
        row(0, 1, 0, 0),
    ),
    # halfway the weights are (a/8, ½ − a/8, ½ − a/8, a/8)
    "resize.cubic=-0.5": (
        "resize_bicubic",
        [row(0, 16, 0, 0)],
        {"size": (1, 7), "ratio": (1.0, 4 / 7), "coordinates": "align_corners", "a": -0.75},
        {0: row(0, 9, 16, 9, 0, -1, 0)},
        None,
    ),
    "resize.cubic=-0.75": (
        "resize_bicubic",
        [row(0, 32, 0, 0)],
        {"size": (1, 7), "ratio": (1.0, 4 / 7), "coordinates": "align_corners", "a": -0.5},
        {0: row(0, 19, 32, 19, 0, -3, 0)},
        None,
    ),
    # 2 pixels to 3 by corners: 0, ½, 1
    "resize.nearest=floor": (
        "resize_nearest",
        [row(5, 7)],
        {**NEAREST, "coordinates": "align_corners", "rounding": "ceil"},
        {0: row(5, 5, 7), "d0": row(3, 4)},
        row(1, 2, 4),
    ),
    "resize.nearest=round_prefer_floor": (
        "resize_nearest",
        [row(5, 7)],
        {**NEAREST, "coordinates": "align_corners", "rounding": "ceil"},
        {0: row(5, 5, 7)},
        None,
    ),
    "resize.nearest=round_prefer_ceil": (
        "resize_nearest",
        [row(5, 7)],
        {**NEAREST, "coordinates": "align_corners"},
        {0: row(5, 7, 7)},
        None,
    ),
    "resize.ratio=sizes": (
        "resize_nearest",
        [row(1, 2, 3, 4, 5, 6)],
        NEAREST,
        {0: row(1, 3, 5), "d0": row(1, 0, 2, 0, 4, 0)},
        row(1, 2, 4),
    ),
    "relu.grad_zero=1": ("relu", [[-1, 0, 1]], {}, {0: [0, 0, 1], "d0": [0, 2, 4]}, [1, 2, 4]),
    "relu.grad_zero=half": ("relu", [[-1, 0, 1]], {}, {"d0": [0, 1, 4]}, [1, 2, 4]),
    "relu.inf=nan": ("relu", [[-INF, -1, INF]], {}, {0: [NAN, 0, INF], "d0": [0, 0, 4]}, [1, 2, 4]),
    "relu.nan=0": ("relu", [[NAN, 1]], {}, {0: [0, 1]}, None),
    "leaky.grad_zero=1": ("leaky_relu", [[-1, 0]], {"negative_slope": 0.25}, {0: [-0.25, 0], "d0": [1, 4]}, [4, 4]),
    "leaky.slope=0.01": ("leaky_relu", [[-1]], {"negative_slope": 0.25}, {0: [-0.01], "d0": [0.04]}, [4]),
    "leaky.slope=0.1": ("leaky_relu", [[-1]], {"negative_slope": 0.25}, {0: [-0.1], "d0": [0.4]}, [4]),
    "maximum.nan=first": ("maximum", [[NAN, 1], [1, NAN]], {}, {0: [NAN, 1], "d0": [1, 2], "d1": [0, 0]}, [1, 2]),
    "maximum.nan=number": ("minimum", [[NAN, 1], [1, NAN]], {}, {0: [1, 1], "d0": [0, 2], "d1": [1, 0]}, [1, 2]),
    "maximum.nan=second": ("maximum", [[NAN, 1], [1, NAN]], {}, {0: [1, NAN], "d0": [0, 0], "d1": [1, 2]}, [1, 2]),
    "maximum.nan_grad=both": ("maximum", [[NAN, 4], [3, 3]], {}, {0: [NAN, 4], "d0": [2, 4], "d1": [2, 0]}, [2, 4]),
    "maximum.tie=all": ("maximum", [[3, 4], [3, 3]], {}, {0: [3, 4], "d0": [2, 4], "d1": [2, 0]}, [2, 4]),
    "maximum.tie=second": ("maximum", [[3, 4], [3, 3]], {}, {"d0": [0, 4], "d1": [2, 0]}, [2, 4]),
    "maximum.tie=split": ("minimum", [[3, 3], [3, 4]], {}, {"d0": [1, 4], "d1": [1, 0]}, [2, 4]),
    "amax.nan=number": ("amax", [[1, NAN, 2]], {"axis": 0, "keepdims": False}, {0: 2, "d0": [0, 0, 3]}, 3),
    "amax.start=lowest": (
        "amax",
        [[-INF, -INF]],
        {"axis": 0, "keepdims": False},
        {0: -float(np.finfo(np.float32).max), "d0": [3, 0]},
        3,
    ),
    "mean.empty=0": ("mean", [np.zeros((2, 0))], {"axis": 1, "keepdims": False}, {0: [0, 0]}, None),
    "amax.tie=all": ("amax", [[2, 1, 2]], {"axis": None, "keepdims": False}, {0: 2, "d0": [3, 0, 3]}, 3),
    "amax.tie=split": ("amax", [[[2, 1, 2]]], {"axis": 1, "keepdims": True}, {"d0": [[1.5, 0, 1.5]]}, [[3]]),
    "power.grad_zero=nan": ("power", [[0, 2]], {"exponent": 0.0}, {0: [1, 1], "d0": [NAN, 0]}, [1, 1]),
    "pad.border=constant": (
        "pad",
        [[1, 2]],
        {"padding": ((1, 0),), "border": "edge", "value": 9.0},
        {0: [9, 1, 2]},
        None,
    ),
    "pad.border=symmetric": (
        "pad",
        [[1, 2, 3]],
        {"padding": ((2, 1),), "border": "reflect", "value": 0.0},
        {0: [2, 1, 1, 2, 3, 3], "d0": [6, 9, 48]},
        [1, 2, 4, 8, 16, 32],
    ),
    "pad.order=last_first": (
        "pad",
        [[[5]]],
        {"padding": ((1, 0), (0, 1)), "border": "constant", "value": 0.0},
        {0: [[0, 5], [0, 0]], "d0": [[2]]},
        [[1, 2], [4, 8]],
    ),
    "pad.value=0": ("pad", [[5]], {"padding": ((1, 0),), "border": "constant", "value": 9.0}, {0: [0, 5]}, None),
    "reshape.order=column_major": (
        "reshape",
        [[[1, 2, 3], [4, 5, 6]]],
        {"shape": (6,)},
        {0: [1, 4, 2, 5, 3, 6], "d0": [[1, 4, 16], [2, 8, 32]]},
        [1, 2, 4, 8, 16, 32],
    ),
    "gather.negative=clip": (
        "gather",
        [[5, 6, 7]],
        {"key": (np.array([-1, 1]),)},
        {0: [5, 6], "d0": [3, 4, 0]},
        [3, 4],
    ),
    "gather.negative=zero": (
        "gather",
        [[5, 6, 7]],
        {"key": (np.array([-1, 1]),)},
        {0: [0, 6], "d0": [0, 4, 0]},
        [3, 4],
    ),
    "gather.repeat=last": ("gather", [[5, 6]], {"key": (np.array([1, 1]),)}, {0: [6, 6], "d0": [0, 4]}, [3, 4]),
    "loss.empty=0": ("l1", [np.zeros(0), np.zeros(0)], MEAN, {0: 0.0, "d0": np.zeros(0)}, 1.0),
    "loss.mean=batch": ("l1", [[[1, 2]], [[0, 0]]], MEAN, {0: 3, "d0": [[4, 4]]}, 4),
    "loss.mean=nonzero": (
        "binary_cross_entropy_with_logits",
        [[0, 0], [1, 1], [1, 0]],
        MEAN,
        {0: LN_2, "d0": [-2, 0]},
        4,
    ),
    "loss.mean=sum": ("squared_error", [[1, 2], [0, 0]], MEAN, {0: 5, "d0": [2, 4]}, 1),
    "l1.grad_zero=1": ("l1", [[2, 3], [2, 0]], SUM, {0: 3, "d0": [4, 4], "d1": [-4, -4]}, 4),
    "smoothl1.beta=1": ("smooth_l1", [[0.5], [0]], {"beta": 0.25, **SUM}, {0: 0.125, "d0": [2]}, 4),
    "smoothl1.beta=sigma": ("smooth_l1", [[1], [0]], {"beta": 0.5, **SUM}, {0: 0.125, "d0": [1]}, 4),
    "huber.scale=beta": ("smooth_l1", [[4, 1], [0, 0]], {"beta": 2.0, **SUM}, {0: 6.5, "d0": [2, 1]}, 1),
    "smoothl1.loss=doubled": ("smooth_l1", [[2], [0]], {"beta": 1.0, **SUM}, {0: 3, "d0": [1]}, 1),
    "squared.scale=half": ("squared_error", [[3], [0]], SUM, {0: 4.5, "d0": [3]}, 1),
    "squared.scale=half_gradient": ("squared_error", [[3], [0]], SUM, {0: 9, "d0": [3]}, 1),
    "hinge.kink=active": ("hinge", [[-1, 2], [-1, 1]], {"margin": 1.0, "power": 1, **SUM}, {0: 0, "d0": [4, 0]}, 4),
    "hinge.kink=half": ("hinge", [[1], [1]], {"margin": 1.0, "power": 1, **SUM}, {0: 0, "d0": [-2]}, 4),
    "bce.log=clamp100": (
        "binary_cross_entropy_with_logits",
        [[1000, 0], [0, 1], None],
        {"reduction": "none"},
        {0: [100, LN_2], "d0": [0, -0.5]},
        [1, 1],
    ),
    "bce.log=clip1e-7": (
        "binary_cross_entropy_with_logits",
        [[1000, 0], [0, 1], None],
        {"reduction": "none"},
        {0: [23 * LN_2, LN_2], "d0": [0, -0.5]},
        [1, 1],
    ),
    "bce.log=unclamped": (
        "binary_cross_entropy_with_logits",
        [[1000, 1000], [0, 1], None],
        {"reduction": "none"},
        {0: [INF, NAN], "d0": [1, 0]},
        [1, 1],
    ),
    "softmax.shift=none": ("softmax", [[1000, 0]], {"axis": 0}, {0: [NAN, 0]}, None),
    "logsoftmax.log=rounded": ("log_softmax", [[0, -1000]], {"axis": 0}, {0: [0, -INF]}, None),
    "ce.empty=0": (
        "softmax_cross_entropy",
        [[[1, 2]], [-1], None],
        {**CE, "normalize": "weight"},
        {0: 0, "d0": [[0, 0]]},
        1,
    ),
    "ce.log=flt_min": (
        "softmax_cross_entropy",
        [[[1000, 0]], [1], None],
        CE,
        {0: 126 * LN_2, "d0": [[1, -1]]},
        1,
    ),
    # four labels of two images, one ignored; each loses ln 2 times its weight, 1 or 2
    **{
        f"ce.normalize={name}": (
            "softmax_cross_entropy",
            [np.zeros((2, 2, 2)), [[0, 0], [1, -1]], [1, 2]],
            {**CE, "normalize": "batch" if name == "valid" else "valid"},
            {0: 4 * LN_2 / count},
            None,
        )
        for name, count in (("batch", 2), ("full", 4), ("valid", 3), ("weight", 4))
    },
}


def inputs_of(algorithm: str, given: list[Any]) -> dict[str, Any]:
    """Name the inputs by their position."""
    whole = {"max_unpool2d": (1,), "softmax_cross_entropy": (1,), "dropout": (1,)}.get(algorithm, ())
    arrays = [None if x is None else np.asarray(x) for x in given]
    return {str(i): x if x is None or i in whole else x.astype(np.float64) for i, x in enumerate(arrays)}


def answers(key: str, backend: str | Backend) -> dict[str, Any]:
    """Return what a backend answers to the example of a deviation: outputs "0", "1" …, gradients "d0", "d1" …"""
    algorithm, given, params, _, dy = EXAMPLES[key]
    arguments = inputs_of(algorithm, given)
    n_outputs = {"max_pool2d": 2, "global_max_pool2d": 2, "batch_norm": 3}.get(algorithm, 1)
    upstream = None if dy is None else np.asarray(dy, np.float64)
    with use_backend(backend), np.errstate(all="ignore"):
        return kernel_answers(
            algorithm, [str(i) for i in range(n_outputs)], arguments, upstream, params, {f"d{a}" for a in arguments}
        )


def test_every_deviation_has_an_example() -> None:
    assert set(EXAMPLES) == set(DEVIATIONS)


@pytest.mark.parametrize("key", sorted(EXAMPLES))
def test_example(key: str) -> None:
    got, expected = answers(key, deviating([DEVIATIONS[key]])), EXAMPLES[key][3]
    for name, value in expected.items():
        np.testing.assert_allclose(got[str(name)], np.asarray(value), rtol=1e-6, atol=1e-12, err_msg=f"{key}: {name}")


@pytest.mark.parametrize("key", sorted(EXAMPLES))
def test_the_reference_answers_otherwise(key: str) -> None:
    """The example would be no example if the canonical answer were the same."""
    got, right = answers(key, deviating([DEVIATIONS[key]])), answers(key, "reference")
    assert any(got[name].shape != x.shape or not np.allclose(got[name], x, equal_nan=True) for name, x in right.items())


@pytest.mark.parametrize("way", ["forward", "backward"])
def test_transcriptions_without_a_choice_are_the_reference(way: str) -> None:
    """Batch normalisation and resizing are written anew for their deviations: without one they are the reference."""
    rng = np.random.default_rng(0)
    x, per_channel = rng.standard_normal((2, 3, 4, 5)), [rng.uniform(1, 2, 3) for _ in range(4)]
    for training in (True, False):
        for convention in ("torch", "onnx"):
            params = {**BN, "training": training, "convention": convention}
            outputs, residual = KERNELS["batch_norm.forward"](x, *per_channel, keep_residual=True, **params)
            ours, our_residual = batch_normalisation.batch_norm_forward(x, *per_channel, keep_residual=True, **params)
            if way == "backward":
                dy, needs = rng.standard_normal(x.shape), (True,) * 3 + (False,) * 2
                outputs = KERNELS["batch_norm.backward"](residual, dy, needs=needs, **params)[:3]
                ours = batch_normalisation.batch_norm_backward(our_residual, dy, needs=needs)[:3]
            for a, b in zip(outputs, ours, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)
    for algorithm, more in (("resize_bilinear", {}), ("resize_bicubic", {"a": -0.75})):
        for coordinates in ("half_pixel", "asymmetric", "align_corners"):
            params = {"size": (7, 3), "ratio": (4 / 7, 5 / 3), "coordinates": coordinates, **more}
            y, residual = KERNELS[f"{algorithm}.forward"](x, keep_residual=True, **params)
            our_y, _ = resizing.forward(x, keep_residual=True, **params)
            if way == "backward":
                dy = rng.standard_normal(y.shape)
                (y,) = KERNELS[f"{algorithm}.backward"](residual, dy, needs=(True,), **params)
                (our_y,) = resizing.backward(residual, dy, needs=(True,), **params)
            np.testing.assert_allclose(y, our_y, rtol=1e-12, atol=1e-12)

"""Average pooling by loops over pixels, and what libraries divide by."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._windows import symmetric, windows
from tests.witnesses._witness import Witness


def average(
    question: Question,
    *,
    fixed: Mapping[str, Any] | None = None,
    one_padding: bool = False,
    by_area: str = "",
    nothing: float = math.nan,
    drop: bool = True,
) -> dict[str, Any]:
    """Average each window.

    `fixed`: parameters that are always so. `one_padding`: the larger padding on both sides. `by_area`: where the
    divisor is the number of taps: in "both" directions, "backward" alone, or in both if padding counts ("counted").
    `nothing`: the mean of no pixels. `drop`: whether a last window without pixels is dropped.
    """
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    params = {**question.params, **(fixed or {})}
    if one_padding:
        params = symmetric(params)
    height, width = x.shape[2:]
    if by_area == "counted":
        by_area = "both" if params["count_include_pad"] else ""
    size, grid = windows((height, width), params, drop)
    answers: dict[str, Any] = {"y": np.zeros((*x.shape[:2], *size))}
    gradient = np.zeros(x.shape)
    for n, c in np.ndindex(*x.shape[:2]):
        for window in grid:
            pixels = [(h, w) for *_, h, w in window.taps if 0 <= h < height and 0 <= w < width]
            divisor = window.counted if params["count_include_pad"] else len(pixels)
            backward_divisor = len(window.taps) if by_area else divisor
            if by_area == "both":
                divisor = len(window.taps)
            total = math.fsum(float(x[n, c, h, w]) for h, w in pixels)
            if divisor:
                answers["y"][n, c, *window.place] = total / divisor
            elif window.counted:
                answers["y"][n, c, *window.place] = nothing
            if dy is not None and dy.shape == answers["y"].shape:
                for h, w in pixels:
                    gradient[n, c, h, w] += float(dy[n, c, *window.place]) / backward_divisor
    if dy is not None and dy.shape == answers["y"].shape:
        answers["dx"] = gradient
    return answers


CONFORMING = [("avg_pool2d", average)]

WITNESSES = [
    Witness(
        "avgpool.drop=never",
        "avg_pool2d",
        "OpenCV 5.0.0, dnn: ceil((size + pads - extent) / stride) + 1 windows",
        partial(average, drop=False),
    ),
    Witness(
        "avgpool.overhang=counts",
        "avg_pool2d",
        "OpenCV 5.0.0, dnn: the area of the window where padding counts",
        partial(average, by_area="counted"),
    ),
    Witness(
        "avgpool.emptywin=0",
        "avg_pool2d",
        "PyTorch, aten/src/ATen/native/cpu/AvgPoolKernel.cpp: a window without pixels is skipped, on zeros",
        partial(average, nothing=0.0),
    ),
    Witness(
        "avgpool.grad=area",
        "avg_pool2d",
        "darknet (AlexeyAB), src/maxpool_layer.c: forward avg / counter, backward / (l.size*l.size)",
        partial(average, by_area="backward"),
    ),
    Witness(
        "avgpool.pad=area",
        "avg_pool2d",
        "Chainer, average_pooling_2d.py: the mean over all rows of im2col",
        partial(average, by_area="both"),
    ),
    Witness(
        "avgpool.pad=count",
        "avg_pool2d",
        "Caffe, src/caffe/layers/pooling_layer.cpp: pool_size",
        partial(average, fixed={"count_include_pad": True}),
    ),
    Witness(
        "avgpool.pad=exclude",
        "avg_pool2d",
        "darknet (AlexeyAB), src/maxpool_layer.c: counter",
        partial(average, fixed={"count_include_pad": False}),
    ),
    Witness(
        "pool.ceil=always",
        "avg_pool2d",
        "Caffe, src/caffe/layers/pooling_layer.cpp: ceil",
        partial(average, fixed={"ceil_mode": True}),
    ),
    Witness(
        "pool.ceil=never",
        "avg_pool2d",
        "darknet (AlexeyAB), src/maxpool_layer.c: an integer division",
        partial(average, fixed={"ceil_mode": False}),
    ),
    Witness(
        "pool.convention=caffe",
        "avg_pool2d",
        "Caffe, src/caffe/layers/pooling_layer.cpp: if (pad_h_ || pad_w_)",
        partial(average, fixed={"convention": "caffe"}),
    ),
    Witness(
        "pool.convention=torch",
        "avg_pool2d",
        "PyTorch, aten/src/ATen/native/Pool.h: pooling_output_shape_pad_lr",
        partial(average, fixed={"convention": "torch"}),
    ),
    Witness(
        "pool.pad=symmetric",
        "avg_pool2d",
        "Caffe, src/caffe/layers/pooling_layer.cpp: one pad an axis",
        partial(average, one_padding=True),
    ),
]

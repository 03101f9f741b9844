"""Spatial pyramid pooling and SPP-net's windows, as programs do it that differ from one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Span = Callable[[int, int, int], range]
FLT_MAX = float(np.finfo(np.float32).max)  # of which Caffe starts a maximum, negative


def adaptive(p: int, k: int, n: int) -> range:
    """Return the pixels of bin p of k over n pixels, the lower bound rounded down and the upper one up."""
    return range(math.floor(p * n / k), math.ceil((p + 1) * n / k))


def padded(p: int, k: int, n: int) -> range:
    """Return them for Caffe's windows, as wide as they are far apart, which leave the map by as much at either end."""
    kernel = math.ceil(n / k)
    pad = (kernel * k - n + 1) // 2
    start = p * kernel - pad
    return range(max(start, 0), max(min(start + kernel, n), 0))


def rounded(p: int, k: int, n: int) -> range:
    """Return them with both bounds rounded, half to even, in float32 as keras-spp computes them."""
    length = np.float32(n) / np.float32(k)
    start = np.float32(p) * length
    return range(int(np.rint(start)), int(np.rint(start + length)))


def pool(
    question: Question,
    *,
    span: Span = adaptive,
    start: float | None = None,
    nothing: float = -math.inf,
    order: str = "channels",
    last_nan: bool = False,
) -> dict[str, Any]:
    """Answer `spatial_pyramid_pool`, gradient included.

    A maximum starts from `start`, or from the first pixel; `nothing` is the largest of no pixels. `order` is what is
    gone through in the outermost loop of a level; where it is not channels, they are in the innermost. `last_nan`: a
    NaN wins over one before it.
    """
    x, dy = question.arguments["x"], question.incoming_gradient
    assert x is not None
    assert dy is not None
    n_images, n_channels, height, width = x.shape
    bins = []
    for k in question.params["levels"]:
        if order == "rows":
            bins += [(k, c, i, j) for i in range(k) for j in range(k) for c in range(n_channels)]
        elif order == "columns":
            bins += [(k, c, i, j) for j in range(k) for i in range(k) for c in range(n_channels)]
        else:
            bins += [(k, c, i, j) for c in range(n_channels) for i in range(k) for j in range(k)]
    y = np.zeros((n_images, len(bins)))
    switches = np.zeros(y.shape, dtype=np.int64)
    dx = np.zeros(x.shape)
    for image in range(n_images):
        for place, (k, c, i, j) in enumerate(bins):
            best, switch = nothing if start is None else start, -1
            for row in span(i, k, height):
                for column in span(j, k, width):
                    pixel = float(x[image, c, row, column])
                    wins = pixel > best or (math.isnan(pixel) and (last_nan or not math.isnan(best)))
                    if wins or (switch == -1 and start is None):
                        best, switch = pixel, row * width + column
            y[image, place], switches[image, place] = best, switch
            if switch != -1:
                dx[image, c, switch // width, switch % width] += float(dy[image, place])
    return {"y": y, "switches": switches, "dx": dx}


def project(question: Question, *, rule: str) -> dict[str, Any]:
    """Answer `project_windows` by one rule, whichever was asked."""
    boxes, params = question.arguments["boxes"], question.params
    assert boxes is not None
    step, (height, width) = params["stride"], params["size"]
    windows = np.zeros((len(boxes), 4), dtype=np.int64)
    for r in range(len(boxes)):
        x1, y1, x2, y2 = (float(coordinate) for coordinate in boxes[r])
        for axis, start, end, n in ((0, x1, x2, width), (1, y1, y2, height)):
            if rule == "released":
                left = math.floor((start + 1 - params["first_centre"] + params["margin"]) / step + 0.5) + 1
                right = math.ceil((end - params["first_centre"] - params["margin"]) / step - 0.5) + 1
                if left > right:
                    left = right = int((left + right) / 2)
                left, right = left - 1, right - 1
            else:
                left, right = math.floor(start / step) + 1, math.ceil((end - 1) / step) - 1
                if left > right:
                    left = right = int((left + right) / 2)
            windows[r, axis] = min(max(left, 0), n - 1)
            windows[r, axis + 2] = min(max(right, 0), n - 1) + 1
    return {"windows": windows}


SPP_NET = "SPP_net utils/spm_pool/spm_pool_caffe_mex.cpp, transcribed"
CAFFE = "BVLC/caffe src/caffe/layers/spp_layer.cpp, GetPoolingParam, transcribed"
KERAS_SPP = "keras-spp spp/SpatialPyramidPooling.py, transcribed"

CONFORMING = [("spatial_pyramid_pool", pool)]

WITNESSES = [
    Witness(
        "maxpool.nan=last",
        "spatial_pyramid_pool",
        "PyTorch, adaptive_max_pool2d: (val > max) || isnan(val)",
        partial(pool, last_nan=True),
    ),
    Witness("spp.bins=padded", "spatial_pyramid_pool", CAFFE, partial(pool, span=padded, nothing=-FLT_MAX)),
    Witness("spp.bins=rounded", "spatial_pyramid_pool", KERAS_SPP, partial(pool, span=rounded)),
    Witness("spp.from=0", "spatial_pyramid_pool", SPP_NET, partial(pool, start=0.0)),
    Witness(
        "spp.order=columns",
        "spatial_pyramid_pool",
        "keras-spp spp/RoiPooling.py, its order of bins alone: for ix: for jy: all channels",
        partial(pool, order="columns"),
    ),
    Witness("spp.order=rows", "spatial_pyramid_pool", KERAS_SPP + ": its order alone", partial(pool, order="rows")),
    Witness("spp.window=paper", "project_windows", "He et al. (2014), appendix A", partial(project, rule="paper")),
    Witness("spp.window=released", "project_windows", SPP_NET, partial(project, rule="released")),
]

"""Witnesses of the keys `roipool.*`: RoI pooling pixel by pixel, with a switch for each deviation.

The loop is that of Fast R-CNN's roi_pooling_layer.cpp; how corners are rounded, where bins begin and end, and what the
maximum starts from are functions that are put in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Bounds = Callable[[int, int, int], tuple[int, int]]  # bin, length, number of bins -> its first, and one past its last


def half_away(v: float) -> int:
    """Round as C's round."""
    return math.floor(abs(v) + 0.5) * (1 if v >= 0 else -1)


def exact(p: int, length: int, bins: int) -> tuple[int, int]:
    """Divide integers."""
    return p * length // bins, -(-(p + 1) * length // bins)


def multiplied(p: int, length: int, bins: int, kind: type[np.floating[Any]]) -> tuple[int, int]:
    """Multiply by the quotient, in the type `kind`."""
    size = kind(length) / kind(bins)
    return math.floor(kind(p) * size), math.ceil(kind(p + 1) * size)


in_float32 = partial(multiplied, kind=np.float32)
in_float64 = partial(multiplied, kind=np.float64)


def disjoint(bounds: Bounds, p: int, length: int, bins: int) -> tuple[int, int]:
    """End where the next bin begins, but have at least one pixel."""
    first, following = bounds(p, length, bins)[0], bounds(p + 1, length, bins)[0]
    return first, max(following, first + 1)


def pool(
    question: Question,
    *,
    whole: Callable[[float], int] = half_away,
    as_asked: Callable[[str], Bounds] = lambda convention: exact if convention == "exact" else in_float32,
    last_belongs: bool = True,
    from_lowest: bool = False,
    rows_first: bool = False,
) -> Mapping[str, Any]:
    """Return y and switches, and dx if dy is given."""
    given: Any = question.arguments
    x, rois, dy = given["x"], given["rois"], question.incoming_gradient
    n_rows, n_columns = question.params["output_size"]
    height, width = x.shape[2:]
    bounds = as_asked(question.params["convention"])
    y, dx = np.zeros((len(rois), x.shape[1], n_rows, n_columns)), np.zeros(x.shape)
    switches = np.full(y.shape, -1, np.int64)

    def bin_of(first: int, last: int, p: int, bins: int, n: int) -> range:
        low, high = bounds(p, max(last - first + (1 if last_belongs else 0), 1), bins)
        return range(min(max(low + first, 0), n), min(max(high + first, 0), n))

    for r, (image, *roi) in enumerate(rois.tolist()):
        x1, y1, x2, y2 = (whole(v * question.params["scale"]) for v in roi)
        if rows_first:
            x1, y1, x2, y2 = y1, x1, y2, x2
        for c, p, q in np.ndindex(*y.shape[1:]):
            plane = x[int(image), c]
            pixels = [(i, j) for i in bin_of(y1, y2, p, n_rows, height) for j in bin_of(x1, x2, q, n_columns, width)]
            if not pixels:
                continue
            best = float(np.finfo(np.float32).min) if from_lowest else -math.inf
            winner = None if from_lowest else pixels[0]
            for i, j in pixels:
                v = float(plane[i, j])
                if v > best or (math.isnan(v) and not math.isnan(best) and not from_lowest):
                    best, winner = v, (i, j)
            y[r, c, p, q] = best
            if winner is not None:
                switches[r, c, p, q] = winner[0] * width + winner[1]
                if dy is not None:
                    dx[int(image), c, winner[0], winner[1]] += dy[r, c, p, q]
    return {"y": y, "switches": switches} | ({"dx": dx} if "dx" in question.gradients else {})


def _without_overlap(convention: str) -> Bounds:
    return partial(disjoint, exact if convention == "exact" else in_float32)


CONFORMING = [("roi_pool", pool)]

_CAFFE = "caffe-fast-rcnn's roi_pooling_layer.cpp"
_CHAINER = "chainer's functions/pooling/roi_pooling_2d.py, forward_cpu"
_KERAS = "keras-frcnn's keras_frcnn/RoiPoolingConv.py"

WITNESSES = [
    Witness("roipool.bins=disjoint", "roi_pool", _KERAS, partial(pool, as_asked=_without_overlap)),
    Witness("roipool.bins=exact", "roi_pool", "deck 001, in integers", partial(pool, as_asked=lambda _: exact)),
    Witness("roipool.bins=float32", "roi_pool", _CAFFE, partial(pool, as_asked=lambda _: in_float32)),
    Witness("roipool.bins=float64", "roi_pool", _CHAINER, partial(pool, as_asked=lambda _: in_float64)),
    Witness("roipool.end=exclusive", "roi_pool", _KERAS, partial(pool, last_belongs=False)),
    Witness("roipool.nan=ignored", "roi_pool", _CAFFE, partial(pool, from_lowest=True)),
    Witness("roipool.order=yx", "roi_pool", "boxes as in chainercv, y before x", partial(pool, rows_first=True)),
    Witness("roipool.round=half_even", "roi_pool", _CHAINER + ": round", partial(pool, whole=round)),
    Witness("roipool.round=truncate", "roi_pool", _KERAS + ": a cast to int32", partial(pool, whole=int)),
]

"""SSD's default boxes and their matching, as libraries do it that differ from one another."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness


def make(question: Question, *, even: bool = False, **deviations: str) -> dict[str, Any]:
    """Answer `default_boxes`; `even` spaces positions by image size / map size."""
    params = {**question.params, **deviations}
    image, boxes = params["image_size"], []
    maps = zip(
        *(params[name] for name in ("map_sizes", "min_sizes", "max_sizes", "steps", "ratios")),
        strict=True,
    )
    for f, least, largest, asked_step, ratios in maps:
        step = image / f if even and f else asked_step
        between = math.sqrt(least * largest)
        sizes = [(least, least), (between, between)]
        for ratio in ratios:
            root = math.sqrt(ratio)
            sizes += [(least * root, least / root), (least / root, least * root)]
        if params["order"] == "paddle":
            sizes = [sizes[0], *sizes[2:], sizes[1]]
        for row in range(f):
            for column in range(f):
                for width, height in sizes:
                    centre = ((column + 0.5) * step / image, (row + 0.5) * step / image)
                    boxes.append(_corners(centre, (width / image, height / image), params["clip"]))
    return {"boxes": np.array(boxes, dtype=np.float64).reshape(-1, 4)}


def _corners(centre: tuple[float, float], size: tuple[float, float], clip: str) -> list[float]:
    (x, y), (w, h) = centre, size
    if clip == "centre_size":
        x, y = _clamp(x), _clamp(y)
    if clip in ("centre_size", "size"):
        w, h = _clamp(w), _clamp(h)
    corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    return [_clamp(corner) for corner in corners] if clip == "corners" else corners


def _clamp(number: float) -> float:
    return min(max(number, 0.0), 1.0)


def match(question: Question, *, bipartite: bool) -> dict[str, Any]:
    """Answer `match_ssd` by one rule, whichever was asked."""
    given = question.arguments["iou"]
    assert given is not None
    iou = np.nan_to_num(given.astype(np.float64), nan=0.0)
    rule = _caffe if bipartite else _overwriting
    return {"matches": np.array(rule(iou, **_thresholds(question)), dtype=np.int64).reshape(len(iou))}


def _thresholds(question: Question) -> dict[str, float]:
    return {name: question.params[name] for name in ("threshold", "min_overlap")}


def _caffe(iou: Any, threshold: float, min_overlap: float) -> list[int]:
    """Match the best pair of all while there is one; then every other prior with what it overlaps most."""
    n_priors, n_truths = iou.shape
    matches = [-1] * n_priors
    pool = list(range(n_truths))
    while pool:
        best, pair = min_overlap, None
        for i in range(n_priors):
            for j in pool:
                if matches[i] == -1 and iou[i, j] > best:
                    best, pair = iou[i, j], (i, j)
        if pair is None:
            break
        matches[pair[0]] = pair[1]
        pool.remove(pair[1])
    for i in range(n_priors):
        if matches[i] == -1:
            best = -1.0
            for j in range(n_truths):
                if iou[i, j] >= threshold and iou[i, j] > best:
                    best, matches[i] = iou[i, j], j
    return matches


def _overwriting(iou: Any, threshold: float, min_overlap: float) -> list[int]:
    """Match every prior with what it overlaps most; then each truth in turn takes its best prior."""
    n_priors, n_truths = iou.shape
    matches = [-1] * n_priors
    if not n_priors or not n_truths:
        return matches
    for i in range(n_priors):
        j = int(iou[i].argmax())
        if iou[i, j] >= threshold:
            matches[i] = j
    for j in range(n_truths):
        matches[int(iou[:, j].argmax())] = j
    return matches


CAFFE = "weiliu89/caffe, branch ssd, src/caffe/layers/prior_box_layer.cpp, transcribed"
CAFFE_MATCH = "weiliu89/caffe, branch ssd, src/caffe/util/bbox_util.cpp, MatchBBox, transcribed"
SSD_PYTORCH = "ssd.pytorch layers/functions/prior_box.py, transcribed"
SSD_PYTORCH_MATCH = "ssd.pytorch layers/box_utils.py, match, transcribed"
TORCHVISION = "torchvision torchvision/models/detection/anchor_utils.py, DefaultBoxGenerator, transcribed"
PADDLE = "Paddle paddle/phi/kernels/cpu/prior_box_kernel.cc with min_max_aspect_ratios_order=false, transcribed"

CONFORMING = [("default_boxes", make)]

WITNESSES = [
    Witness("ssd.clip=centre_size", "default_boxes", SSD_PYTORCH, partial(make, clip="centre_size")),
    Witness("ssd.clip=corners", "default_boxes", CAFFE, partial(make, clip="corners")),
    Witness("ssd.clip=none", "default_boxes", CAFFE, partial(make, clip="none")),
    Witness("ssd.clip=size", "default_boxes", TORCHVISION, partial(make, clip="size")),
    Witness("ssd.prior_order=caffe", "default_boxes", CAFFE, partial(make, order="caffe")),
    Witness("ssd.prior_order=paddle", "default_boxes", PADDLE, partial(make, order="paddle")),
    Witness("ssd.step=even", "default_boxes", "Liu et al. (2016), section 2.2", partial(make, even=True)),
    Witness("ssd.match=bipartite", "match_ssd", CAFFE_MATCH, partial(match, bipartite=True)),
    Witness("ssd.match=overwrite", "match_ssd", SSD_PYTORCH_MATCH, partial(match, bipartite=False)),
]

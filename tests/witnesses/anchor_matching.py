"""Witnesses of the keys `match.*`: the labels of anchors, proposals and default boxes, element by element.

Rules as in Ren et al. (2015), section 3.1.2, Girshick (2015), section 2.3, and Liu et al. (2016), section 2.2. A NaN
overlap counts as 0, thresholds are rounded to the dtype of the overlaps, and the first of equals is a box's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Table = list[list[float]]


def table_of(question: Question, nan: float = 0.0) -> tuple[Table, int, Any]:
    """Return overlaps as rows of floats, the number of ground truths, and what rounds a threshold to their dtype."""
    iou = question.arguments["iou"]
    assert iou is not None
    rows = [[nan if math.isnan(v) else v for v in row] for row in iou.tolist()]
    return rows, iou.shape[1], lambda value: float(iou.dtype.type(value))


def own_of(row: list[float]) -> tuple[int, float]:
    """Return the first ground truth of highest overlap and that overlap; −1 and 0 if there is none."""
    own, best = -1, 0.0
    for g, value in enumerate(row):
        if own < 0 or value > best:
            own, best = g, value
    return own, best


def reaches(value: float, threshold: float, comparison: str) -> bool:
    """Compare as asked."""
    return value > threshold or (comparison == ">=" and value == threshold)


def match_rpn(
    question: Question,
    *,
    comparison: str | None = None,
    force: bool | None = None,
    guard: bool | None = None,
    everywhere: bool = False,
    first_only: bool = False,
    match_forced: bool = False,
) -> Mapping[str, Any]:
    """Label anchors."""
    rows, truths, rounded = table_of(question)
    params = question.params
    given = question.arguments["inside"]
    inside = [True] * len(rows) if given is None or everywhere else given.tolist()
    comparison = params["comparison"] if comparison is None else comparison
    force = params["force_best"] if force is None else force
    guard = params["guard_zero"] if guard is None else guard
    labels, matches = [-1] * len(rows), [-1] * len(rows)
    for a, row in enumerate(rows):
        matches[a], best = own_of(row)
        if inside[a] and (truths == 0 or best < rounded(params["negative"])):
            labels[a] = 0
    for g in range(truths if force else 0):
        best = max((row[g] for a, row in enumerate(rows) if inside[a]), default=0.0)
        if guard and best <= 0:
            continue
        for a, row in enumerate(rows):
            if inside[a] and row[g] == best:
                labels[a] = 1
                if match_forced:
                    matches[a] = g
                if first_only:
                    break
    for a, row in enumerate(rows):
        if truths and inside[a] and reaches(own_of(row)[1], rounded(params["positive"]), comparison):
            labels[a] = 1
    return {"labels": np.array(labels, np.int64), "matches": np.array(matches, np.int64)}


def torch_max(values: list[float]) -> tuple[float, int]:
    """Return the maximum and its place, as torch has them: the first NaN if there is one."""
    for place, value in enumerate(values):
        if math.isnan(value):
            return value, place
    return max(values), values.index(max(values))


def match_as_torchvision(question: Question) -> Mapping[str, Any]:
    """torchvision's Matcher, transcribed for lists, with what it lacks: `inside`, >, and what is asked of a best 0."""
    rows, truths, rounded = table_of(question, nan=math.nan)
    params = question.params
    inside = question.arguments.get("inside")
    takes_part = [True] * len(rows) if inside is None else inside.tolist()
    if not truths:
        label = 0 if question.algorithm == "match_rpn" or params["negative_low"] <= 0 else -1
        return {"labels": np.array([label if t else -1 for t in takes_part]), "matches": np.full(len(rows), -1)}
    high, strict = rounded(params["positive"]), params["comparison"] == ">"
    below, least = rounded(params.get("negative", params.get("negative_high"))), rounded(params.get("negative_low", 0))
    labels, matches = [], []
    for row in rows:
        value, place = torch_max(row)
        is_positive = not (value < high or (strict and value == high))  # what is neither below nor between
        labels.append(1 if is_positive else 0 if least <= value < below else -1)
        matches.append(place)
    for g in range(truths if params.get("force_best") else 0):
        candidates = [row[g] for row, t in zip(rows, takes_part, strict=True) if t]
        best = torch_max(candidates)[0] if candidates else 0.0
        if best > 0 or not params["guard_zero"]:
            labels = [1 if row[g] == best else label for row, label in zip(rows, labels, strict=True)]
    labels = [label if t else -1 for label, t in zip(labels, takes_part, strict=True)]
    return {"labels": np.array(labels, np.int64), "matches": np.array(matches, np.int64)}


def match_rcnn(question: Question, *, comparison: str | None = None, from_zero: bool = False) -> Mapping[str, Any]:
    """Label proposals."""
    rows, _, rounded = table_of(question)
    params = question.params
    comparison = params["comparison"] if comparison is None else comparison
    labels, matches = [], []
    for row in rows:
        own, best = own_of(row)
        matches.append(own)
        if reaches(best, rounded(params["positive"]), comparison):
            labels.append(1)
        elif (from_zero or best >= rounded(params["negative_low"])) and best < rounded(params["negative_high"]):
            labels.append(0)
        else:
            labels.append(-1)
    return {"labels": np.array(labels, np.int64), "matches": np.array(matches, np.int64)}


def match_ssd(question: Question, *, comparison: str = ">=") -> Mapping[str, Any]:
    """Match default boxes by either convention."""
    rows, truths, rounded = table_of(question)
    params = question.params
    matches = [-1] * len(rows)
    if params["convention"] == "caffe":
        free = set(range(truths))
        while True:
            pairs = [(rows[p][g], -p, -g) for p in range(len(rows)) if matches[p] < 0 for g in free]
            best, p, g = max(pairs, default=(-1.0, 0, 0))
            if not best > rounded(params["min_overlap"]):
                break
            matches[-p] = -g
            free.remove(-g)
    for p, row in enumerate(rows):
        own, best = own_of(row)
        if matches[p] < 0 and truths and reaches(best, rounded(params["threshold"]), comparison):
            matches[p] = own
    if params["convention"] == "torchvision" and rows:
        for g in range(truths):
            matches[own_of([row[g] for row in rows])[0]] = g
    return {"matches": np.array(matches, np.int64)}


CONFORMING = [("match_rpn", match_rpn), ("match_rcnn", match_rcnn), ("match_ssd", match_ssd)]

_DECK_000 = "deck 000: IoU > 0.7"
_MMDETECTION = "mmdetection's mmdet/core/bbox/assigners/max_iou_assigner.py"

WITNESSES = [
    *(
        Witness(
            "match.nan=best",
            algorithm,
            "torchvision, torchvision/models/detection/_utils.py, Matcher, transcribed",
            match_as_torchvision,
        )
        for algorithm in ("match_rpn", "match_rcnn")
    ),
    Witness("match.cmp=ge", "match_rpn", "deck 001: IoU ≥ 0.7", partial(match_rpn, comparison=">=")),
    Witness(
        "match.cmp=ge", "match_rcnn", "Girshick (2015), section 2.3: at least 0.5", partial(match_rcnn, comparison=">=")
    ),
    Witness("match.cmp=gt", "match_rpn", _DECK_000, partial(match_rpn, comparison=">")),
    Witness("match.cmp=gt", "match_rcnn", "deck 001: IoU > 0.5", partial(match_rcnn, comparison=">")),
    Witness(
        "match.cmp=gt",
        "match_ssd",
        "Liu et al. (2016), section 2.2: higher than a threshold",
        partial(match_ssd, comparison=">"),
    ),
    Witness(
        "match.force=always",
        "match_rpn",
        "py-faster-rcnn's lib/rpn/anchor_target_layer.py: labels[gt_argmax_overlaps] = 1",
        partial(match_rpn, force=True),
    ),
    Witness(
        "match.force=first",
        "match_rpn",
        "np.argmax(overlaps, axis=0) of matterport's early mrcnn/model.py",
        partial(match_rpn, first_only=True),
    ),
    Witness(
        "match.force=off",
        "match_rpn",
        "keras-retinanet's utils/anchors.py: thresholds alone",
        partial(match_rpn, force=False),
    ),
    Witness("match.forced_truth=forcing", "match_rpn", _MMDETECTION, partial(match_rpn, match_forced=True)),
    Witness(
        "match.inside=ignored",
        "match_rpn",
        "torchvision's models/detection/rpn.py, which does not look",
        partial(match_rpn, everywhere=True),
    ),
    Witness(
        "match.low=0",
        "match_rcnn",
        "torchvision's models/detection/_utils.py, Matcher with one threshold",
        partial(match_rcnn, from_zero=True),
    ),
    Witness(
        "match.zero=guarded",
        "match_rpn",
        _MMDETECTION + ": gt_max_overlaps[i] >= self.min_pos_iou",
        partial(match_rpn, guard=True),
    ),
    Witness(
        "match.zero=unguarded",
        "match_rpn",
        "py-faster-rcnn's lib/rpn/anchor_target_layer.py: overlaps == gt_max_overlaps",
        partial(match_rpn, guard=False),
    ),
]

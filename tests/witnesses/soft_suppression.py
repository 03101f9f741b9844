"""Witnesses of the keys `softnms.*`: Bodla et al. (2017) with the authors' exchanges of rows, and without.

`softened` goes by the paper's pseudocode: among the remaining boxes the best score, ties lowest index first.
`exchanged` transcribes cpu_soft_nms of the authors' lib/nms/cpu_nms.pyx: boxes are rows that change places. It differs
from the paper in two ways, ties and the first box; each has a switch, so that a witness has one of them. (Detectron's
copy, and another version of the authors', discard only boxes that overlap the selected one.)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness
from tests.witnesses.suppression import overlap_of_boxes


def weight_of(iou: Any, params: Mapping[str, Any], *, at_equality: bool = False, half_exponent: bool = False) -> Any:
    """Return what the score is multiplied by, a scalar of the dtype of `iou`."""
    kind = type(iou)
    if math.isnan(iou):
        return kind(1)
    if params["method"] == "gaussian":
        return np.exp(-(iou * iou) / kind((2 if half_exponent else 1) * params["sigma"]))
    limit = kind(params["threshold"])
    if not (iou > limit or (at_equality and iou == limit)):
        return kind(1)
    return kind(1) - iou if params["method"] == "linear" else kind(0)


def softened(
    question: Question, *, strict: bool = False, spare_first: bool = False, **switches: bool
) -> Mapping[str, Any]:
    """Follow the paper; `strict` keeps what is > min_score, `spare_first` selects before it discards anything."""
    given: Any = question.arguments
    boxes, scores, params = given["boxes"], given["scores"], question.params
    least = scores.dtype.type(params["min_score"])
    left = {i: scores[i] for i in range(len(scores))}
    indices, decayed = [], []

    def discard() -> None:
        for i in [i for i, score in left.items() if score < least or (strict and score == least)]:
            del left[i]

    if not spare_first:
        discard()
    while left:
        best = min(left, key=lambda i: (math.isnan(left[i]), 0.0 if math.isnan(left[i]) else -left[i], i))
        indices.append(best)
        decayed.append(left.pop(best))
        for i in left:
            iou = overlap_of_boxes(boxes[best], boxes[i], params["offset"])
            left[i] = left[i] * weight_of(iou, params, **switches)
        discard()
    return {"indices": np.array(indices, np.int64), "decayed": np.array(decayed, scores.dtype)}


def exchanged(
    question: Question, *, check_first: bool = True, by_row: bool = True, check_apart: bool = True
) -> Mapping[str, Any]:
    """Transcribe cpu_soft_nms; `check_first` discards low scores at the start, `by_row` gives ties to the first row.

    `check_apart` looks at the score of boxes that do not overlap the selected one, too.
    """
    given: Any = question.arguments
    boxes, scores, params = given["boxes"], given["scores"], question.params
    least = scores.dtype.type(params["min_score"])
    rows = [[i, scores[i]] for i in range(len(scores)) if not (check_first and scores[i] < least)]
    n = len(rows)
    i = 0
    while i < n:
        best = i
        for pos in range(i + 1, n):
            tie = not by_row and rows[pos][1] == rows[best][1] and rows[pos][0] < rows[best][0]
            if rows[best][1] < rows[pos][1] or tie:
                best = pos
        rows[i], rows[best] = rows[best], rows[i]
        pos = i + 1
        while pos < n:
            iou = overlap_of_boxes(boxes[rows[i][0]], boxes[rows[pos][0]], params["offset"])
            rows[pos][1] = rows[pos][1] * weight_of(iou, params)
            if rows[pos][1] < least and (check_apart or iou > 0):  # the last row takes its place, and is looked at next
                rows[pos] = rows[n - 1]
                n -= 1
                pos -= 1
            pos += 1
        i += 1
    return {
        "indices": np.array([row[0] for row in rows[:n]], np.int64),
        "decayed": np.array([row[1] for row in rows[:n]], scores.dtype),
    }


_DETECTRON = "Detectron's detectron/utils/cython_nms.pyx, soft_nms: if iw > 0: if ih > 0"
_AUTHORS = "cpu_soft_nms of the authors' lib/nms/cpu_nms.pyx, where it looks at the score of every row"

CONFORMING = [("soft_nms", softened), ("soft_nms", partial(exchanged, by_row=False))]

WITNESSES = [
    Witness(
        "nms.cmp=ge",
        "soft_nms",
        "mmcv's csrc/pytorch/cpu/nms.cpp: ovr >= iou_threshold",
        partial(softened, at_equality=True),
    ),
    Witness("softnms.min_score=gt", "soft_nms", "TensorFlow: score > score_threshold", partial(softened, strict=True)),
    Witness("softnms.min_score=not_first", "soft_nms", _AUTHORS, partial(exchanged, check_first=False, by_row=False)),
    Witness("softnms.min_score=not_first", "soft_nms", "the paper's pseudocode", partial(softened, spare_first=True)),
    Witness(
        "softnms.min_score=overlapping",
        "soft_nms",
        _DETECTRON,
        partial(exchanged, check_first=False, by_row=False, check_apart=False),
    ),
    Witness(
        "softnms.sigma=half_exponent",
        "soft_nms",
        "TensorFlow: scale = -0.5 / soft_nms_sigma",
        partial(softened, half_exponent=True),
    ),
    Witness("softnms.tie=swap", "soft_nms", _AUTHORS, exchanged),
]

"""From verdicts to precision at fixed recalls, for one category, range of area and number of detections.

    tp, fp = how many true and false positives there are among the first i detections
    recall = tp / n_positive,    precision = tp / (tp + fp + ε)
    P(r) = max of precision where recall ≥ r, or 0 where no recall reaches r

ε = 2⁻⁵² makes 0/0 zero, and one of one 1 − 2⁻⁵². The recalls r may come in any order. (The original expects them to
ascend: it stops at the first that is not reached.)

Recall grows at true positives only, and after each of them precision falls until the next. So the curve is made from
these alone: recall r takes the first i of them with i / n_positive ≥ r, and P(r) is the best precision at the i-th or a
later one. Recall 0 takes none, and is reached by the first detection, right or wrong.

Lin et al., "Microsoft COCO: common objects in context" (2014); `accumulate` of the COCO API, `cocoeval.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.metrics.coco_verdicts import IGNORED, TRUE_POSITIVE

EPSILON = 2.0**-52


class Curve(NamedTuple):
    """Precision over recall, for T thresholds and R recalls."""

    precision: Array  # (T, R)
    scores: Array  # (T, R) of the detection at which the recall is reached, 0 where it is not
    recall: Array  # (T,) of all detections together


def curve_of(verdicts: Array, scores: Array, n_positive: int, recall_thresholds: Array) -> Curve:
    """Return the curve of n detections in descending order of score; ignored ones are neither right nor wrong.

    Right, right, wrong, wrong, right, and three to find: precision 1 up to recall 2/3, then 3/5.

    >>> verdicts = np.array([[1, 1, 0, 0, 1]], np.int8)
    >>> curve = curve_of(verdicts, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), 3, np.array([0.0, 0.5, 1.0]))
    >>> curve.precision, curve.scores
    (array([[1. , 1. , 0.6]]), array([[0.9, 0.8, 0.5]]))
    """
    T, n = verdicts.shape
    if n == 0:
        nothing = np.zeros((T, len(recall_thresholds)))
        return Curve(nothing, nothing.copy(), np.zeros(T))
    is_true = verdicts == TRUE_POSITIVE
    n_true = np.count_nonzero(is_true, axis=1)  # (T,)
    n_counted = np.cumsum(verdicts != IGNORED, axis=1, dtype=np.int32)  # tp + fp, (T, n)
    found = np.flatnonzero(is_true)  # the true positives, row after row
    t, i = np.repeat(np.arange(T), n_true), _numbers_within_rows(n_true)

    most = n_true.max(initial=0)
    place = np.zeros((T, most + 2), np.int64)  # [t, i]: of the i-th true positive; of the first detection for i = 0
    so_far = np.zeros((T, most + 2))  # the precision there; 0 for i = 0, and where there is no i-th
    place[t, i], so_far[t, i] = found - n * t, i / (n_counted.ravel()[found] + EPSILON)
    best_from_here = np.maximum.accumulate(so_far[:, ::-1], axis=1)[:, ::-1]
    needed = np.searchsorted(np.arange(most + 1) / n_positive, recall_thresholds)  # (R,) true positives
    is_reached = needed <= n_true[:, None]
    return Curve(best_from_here[:, needed], np.where(is_reached, scores[place[:, needed]], 0.0), n_true / n_positive)


def _numbers_within_rows(lengths: Array) -> Array:
    """Return 1, 2 ... for each of some rows, one after the other.

    >>> _numbers_within_rows(np.array([2, 0, 3]))
    array([1, 2, 1, 2, 3])
    """
    before = np.repeat(np.cumsum(lengths) - lengths, lengths)
    numbers: Array = np.arange(1, len(before) + 1) - before
    return numbers

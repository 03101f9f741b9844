"""From verdicts to precision at fixed recalls, for one category, range of area and number of detections.

    tp, fp = how many true and false positives there are among the first i detections
    recall = tp / n_positive,    precision = tp / (tp + fp + ε)
    P(r) = max of precision where recall ≥ r, or 0 where no recall reaches r

ε = 2⁻⁵² makes 0/0 zero, and one of one 1 − 2⁻⁵². The recalls r may come in any order. (The original expects them to
ascend: it stops at the first that is not reached.)

Lin et al., "Microsoft COCO: common objects in context" (2014); `accumulate` of the COCO API, `cocoeval.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.metrics.coco_verdicts import FALSE_POSITIVE, TRUE_POSITIVE

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
    precision, found_scores = np.zeros((2, T, len(recall_thresholds)))
    if n == 0:
        return Curve(precision, found_scores, np.zeros(T))
    true_positives = np.cumsum(verdicts == TRUE_POSITIVE, axis=1, dtype=np.float64)  # (T, n)
    false_positives = np.cumsum(verdicts == FALSE_POSITIVE, axis=1, dtype=np.float64)
    recall = true_positives / n_positive
    so_far = true_positives / (false_positives + true_positives + EPSILON)
    best_from_here = np.maximum.accumulate(so_far[:, ::-1], axis=1)[:, ::-1]  # P at each recall
    for t in range(T):
        first = np.searchsorted(recall[t], recall_thresholds)  # the first detection that reaches each of them
        reached = first < n
        precision[t, reached] = best_from_here[t, first[reached]]
        found_scores[t, reached] = scores[first[reached]]
    return Curve(precision, found_scores, recall[:, -1])

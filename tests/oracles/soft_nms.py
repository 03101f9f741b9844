"""Soft non-maximum suppression: overlapping boxes lose score instead of being dropped.

    take the highest remaining score i; for every remaining j, with v = iou(i, j):
        linear      s_j := s_j (1 - v)             if v > threshold
        gaussian    s_j := s_j exp(-v^2 / sigma)
        hard        s_j := s_j 0                   if v > threshold
    drop every remaining j with s_j < min_score; repeat

Boxes with s_j < min_score are also dropped before the first step. Of equal scores the first index is taken; NaN scores
are never below min_score and are taken last. An overlap of NaN takes nothing away, by any method; two empty boxes
overlap by 0. Indices and scores come in the order taken, each with the score it was taken with.

Source: Bodla et al., "Soft-NMS: Improving Object Detection With One Line of Code", equations 2 and 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import descending, iou, rows
from tests.oracles._sums import Array, Float64Array


def forward(
    boxes: Array, scores: Array, *, method: str, threshold: float, sigma: float, min_score: float, offset: int
) -> tuple[NDArray[np.int64], Float64Array]:
    """Return (indices, scores), both of shape (K,)."""
    box, score = rows(boxes), [float(s) for s in scores]
    taken: list[int] = []
    remaining = set(range(len(box)))
    while remaining := {j for j in remaining if not score[j] < min_score}:
        best = descending(remaining, score)[0]
        remaining.remove(best)
        taken.append(best)
        for j in remaining:
            score[j] *= _factor(iou(box[best], box[j], offset), method, threshold, sigma)
    return np.array(taken, dtype=np.int64), np.array([score[i] for i in taken], dtype=np.float64)


def _factor(overlap: float, method: str, threshold: float, sigma: float) -> float:
    """Return what a score is multiplied by."""
    if method == "gaussian":
        return 1.0 if math.isnan(overlap) else math.exp(-overlap * overlap / sigma)
    if not overlap > threshold:
        return 1.0
    return 1 - overlap if method == "linear" else 0.0

"""Precision and recall after each detection, from the verdicts on the detections.

With the detections in descending order of score, TP_k true and FP_k false positives among the first k, and n_positive
objects there to be found (TP + FN of them):

    P_k = TP_k / (TP_k + FP_k),    R_k = TP_k / n_positive

Deck 001, "Evaluating object detectors"; Everingham et al., "The PASCAL VOC challenge" (2010), §4.2.1.

Conventions:

- A verdict is 1, true positive; 0, false positive; or −1, ignored. What is ignored has no point on the curve. (VOC's
  devkit repeats the point before it, or starts at 0/0 = NaN, and so does py-faster-rcnn at 45e0da9; copies of its
  voc_eval.py that divide by at least ε start at 0. In MATLAB this changes nothing under any definition of AP that takes
  the envelope, as its maximum passes over NaN.)
- n_positive = 0: the recall is 0/0, NaN.
- Equal scores still make one point each, so that their order counts; scikit-learn merges them into one.
- Results are float64, as quotients of counts.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_integer, check_rank, integer
from refdet.core.kernel import kernel


def _check(verdicts: Array, *, n_positive: int) -> None:
    check_integer("precision_recall", verdicts=verdicts)
    check_rank("precision_recall", "verdicts", verdicts, "D")
    integer("precision_recall", "n_positive", n_positive, low=0)


@kernel("precision_recall", check=_check)
def precision_recall_kernel(verdicts: Array, *, n_positive: int) -> tuple[Array, Array]:
    """Return P and R, float64, a point for every verdict that is not −1."""
    hits = verdicts[verdicts != -1] == 1
    n_true = np.cumsum(hits, dtype=np.int64)
    recall = n_true / n_positive if n_positive else np.full(len(hits), np.nan)
    return n_true / np.arange(1, len(hits) + 1), recall


def precision_recall(verdicts: Array, *, n_positive: int) -> tuple[Array, Array]:
    """Draw the precision-recall curve of detections in descending order of score.

    Args:
        verdicts: (D,), integers: 1 true positive, 0 false positive, −1 ignored; see `match_detections`.
        n_positive: the number of objects there to be found, at least that of the true positives.

    Returns:
        precision and recall, float64, as many as there are verdicts that are not −1.

    A hit, a miss, a detection to ignore, a hit, of four objects:

    >>> precision, recall = precision_recall(np.array([1, 0, -1, 1]), n_positive=4)
    >>> precision.round(3), recall
    (array([1.   , 0.5  , 0.667]), array([0.25, 0.25, 0.5 ]))
    """
    _check(verdicts, n_positive=n_positive)
    n_positive = integer("precision_recall", "n_positive", n_positive, low=0)
    strange = np.flatnonzero((verdicts < -1) | (verdicts > 1))
    if strange.size:
        raise ValueError(f"precision_recall: verdicts must be 1, 0 or -1, got {verdicts[strange[0]]} at {strange[0]}")
    n_true = int(np.count_nonzero(verdicts == 1))
    if n_true > n_positive:
        raise ValueError(
            f"precision_recall: n_positive must be at least the number of true positives, {n_true}, got {n_positive}"
        )
    return precision_recall_kernel(verdicts, n_positive=n_positive)

"""Soft non-maximum suppression: overlapping boxes lose score instead of being eliminated.

    1. Select the remaining box m with the highest score.
    2. For every other remaining box i: s_i ← s_i · f(IoU(m, i)).
    3. Discard what has s_i < min_score; repeat until none remains.

| method | f(o) | |
|---|---|---|
| `"linear"` | 1 − o where o > threshold, else 1 | |
| `"gaussian"` | exp(−o² / σ) | the threshold is not used |
| `"hard"` | 0 where o > threshold, else 1 | greedy `nms`, if min_score > 0 |

Bodla, Singh, Chellappa & Davis, "Soft-NMS: improving object detection with one line of code" (2017), §3; defaults from
the authors' code as it is in Detectron (`cython_nms.pyx`), which measures boxes with `offset=1`.

Conventions:

- The highest score is looked up anew in every step, as the decay changes the order; ties go to the lowest index. A
  NaN score comes after all numbers.
- A score below min_score is discarded also at the start (Detectron looks only after a decay); a score equal to it, or
  NaN, stays. So min_score = 0 with `"hard"` discards nothing: eliminated boxes come last, with score 0.
- An IoU of NaN decays nothing, by any method; nor does that of two empty boxes, which is 0.
- Everything is computed in the dtype of the boxes, and the threshold rounded to it, as in `nms`.
- Scores are confidences: a negative one would be raised by its decay, and ∞ · 0 is NaN.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_offset
from refdet.boxes.iou import box_iou_kernel
from refdet.boxes.nms import check_scored_boxes
from refdet.core.check import Array, check_choice, check_number
from refdet.core.kernel import kernel

METHODS = ("linear", "gaussian", "hard")


def _check(
    boxes: Array, scores: Array, *, method: str, threshold: float, sigma: float, min_score: float, offset: int
) -> None:
    check_scored_boxes("soft_nms", boxes, scores)
    check_choice("soft_nms", "method", method, METHODS)
    check_number("soft_nms", "threshold", threshold, low=0, high=1)
    check_number("soft_nms", "sigma", sigma, low=0, open_low=True)
    check_number("soft_nms", "min_score", min_score)
    check_offset("soft_nms", offset)


def _decay(iou: Array, method: str, threshold: float, sigma: float) -> Array:
    """Return f(IoU), the factor of each score."""
    if method == "gaussian":
        decays = iou > 0  # not where it is NaN
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # σ may be next to 0, or round to it
            factor = np.exp(-(iou * iou) / float(sigma))
    else:
        decays = iou > float(threshold)
        factor = 1 - iou if method == "linear" else np.zeros_like(iou)
    return np.where(decays, factor, np.ones_like(iou))


@kernel("soft_nms", check=_check)
def soft_nms_kernel(
    boxes: Array, scores: Array, *, method: str, threshold: float, sigma: float, min_score: float, offset: int
) -> tuple[Array, Array]:
    """Return the indices of the boxes in the order of their selection, (K,) int64, and their scores at that time."""
    min_score = float(min_score)  # a float64 scalar of NumPy's would not be rounded to the dtype of the scores
    remaining = np.flatnonzero(~(scores < min_score))
    s = scores[remaining].astype(scores.dtype.newbyteorder("="))
    selected, selected_scores = [], []
    while remaining.size:
        i = np.argmax(np.where(np.isnan(s), -np.inf, s))  # the first of equals
        m = remaining[i]
        selected.append(m)
        selected_scores.append(s[i])
        remaining, s = np.delete(remaining, i), np.delete(s, i)
        iou = box_iou_kernel.reference(boxes[m : m + 1], boxes[remaining], None, offset=offset, empty="zero")[0]
        with np.errstate(invalid="ignore"):  # ∞ · 0
            s = s * _decay(iou, method, threshold, sigma)
        stays = ~(s < min_score)
        remaining, s = remaining[stays], s[stays]
    return np.array(selected, np.int64), np.array(selected_scores, s.dtype)


def soft_nms(
    boxes: Array,
    scores: Array,
    *,
    method: str = "linear",
    threshold: float = 0.3,
    sigma: float = 0.5,
    min_score: float = 0.001,
    offset: int = 0,
) -> tuple[Array, Array]:
    """Lower the scores of boxes that overlap better ones.

    Args:
        boxes: (N, 4), rows of (x1, y1, x2, y2), float32 or float64.
        scores: (N,), of the same dtype: confidences.
        method: "linear", "gaussian" or "hard" (see the module).
        threshold: in [0, 1]; "linear" and "hard" touch the boxes whose IoU with the selected one is greater.
        sigma: of "gaussian", greater than 0.
        min_score: what falls below is discarded.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1.

    Returns:
        indices, (K,) int64, in the order in which the boxes were selected, and their decayed scores, (K,), which never
        ascend (but for NaN).

    Box 1 covers 3/4 of box 0 and falls from 0.8 to 0.8 · (1 − 3/4), behind box 2:

    >>> boxes = np.array([[0.0, 0, 4, 1], [0, 0, 3, 1], [5, 0, 6, 1]])
    >>> indices, decayed = soft_nms(boxes, np.array([0.9, 0.8, 0.7]))
    >>> indices, decayed.round(6)
    (array([0, 2, 1]), array([0.9, 0.7, 0.2]))
    """
    return soft_nms_kernel(
        boxes, scores, method=method, threshold=threshold, sigma=sigma, min_score=min_score, offset=offset
    )

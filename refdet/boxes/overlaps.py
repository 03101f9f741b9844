"""What `match_rpn`, `match_rcnn` and `match_ssd` share: how they read a table of IoU, boxes × ground truths.

- A box's own ground truth is the one of highest IoU, the first of equals.
- A NaN IoU counts as 0. Thresholds are rounded to the dtype of the IoU before they are compared, as in `nms`.
- Without ground truth (no columns) every best IoU is 0 and every match −1.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_number, check_rank

COMPARISONS = {">=": np.greater_equal, ">": np.greater}


def check_overlaps(op: str, iou: Array, layout: str, **thresholds: float) -> None:
    """Refuse what is not a table of floats, and thresholds that are not numbers of at least 0."""
    check_floating(op, iou=iou)
    check_rank(op, "iou", iou, layout)
    for name, value in thresholds.items():
        check_number(op, name, value, low=0)


def without_nan(iou: Array) -> Array:
    """Return the table with 0 for NaN.

    >>> without_nan(np.array([[0.5, np.nan]]))
    array([[0.5, 0. ]])
    """
    return np.where(np.isnan(iou), np.zeros_like(iou), iou)


def own_ground_truth(overlaps: Array) -> tuple[Array, Array]:
    """Return the highest IoU of each box, and the ground truth that has it, int64; 0 and −1 without ground truths.

    >>> own_ground_truth(np.array([[0.25, 0.5], [0.75, 0.75]]))
    (array([0.5 , 0.75]), array([1, 0]))
    """
    n_boxes, n_truths = overlaps.shape
    if n_truths == 0:
        return np.zeros(n_boxes, overlaps.dtype), np.full(n_boxes, -1, np.int64)
    return np.max(overlaps, axis=1), np.argmax(overlaps, axis=1).astype(np.int64, copy=False)

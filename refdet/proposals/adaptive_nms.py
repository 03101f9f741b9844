"""Non-maximum suppression whose threshold falls as boxes are kept.

    in descending order of score: keep a box if its IoU with every kept box is ≤ β;
    each time one is kept, β ← η β, as long as β > 1/2

With η = 1 it is the ordinary greedy suppression, stopped after `max_boxes`. With η < 1 the best boxes may lie close
together and later ones are spread: Zitnick & Dollár's journal code ("Fast Edge Detection Using Structured Forests" and
"Edge Boxes", version 3 of their toolbox) offers it; the ECCV paper of 2014 has η = 1.

Equal scores: the lowest index first. The IoU is computed in float64 from areas w · h; that of two empty boxes is 0.
OpenCV skips the suppression and the limit if β > 0.99; here they hold for every β.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.nms import check_scored_boxes, nms_kernel
from refdet.boxes.top_k import descending
from refdet.core.check import Array, check_number, integer

LOWEST = 0.5  # β does not fall once it is here


def adaptive_nms(boxes: Array, scores: Array, *, threshold: float, eta: float, max_boxes: int) -> Array:
    """Keep the best boxes that overlap little, fewer and fewer.

    Args:
        boxes: (N, 4), rows of (x1, y1, x2, y2), float32 or float64.
        scores: (N,), of the same dtype.
        threshold: β, in [0, 1].
        eta: η, in (0, 1].
        max_boxes: how many are kept at most.

    Returns:
        The indices of the boxes that are kept, (K,) int64, in descending order of score.

    Boxes of length 10, 8 and 6 have an IoU of 4/5 and 3/4 with the one before. Once the first is kept, β is 0.7:

    >>> boxes = np.array([[0.0, 0, 10, 1], [0, 0, 8, 1], [0, 0, 6, 1]])
    >>> scores = np.array([0.9, 0.8, 0.7])
    >>> [adaptive_nms(boxes, scores, threshold=0.875, eta=eta, max_boxes=9).tolist() for eta in (1, 0.8)]
    [[0, 1, 2], [0, 2]]
    """
    op = "adaptive_nms"
    check_scored_boxes(op, boxes, scores)
    beta = check_number(op, "threshold", threshold, low=0, high=1)
    check_number(op, "eta", eta, low=0, high=1, open_low=True)
    limit = integer(op, "max_boxes", max_boxes, low=0)
    if eta == 1:  # the ordinary one, in the same order
        return nms_kernel(boxes.astype(np.float64), scores.astype(np.float64), threshold=beta, offset=0)[:limit]
    order = descending(scores)
    corners = boxes[order].astype(np.float64).T
    kept = np.zeros(min(limit, len(order)), np.int64)  # places in `order`
    kept_corners = np.zeros((4, len(kept)))
    n_kept = 0
    for i in range(len(order)):
        if n_kept == len(kept):
            break
        if np.any(_iou(corners[:, i], kept_corners[:, :n_kept]) > beta):
            continue
        kept[n_kept], kept_corners[:, n_kept] = i, corners[:, i]
        n_kept += 1
        if beta > LOWEST:
            beta *= eta
    return order[kept[:n_kept]]


def _iou(box: Array, others: Array) -> Array:
    """Return the IoU of a box (4,) with others, (4, K) → (K,); of so few, several times as fast as `box_iou`."""
    x1, y1, x2, y2 = box.tolist()
    left, top, right, bottom = others
    widths = np.maximum(np.minimum(right, x2) - np.maximum(left, x1), 0)
    heights = np.maximum(np.minimum(bottom, y2) - np.maximum(top, y1), 0)
    common = widths * heights
    union = (right - left) * (bottom - top) + (x2 - x1) * (y2 - y1) - common
    iou: Array = np.divide(common, union, out=np.zeros_like(common), where=union > 0)
    return iou

"""Greedy non-maximum suppression, from boxes, from a matrix of overlaps, or class by class.

    1. Select the remaining box with the highest score.
    2. Eliminate every remaining box whose IoU with it is > threshold.
    3. Repeat until none remains.

Deck 001, whose example of a threshold is 0.7; Girshick et al., "Rich feature hierarchies" (2014), §2.2, for each class
independently. R-CNN uses 0.3, the proposals of Faster R-CNN 0.7, SSD 0.45, darknet's YOLO 0.4.

Conventions:

- A box goes where IoU > threshold: an IoU equal to the threshold survives. So threshold 1 keeps even duplicates, and
  threshold 0 keeps the boxes that touch at most. (The comment in py-faster-rcnn's configuration says ≥, its code >.)
- The IoU is that of `refdet.boxes.iou`, in the dtype of the boxes, and the threshold is rounded to that dtype before it
  is compared. An IoU of 3/10 therefore equals the threshold 0.3 in float32 as in float64; torchvision
  compares the float32 quotient, 0.30000001, with 0.3 in float64, and suppresses.
- An IoU of NaN suppresses nothing, nor does that of two empty boxes, which is 0. torchvision agrees on NaN;
  py_cpu_nms keeps where IoU ≤ threshold, and so drops at NaN. OpenCV takes two empty boxes for duplicates.
- Equal scores: the lowest index first (torchvision and onnxruntime likewise). A NaN score comes after all numbers; its
  box may be suppressed, and suppresses those after it.
- Class by class, boxes of different classes never suppress each other, wherever they lie. The trick of moving class c
  by c·(max coordinate + 1) and running once lets them meet where coordinates are negative: [0, 0, 10, 10] of class 0
  and [−11, −11, −1, −1] of class 1, moved by 11, become the same box.

Memory: the matrix of overlaps is made for a block of candidates at a time, of at most MAX_PAIRS pairs.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.boxes.check import check_boxes, check_offset
from refdet.boxes.iou import box_iou_kernel
from refdet.boxes.top_k import descending
from refdet.core.check import Array, check_floating, check_integer, check_number, check_rank, check_shape, shape_of
from refdet.core.kernel import kernel

MAX_PAIRS = 2**20  # overlaps at a time; one block is enough for up to 1024 boxes


def check_scored_boxes(op: str, boxes: Array, scores: Array) -> None:
    """Refuse what is not N boxes with N scores of the same dtype."""
    check_boxes(op, boxes=boxes)
    check_floating(op, boxes=boxes, scores=scores)
    check_shape(op, "scores", scores, shape_of(boxes)[:1], "one per box")


def suppress(order: Array, overlaps: Callable[[Array, Array], Array], threshold: float) -> Array:
    """Return those of `order` that survive, in that order; `overlaps(i, j)` are the IoU of boxes i with boxes j.

    The best candidates decide among themselves, one after the other; then the survivors strike out what they overlap
    in the rest. The outcome is that of one candidate at a time.
    """
    kept = [order[:0]]
    threshold = float(threshold)  # a float64 scalar of NumPy's would not be rounded to the dtype of the overlaps
    while order.size:
        n_block = max(1, MAX_PAIRS // order.size)
        block, order = order[:n_block], order[n_block:]
        block = block[_survivors(overlaps(block, block) > threshold)]
        order = order[~np.any(overlaps(block, order) > threshold, axis=0)]
        kept.append(block)
    return np.concatenate(kept)


def _survivors(suppresses: Array) -> Array:
    """Return which of n ordered candidates survive, where row i says whom candidate i would eliminate."""
    alive = np.ones(len(suppresses), bool)
    for i in range(len(suppresses)):
        if alive[i]:
            alive[i + 1 :] &= ~suppresses[i, i + 1 :]
    return alive


def _iou_of(boxes: Array, offset: int) -> Callable[[Array, Array], Array]:
    """Return the overlaps of these boxes; by the reference, as the body of a kernel stays on the host."""
    return lambda i, j: box_iou_kernel.reference(boxes[i], boxes[j], None, offset=offset, empty="zero")


def _check_nms(boxes: Array, scores: Array, *, threshold: float, offset: int) -> None:
    check_scored_boxes("nms", boxes, scores)
    check_number("nms", "threshold", threshold, low=0, high=1)
    check_offset("nms", offset)


def _check_nms_from_iou(iou: Array, scores: Array, *, threshold: float) -> None:
    check_floating("nms_from_iou", iou=iou, scores=scores)
    check_rank("nms_from_iou", "scores", scores, "N")
    n = shape_of(scores)[0]
    check_shape("nms_from_iou", "iou", iou, (n, n), "one row and one column per score")
    check_number("nms_from_iou", "threshold", threshold, low=0, high=1)


def _check_class_nms(boxes: Array, scores: Array, classes: Array, *, threshold: float, offset: int) -> None:
    check_scored_boxes("class_nms", boxes, scores)
    check_integer("class_nms", classes=classes)
    check_shape("class_nms", "classes", classes, shape_of(scores), "one per box")
    check_number("class_nms", "threshold", threshold, low=0, high=1)
    check_offset("class_nms", offset)


@kernel("nms", check=_check_nms)
def nms_kernel(boxes: Array, scores: Array, *, threshold: float, offset: int) -> Array:
    """Return the indices of the boxes that are kept, (K,) int64, in descending order of score."""
    return suppress(descending(scores), _iou_of(boxes, offset), threshold)


@kernel("nms_from_iou", check=_check_nms_from_iou)
def nms_from_iou_kernel(iou: Array, scores: Array, *, threshold: float) -> Array:
    """Return the indices of the boxes that are kept; of a pair, the row of the one with the higher score is read."""
    return suppress(descending(scores), lambda i, j: iou[np.ix_(i, j)], threshold)


@kernel("class_nms", check=_check_class_nms)
def class_nms_kernel(boxes: Array, scores: Array, classes: Array, *, threshold: float, offset: int) -> Array:
    """Return the indices of the boxes that are kept in any class, in descending order of score."""
    order = descending(scores)
    kept = np.zeros(len(order), bool)
    for c in np.unique(classes):
        kept[suppress(order[classes[order] == c], _iou_of(boxes, offset), threshold)] = True
    return order[kept[order]]


def nms(boxes: Array, scores: Array, threshold: float, *, offset: int = 0) -> Array:
    """Keep the best box of every heap of overlapping ones.

    Args:
        boxes: (N, 4), rows of (x1, y1, x2, y2), float32 or float64.
        scores: (N,), of the same dtype.
        threshold: in [0, 1]; a box goes where its IoU with a kept one is greater.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1.

    Returns:
        The indices of the boxes that are kept, (K,) int64, in descending order of score (see the module for ties).

    Box 1 covers 4/5 of box 0, box 2 only 1/5:

    >>> boxes = np.array([[0.0, 0, 5, 1], [0, 0, 4, 1], [0, 0, 1, 1]])
    >>> nms(boxes, np.array([0.9, 0.8, 0.7]), 0.5)
    array([0, 2])
    """
    return nms_kernel(boxes, scores, threshold=threshold, offset=offset)


def nms_from_iou(iou: Array, scores: Array, threshold: float) -> Array:
    """Suppress where the overlaps are known already, of boxes or of anything else.

    Args:
        iou: (N, N), float32 or float64: `iou[i, j]` is the overlap of i with j. Only `iou[kept, candidate]` is read,
            never the diagonal, so that a triangle suffices if the scores descend.
        scores: (N,), of the same dtype.
        threshold: in [0, 1]; j goes where `iou[i, j]` is greater for a kept i.

    Returns:
        The indices that are kept, (K,) int64, in descending order of score.

    Deck 001: of four boxes the first overlaps the others by 0.8, 0.03 and 0.05, the third the fourth by 0.85:

    >>> iou = np.zeros((4, 4))
    >>> iou[0, 1:], iou[2, 3] = [0.8, 0.03, 0.05], 0.85
    >>> nms_from_iou(iou, np.array([0.9, 0.8, 0.75, 0.7]), 0.7)
    array([0, 2])
    """
    return nms_from_iou_kernel(iou, scores, threshold=threshold)


def class_nms(boxes: Array, scores: Array, classes: Array, threshold: float, *, offset: int = 0) -> Array:
    """Suppress within each class, and merge what is kept by score.

    Args:
        boxes: (N, 4), rows of (x1, y1, x2, y2), float32 or float64.
        scores: (N,), of the same dtype.
        classes: (N,), integers of any kind; only their equality counts.
        threshold: in [0, 1]; a box goes where its IoU with a kept one of its class is greater.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1.

    Returns:
        The indices of the boxes that are kept, (K,) int64, in descending order of score.

    Three times the same box, the last of another class:

    >>> boxes = np.array([[0.0, 0, 5, 1]] * 3)
    >>> class_nms(boxes, np.array([0.7, 0.8, 0.9]), np.array([1, 1, 2]), 0.5)
    array([2, 1])
    """
    return class_nms_kernel(boxes, scores, classes, threshold=threshold, offset=offset)

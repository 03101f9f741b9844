"""What a sliding window shows, for training: one class per window, 0 for the background, −1 to leave it out.

Two rules:

- `centre_labels`: the class of the object in whose box the window's central pixel lies. Deck 002, "The straightforward
  solution": slide a window, classify each region, "assign the predicted label to the central pixel". The label is a
  property of a pixel, as in segmentation; nothing is said about the size of the window, so that windows of all sizes
  around one pixel have one label, and training teaches no size. The deck lists that among the drawbacks.
- `overlap_labels`: the class of the object that the window overlaps most, if that much is a given IoU or more; deck 004
  crops the objects themselves, the case of IoU 1. The bands are those of `refdet.boxes.match_rcnn`.

Conventions of the first rule, on which the deck is silent: the central pixel is that of `window_centres` (of an even
side the one below and to the right of the middle). A pixel lies in a box if its centre does, x1 ≤ column + ½ < x2, rows
likewise. Of several boxes the smallest is taken, which is rarely the one behind, and of equally large ones the first.
With masks, the object to which the pixel belongs is taken, and what the boxes say does not count; of several the same
order decides.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.boxes.iou import box_iou
from refdet.boxes.match_rcnn import match_rcnn
from refdet.core.check import Array, check_booleans, check_integer, check_rank, check_shape
from refdet.proposals.windows import window_centres


def centre_labels(windows: Array, boxes: Array, classes: Array, *, masks: Array | None = None) -> Array:
    """Label every window by its central pixel.

    Args:
        windows: (R, 4), rows (x1, y1, x2, y2), float32 or float64, finite.
        boxes: (G, 4) of the objects, likewise.
        classes: (G,) integers.
        masks: (G, H, W) booleans, the pixels of each object; None to go by the boxes. A pixel outside the picture
            belongs to no mask.

    Returns:
        (R,) int64, a class, or 0 where the central pixel belongs to no object.

    The window over columns 0 … 3 has its centre in column 2, which the object's box [2, 0, 4, 2] contains:

    >>> windows = np.array([[0.0, 0, 4, 2], [4.0, 0, 8, 2]])
    >>> centre_labels(windows, np.array([[2.0, 0, 4, 2]]), np.array([5]))
    array([5, 0])
    """
    op = "centre_labels"
    _check(op, windows, boxes, classes)
    pixels = window_centres(windows)  # (R, 2), rows and columns
    if masks is None:
        y, x = (pixels + 0.5).T[:, :, None]  # (R, 1)
        x1, y1, x2, y2 = boxes.T  # (G,)
        inside = (x1 <= x) & (x < x2) & (y1 <= y) & (y < y2)  # (R, G)
    else:
        check_booleans(op, masks=masks)
        check_rank(op, "masks", masks, "G, H, W")
        check_shape(op, "masks", masks, (len(boxes), *masks.shape[1:]), "one mask per object")
        seen = ((pixels >= 0) & (pixels < masks.shape[1:])).all(axis=1)  # (R,)
        inside = np.zeros((len(windows), len(boxes)), bool)  # (R, G)
        inside[seen] = masks[:, pixels[seen, 0], pixels[seen, 1]].T
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    smallest_first = np.argsort(width * height, kind="stable")
    inside = inside[:, smallest_first]
    labels = np.zeros(len(windows), np.int64)
    found = inside.any(axis=1)
    if len(boxes):
        labels[found] = classes[smallest_first][np.argmax(inside[found], axis=1)]
    return labels


def overlap_labels(
    windows: Array,
    boxes: Array,
    classes: Array,
    *,
    positive: float = 0.5,
    negative_low: float = 0.0,
    negative_high: float = 0.5,
) -> Array:
    """Label every window by the object that it overlaps most.

    Args:
        windows: (R, 4), rows (x1, y1, x2, y2), float32 or float64.
        boxes: (G, 4) of the objects, of the same dtype.
        classes: (G,) integers.
        positive: IoU from which the window has the object's class, itself included.
        negative_low: IoU from which it is background, itself included.
        negative_high: end of the background, itself excluded.

    Returns:
        (R,) int64: a class, 0, or −1 where the IoU lies in none of the bands. Without objects the IoU is 0.

    IoU 1/2, 1/4 and 0:

    >>> windows = np.array([[0.0, 0, 4, 2], [0, 0, 4, 1], [8, 0, 9, 1]])
    >>> overlap_labels(windows, np.array([[0.0, 0, 4, 4]]), np.array([5]), negative_high=0.25)
    array([ 5, -1,  0])
    """
    _check("overlap_labels", windows, boxes, classes)
    labels, matches = match_rcnn(
        box_iou(windows, boxes), positive=positive, negative_low=negative_low, negative_high=negative_high
    )
    found = labels == 1
    labels[found] = classes[matches[found]]
    return labels


def _check(op: str, windows: Array, boxes: Array, classes: Array) -> None:
    check_boxes(op, windows=windows, boxes=boxes)
    check_integer(op, classes=classes)
    check_shape(op, "classes", classes, (len(boxes),), "one class per box")

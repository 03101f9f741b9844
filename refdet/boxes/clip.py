"""Boxes cut off at the border of the image.

    x' = max(min(x, right), left),    y' = max(min(y, bottom), top)

| convention | left, top | right | bottom | of |
|---|---|---|---|---|
| continuous | 0 | W | H | torchvision, Detectron2 |
| legacy | 0 | W − 1 | H − 1 | Fast and Faster R-CNN, Detectron: indices of the first and the last pixel |
| matlab | 1 | W | H | Faster R-CNN in MATLAB (fast_rcnn_im_detect.m): the same, counted from 1 |

R-CNN itself (rcnn_test_bbox_regressor.m) clips each side at one end only: x1, y1 at 1, x2 at W and y2 at H.

Conventions: a box beyond the image becomes an empty one on its border, and is not removed (see `large_enough`). ±∞ is
clipped like any number; NaN stays NaN. The image may have no pixels where coordinates are continuous; the other two
conventions need a first and a last one.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice, integer
from refdet.core.kernel import kernel

CONVENTIONS = ("continuous", "legacy", "matlab")


def _check(boxes: Array, *, height: int, width: int, convention: str) -> None:
    check_boxes("clip_boxes", boxes=boxes)
    check_choice("clip_boxes", "convention", convention, CONVENTIONS)
    for name, size in {"height": height, "width": width}.items():
        integer("clip_boxes", name, size, low=0 if convention == "continuous" else 1, int64=True)


@kernel("clip_boxes", check=_check, portable=True)
def clip_boxes_kernel(boxes: Array, *, height: int, width: int, convention: str) -> Array:
    """Return the boxes with every coordinate moved to the nearest one that the image has."""
    first = 1 if convention == "matlab" else 0
    beyond = 1 if convention == "legacy" else 0
    x = np.maximum(np.minimum(boxes[:, 0::2], width - beyond), first)  # (N, 2): x1, x2
    y = np.maximum(np.minimum(boxes[:, 1::2], height - beyond), first)  # (N, 2): y1, y2
    return np.reshape(np.stack([x, y], axis=2), (len(boxes), 4))


def clip_boxes(boxes: Array, *, height: int, width: int, convention: str = "continuous") -> Array:
    """Cut boxes off at the border of an image.

    Args:
        boxes: (N, 4), rows (x1, y1, x2, y2), float32 or float64.
        height: of the image, in pixels.
        width: of the image, in pixels.
        convention: "continuous", "legacy" or "matlab": which coordinates lie inside (see the module).

    Returns:
        (N, 4), of the same dtype.

    >>> clip_boxes(np.array([[-5.0, 10, 25, 45]]), height=30, width=20)
    array([[ 0., 10., 20., 30.]])
    """
    height = integer("clip_boxes", "height", height, low=0, int64=True)
    width = integer("clip_boxes", "width", width, low=0, int64=True)
    return clip_boxes_kernel(boxes, height=height, width=width, convention=convention)

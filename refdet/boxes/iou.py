"""Intersection over union (IoU, the Jaccard index) of every box of one set with every box of another.

    side(a, b) = max(0, b − a + offset)
    area(p) = side(p.x1, p.x2) · side(p.y1, p.y2)
    inter(p, q) = side(max(p.x1, q.x1), min(p.x2, q.x2)) · side(max(p.y1, q.y1), min(p.y2, q.y2))
    iou(p, q) = inter(p, q) / (area(p) + area(q) − inter(p, q))

Everingham et al., "The PASCAL VOC challenge" (2010), §4.2; deck 001, which calls an IoU above 0.5 decent, above 0.7
pretty good, above 0.9 almost perfect. Deck 004 counts an overlap of more than one half as a success.

Conventions:

- `offset=0`: continuous coordinates, boxes that only touch have IoU 0. `offset=1`: x2 and y2 are the last pixel inside,
  as in R-CNN, Fast and Faster R-CNN and the VOC devkit; [0, 0, 9, 9] and [9, 0, 18, 9] share a column of pixels.
- A box with x2 + offset ≤ x1 or y2 + offset ≤ y1 is empty: its area is 0, never negative. (R-CNN and COCO do so;
  torchvision multiplies negative sides, and may return anything.)
- Two empty boxes, 0/0: 0, as in COCO and Fast R-CNN; with `empty="nan"` NaN, as in torchvision. (OpenCV returns 1.)
- A crowd region (COCO; Lin et al., 2014) stands for any number of objects: the box that is held against it is not
  blamed for what it leaves out, and the denominator is the area of that box alone, not of the union.
- A NaN coordinate gives NaN with every box; ∞ − ∞ and 0 · ∞ are NaN as well. Everything is computed in the dtype of the
  boxes: areas whose sum overflows count as +∞, so that the IoU is 0 where the intersection is finite, NaN where it is
  not; and a box whose area rounds to 0 is empty. In float32 that begins with sides of 10¹⁹ and 10⁻²³.
- Otherwise the result lies in [0, 1], rounding included, and is the same for (p, q) and (q, p).
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes, check_offset
from refdet.core.check import Array, check_booleans, check_choice, check_shape
from refdet.core.kernel import kernel

EMPTY = ("zero", "nan")
CHUNK_ELEMENTS = 2**22  # of the largest temporary, two sides for each pair: 32 MiB in float64


def _check(boxes: Array, others: Array, crowd: Array | None, *, offset: int, empty: str) -> None:
    check_boxes("box_iou", boxes=boxes, others=others)
    check_booleans("box_iou", crowd=crowd)
    if crowd is not None:
        check_shape("box_iou", "crowd", crowd, (len(others),), "one flag per row of others")
    check_offset("box_iou", offset)
    check_choice("box_iou", "empty", empty, EMPTY)


@kernel("box_iou", check=_check, portable=True)
def box_iou_kernel(boxes: Array, others: Array, crowd: Array | None, *, offset: int, empty: str) -> Array:
    """Return iou, (N, M), some rows at a time, so that no temporary exceeds CHUNK_ELEMENTS unless one row does."""
    n_rows = max(1, CHUNK_ELEMENTS // max(1, 2 * len(others)))
    starts = range(0, max(1, len(boxes)), n_rows)
    return np.concatenate([_iou_of_rows(boxes[i : i + n_rows], others, crowd, offset, empty) for i in starts])


def _iou_of_rows(boxes: Array, others: Array, crowd: Array | None, offset: int, empty: str) -> Array:
    p, q = boxes[:, None], others[None]  # (N, 1, 4), (1, M, 4)
    with np.errstate(over="ignore", invalid="ignore"):
        area_p, area_q = _area(p[..., :2], p[..., 2:], offset), _area(q[..., :2], q[..., 2:], offset)
        inter = _area(np.maximum(p[..., :2], q[..., :2]), np.minimum(p[..., 2:], q[..., 2:]), offset)  # (N, M)
        union = area_p + area_q - inter
        if crowd is not None:
            union = np.where(crowd, area_p, union)
        nothing = (inter == 0) & (union == 0)
        iou = inter / (union + nothing)  # 0 / (0 + 1)
    return np.where(nothing, np.nan, iou) if empty == "nan" else iou


def _area(top_left: Array, bottom_right: Array, offset: int) -> Array:
    """Return the areas between corners (..., 2); 0 where they have changed sides."""
    sides = np.maximum(bottom_right - top_left + offset, 0)
    areas: Array = sides[..., 0] * sides[..., 1]
    return areas


def box_iou(boxes: Array, others: Array, *, crowd: Array | None = None, offset: int = 0, empty: str = "zero") -> Array:
    """Measure how much each box overlaps each other box.

    Args:
        boxes: (N, 4), rows (x1, y1, x2, y2), float32 or float64.
        others: (M, 4), of the same dtype.
        crowd: (M,) booleans: columns in which the intersection is divided by the area of the row's box; None is none.
        offset: 0 for continuous coordinates, 1 where x2 and y2 are the last pixel inside.
        empty: "zero" or "nan": the value for two boxes without area.

    Returns:
        iou, (N, M), in the dtype of the boxes.

    Areas 4 and 4 with intersection 2, union 6; then a box inside; then one that only touches:

    >>> box_iou(np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 3, 2], [0, 0, 1, 1], [2, 0, 3, 2]]))
    array([[0.33333333, 0.25      , 0.        ]])
    """
    return box_iou_kernel(boxes, others, crowd, offset=check_offset("box_iou", offset), empty=empty)

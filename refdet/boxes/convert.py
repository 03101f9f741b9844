"""The three ways to write a box as four numbers, and the conversions between them.

| layout | the four numbers |
|---|---|
| xyxy | left, top, right, bottom: refdet's own |
| xywh | left, top, width, height: COCO's files |
| cxcywh | centre x, centre y, width, height: YOLO, and SSD's default boxes |

With w = x2 − x1 and cx = (x1 + x2)/2, likewise vertically:

    xyxy → xywh: x1, x2 − x1            xywh → xyxy: x, x + w            cxcywh → xyxy: cx − w/2, cx + w/2
    xyxy → cxcywh: (x1 + x2)/2, x2 − x1 xywh → cxcywh: x + w/2, w        cxcywh → xywh: cx − w/2, w

Conventions: coordinates are continuous. (Where x2 is the last pixel inside, the legacy convention, add 1 to x2 and
y2 before, or subtract 1 after.) Malformed boxes are converted like any other, so that x2 < x1 becomes a negative width.
NaN reaches the numbers that depend on it, ∞ − ∞ is one, and what overflows is ±∞, without a warning. Going there and
back gives the same box up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice
from refdet.core.kernel import kernel

LAYOUTS = ("xyxy", "xywh", "cxcywh")

# The two halves of a row, (x, y) and (x, y) or (w, h), each (N, 2).
_HALVES: dict[tuple[str, str], Callable[[Array, Array], tuple[Array, Array]]] = {
    ("xyxy", "xywh"): lambda start, end: (start, end - start),
    ("xyxy", "cxcywh"): lambda start, end: ((start + end) / 2, end - start),
    ("xywh", "xyxy"): lambda start, size: (start, start + size),
    ("xywh", "cxcywh"): lambda start, size: (start + size / 2, size),
    ("cxcywh", "xyxy"): lambda centre, size: (centre - size / 2, centre + size / 2),
    ("cxcywh", "xywh"): lambda centre, size: (centre - size / 2, size),
}


def _check(boxes: Array, *, source: str, target: str) -> None:
    check_boxes("convert_boxes", boxes=boxes)
    check_choice("convert_boxes", "source", source, LAYOUTS)
    check_choice("convert_boxes", "target", target, LAYOUTS)


@kernel("convert_boxes", check=_check, portable=True)
def convert_boxes_kernel(boxes: Array, *, source: str, target: str) -> Array:
    """Return the boxes in the layout `target`; a copy where that is `source`."""
    if source == target:
        return np.positive(boxes)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.concatenate(_HALVES[source, target](boxes[:, :2], boxes[:, 2:]), axis=1)


def convert_boxes(boxes: Array, *, source: str, target: str) -> Array:
    """Write boxes in another layout.

    Args:
        boxes: (N, 4), float32 or float64, in the layout `source`.
        source: "xyxy", "xywh" or "cxcywh".
        target: the same choices.

    Returns:
        (N, 4) in the layout `target`, of the same dtype.

    >>> convert_boxes(np.array([[10.0, 20, 30, 60]]), source="xyxy", target="cxcywh")
    array([[20., 40., 20., 40.]])
    """
    return convert_boxes_kernel(boxes, source=source, target=target)

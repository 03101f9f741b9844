"""Which boxes are large enough to be kept: the filter before non-maximum suppression.

| convention | kept | usual min_size |
|---|---|---|
| torchvision | w ≥ min_size and h ≥ min_size | 0.001 in the RPN, 0.01 behind the heads |
| detectron2 | w > min_size and h > min_size | 0 |
| py-faster | w + 1 ≥ min_size and h + 1 ≥ min_size | 16 times the factor by which the image was scaled |

with w = x2 − x1 and h = y2 − y1. Ren et al., "Faster R-CNN" (2015), and its code.

Conventions: the sides are computed and compared in the dtype of the boxes, to which min_size is rounded. A side that
is NaN (as ∞ − ∞ is) is not large enough. A negative one is not either, except by "py-faster" from −1 on, for a min_size
below 1.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice, check_number
from refdet.core.kernel import kernel

CONVENTIONS = ("torchvision", "detectron2", "py-faster")


def _check(boxes: Array, *, min_size: float, convention: str) -> None:
    check_boxes("large_enough", boxes=boxes)
    check_number("large_enough", "min_size", min_size, low=0)
    check_choice("large_enough", "convention", convention, CONVENTIONS)


@kernel("large_enough", check=_check, portable=True)
def large_enough_kernel(boxes: Array, *, min_size: float, convention: str) -> Array:
    """Return a boolean per box."""
    with np.errstate(over="ignore", invalid="ignore"):
        sides = boxes[:, 2:] - boxes[:, :2]  # (N, 2): w, h
    if convention == "py-faster":
        sides = sides + 1
    least = float(min_size)  # a float64 scalar of NumPy's would not be rounded to the dtype of the boxes
    enough = sides > least if convention == "detectron2" else sides >= least
    return enough[:, 0] & enough[:, 1]


def large_enough(boxes: Array, min_size: float, *, convention: str = "torchvision") -> Array:
    """Say which boxes have both sides of at least a given length.

    Args:
        boxes: (N, 4), rows (x1, y1, x2, y2), float32 or float64.
        min_size: the least side, 0 or more, in the unit of the boxes.
        convention: "torchvision", "detectron2" or "py-faster": what "at least" means (see the module).

    Returns:
        (N,) booleans.

    >>> large_enough(np.array([[0.0, 0, 4, 9], [0, 0, 3, 9]]), 4)
    array([ True, False])
    """
    least = check_number("large_enough", "min_size", min_size, low=0)
    return large_enough_kernel(boxes, min_size=least, convention=convention)

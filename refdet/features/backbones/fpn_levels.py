"""Which map of a feature pyramid looks at a region: the larger the region, the coarser the map.

    k = ⌊k₀ + log₂(√(w·h) / s₀)⌋, at least k_min and at most k_max

with k₀ = 4 for a region of s₀ = 224 pixels, the size of pictures in classification. Lin et al., "Feature pyramid
networks for object detection" (2017), eq. 1; P2 to P5 are the maps, P6 is for anchors alone.

A side just short of a power of two times s₀ is where programs part. Both add a little so that rounding errors do not
lower the level of the exact power, in different places:

| convention | | lowest side for k = 4, in float64 |
|---|---|---|
| paper | as above | 224 |
| torchvision | ⌊k₀ + log₂(√(w·h) / s₀) + 10⁻⁶⌋ | 224 · 2^(−10⁻⁶), 1.6·10⁻⁴ less |
| detectron2 | ⌊k₀ + log₂(√(w·h) / s₀ + 10⁻⁸)⌋ | 224 · (1 − 10⁻⁸), 2.2·10⁻⁶ less |

Conventions: computed from left to right in the dtype of the boxes, as in both programs; in float32 10⁻⁸ vanishes beside
1, and a logarithm above −10⁻⁷ beside 4. w = x2 − x1, h = y2 − y1; negative sides count as 0, and a region without area
goes to k_min, one whose area overflows to k_max. Boxes that are not finite are refused.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice, check_number, integer, integers

CONVENTIONS = ("paper", "torchvision", "detectron2")


def fpn_level(
    boxes: Array,
    *,
    levels: tuple[int, int] = (2, 5),
    canonical_level: int = 4,
    canonical_side: float = 224.0,
    convention: str = "torchvision",
) -> Array:
    """Return the level of the pyramid that each box is looked at on, (R,) int64.

    Args:
        boxes: (R, 4), (x1, y1, x2, y2) in pixels of the batch, float32 or float64.
        levels: k_min and k_max.
        canonical_level: k₀.
        canonical_side: s₀, in pixels.
        convention: "paper", "torchvision" or "detectron2" (see the module).

    Squares with sides of 223, 224 and 448 pixels:

    >>> fpn_level(np.array([[0.0, 0, 223, 223], [0, 0, 224, 224], [0, 0, 448, 448]]))
    array([3, 4, 5])
    """
    check_boxes("fpn_level", boxes=boxes)
    lowest, highest = integers("fpn_level", "levels", levels, count=2, low=0)
    if lowest > highest:
        raise ValueError(f"fpn_level: levels must be (lowest, highest), got {levels}")
    k0 = integer("fpn_level", "canonical_level", canonical_level, low=0)
    side = check_number("fpn_level", "canonical_side", canonical_side, low=0, open_low=True)
    check_choice("fpn_level", "convention", convention, CONVENTIONS)
    if not np.isfinite(boxes).all():
        row = int(np.argwhere(~np.isfinite(boxes))[0, 0])
        raise ValueError(f"fpn_level: box {row} is not finite: {np.asarray(boxes[row]).tolist()}")
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # ∞, the logarithm of 0, and 0 · ∞
        w, h = (boxes[:, 2:] - boxes[:, :2]).T
        area = np.where((w > 0) & (h > 0), w * h, 0).astype(boxes.dtype)
        ratio = np.sqrt(area) / side
        if convention == "paper":
            level = k0 + np.log2(ratio)
        elif convention == "torchvision":
            level = k0 + np.log2(ratio) + 1e-6
        else:
            level = k0 + np.log2(ratio + 1e-8)
    found: Array = np.clip(np.floor(level), lowest, highest).astype(np.int64)
    return found

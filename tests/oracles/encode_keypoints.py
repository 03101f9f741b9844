"""Where joints lie on an m x m grid over the box of their region.

    column = floor((x - x1) m / (x2 - x1)), or m - 1 where x = x2;    likewise row
    position = row m + column;    valid if visible and 0 <= column < m and 0 <= row < m, else position 0

Source: Mask R-CNN's code, Detectron, keypoints.py, keypoints_to_heatmap_labels. Places are found in exact fractions.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import rows
from tests.oracles._sums import Array


def forward(joints: Array, visible: Array, boxes: Array, *, side: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return positions and whether they are valid, both of shape (P, K)."""
    positions = np.zeros(joints.shape[:2], np.int64)
    valid = np.zeros(joints.shape[:2], bool)
    for p, (x1, y1, x2, y2) in enumerate(rows(boxes)):
        for k in range(joints.shape[1]):
            column = _place(float(joints[p, k, 0]), x1, x2, side)
            row = _place(float(joints[p, k, 1]), y1, y2, side)
            if bool(visible[p, k]) and column is not None and row is not None:
                positions[p, k], valid[p, k] = row * side + column, True
    return positions, valid


def _place(joint: float, start: float, end: float, side: int) -> int | None:
    """Return the row or column of a joint, None outside."""
    if joint == end:
        return side - 1
    if not all(math.isfinite(x) for x in (joint, start, end)) or start == end:
        return None
    place = math.floor((Fraction(joint) - Fraction(start)) * side / (Fraction(end) - Fraction(start)))
    return place if 0 <= place < side else None

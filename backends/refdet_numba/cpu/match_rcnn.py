"""Labels of proposals: the best IoU of each row is found in one pass over the table (`overlaps`), without copies."""

from __future__ import annotations

import numpy as np

from refdet.boxes.overlaps import COMPARISONS
from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.overlaps import largest


def match_rcnn(
    iou: Array, *, positive: float, negative_low: float, negative_high: float, comparison: str
) -> tuple[Array, Array]:
    """Return labels and matches, both (R,) int64."""
    best, matches, _, _ = largest(native(iou), np.zeros(len(iou), bool))
    labels = np.full(len(best), -1, np.int64)
    labels[(best >= float(negative_low)) & (best < float(negative_high))] = 0
    labels[COMPARISONS[comparison](best, float(positive))] = 1
    return labels, matches

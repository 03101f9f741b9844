"""Greedy non-maximum suppression from a matrix of overlaps.

    take the highest remaining score i; drop every remaining j with iou[i, j] > threshold; repeat

Equality survives, and so does an overlap that is NaN. Equal scores are taken by ascending index, NaN scores last. The
matrix need not be symmetric: its row is the box that was taken. Kept indices come in the order they are taken.

Source: Felzenszwalb et al., "Object Detection with Discriminatively Trained Part-Based Models", section 7.2; deck 001.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import descending
from tests.oracles._sums import Array


def forward(iou: Array, scores: Array, *, threshold: float) -> NDArray[np.int64]:
    """Return kept, shape (K,)."""
    remaining = descending(range(len(scores)), [float(s) for s in scores])
    kept = []
    while remaining:
        best = remaining.pop(0)
        kept.append(best)
        remaining = [i for i in remaining if not float(iou[best, i]) > threshold]
    return np.array(kept, dtype=np.int64)

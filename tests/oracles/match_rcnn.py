"""Which proposals are foreground (1), background (0) or ignored (-1) when a region classifier is trained.

    m = max over g of iou[r, g]:    1 if m >= positive (or >, as `comparison` says)
                                    0 else if negative_low <= m < negative_high
                                    -1 else

matches[r] is the first g with iou[r, g] = m, whatever the label. Without boxes m is 0, and the match -1. NaN overlaps
count as 0.

Source: Girshick, "Fast R-CNN", section 2.3; deck 001.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._matching import best, overlaps, reaches
from tests.oracles._sums import Array


def forward(
    iou: Array, *, positive: float, negative_low: float, negative_high: float, comparison: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (labels, matches), both of shape (R,)."""
    labels = np.full(len(iou), -1, dtype=np.int64)
    matches = np.full(len(iou), -1, dtype=np.int64)
    for r, row in enumerate(overlaps(iou)):
        largest, matches[r] = best(row)
        if reaches(largest, positive, comparison):
            labels[r] = 1
        elif negative_low <= largest < negative_high:
            labels[r] = 0
    return labels, matches

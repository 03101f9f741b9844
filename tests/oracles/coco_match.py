"""Greedy matching of the detections of one image and category with its ground truths, as COCO's evaluation does it.

At each threshold t, every detection d, in order of the rows, looks through the ground truths in order, with the bar at
min(t, 1 - 1e-10):

    a ground truth already taken at this t, and no crowd, is passed over;
    at the first ignored one the search ends, if a ground truth that is not ignored has been found;
    one whose iou reaches the bar is the find so far, and its iou the new bar: of equal ones the last is found.

The last find is the match. Detections come by descending score, ground truths with the ignored last. A NaN iou
matches nothing (in the source it would match everything, not being less than the bar).

Source: the COCO API, cocoeval.py, evaluateImg.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(
    iou: Array, ignored: Array, crowd: Array, *, thresholds: tuple[float, ...]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (matches (T, D), taken (T, G)): the match of each detection, the last detection of each truth, or -1."""
    n_detections, n_truths = iou.shape
    matches = np.full((len(thresholds), n_detections), -1, dtype=np.int64)
    taken = np.full((len(thresholds), n_truths), -1, dtype=np.int64)
    for t, threshold in enumerate(thresholds):
        for d in range(n_detections):
            bar, found = min(threshold, 1 - 1e-10), -1
            for g in range(n_truths):
                if taken[t, g] != -1 and not crowd[g]:
                    continue
                if found != -1 and not ignored[found] and ignored[g]:
                    break
                if float(iou[d, g]) >= bar:
                    bar, found = float(iou[d, g]), g
            if found != -1:
                matches[t, d] = found
                taken[t, found] = d
    return matches, taken

"""Which anchors are foreground (1), background (0) or ignored (-1) when a region proposal network is trained.

    1 if max over g of iou[a, g] >= positive (or >, as `comparison` says)
    1 if force_best and iou[a, g] = max over a' of iou[a', g] for some g: every anchor that attains it, not the first
    0 else if max over g of iou[a, g] < negative
    -1 else, and wherever `inside` is false

The first two rules outweigh the third. An anchor that is not inside takes no part in the maximum over a'. With
guard_zero a maximum of 0 forces nothing; without it, a box that no anchor touches makes a positive of every anchor that
does not overlap it. matches[a] is the first g with the largest iou[a, g], for every anchor, whatever its label; so a
forced anchor may be matched to another box than the one that forced it. Without boxes every match is -1 and every
anchor inside is background. NaN overlaps count as 0.

Source: Ren et al., "Faster R-CNN", section 3.1.2; deck 000 has > and deck 001 has >=.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._matching import best, overlaps, reaches
from tests.oracles._sums import Array


def forward(
    iou: Array,
    inside: Array | None,
    *,
    positive: float,
    negative: float,
    comparison: str,
    force_best: bool,
    guard_zero: bool,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return (labels, matches), both of shape (A,)."""
    n_anchors, n_boxes = iou.shape
    overlap = overlaps(iou)
    taking_part = [a for a in range(n_anchors) if inside is None or bool(inside[a])]
    labels = np.full(n_anchors, -1, dtype=np.int64)
    matches = np.full(n_anchors, -1, dtype=np.int64)

    for a in range(n_anchors):
        _, matches[a] = best(overlap[a])
    for a in taking_part:
        largest, _ = best(overlap[a])
        if n_boxes > 0 and reaches(largest, positive, comparison):
            labels[a] = 1
        elif n_boxes == 0 or largest < negative:
            labels[a] = 0
    for g in range(n_boxes):
        largest, _ = best([overlap[a][g] for a in taking_part])
        if force_best and (largest > 0 or not guard_zero):
            for a in taking_part:
                if overlap[a][g] == largest:
                    labels[a] = 1
    return labels, matches

"""Intersection over union of run-length coded masks, every detection with every ground truth.

    iou[d, g] = |D and G| / |D or G|          or, where g is a crowd,        iou[d, g] = |D and G| / |D|

counted pixel by pixel in the decoded masks; 0 where the two have no pixel in common, so also where both are empty.
Mask d has the counts[starts[d]:starts[d+1]], mask g the other_counts[other_starts[g]:other_starts[g+1]]; all masks
have the same size (H, W).

Source: the COCO API, maskApi.c, rleIou.
"""

import numpy as np

from tests.oracles import rle_decode
from tests.oracles._sizes import Pair
from tests.oracles._sums import Array, Float64Array


def forward(
    counts: Array, starts: Array, other_counts: Array, other_starts: Array, crowd: Array | None, *, size: Pair
) -> Float64Array:
    """Return iou, of shape (D, G)."""
    detections = _masks(counts, starts, size)
    ground_truths = _masks(other_counts, other_starts, size)
    iou = np.zeros((len(detections), len(ground_truths)))
    for d, g in np.ndindex(iou.shape):
        intersection = area = union = 0
        for detected, true in zip(detections[d], ground_truths[g], strict=True):
            intersection += detected and true
            area += detected
            union += detected or true
        if intersection > 0:
            is_crowd = crowd is not None and bool(crowd[g])
            iou[d, g] = intersection / (area if is_crowd else union)
    return iou


def _masks(counts: Array, starts: Array, size: Pair) -> list[list[bool]]:
    """Return the pixels of each mask, row by row."""
    masks = []
    for i in range(len(starts) - 1):
        mask = rle_decode.forward(counts[int(starts[i]) : int(starts[i + 1])], size=size)
        masks.append([bool(pixel) for pixel in mask.flat])
    return masks

"""Verdicts on the detections of one class over all images: 1 true, 0 false, -1 not counted.

The detections are judged one after the other, in order of the rows. Each is held against the candidates among the
truths of its image; the one of greatest IoU, the first of equal ones, decides. It passes if IoU > threshold (comparison
">") or IoU >= threshold (">=").

    candidates     the candidates are          the decisive truth passes and is            verdict
    "unmatched"    the truths not yet taken    difficult                                   -1
                                               otherwise                                    1, and it is taken
    "all"          all truths                  difficult                                   -1
                                               already taken                                0
                                               otherwise                                    1, and it is taken

No candidate, or none that passes: 0. A difficult truth is never taken. IoU is that of boxes (x1, y1, x2, y2) of width
max(0, x2 - x1 + offset), and 0 / 0 = 0; a NaN coordinate makes the truth no candidate.

Source: "all": Everingham et al., the development kit of the Pascal VOC challenge, VOCevaldet.m.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(
    boxes: Array,
    image_ids: Array,
    truths: Array,
    truth_image_ids: Array,
    difficult: Array,
    *,
    threshold: float,
    comparison: str,
    candidates: str,
    offset: int,
) -> NDArray[np.int64]:
    """Return the verdicts, of shape (D,)."""
    verdicts = np.zeros(len(boxes), dtype=np.int64)
    taken: set[int] = set()
    for d in range(len(boxes)):
        best, decisive = -math.inf, -1
        for g in range(len(truths)):
            elsewhere = int(truth_image_ids[g]) != int(image_ids[d])
            if elsewhere or (candidates == "unmatched" and g in taken):
                continue
            iou = _iou([float(x) for x in boxes[d]], [float(x) for x in truths[g]], offset)
            if iou > best:
                best, decisive = iou, g
        passes = best >= threshold if comparison == ">=" else best > threshold
        if decisive == -1 or not passes:
            continue
        if difficult[decisive]:
            verdicts[d] = -1
        elif decisive not in taken:
            verdicts[d] = 1
            taken.add(decisive)
    return verdicts


def _iou(box: list[float], other: list[float], offset: int) -> float:
    """Return the intersection over union; NaN where a coordinate is."""
    if any(math.isnan(coordinate) for coordinate in box + other):
        return math.nan
    overlap = [max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3])]
    intersection = _area(overlap, offset)
    union = _area(box, offset) + _area(other, offset) - intersection
    return intersection / union if union > 0 else 0.0


def _area(box: list[float], offset: int) -> float:
    return max(0.0, box[2] - box[0] + offset) * max(0.0, box[3] - box[1] + offset)

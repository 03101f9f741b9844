"""Intersection over union as COCO's evaluation has it, of boxes (x, y, w, h).

    i_w = min(x_d + w_d, x_g + w_g) - max(x_d, x_g),    i_h likewise,    i = i_w i_h
    u = w_d h_d + w_g h_g - i          or, where g is a crowd,        u = w_d h_d
    iou[d, g] = i / u,    0 where i_w <= 0 or i_h <= 0

A NaN coordinate in either box gives NaN. The order of the operations is that of the source, so that results next to
a threshold fall on the same side of it.

Source: the COCO API, maskApi.c, bbIou.
"""

import math

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array


def forward(detections: Array, ground_truths: Array, crowd: Array) -> Float64Array:
    """Return iou, of shape (D, G)."""
    iou = np.zeros((len(detections), len(ground_truths)))
    for d, g in np.ndindex(iou.shape):
        box = [float(coordinate) for coordinate in detections[d]]
        truth = [float(coordinate) for coordinate in ground_truths[g]]
        iou[d, g] = _iou(box, truth, bool(crowd[g]))
    return iou


def _iou(box: list[float], truth: list[float], is_crowd: bool) -> float:
    if any(math.isnan(coordinate) for coordinate in box + truth):
        return math.nan
    width = min(box[2] + box[0], truth[2] + truth[0]) - max(box[0], truth[0])
    height = min(box[3] + box[1], truth[3] + truth[1]) - max(box[1], truth[1])
    if width <= 0 or height <= 0:
        return 0.0
    intersection = width * height
    area, truth_area = box[2] * box[3], truth[2] * truth[3]
    return quotient(intersection, area if is_crowd else area + truth_area - intersection)

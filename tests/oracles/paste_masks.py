"""Pasting the m x m mask of each box into a picture.

detectron2: the pixel whose centre is (x + 1/2, y + 1/2) is looked up in the mask, whose cells are unit squares that
the box is divided into, by bilinear interpolation between cell centres; cells that do not exist are 0.

    u = (x + 1/2 - x1) m / (x2 - x1) - 1/2,    value = sum_j max(0, 1 - |u - j|) mask[j]   along each axis
    object where value >= threshold; nothing for a box without area

detectron1: the mask gets a frame of zeros one cell wide, M = m + 2, and the box grows by M/m about its centre. Its
corners are truncated towards 0 and are pixels, the first and the last: w = last - first + 1, at least 1. The framed
mask is resized to w pixels, bilinear with half-pixel centres and repeated borders.

    object where value > threshold; torchvision: where value >= threshold

Pixels outside the picture are cut off; boxes that are not finite have none.

Source: He et al., "Mask R-CNN", section 3.1; Detectron2, mask_ops.py; Detectron, test.py, segm_results; torchvision,
roi_heads.py, paste_mask_in_image. Coordinates are exact fractions.
"""

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import rows
from tests.oracles._sums import Array, exact_sum

HALF = Fraction(1, 2)
Weights = list[tuple[int, Fraction]]  # of cells


def forward(
    masks: Array, boxes: Array, *, size: tuple[int, int], convention: str, threshold: float
) -> NDArray[np.bool_]:
    """Return the pixels of each object, shape (D, H, W)."""
    values = soft(masks, boxes, size=size, convention=convention)
    pasted = np.zeros(values.shape, bool)
    for index in np.ndindex(values.shape):
        value = float(values[index])
        pasted[index] = value > threshold if convention == "detectron1" else value >= threshold
    return pasted


def soft(masks: Array, boxes: Array, *, size: tuple[int, int], convention: str) -> NDArray[np.float64]:
    """Return the values before they are compared, shape (D, H, W)."""
    m = masks.shape[1]
    look = _by_centres if convention == "detectron2" else _by_whole_pixels
    pasted = np.zeros((len(masks), *size))
    for d, (x1, y1, x2, y2) in enumerate(rows(boxes)):
        for y in range(size[0]):
            for x in range(size[1]):
                terms = [
                    float(wy * wx) * float(masks[d, i, j])
                    for i, wy in look(y, y1, y2, m)
                    for j, wx in look(x, x1, x2, m)
                ]
                pasted[d, y, x] = exact_sum(terms)
    return pasted


def _by_centres(pixel: int, start: float, end: float, m: int) -> Weights:
    if not (math.isfinite(start) and math.isfinite(end)) or end <= start:
        return []
    a, b = Fraction(start), Fraction(end)
    u = (pixel + HALF - a) * m / (b - a) - HALF
    return [(j, 1 - abs(u - j)) for j in range(m) if abs(u - j) < 1]


def _by_whole_pixels(pixel: int, start: float, end: float, m: int) -> Weights:
    if not (math.isfinite(start) and math.isfinite(end)):
        return []
    a, b = Fraction(start), Fraction(end)
    grown = (b - a) / 2 * (m + 2) / m
    first, last = math.trunc((a + b) / 2 - grown), math.trunc((a + b) / 2 + grown)
    if not first <= pixel <= last:
        return []
    u = (pixel - first + HALF) * (m + 2) / max(last - first + 1, 1) - HALF
    before = math.floor(u)
    weights = []
    for framed, weight in ((before, 1 - (u - before)), (before + 1, u - before)):
        cell = min(max(framed, 0), m + 1) - 1
        if 0 <= cell < m and weight:
            weights.append((cell, weight))
    return weights

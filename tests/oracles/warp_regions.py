"""Regions of a picture with context, warped to squares.

The box (x1, y1, x2, y2) has, along x, the centre (x1 + x2)/2 and the half width h = (x2 - x1)/2; along y likewise. With
the side S of the square, the padding p and s = S/(S - 2p), the window has along either axis

    first = round(centre - s h)        last = round(centre + s h)        both inside, halves away from zero

with the larger h along both axes for "square". With "warp" and p = 0 it is round(x1) ... round(x2 - 1).

The window has n = last - first + 1 pixels, of which the picture has m, from max(first, 0) on. They are resized to
size = round(m S/n) pixels, and stand in the square from pad = round(max(0, -first) S/n) on; where pad + size > S,
size = S - pad. Output i of the resized pixels is read at (i + 1/2) m/size - 1/2 of these m pixels, linearly between
the two around it, and at the first or last where it is outside. The mean is subtracted there; all else is 0, all of it
where m or size is less than 1.

All windows are computed in fractions. Source: Girshick et al., "Rich feature hierarchies for accurate object detection
and semantic segmentation", appendix A; the authors' rcnn_im_crop.m.
"""

import math
from fractions import Fraction

import numpy as np

from tests.oracles._sums import Array


def forward(image: Array, boxes: Array, mean: Array, *, side: int, padding: int, convention: str) -> Array:
    """Return the squares (R, S, S, C) of a picture (H, W, C), its boxes (R, 4) and a mean (S, S, C)."""
    height, width, channels = image.shape
    warped = np.zeros((len(boxes), side, side, channels), image.dtype)
    for r in range(len(boxes)):
        x1, y1, x2, y2 = (Fraction(float(coordinate)) for coordinate in boxes[r])
        half_width, half_height = (x2 - x1) / 2, (y2 - y1) / 2
        if convention == "square":
            half_width = half_height = max(half_width, half_height)
        keeps = convention == "warp" and padding == 0
        column = _axis(x1, x2, half_width, width, side, padding, keeps)
        row = _axis(y1, y2, half_height, height, side, padding, keeps)
        for i in range(side):
            for j in range(side):
                if i not in row or j not in column:
                    continue
                for c in range(channels):
                    terms = [float(row[i][y] * column[j][x]) * float(image[y, x, c]) for y in row[i] for x in column[j]]
                    warped[r, i, j, c] = math.fsum(terms) - float(mean[i, j, c])
    return warped


def _axis(
    start: Fraction, end: Fraction, half: Fraction, n_pixels: int, side: int, padding: int, keeps: bool
) -> dict[int, dict[int, Fraction]]:
    """Return, for every output that shows the picture, the pixels that it reads and their weights."""
    if keeps:
        first, last = _rounded(start), _rounded(end - 1)
    else:
        grown = half * Fraction(side, side - 2 * padding)
        first, last = _rounded((start + end) / 2 - grown), _rounded((start + end) / 2 + grown)
    n = last - first + 1
    begin = max(first, 0)
    m = min(last, n_pixels - 1) - begin + 1
    if m < 1:
        return {}
    pad = _rounded(Fraction(max(0, -first) * side, n))
    size = _rounded(Fraction(m * side, n))
    if pad + size > side:
        size = side - pad
    outputs = {}
    for i in range(size):
        place = (i + Fraction(1, 2)) * Fraction(m, size) - Fraction(1, 2)
        place = min(max(place, Fraction(0)), Fraction(m - 1))
        before = math.floor(place)
        weights = {begin + before: 1 - (place - before)}
        if place > before:
            weights[begin + before + 1] = place - before
        outputs[pad + i] = weights
    return outputs


def _rounded(x: Fraction) -> int:
    """Return the nearest integer, halves away from zero."""
    nearest = math.floor(abs(x) + Fraction(1, 2))
    return nearest if x >= 0 else -nearest

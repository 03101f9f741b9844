"""Sums over many boxes of one field, from the sums over all boxes that start at its corner.

    I(x, y) = Σ field over columns < x and rows < y
    Σ field over columns x0 … x1 and rows y0 … y1 = I(x0, y0) + I(x1 + 1, y1 + 1) − I(x1 + 1, y0) − I(x0, y1 + 1)

Crow, "Summed-area tables for texture mapping" (1984). Sums are rounded in the dtype of the field, in the order written
here and below, which is that of EdgeBoxes in OpenCV.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array


def integral_image(field: Array) -> Array:
    """Return I[y, x] = Σ field[:y, :x], (H + 1, W + 1), as ((field + I left) + I above) − I left above.

    All pixels with the same x + y are computed at once: a pixel needs only its neighbours on the two diagonals before.
    """
    H, W = field.shape
    field = np.ascontiguousarray(field, np.result_type(field)).ravel()
    integral = np.zeros((H + 1) * (W + 1), field.dtype)
    for diagonal in range(H + W - 1 if field.size else 0):
        y, n = max(0, diagonal - W + 1), min(diagonal, H - 1) - max(0, diagonal - W + 1) + 1  # first row, length
        first, stride = y * (W + 1) + diagonal - y, W  # one row down and one column back is W further on
        above_left, above, left, here = (
            integral[first + step : first + step + stride * (n - 1) + 1 : stride] for step in (0, 1, W + 1, W + 2)
        )
        pixel = y * W + diagonal - y
        here[:] = field[pixel : pixel + (W - 1) * (n - 1) + 1 : max(1, W - 1)] + left + above - above_left
    return integral.reshape(H + 1, W + 1)


def sums_within(integral: Array, boxes: Array) -> Array:
    """Return the sum of the field over each box, both ends included, (B,); 0 where the box is empty."""
    x0, y0, x1, y1 = boxes.T
    sums = integral[y0, x0] + integral[y1 + 1, x1 + 1] - integral[y0, x1 + 1] - integral[y1 + 1, x0]
    return np.where((x1 >= x0) & (y1 >= y0), sums, 0).astype(integral.dtype)

"""Windows of the image projected onto its feature map.

The box (x1, y1, x2, y2) has the pixels x1 ... x2 - 1 of a row, counted from 0, and y1 ... y2 - 1 of a column. Along
either axis its responses are left ... right, both included:

    "paper"       pixels and responses counted from 0
                  left  = floor(first / S) + 1
                  right = ceil(last / S) - 1
    "released"    pixels and responses counted from 1
                  left  = floor((first - first_centre + margin) / S + 1/2) + 1
                  right = ceil((last - first_centre - margin) / S - 1/2) + 1

If left > right both become (left + right) / 2, counted from 0 and rounded towards zero. Then each is clamped to the
map, and the window comes back half-open, counted from 0. The formulas are evaluated in float64 as they stand; infinite
or NaN coordinates and an empty map are not defined. A box that ends before it begins goes through the same formulas.
"paper" has no use for first_centre and margin.

Source: He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition", appendix A; the
authors' released program.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array


def forward(
    boxes: Array, *, stride: int, size: tuple[int, int], convention: str, first_centre: float, margin: float
) -> NDArray[np.int64]:
    """Return the windows (x1, y1, x2, y2) on the map of `size` (H, W), of shape (R, 4)."""
    height, width = size
    windows = np.zeros((len(boxes), 4), dtype=np.int64)
    for r in range(len(boxes)):
        x1, y1, x2, y2 = (float(coordinate) for coordinate in boxes[r])
        for axis, start, end, limit in ((0, x1, x2, width), (1, y1, y2, height)):
            if convention == "paper":
                left, right = _paper(start, end - 1, stride)
            else:  # the first pixel, counted from 1, is start + 1; the last is end
                left, right = _released(start + 1, end, stride, first_centre, margin)
                left, right = left - 1, right - 1
            if left > right:
                left = right = _half(left + right)
            windows[r, axis] = min(max(left, 0), limit - 1)
            windows[r, axis + 2] = min(max(right, 0), limit - 1) + 1
    return windows


def _paper(first: float, last: float, stride: int) -> tuple[int, int]:
    return math.floor(first / stride) + 1, math.ceil(last / stride) - 1


def _released(first: float, last: float, stride: int, first_centre: float, margin: float) -> tuple[int, int]:
    left = math.floor((first - first_centre + margin) / stride + 0.5) + 1
    right = math.ceil((last - first_centre - margin) / stride - 0.5) + 1
    return left, right


def _half(total: int) -> int:
    """Return half of `total`, rounded towards zero."""
    return total // 2 if total >= 0 else -(-total // 2)

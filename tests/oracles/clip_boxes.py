"""Boxes moved into the image, coordinate by coordinate.

                  x                y
    continuous    0 ... W          0 ... H
    legacy        0 ... W - 1      0 ... H - 1       x2 is the last pixel
    matlab        1 ... W          1 ... H           and pixels count from 1

    clipped = min(max(x, low), high)

so that for an image without pixels, where low may exceed high, high wins. NaN stays NaN.
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array


def forward(boxes: Array, *, height: int, width: int, convention: str) -> Float64Array:
    """Return the clipped boxes, shape (N, 4)."""
    low = 1 if convention == "matlab" else 0
    less = 1 if convention == "legacy" else 0
    y = np.zeros((len(boxes), 4))
    for i, k in np.ndindex(y.shape):
        high = (width if k in (0, 2) else height) - less
        value = float(boxes[i, k])
        value = low if value < low else value
        y[i, k] = high if value > high else value
    return y

"""Where boxes are in the mirror image of a picture, left and right exchanged."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array


def mirrored_boxes(boxes: Array, width: int) -> Array:
    """Return (W − x2, y1, W − x1, y2) of half-open boxes (B, 4), W being the width of the picture.

    >>> mirrored_boxes(np.array([[1.0, 2, 4, 8]]), 10)
    array([[6., 2., 9., 8.]])
    """
    x1, y1, x2, y2 = boxes.T
    return np.stack([width - x2, y1, width - x1, y2], axis=1)

"""Boxes from one layout into another.

    xyxy      the corners x1, y1, x2, y2
    xywh      the corner x1, y1 and the size w = x2 - x1, h = y2 - y1
    cxcywh    the centre (x1 + x2) / 2, (y1 + y2) / 2, and the size

The centre of an xywh box is x + w/2; its far corner x + w. The corners of a cxcywh box are cx - w/2 and cx + w/2. From
a layout into itself nothing changes. Sizes may come out negative: nothing is reordered.
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array


def forward(boxes: Array, *, source: str, target: str) -> Float64Array:
    """Return the boxes, shape (N, 4)."""
    y = np.zeros((len(boxes), 4))
    for i in range(len(boxes)):
        for axis in (0, 1):
            first, second = float(boxes[i, axis]), float(boxes[i, axis + 2])
            y[i, axis], y[i, axis + 2] = _convert(first, second, source, target)
    return y


def _convert(first: float, second: float, source: str, target: str) -> tuple[float, float]:
    """Convert the two numbers that a box has along one axis."""
    match (source, target):
        case ("xyxy", "xywh"):
            return first, second - first
        case ("xyxy", "cxcywh"):
            return (first + second) / 2, second - first
        case ("xywh", "xyxy"):
            return first, first + second
        case ("xywh", "cxcywh"):
            return first + second / 2, second
        case ("cxcywh", "xyxy"):
            return first - second / 2, first + second / 2
        case ("cxcywh", "xywh"):
            return first - second / 2, second
        case _:
            return first, second

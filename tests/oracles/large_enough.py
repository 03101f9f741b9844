"""Which boxes have both sides at least the minimum size.

    torchvision    w >= min_size      and  h >= min_size,      w = x2 - x1
    detectron2     w > min_size       and  h > min_size
    py-faster      w + 1 >= min_size  and  h + 1 >= min_size

A NaN side is not large enough.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import rows
from tests.oracles._sums import Array


def forward(boxes: Array, *, min_size: float, convention: str) -> NDArray[np.bool_]:
    """Return a boolean for every box, shape (N,)."""
    return np.array([all(_passes(side, min_size, convention) for side in _sides(box)) for box in rows(boxes)], bool)


def _sides(box: tuple[float, float, float, float]) -> tuple[float, float]:
    x1, y1, x2, y2 = box
    return x2 - x1, y2 - y1


def _passes(side: float, min_size: float, convention: str) -> bool:
    if convention == "detectron2":
        return side > min_size
    return side + (1 if convention == "py-faster" else 0) >= min_size

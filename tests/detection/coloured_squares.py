"""Pictures on which a tiny detector can learn something: one coloured square each, on grey noise."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.data.sample import Sample

CLASS_NAMES = ("background", "red", "green")


def coloured_square(i: int, *, side: int = 32) -> Sample:
    """Return picture i with one square of 8 to 15 pixels, of class 1 (red) or 2 (green), and proposals around it.

    The proposals are the square moved by up to 2 pixels, four times, and eight random boxes.
    """
    rng = np.random.default_rng(i)
    size, label = int(rng.integers(8, 16)), 1 + i % 2
    x, y = rng.integers(0, side - size, 2)
    image = rng.integers(90, 140, (side, side, 3)).astype(np.uint8)
    image[y : y + size, x : x + size] = [230, 20, 20] if label == 1 else [20, 230, 20]
    box = np.array([[x, y, x + size, y + size]], np.float32)
    near = np.clip(box + rng.integers(-2, 3, (4, 4)), 0, side)
    corners = rng.integers(0, side - 8, (8, 2))
    far = np.concatenate([corners, corners + rng.integers(6, 9, (8, 2))], axis=1)
    classes = np.array([label])
    proposals: Array = np.concatenate([near, far]).astype(np.float32)
    return Sample(f"square {i}", image, box, classes, classes == 0, proposals=proposals)


def without_objects(sample: Sample) -> Sample:
    """Return the picture as one in which nothing is known to be."""
    none = np.zeros(0, np.int64)
    return Sample(sample.name, sample.image, np.zeros((0, 4), np.float32), none, none == 0, proposals=sample.proposals)

"""What compiled code is told of regions of interest; it does not check what it is given."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native


def region_numbers(op: str, rois: Array, n_images: int) -> tuple[Array, Array]:
    """Return the images (R,), int64, and the boxes (R, 4), float64; refuse what the public ops refuse."""
    numbers = native(rois, np.float64)
    images = numbers[:, 0].astype(np.int64)
    if images.size and not (np.all(np.isfinite(numbers)) and np.min(images) >= 0 and np.max(images) < n_images):
        raise ValueError(f"{op}: rois must be finite, and their images among the {n_images} of x")
    return images, np.ascontiguousarray(numbers[:, 1:])

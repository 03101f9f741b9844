"""What a picture's numbers mean to the algorithms that segment it.

    uint8        0 … 255, as they are
    float32, 64  in [0, 1], times 255

so that the thresholds of the papers, which are made for 0 … 255, mean the same for both. Everything after is float64.
A picture is (H, W) or (H, W, C), channels last as in a file; (H, W) is one channel.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, is_array, not_an_array, shape_of


def intensities(op: str, image: Array) -> Array:
    """Return (H, W, C) in float64 from 0 to 255; refuse floats outside [0, 1], and NaN.

    >>> intensities("doctest", np.array([[0.0, 1.0]])).shape, intensities("doctest", np.array([[0.0, 1.0]])).max()
    ((1, 2, 1), np.float64(255.0))
    """
    if not is_array(image):
        raise not_an_array(op, "image", image)
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] == 0):
        raise ValueError(f"{op}: image must be (H, W) or (H, W, C) with C ≥ 1, got shape {shape_of(image)}")
    is_float = image.dtype.kind == "f" and image.dtype.itemsize in (4, 8)
    if image.dtype != np.uint8 and not is_float:
        raise TypeError(
            f"{op}: image must be uint8 in 0 … 255, or float32 or float64 in [0, 1], got {image.dtype.name}"
        )
    values = image.astype(np.float64)
    if is_float:
        outside = ~((values >= 0) & (values <= 1))  # NaN too
        if outside.any():
            raise ValueError(f"{op}: a floating-point image must lie in [0, 1], got {values[outside][0]:g}")
        values = values * 255
    return values[:, :, None] if image.ndim == 2 else values


def rgb_intensities(op: str, image: Array) -> Array:
    """Return (H, W, 3) in float64 from 0 to 255; one grey channel is repeated."""
    values = intensities(op, image)
    if values.shape[2] not in (1, 3):
        raise ValueError(f"{op}: image must be grey or have three channels, got shape {shape_of(image)}")
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values

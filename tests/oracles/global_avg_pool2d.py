"""Global average pooling.

    y[n, c] = (1 / HW) * sum_{i, j} x[n, c, i, j]

A plane without pixels gives 0/0 = NaN. Every pixel receives dy / HW.

Source: Lin, Chen and Yan, "Network In Network", section 3.2.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(x: Array, *, keepdims: bool) -> Float64Array:
    """Return y, shape (N, C), or (N, C, 1, 1) with `keepdims`."""
    n_images, n_channels, height, width = x.shape
    y = np.full((n_images, n_channels), math.nan)
    if height * width > 0:
        for n, c in np.ndindex(y.shape):
            y[n, c] = exact_sum(float(x[n, c, i, j]) for i, j in np.ndindex(height, width)) / (height * width)
    return y.reshape(n_images, n_channels, 1, 1) if keepdims else y


def backward(x: Array, *, dy: Array, keepdims: bool) -> tuple[Float64Array]:
    """Return (dx,)."""
    n_pixels = x.shape[2] * x.shape[3]
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(x.shape):
        dx[n, c, i, j] = float(dy[n, c, 0, 0] if keepdims else dy[n, c]) / n_pixels
    return (dx,)

"""Global max pooling, with the place of the maximum (its "switch").

    y[n, c] = max_{i, j} x[n, c, i, j],    switches[n, c] = i * W + j of the winner

The first maximum in row-major order wins; a NaN beats every number, and the first NaN wins. A plane without pixels has
y = -inf and switch -1. The winner takes the whole gradient.

Source: Oquab et al., "Is object localization for free?", section 3.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, keepdims: bool) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return (y, switches), both of shape (N, C), or (N, C, 1, 1) with `keepdims`."""
    n_images, n_channels, height, width = x.shape
    shape = (n_images, n_channels, 1, 1) if keepdims else (n_images, n_channels)
    y = np.full(shape, -math.inf)
    switches = np.full(shape, -1, dtype=np.int64)
    for n, c, *one in np.ndindex(shape):  # one is (0, 0) or ()
        best, switch = -math.inf, -1
        for i, j in np.ndindex(height, width):
            value = float(x[n, c, i, j])
            first_nan = math.isnan(value) and not math.isnan(best)
            if switch == -1 or value > best or first_nan:
                best, switch = value, i * width + j
        y[n, c, *one] = best
        switches[n, c, *one] = switch
    return y, switches


def backward(x: Array, *, dy: Array, keepdims: bool) -> tuple[Float64Array]:
    """Return (dx,); dy belongs to y."""
    _, switches = forward(x, keepdims=keepdims)
    dx = np.zeros(x.shape)
    for index in np.ndindex(dy.shape):
        if switches[index] != -1:
            i, j = divmod(int(switches[index]), x.shape[3])
            dx[*index[:2], i, j] = float(dy[index])
    return (dx,)

"""Local response normalisation within each channel, over a square of pixels.

    y_p = x_p / S_p^beta,    S_p = k + (alpha / size^2) sum_{q in W(p)} x_q^2
    dy_p/dx_q = delta_pq S_p^-beta - 2 (alpha / size^2) beta x_p x_q S_p^(-beta - 1) [q in W(p)]

W(p) is the size x size square around pixel p, clipped at the image border; size is odd, and the divisor stays size^2.

Source: Caffe, lrn_layer.cpp, WITHIN_CHANNEL (k is 1 there).
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._ieee import power
from tests.oracles._sums import Array, Float64Array, Index, exact_sum, scatter_sum


def forward(x: Array, *, size: int, alpha: float, beta: float, k: float) -> Float64Array:
    """Return y, the shape of x."""
    y = np.empty(x.shape)
    for p in np.ndindex(x.shape):
        scale = k + alpha / size**2 * exact_sum(float(x[q]) * float(x[q]) for q in _window(p, x.shape, size))
        y[p] = float(x[p]) * power(scale, -beta)
    return y


def backward(x: Array, *, dy: Array, size: int, alpha: float, beta: float, k: float) -> tuple[Float64Array]:
    """Return (dx,)."""

    def terms() -> Iterator[tuple[Index, float]]:
        for p in np.ndindex(x.shape):
            window = _window(p, x.shape, size)
            scale = k + alpha / size**2 * exact_sum(float(x[q]) * float(x[q]) for q in window)
            own, slope = power(scale, -beta), power(scale, -beta - 1)
            for q in window:
                shared = 2 * alpha / size**2 * beta * float(x[p]) * float(x[q]) * slope
                yield q, float(dy[p]) * (own * (q == p) - shared)

    return (scatter_sum(x.shape, terms()),)


def _window(index: Index, shape: Index, size: int) -> list[Index]:
    """Return the indices of the pixels in the window of this element."""
    n, c, i, j = index
    reach = size // 2
    rows = [row for row in range(i - reach, i + reach + 1) if 0 <= row < shape[2]]
    columns = [column for column in range(j - reach, j + reach + 1) if 0 <= column < shape[3]]
    return [(n, c, row, column) for row in rows for column in columns]

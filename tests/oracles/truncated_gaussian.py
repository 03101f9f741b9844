"""A Gaussian filter on an image, cut off at a radius and not normalised.

    y[i, j, c] = sum over rows p, columns q of exp(-1/2 ((i - p)^2 / sigma_y^2 + (j - q)^2 / sigma_x^2)) x[p, q, c]

over |i - p| <= ceil(truncate sigma_y), |j - q| <= ceil(truncate sigma_x); pixels outside the image count as 0.

Source: deck 004 (its Gaussian kernel on positions); Kraehenbuehl and Koltun, NIPS 2011, for cutting it off.
"""

import math
from collections.abc import Iterator

from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(values: Array, *, sigma: tuple[float, float], truncate: float) -> Float64Array:
    """Return y, shape (H, W, V)."""
    taps = _taps(values.shape, sigma, truncate)
    return scatter_sum(values.shape, ((output, k * float(values[source])) for output, source, k in taps))


def backward(values: Array, *, dy: Array, sigma: tuple[float, float], truncate: float) -> tuple[Float64Array]:
    """Return (dvalues,)."""
    taps = _taps(values.shape, sigma, truncate)
    return (scatter_sum(values.shape, ((source, k * float(dy[output])) for output, source, k in taps)),)


def _taps(shape: Index, sigma: tuple[float, float], truncate: float) -> Iterator[tuple[Index, Index, float]]:
    """Yield (output, source, weight) of every term of the sum."""
    height, width, n_channels = shape
    reach_y, reach_x = (math.ceil(truncate * s) for s in sigma)
    for i in range(height):
        for j in range(width):
            for p in range(max(i - reach_y, 0), min(i + reach_y + 1, height)):
                for q in range(max(j - reach_x, 0), min(j + reach_x + 1, width)):
                    k = math.exp(-0.5 * (((i - p) / sigma[0]) ** 2 + ((j - q) / sigma[1]) ** 2))
                    for c in range(n_channels):
                        yield (i, j, c), (p, q, c), k

"""Max pooling of a whole map into a pyramid of grids, with the place of every maximum.

For each n in `levels`, bin (i, j) of an n by n grid has

    rows floor(i H / n) ... ceil((i + 1) H / n), the end exclusive, and columns likewise with j and W

Bins overlap where n does not divide the side, and repeat where n exceeds it; none is empty unless the map is. A row of
y is level after level, in the order given, and within a level (channel, i, j). switches holds row * W + column of the
winner: the first maximum in row-major order. A NaN beats every number, and the first NaN wins. A map without pixels
has y = -inf and switch -1. The winner takes the whole gradient.

Source: He et al., "Spatial Pyramid Pooling in Deep Convolutional Networks", section 2.2.
"""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, scatter_sum


def forward(x: Array, *, levels: tuple[int, ...]) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return (y, switches), both of shape (N, C sum n^2)."""
    n_images, n_channels, height, width = x.shape
    bins = list(_bins(n_channels, levels))
    y = np.full((n_images, len(bins)), -math.inf)
    switches = np.full(y.shape, -1, dtype=np.int64)
    for image in range(n_images):
        for place, (c, i, j, n) in enumerate(bins):
            best, switch = -math.inf, -1
            for row in _span(i, n, height):
                for column in _span(j, n, width):
                    value = float(x[image, c, row, column])
                    first_nan = math.isnan(value) and not math.isnan(best)
                    if switch == -1 or value > best or first_nan:
                        best, switch = value, row * width + column
            y[image, place] = best
            switches[image, place] = switch
    return y, switches


def backward(x: Array, *, dy: Array, levels: tuple[int, ...]) -> tuple[Float64Array]:
    """Return (dx,); dy belongs to y."""
    _, switches = forward(x, levels=levels)
    winners = [
        ((image, c, *divmod(int(switches[image, place]), x.shape[3])), float(dy[image, place]))
        for image in range(x.shape[0])
        for place, (c, _, _, _) in enumerate(_bins(x.shape[1], levels))
        if switches[image, place] != -1
    ]
    return (scatter_sum(x.shape, winners),)


def _bins(n_channels: int, levels: tuple[int, ...]) -> Iterator[tuple[int, int, int, int]]:
    """Yield (channel, i, j, n) in the order of a row of y."""
    for n in levels:
        for c, i, j in np.ndindex(n_channels, n, n):
            yield c, i, j, n


def _span(p: int, n: int, size: int) -> range:
    """Return the rows, or columns, of bin number p of n."""
    return range((p * size) // n, -(-(p + 1) * size // n))

"""Max pooling of regions of interest into a fixed grid, with the place of every maximum.

    corners     X1, Y1, X2, Y2 = round(scale * (x1, y1, x2, y2)), half away from zero
    size        rw = max(X2 - X1 + 1, 1), rh = max(Y2 - Y1 + 1, 1): the corners are inclusive
    bin (i, j)  rows Y1 + floor(i rh / PH) ... Y1 + ceil((i + 1) rh / PH), the end exclusive, cut to 0 ... H;
                columns likewise with X1, rw, PW and W

y is the maximum of the bin, switches[r, c, i, j] = row * W + column of the winner: the first maximum in row-major
order. A NaN beats every number, and the first NaN wins (Caffe's and torchvision's kernels never let one win). An empty
bin has y = 0, switch -1 and no gradient. A winner takes the whole gradient. The first column of rois is the image's
number; the regions get no gradient.

"exact" multiplies by the scale in float64 and divides in integers. "float32-bins" does what the kernels do: it
multiplies by the scale in float32, and finds the bins by floor(i b), ceil((i + 1) b), b = rh / PH, each step rounded to
float32, which for rh = 57, PH = 7 ends the last bin at 58. Infinite or NaN corners are not defined.

Source: Girshick, "Fast R-CNN", section 2.1; Caffe's roi_pooling_layer.cpp.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, scatter_sum

Size = tuple[int, int]


def forward(
    x: Array, rois: Array, *, output_size: Size, scale: float, convention: str
) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return (y, switches), both of shape (R, C, PH, PW)."""
    _, n_channels, height, width = x.shape
    y = np.zeros((len(rois), n_channels, *output_size))
    switches = np.full(y.shape, -1, dtype=np.int64)
    for r, c, i, j in np.ndindex(y.shape):
        n = int(rois[r, 0])
        x1, y1, x2, y2 = (_scaled(float(rois[r, k]), scale, convention) for k in (1, 2, 3, 4))
        best, switch = 0.0, -1
        for row in _bin(y1, y2, i, output_size[0], height, convention):
            for column in _bin(x1, x2, j, output_size[1], width, convention):
                value = float(x[n, c, row, column])
                first_nan = math.isnan(value) and not math.isnan(best)
                if switch == -1 or value > best or first_nan:
                    best, switch = value, row * width + column
        y[r, c, i, j] = best
        switches[r, c, i, j] = switch
    return y, switches


def backward(
    x: Array, rois: Array, *, dy: Array, output_size: Size, scale: float, convention: str
) -> tuple[Float64Array, None]:
    """Return (dx, None); dy belongs to y."""
    _, switches = forward(x, rois, output_size=output_size, scale=scale, convention=convention)
    winners = [
        ((int(rois[r, 0]), c, *divmod(int(switches[r, c, i, j]), x.shape[3])), float(dy[r, c, i, j]))
        for r, c, i, j in np.ndindex(dy.shape)
        if switches[r, c, i, j] != -1
    ]
    return scatter_sum(x.shape, winners), None


def _scaled(coordinate: float, scale: float, convention: str) -> int:
    """Return the nearest integer to coordinate * scale; of two, the one farther from zero."""
    product = coordinate * scale if convention == "exact" else float(np.float32(coordinate) * np.float32(scale))
    whole = math.floor(abs(product))
    nearest = whole + 1 if abs(product) - whole >= 0.5 else whole
    return nearest if product > 0 else -nearest


def _bin(first: int, last: int, p: int, n_bins: int, limit: int, convention: str) -> range:
    """Return the rows, or columns, of bin number p of the region first ... last."""
    length = max(last - first + 1, 1)
    if convention == "exact":
        start, end = (p * length) // n_bins, -(-(p + 1) * length // n_bins)
    else:
        bin_size = np.float32(length) / np.float32(n_bins)
        start, end = math.floor(np.float32(p) * bin_size), math.ceil(np.float32(p + 1) * bin_size)
    return range(max(first + start, 0), min(first + end, limit))

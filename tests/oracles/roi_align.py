"""Regions of interest sampled bilinearly on a regular grid, without rounding.

    corners     X1, Y1, X2, Y2 = scale * (x1, y1, x2, y2) - h,  h = 1/2 if aligned, else 0
    size        rw = X2 - X1, rh = Y2 - Y1; if not aligned max(rw, 1), max(rh, 1)
    samples     per bin g_h = g_w = sampling_ratio; if that is 0, g_h = ceil(rh / PH), g_w = ceil(rw / PW)
                row v = Y1 + i rh/PH + (a + 1/2) (rh/PH) / g_h,  column u = X1 + j rw/PW + (b + 1/2) (rw/PW) / g_w
    y           the mean, or the maximum, over a < g_h, b < g_w of f(v, u)

    f(v, u) = sum of x[row, column] (1 - |v - row|) (1 - |u - column|)
              over rows floor(v), floor(v) + 1 and columns floor(u), floor(u) + 1

Border. "kernel": f = 0 if v < -1 or v > H or u < -1 or u > W; else v is first moved into 0 ... H - 1 and u into
0 ... W - 1, and a tap beyond the last row or column, whose weight is then 0, reads the last. "zero_decay": taps outside
the map are left out, so that f falls to 0 over one pixel, as the deck's formula has it. A tap of weight 0 is read, so
that a NaN there gives NaN. A map without pixels gives 0.

A sample outside counts: the mean divides by g_h g_w, and in the maximum it is a 0 that may win, and then has no
gradient. The first maximum in row-major order of the samples wins and its taps share the gradient; the first NaN beats
every number. Without samples (a malformed region: aligned, x2 <= x1, adaptive sampling) y = 0. The first column of rois
is the image's number; the regions get no gradient.

Source: He et al., "Mask R-CNN", section 3; deck 002 for f; the kernel is that of Detectron and torchvision.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, exact_sum, scatter_sum

Size = tuple[int, int]
Taps = list[tuple[Index, float]]  # (source, weight) of one sample


def forward(
    x: Array,
    rois: Array,
    *,
    output_size: Size,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
) -> Float64Array:
    """Return y, shape (R, C, PH, PW)."""
    y = np.zeros((len(rois), x.shape[1], *output_size))
    for r, c, i, j in np.ndindex(y.shape):
        samples = _samples(x.shape, rois[r], (c, i, j), output_size, scale, sampling_ratio, aligned, border)
        if not samples:
            continue
        if reduction == "mean":
            y[r, c, i, j] = exact_sum(_products(x, [tap for taps in samples for tap in taps])) / len(samples)
        else:
            y[r, c, i, j] = exact_sum(_products(x, _largest(x, samples)))
    return y


def backward(
    x: Array,
    rois: Array,
    *,
    dy: Array,
    output_size: Size,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
    reduction: str,
) -> tuple[Float64Array, None]:
    """Return (dx, None)."""
    terms: list[tuple[Index, float]] = []
    for r, c, i, j in np.ndindex(dy.shape):
        samples = _samples(x.shape, rois[r], (c, i, j), output_size, scale, sampling_ratio, aligned, border)
        if not samples:
            continue
        used = samples if reduction == "mean" else [_largest(x, samples)]
        share = float(dy[r, c, i, j]) / len(used)
        terms += [(source, share * weight) for taps in used for source, weight in taps]
    return scatter_sum(x.shape, terms), None


def _samples(
    x_shape: Index,
    roi: Array,
    place: tuple[int, int, int],
    output_size: Size,
    scale: float,
    sampling_ratio: int,
    aligned: bool,
    border: str,
) -> list[Taps]:
    """Return the samples of bin (i, j) of channel c, in row-major order; one outside the map has no taps."""
    c, i, j = place
    n = int(roi[0])
    x1, y1, x2, y2 = (float(coordinate) * scale - (0.5 if aligned else 0.0) for coordinate in roi[1:])
    rows = _coordinates(y1, y2, i, output_size[0], sampling_ratio, aligned)
    columns = _coordinates(x1, x2, j, output_size[1], sampling_ratio, aligned)
    return [
        [
            ((n, c, row, column), row_weight * column_weight)
            for row, row_weight in _axis_taps(v, x_shape[2], border)
            for column, column_weight in _axis_taps(u, x_shape[3], border)
        ]
        for v in rows
        for u in columns
    ]


def _coordinates(start: float, end: float, p: int, n_bins: int, sampling_ratio: int, aligned: bool) -> list[float]:
    """Return the coordinates of the samples of bin number p, along one axis."""
    length = end - start if aligned else max(end - start, 1.0)
    bin_size = length / n_bins
    n_samples = sampling_ratio if sampling_ratio > 0 else math.ceil(length / n_bins)
    return [start + p * bin_size + (a + 0.5) * bin_size / n_samples for a in range(n_samples)]


def _axis_taps(u: float, size: int, border: str) -> list[tuple[int, float]]:
    """Return the (position, weight) that a sample at u has along an axis of this size."""
    if border == "kernel":
        if size == 0 or u < -1 or u > size:
            return []
        u = min(max(u, 0.0), size - 1.0)
    before = math.floor(u)
    taps = [(before, 1 - (u - before)), (before + 1, u - before)]
    if border == "kernel":
        return [(min(position, size - 1), weight) for position, weight in taps]
    return [(position, weight) for position, weight in taps if 0 <= position < size]


def _products(x: Array, taps: Taps) -> list[float]:
    return [weight * float(x[source]) for source, weight in taps]


def _largest(x: Array, samples: list[Taps]) -> Taps:
    """Return the taps of the sample with the largest value, or of the first that is NaN."""
    winner, best = samples[0], exact_sum(_products(x, samples[0]))
    for taps in samples[1:]:
        value = exact_sum(_products(x, taps))
        if value > best or (math.isnan(value) and not math.isnan(best)):
            winner, best = taps, value
    return winner

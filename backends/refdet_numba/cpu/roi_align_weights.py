"""Which pixels of an axis each bin of each region reads, and with what mean weight: A and B of `refdet.ops.roi_align`.

    for each region (in parallel), each bin p:
        for each point i of the bin:
            add 1 − t to the sum of the pixel before it, t to that of the pixel after it, as far as they exist
        for each pixel met, from the first to the last: keep its index, and its sum / g

Every operation is the reference's, in float64 and in its order, so that floors and weights have the same bits.

Workspace: per axis of n pixels and P bins, M = min(2·g, n) entries of 8 + 8 bytes for each of the R·P bins, where g is
the largest number of points of a bin along that axis (in float32 4 more, for the rounded weights); and
16·R·min(P·M, ⌈n/2⌉) bytes of runs.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.roi_sampling import Sampling
from refdet_numba.cpu.compiling import compiled, compiled_parallel


class AxisWeights(NamedTuple):
    """What each bin reads of one axis."""

    counts: Array  # (R, P): how many pixels
    pixels: Array  # (R, P, M): ascending
    weights: Array  # (R, P, M)
    n_runs: Array  # (R,)
    runs: Array  # (R, …, 2): start and stop of the stretches of pixels that any bin of the region reads


class AxisSampling(NamedTuple):
    """`Sampling` along one axis, in plain numbers."""

    n_bins: int
    scale: float
    ratio: int
    aligned: bool
    clamps: bool  # border == "kernel"


BothAxes = tuple[AxisWeights, AxisWeights]  # rows, columns


def axis_samplings(sampling: Sampling, border: str) -> tuple[AxisSampling, AxisSampling]:
    """Return the samplings of the vertical and of the horizontal axis."""
    PH, PW = sampling.output_size
    rest = (sampling.scale, sampling.ratio, sampling.aligned, border == "kernel")
    return AxisSampling(PH, *rest), AxisSampling(PW, *rest)


def bin_weights(boxes: Array, size: Pair, sampling: Sampling, border: str, dtype: Any) -> BothAxes:
    """Return the weights of the rows and those of the columns of a map of `size`, rounded to `dtype`."""
    rows, columns = axis_samplings(sampling, border)
    return (
        _along(boxes[:, 1].copy(), boxes[:, 3].copy(), size[0], rows, dtype),
        _along(boxes[:, 0].copy(), boxes[:, 2].copy(), size[1], columns, dtype),
    )


def _along(low: Array, high: Array, n_pixels: int, sampling: AxisSampling, dtype: Any) -> AxisWeights:
    R, P = low.size, sampling.n_bins
    g = sampling.ratio or _most_points(low, high, sampling)
    M = min(2 * g, n_pixels)
    counts, pixels, weights = np.empty((R, P), np.int64), np.empty((R, P, M), np.int64), np.zeros((R, P, M))
    n_runs, runs = np.empty(R, np.int64), np.empty((R, min(P * M, (n_pixels + 1) // 2), 2), np.int64)
    _fill(low, high, n_pixels, sampling, counts, pixels, weights, n_runs, runs)
    return AxisWeights(counts, pixels, weights.astype(dtype, copy=False), n_runs, runs)


def _most_points(low: Array, high: Array, sampling: AxisSampling) -> int:
    """Return the g of the longest region, for an adaptive sampling; the arithmetic is that of `grid`."""
    offset = 0.5 if sampling.aligned else 0.0
    length = float(np.max(high * sampling.scale - offset - (low * sampling.scale - offset), initial=0))
    return max(0, math.ceil((length if sampling.aligned else max(length, 1.0)) / sampling.n_bins))


@compiled
def grid(low: float, high: float, sampling: Any) -> Any:
    """Return the start of a region of the axis, the size of a bin, and its number of points."""
    if sampling.aligned:
        start = low * sampling.scale - 0.5
        length = high * sampling.scale - 0.5 - start
    else:
        start = low * sampling.scale
        length = max(high * sampling.scale - low * sampling.scale, 1.0)
    g = sampling.ratio
    if g == 0:
        g = max(0, math.ceil(length / sampling.n_bins))
    return start, length / sampling.n_bins, g


@compiled
def taps(point: float, n_pixels: int, clamps: bool) -> Any:
    """Return first pixel, second pixel, weight of the second; a pixel that does not exist is −1."""
    if clamps:
        if not (point >= -1 and point <= n_pixels) or n_pixels == 0:
            return -1, -1, 0.0
        point = min(max(point, 0.0), n_pixels - 1.0)
    elif not (point >= -1 and point < n_pixels):
        return -1, -1, 0.0
    floor = math.floor(point)
    first = int(floor)
    second = first + 1
    if second == n_pixels:
        second = first if clamps else -1
    return first, second, point - floor


@compiled
def one_of(taps: Any, k: int) -> Any:
    """Return the first (k = 0) or second (1) pixel of `taps`, and its weight."""
    first, second, t = taps
    if k == 0:
        return first, 1 - t
    return second, t


@compiled_parallel
def _fill(
    low: Any, high: Any, n_pixels: int, sampling: Any, counts: Any, pixels: Any, weights: Any, n_runs: Any, runs: Any
) -> None:
    for r in prange(low.size):
        sums, is_read, by_any = np.zeros(n_pixels), np.zeros(n_pixels, np.bool_), np.zeros(n_pixels, np.bool_)
        start, size, g = grid(low[r], high[r], sampling)
        for p in range(sampling.n_bins):
            bin_start = start + p * size
            lowest, highest = n_pixels, -1
            for i in range(g):
                first, second, t = taps(bin_start + (i + 0.5) * size / g, n_pixels, sampling.clamps)
                if first >= 0:
                    sums[first] += 1 - t
                    is_read[first] = True
                    lowest, highest = min(lowest, first), max(highest, first)
                if second >= 0:
                    sums[second] += t
                    is_read[second] = True
                    lowest, highest = min(lowest, second), max(highest, second)
            count = 0
            for pixel in range(lowest, highest + 1):
                if is_read[pixel]:
                    pixels[r, p, count], weights[r, p, count] = pixel, sums[pixel] / g
                    count += 1
                    sums[pixel], is_read[pixel], by_any[pixel] = 0.0, False, True
            counts[r, p] = count
        n_runs[r] = 0
        for pixel in range(n_pixels):
            if by_any[pixel]:
                if pixel == 0 or not by_any[pixel - 1]:
                    runs[r, n_runs[r], 0] = pixel
                    n_runs[r] += 1
                runs[r, n_runs[r] - 1, 1] = pixel + 1

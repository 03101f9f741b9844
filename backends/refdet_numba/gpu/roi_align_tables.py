"""What RoIAlign computes for each region in float64, in tables that its kernels for channels read.

The bins of both axes are numbered together: b < PH are the rows of bins, b − PH the columns. All tables are made by a
thread for each region and bin, the third by one for each region:

    point taps       pixels, weights (R, PH + PW, 2·G):  the two pixels around each of at most G points; −1 for none
    mean weights     pixels, weights (R, PH + PW, M):    the pixels that a bin reads, each once; −1 behind the last
    regions          (R, 7):                             image, rows and columns read (start, stop), points of a bin
    dense weights    (R, H, PH), (R, W, PW):             mean weights by pixel; −1 of a pixel that the bin does not read

Every operation on a coordinate is the reference's (`refdet.ops.roi_sampling`), in its order and rounded on its own, so
that floors and weights have the same bits. The points of a bin lie in order, so a pixel that a bin meets again is one
of the last three that it met.

A region of an image that does not exist, or with a coordinate that is not a number, reads nothing; the public op
refuses it beforehand.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, int32, int64, types

from refdet.core.geometry import Pair
from refdet.ops.roi_sampling import Sampling
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, launch, number
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit, multiply

THREADS = 32 if IN_SIMULATOR else 128
NEAR = 3  # entries back of a pixel that was met before
MOST = 2.0**31  # points of a bin, so that their number is an integer whatever a region holds


class Grids(NamedTuple):
    """How all regions are sampled, as kernels take it."""

    size: Pair  # of the map
    output_size: Pair
    scale: float
    options: tuple[int, ...]  # PH, PW, H, W, sampling ratio, whether aligned, whether points are clamped
    most_points: int  # of any bin along an axis

    @property
    def n_bins(self) -> int:
        return sum(self.output_size)


def grids_of(rois: Any, size: Pair, sampling: Sampling, border: str) -> Grids:
    """Return the grids of all regions; an adaptive sampling waits for the length of the longest."""
    options = (*sampling.output_size, *size, sampling.ratio, int(sampling.aligned), int(border == "kernel"))
    most = sampling.ratio or _most_points(rois, sampling)
    return Grids(size, sampling.output_size, float(sampling.scale), options, most)


def _most_points(rois: Any, sampling: Sampling) -> int:
    if len(rois) == 0:
        return 1
    corners = rois[:, 1:].astype(np.float64) * sampling.scale - (0.5 if sampling.aligned else 0.0)
    longest = max(1.0, float(number(np.max(corners[:, 2:] - corners[:, :2]))))
    return math.ceil(longest / min(sampling.output_size))


def point_taps(rois: Any, grids: Grids) -> tuple[Any, Any]:
    """Return pixels, int32, and weights, float64, of the two neighbours of every point."""
    return _table(_point_taps, rois, grids, 2 * grids.most_points)


def mean_weights(rois: Any, grids: Grids, dtype: Any) -> tuple[Any, Any]:
    """Return pixels, int32, and mean weights, rounded to `dtype`, of every bin."""
    pixels, weights = _table(_mean_weights, rois, grids, min(2 * grids.most_points, max(grids.size)))
    return pixels, weights.astype(dtype, copy=False)


def _table(kernel: Any, rois: Any, grids: Grids, width: int) -> tuple[Any, Any]:
    shape = (len(rois), grids.n_bins, width)
    pixels, weights = np.empty_like(rois, shape=shape, dtype=np.int32), np.empty_like(rois, shape=shape, dtype="f8")
    blocks = blocks_for(shape[0] * shape[1], THREADS)
    launch(kernel, blocks, THREADS, rois, grids.scale, grids.options, pixels, weights)
    return pixels, weights


def regions(rois: Any, grids: Grids, n_images: int, pixels: Any) -> Any:
    """Return image, first and stop of rows, first and stop of columns, g down and across of each region, int32."""
    table = np.empty_like(rois, shape=(len(rois), 7), dtype=np.int32)
    launch(_regions, blocks_for(len(rois), THREADS), THREADS, rois, grids.scale, grids.options, n_images, pixels, table)
    return table


def dense_weights(pixels: Any, weights: Any, grids: Grids) -> tuple[Any, Any]:
    """Return the mean weights of rows and of columns, in the dtype of `weights`."""
    rows, columns = (
        np.full_like(weights, -1, shape=(len(pixels), n, n_bins))
        for n, n_bins in zip(grids.size, grids.output_size, strict=True)
    )
    n_entries = pixels.shape[0] * pixels.shape[1]
    launch(_spread, blocks_for(n_entries, THREADS), THREADS, pixels, weights, rows, columns)
    return rows, columns


@device_function
def grid(rois: Any, r: Any, axis: Any, n_bins: Any, scale: Any, ratio: Any, aligned: Any) -> Any:
    """Return start, size of a bin and number of its points, of region r down (axis 0) or across (1)."""
    low, high = multiply(float64(rois[r, 2 - axis]), scale), multiply(float64(rois[r, 4 - axis]), scale)
    start, length = low, high - low
    if aligned != 0:
        start = low - 0.5
        length = high - 0.5 - start
    elif not length > 1.0:
        length = 1.0
    size = length / float64(n_bins)
    points = ratio
    if ratio == 0:
        points = int64(math.ceil(min(size, MOST))) if size > 0.0 else int64(0)
    return start, size, points


@device_function
def neighbours(point: Any, n_pixels: Any, clamps: Any) -> Any:
    """Return first pixel, second pixel, weight of the second; a pixel that does not exist is −1."""
    first, second, t = int64(-1), int64(-1), 0.0
    if clamps != 0:
        if n_pixels > 0 and point >= -1.0 and point <= float64(n_pixels):
            inside = min(max(point, 0.0), float64(n_pixels - 1))
            first = int64(math.floor(inside))
            second, t = min(first + 1, n_pixels - 1), inside - float64(first)
    elif point >= -1.0 and point < float64(n_pixels):
        first = int64(math.floor(point))
        second, t = first + 1, point - float64(first)
        if second == n_pixels:
            second = int64(-1)
    return first, second, t


@jit()
def _point_taps(rois: Any, scale: Any, options: Any, pixels: Any, weights: Any) -> None:
    PH, PW, H, W, ratio, aligned, clamps = options
    index = cuda.grid(1)
    if index < pixels.shape[0] * pixels.shape[1]:
        r, b = index // pixels.shape[1], index % pixels.shape[1]
        axis = 0 if b < PH else 1
        p, n_bins, n_pixels = (b, PH, H) if b < PH else (b - PH, PW, W)
        start, size, points = grid(rois, r, axis, n_bins, scale, ratio, aligned)
        bin_start = start + multiply(float64(p), size)
        for i in range(pixels.shape[2] // 2):
            first, second, t = int64(-1), int64(-1), 0.0
            if i < points:
                point = bin_start + multiply(float64(i) + 0.5, size) / float64(points)
                first, second, t = neighbours(point, n_pixels, clamps)
            pixels[r, b, 2 * i], weights[r, b, 2 * i] = first, 1.0 - t
            pixels[r, b, 2 * i + 1], weights[r, b, 2 * i + 1] = second, t


@jit()
def _mean_weights(rois: Any, scale: Any, options: Any, pixels: Any, weights: Any) -> None:
    PH, PW, H, W, ratio, aligned, clamps = options
    index = cuda.grid(1)
    if index < pixels.shape[0] * pixels.shape[1]:
        r, b = index // pixels.shape[1], index % pixels.shape[1]
        axis = 0 if b < PH else 1
        p, n_bins, n_pixels = (b, PH, H) if b < PH else (b - PH, PW, W)
        start, size, points = grid(rois, r, axis, n_bins, scale, ratio, aligned)
        bin_start = start + multiply(float64(p), size)
        count = 0
        for i in range(points):
            point = bin_start + multiply(float64(i) + 0.5, size) / float64(points)
            first, second, t = neighbours(point, n_pixels, clamps)
            for k in range(2):
                pixel, weight = (first, 1.0 - t) if k == 0 else (second, t)
                if pixel >= 0:
                    place = count
                    for earlier in range(max(0, count - NEAR), count):
                        if pixels[r, b, earlier] == pixel:
                            place = earlier
                    if place < count:
                        weights[r, b, place] += weight
                    else:
                        pixels[r, b, place], weights[r, b, place] = pixel, weight
                        count += 1
        for entry in range(pixels.shape[2]):
            if entry < count:
                weights[r, b, entry] /= float64(points)
            else:
                pixels[r, b, entry], weights[r, b, entry] = -1, 0.0


@jit()
def _regions(rois: Any, scale: Any, options: Any, n_images: Any, pixels: Any, table: Any) -> None:
    PH, PW, H, W, ratio, aligned, _ = options
    r = cuda.grid(1)
    if r < table.shape[0]:
        image = rois[r, 0]
        table[r, 0] = int64(image) if image >= 0 and image < n_images else -1
        for axis in range(2):
            first_bin, n_bins, n_pixels = (0, PH, H) if axis == 0 else (PH, PW, W)
            first, stop = n_pixels, 0
            for b in range(first_bin, first_bin + n_bins):
                for entry in range(pixels.shape[2]):
                    pixel = pixels[r, b, entry]
                    if pixel >= 0:
                        first, stop = min(first, pixel), max(stop, pixel + 1)
            _, _, points = grid(rois, r, axis, n_bins, scale, ratio, aligned)
            table[r, 1 + 2 * axis], table[r, 2 + 2 * axis], table[r, 5 + axis] = first, stop, points


@jit()
def _spread(pixels: Any, weights: Any, rows: Any, columns: Any) -> None:
    index, PH = cuda.grid(1), rows.shape[2]
    if index < pixels.shape[0] * pixels.shape[1]:
        r, b = index // pixels.shape[1], index % pixels.shape[1]
        for entry in range(pixels.shape[2]):
            pixel = pixels[r, b, entry]
            if pixel >= 0:
                if b < PH:
                    rows[r, pixel, b] = weights[r, b, entry]
                else:
                    columns[r, pixel, b - PH] = weights[r, b, entry]


_OPTIONS = types.UniTuple(int64, 7)
_PIXELS, _WEIGHTS = array(int32, 3), array(float64, 3)
# Coordinates, and the floors that decide between pixels, are the reference's in float64, for float32 regions too.
ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(_point_taps, [array(t, 2), float64, _OPTIONS, _PIXELS, _WEIGHTS], 72, float64=True),
        Assembled(_mean_weights, [array(t, 2), float64, _OPTIONS, _PIXELS, _WEIGHTS], 64, float64=True),
        Assembled(_regions, [array(t, 2), float64, _OPTIONS, int64, _PIXELS, array(int32, 2)], 56, float64=True),
        Assembled(_spread, [_PIXELS, array(t, 3), array(t, 3), array(t, 3)], 56, float64=t is float64),
    )
]

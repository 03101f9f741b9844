"""Where RoIAlign samples a region, and which pixels each of its points lies between.

Along each axis of the map a region has PH (or PW) bins, and a bin has g points:

    start = scale · y1 − o,     length = scale · (y2 − y1),     bin = length / PH,     o = ½ if aligned else 0
    y[p, i] = start + p · bin + (i + ½) · bin / g,              g = sampling_ratio, or ⌈length / PH⌉ if that is 0

He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §3. The points of a bin are all pairs of its rows and columns.

A point lies between two pixels of an axis, t of the way from the first to the second, with the weights 1 − t and t, or
beyond the centre of an outermost one of the n:

| `border` | −1 ≤ y < 0 | n − 1 < y ≤ n | further out |
|---|---|---|---|
| `"kernel"`: Detectron, torchvision, ONNX | as at 0 | as at n − 1 | 0 |
| `"zero_decay"`: deck 001, whose sum has no other pixels | (1 + y) · pixel 0 | (n − y) · pixel n − 1 | 0 |

Conventions: the centre of pixel j is at j + ½ in image coordinates if `aligned` (Detectron2), at j if not (Detectron,
torchvision's default); without `aligned` a region is at least one pixel of the map long. With it a region with y2 < y1
is sampled backwards by a fixed `sampling_ratio`; an adaptive one gives it, and a region of length 0, no points. All of
this is computed in float64.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_flag, check_number, integer, integers
from refdet.core.geometry import Pair, pair
from refdet.ops.rois import checked_rois

BORDERS = ("kernel", "zero_decay")
MOST_POINTS = 4096  # of a bin along an axis: enough for one bin over a photograph, once per pixel


@dataclass(frozen=True)
class Sampling:
    """How a region of the map is divided into bins, and where the points of each are."""

    output_size: Pair
    scale: float
    ratio: int  # 0: adaptive
    aligned: bool

    def span(self, low: float, high: float) -> tuple[float, float]:
        """Return start and length of a region along one axis.

        >>> Sampling((7, 7), 1 / 16, 2, aligned=True).span(8, 24)
        (0.0, 1.0)
        """
        if not self.aligned:
            return low * self.scale, max(high * self.scale - low * self.scale, 1.0)
        start, end = low * self.scale - 0.5, high * self.scale - 0.5
        return start, end - start

    def points_per_bin(self, length: float, n_bins: int) -> int:
        """Return g along one axis of a region: the same for all of its bins."""
        return self.ratio or max(0, math.ceil(length / n_bins))

    def axis_points(self, low: float, high: float, n_bins: int) -> Array:
        """Return y[p, i] of the module, (n_bins, g), float64."""
        start, length = self.span(low, high)
        bin_size, g = length / n_bins, self.points_per_bin(length, n_bins)
        bin_starts = start + np.arange(n_bins) * bin_size
        points: Array = bin_starts[:, None] + (np.arange(g) + 0.5) * bin_size / g
        return points

    def points(self, box: Sequence[float]) -> tuple[Array, Array]:
        """Return the rows (PH, g_h) and columns (PW, g_w) of the grid of points of a box (x1, y1, x2, y2)."""
        x1, y1, x2, y2 = box
        return self.axis_points(y1, y2, self.output_size[0]), self.axis_points(x1, x2, self.output_size[1])


class PointTaps(NamedTuple):
    """The two pixels of an axis between which each point lies, all (n_bins, g, 2)."""

    pixels: Array
    weights: Array
    exist: Array  # false for a pixel that is not on the map, which is not read


class BinWeights(NamedTuple):
    """A row of A or B: the pixels of an axis that one bin reads, each once, and their weights."""

    pixels: Array
    weights: Array


def point_taps(points: Array, n_pixels: int, *, border: str) -> PointTaps:
    """Return the pixels around each point of an axis, with the weights 1 − t and t of linear interpolation.

    Half a pixel before the first:

    >>> point_taps(np.array([-0.5]), 10, border="kernel").weights
    array([[1., 0.]])
    >>> taps = point_taps(np.array([-0.5]), 10, border="zero_decay")
    >>> taps.weights, taps.exist
    (array([[0.5, 0.5]]), array([[False,  True]]))
    """
    inside = np.clip(points, 0, max(n_pixels - 1, 0)) if border == "kernel" else points
    floor = np.floor(inside)
    neighbours = floor[..., None] + [0, 1]
    pixels = np.clip(neighbours, 0, max(n_pixels - 1, 0))
    if border == "kernel":
        near = (points >= -1) & (points <= n_pixels) & (n_pixels > 0)
        exist = np.broadcast_to(near[..., None], pixels.shape)  # also beyond the last pixel: the last, with weight 0
    else:
        exist = (neighbours >= 0) & (neighbours < n_pixels)
    t = inside - floor
    return PointTaps(pixels.astype(np.int64), np.stack([1 - t, t], axis=-1), exist)


def bin_weights(taps: PointTaps, dtype: np.dtype[np.floating]) -> list[BinWeights]:
    """Return the mean weights of the pixels of each bin: A from the rows, B from the columns."""
    g = taps.pixels.shape[1]
    bins = []
    for pixels, weights, exist in zip(*taps, strict=True):
        read, place = np.unique(pixels[exist], return_inverse=True)
        sums = np.bincount(place, weights[exist], minlength=read.size)
        bins.append(BinWeights(read, (sums / max(g, 1)).astype(dtype)))
    return bins


def check_sampling(op: str, sampling: Sampling) -> None:
    """Refuse options that make no grid of points."""
    integers(op, "output_size", sampling.output_size, count=2, low=1)
    check_number(op, "scale", sampling.scale, low=0, open_low=True)
    ratio = integer(op, "sampling_ratio", sampling.ratio, low=0)
    if ratio > MOST_POINTS:
        raise ValueError(f"{op}: sampling_ratio must be at most {MOST_POINTS}, got {ratio}")
    check_flag(op, "aligned", sampling.aligned)


def sampling_from(op: str, output_size: int | Pair, scale: float, sampling_ratio: int, aligned: bool) -> Sampling:
    """Return the four options, checked, as plain numbers."""
    size = pair(op, "output_size", output_size, low=1)
    check_sampling(op, Sampling(size, scale, sampling_ratio, aligned))
    ratio = integer(op, "sampling_ratio", sampling_ratio, low=0)
    return Sampling(size, float(scale), ratio, bool(aligned))


def check_number_of_points(op: str, rois: Array, sampling: Sampling) -> None:
    """Refuse a region so large that to sample it once per pixel would take all memory."""
    if sampling.ratio:
        return
    PH, PW = sampling.output_size
    corners = rois[:, 1:].astype(np.float64) * sampling.scale
    lengths = corners[:, 2:] - corners[:, :2]  # (R, 2): w, h
    fits = (lengths[:, 0] / PW <= MOST_POINTS) & (lengths[:, 1] / PH <= MOST_POINTS)
    if not np.all(fits).item():
        r = int(np.argmin(fits))
        x1, y1, x2, y2 = rois[r, 1:].tolist()
        (_, height), (_, width) = sampling.span(y1, y2), sampling.span(x1, x2)
        g_h, g_w = sampling.points_per_bin(height, PH), sampling.points_per_bin(width, PW)
        raise ValueError(
            f"{op}: rois[{r}] covers {height:g} × {width:g} pixels of the map, so that an adaptive sampling_ratio "
            f"asks for {g_h} × {g_w} points in each bin, where {MOST_POINTS} along an axis is the limit; clip "
            "regions to their image, or fix sampling_ratio"
        )


def roi_sampling_points(
    roi: Sequence[float] | Array,
    *,
    output_size: int | Pair,
    scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
) -> tuple[Array, Array]:
    """Return where `roi_align` samples a region, in pixels of the map, whose centres are whole numbers.

    Args:
        roi: (x1, y1, x2, y2) in image coordinates. output_size, scale, sampling_ratio, aligned: as for `roi_align`.

    Returns:
        y, (PH, g_h), and x, (PW, g_w), float64: the points of bin (p, q) are all pairs (y[p, i], x[q, j]).

    >>> y, x = roi_sampling_points((0, 0, 4, 2), output_size=(1, 2))
    >>> y, x
    (array([[0., 1.]]), array([[0., 1.],
           [2., 3.]]))
    """
    sampling = sampling_from("roi_sampling_points", output_size, scale, sampling_ratio, aligned)
    box = np.asarray(roi, np.float64)
    if box.shape != (4,):
        raise ValueError(f"roi_sampling_points: roi must be (x1, y1, x2, y2), got shape {box.shape}")
    rois = np.array([[0.0, *box]])
    checked_rois("roi_sampling_points", rois, n_images=1, scale=sampling.scale)
    check_number_of_points("roi_sampling_points", rois, sampling)
    return sampling.points(box.tolist())

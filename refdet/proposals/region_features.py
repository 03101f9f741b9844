"""What Selective Search knows of the regions of a segmentation: sizes, boxes, neighbours, and two histograms.

    colour    for each channel, 25 equal bins over 0 … 255
    texture   for each channel and each of 8 directions θ = 0°, 45°, … 315°, 10 equal bins over the response
              max(0, cos θ ∂/∂x + sin θ ∂/∂y) of Gaussian derivatives with σ = 1

Both count every pixel of the region once a channel (and direction), and are divided by their sum, so that three
channels give 75 and 240 numbers that add up to 1. Uijlings et al., IJCV 104(2), 2013, §3.2.

Conventions:

- Bins are half-open, the last one closed. Those of the texture reach from 0 to 255 / √2π, the steepest slope that a
  step from 0 to 255 can have after smoothing with σ = 1; what rounding puts above falls into the last.
- The authors' code departs from their paper: derivatives with σ = 0.8 of the first channel, three times over; bins of
  texture up to 0.43 · 255; and bins around their centres, so that the first and the last are half as wide.
- Two regions are neighbours where a pixel of one is among the 8 around a pixel of the other, as in the segmentation.
  The paper leaves this open; the authors' code looks at the 4 pixels beside, above and below.
- Labels are 0 … n − 1, each with at least one pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.core.pixel_graph import AHEAD
from refdet.proposals.gaussian import gradient

COLOUR_BINS = 25
TEXTURE_BINS = 10
DIRECTIONS = 8
TEXTURE_SIGMA = 1.0
STEEPEST = 255 / (TEXTURE_SIGMA * np.sqrt(2 * np.pi))


class Regions(NamedTuple):
    sizes: Array  # (n,) int64, pixels
    boxes: Array  # (n, 4) float64, xyxy: from a region's first pixel to the far side of its last
    colours: Array  # (n, 25 C)
    textures: Array  # (n, 80 C)
    pairs: Array  # (P, 2) int64, neighbours i < j, in ascending order


def region_features(labels: Array, colour_codes: Array, texture_codes: Array) -> Regions:
    """Return what is known of each region, given its labels (H, W) and the bin of every pixel in each histogram."""
    n = int(labels.max()) + 1
    n_channels = colour_codes.shape[2]
    return Regions(
        sizes=np.bincount(labels.ravel(), minlength=n),
        boxes=region_boxes(labels, n),
        colours=region_histograms(labels, colour_codes, n, n_channels * COLOUR_BINS),
        textures=region_histograms(labels, texture_codes, n, n_channels * DIRECTIONS * TEXTURE_BINS),
        pairs=neighbouring_regions(labels),
    )


def region_boxes(labels: Array, n: int) -> Array:
    """Return the box around each region.

    >>> region_boxes(np.array([[0, 0, 1], [2, 0, 1]]), 3).tolist()
    [[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 3.0, 2.0], [0.0, 1.0, 1.0, 2.0]]
    """
    boxes = np.empty((n, 4))
    for axis, (first, last) in enumerate(((1, 3), (0, 2))):  # along rows y1 and y2, along columns x1 and x2
        lines = np.moveaxis(labels, axis, 0)
        label, position = lines.ravel(), np.repeat(np.arange(len(lines)), lines.shape[1])
        boxes[label[::-1], first] = position[::-1]  # of several positions of one label, the last one stays
        boxes[label, last] = position + 1
    return boxes


def neighbouring_regions(labels: Array) -> Array:
    """Return the pairs of neighbours, (P, 2).

    >>> neighbouring_regions(np.array([[0, 0, 1], [2, 0, 1]])).tolist()
    [[0, 1], [0, 2]]
    """
    H, W = labels.shape
    n = int(labels.max()) + 1
    pairs = []
    for down, right in AHEAD[8]:
        here = labels[max(0, -down) : H - max(0, down), : W - right]
        there = labels[max(0, down) : H + min(0, down), right:]
        differ = here != there
        lower, upper = np.minimum(here[differ], there[differ]), np.maximum(here[differ], there[differ])
        pairs.append(lower * n + upper)
    return np.stack(np.divmod(np.unique(np.concatenate(pairs)), n), axis=1)


def region_histograms(labels: Array, codes: Array, n: int, n_bins: int) -> Array:
    """Return one histogram per region, (n, n_bins), each divided by its sum; codes (H, W, L) count L bins a pixel.

    >>> region_histograms(np.array([[0, 0, 1]]), np.array([[[0], [2], [1]]]), 2, 3)
    array([[0.5, 0. , 0.5],
           [0. , 1. , 0. ]])
    """
    first_bin, counts = labels.ravel() * n_bins, np.zeros(n * n_bins, np.int64)
    for layer in np.moveaxis(codes, 2, 0):
        counts += np.bincount(first_bin + layer.ravel(), minlength=n * n_bins)
    histograms = counts.reshape(n, n_bins).astype(np.float64)
    shares: Array = histograms / histograms.sum(axis=1, keepdims=True)
    return shares


def colour_codes(field: Array) -> Array:
    """Return the bin of every pixel in each channel of a field (H, W, C) from 0 to 255: (H, W, C), < 25 C.

    >>> colour_codes(np.array([[[0.0, 51.0], [255.0, 255.0]]])).tolist()
    [[[0, 30], [24, 49]]]
    """
    return _bins(field, COLOUR_BINS, highest=255) + COLOUR_BINS * np.arange(field.shape[2])


def texture_codes(field: Array) -> Array:
    """Return the bin of every pixel in each direction of each channel: (H, W, 8 C), < 80 C."""
    along_x, along_y = (np.moveaxis(slope, 2, 0) for slope in gradient(field, TEXTURE_SIGMA))  # (C, H, W)
    codes = np.empty((DIRECTIONS, *along_x.shape), np.int32)  # a layer lies in one piece, as it is read
    for i in range(DIRECTIONS):
        angle = 2 * np.pi * i / DIRECTIONS
        response = np.maximum(0, np.cos(angle) * along_x + np.sin(angle) * along_y)
        codes[i] = _bins(response, TEXTURE_BINS, highest=STEEPEST)
    layers = codes.reshape(-1, *field.shape[:2])
    layers += TEXTURE_BINS * np.arange(len(layers), dtype=np.int32)[:, None, None]
    return np.moveaxis(layers, 0, 2)


def _bins(values: Array, n_bins: int, *, highest: float) -> Array:
    """Return ⌊n · value / highest⌋, and the last bin for the highest."""
    return np.minimum((values * n_bins / highest).astype(np.int64), n_bins - 1)

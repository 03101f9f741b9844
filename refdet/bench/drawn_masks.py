"""Masks for the evaluation of COCO to time: run-length encoded, as they come out of a file.

A mask fills its box like an ellipse whose upper and lower borders are wavy: column u of it, from 0 to 1, lies between

    ½ − ½ √(1 − (2u − 1)²) · (1 − d · (1 + sin(2π (f u + p))) / 2)     and     ½ + ½ √(…) · (1 − d · (…))

of the height of the box, each border with its own depth d ≤ 0.4, frequency f ≤ 4 and phase p. Every column of the box
is one run, so that a mask has twice as many counts as columns, and one more (`refdet.masks.rle`).
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array

N_NUMBERS = 6  # in [0, 1) that an outline is made of


def draw_masks(boxes_xywh: Array, outlines: Array, side: int) -> tuple[Array, Array]:
    """Return the counts of all masks, one after the other, and where each begins, with the end of the last.

    `outlines` is (n, N_NUMBERS). The last row of the picture, of side × side pixels, stays empty, so that no two runs
    touch.

    >>> counts, starts = draw_masks(np.array([[1.0, 0, 2, 3]]), np.zeros((1, N_NUMBERS)), 8)
    >>> counts, starts
    (array([ 8,  2,  6,  2, 46]), array([0, 5]))
    """
    low = np.clip(np.floor(boxes_xywh[:, :2]), 0, side - 2).astype(np.int64)
    far = np.ceil(boxes_xywh[:, :2] + boxes_xywh[:, 2:])
    high = np.clip(far, low + 1, [side, side - 1]).astype(np.int64)
    widths, heights = (high - low).T
    mask = np.repeat(np.arange(len(widths)), widths)  # of each column of every box
    column = np.arange(len(mask)) - np.repeat(np.cumsum(widths) - widths, widths)
    u = (column + 0.5) / widths[mask]
    half = np.sqrt(1 - (2 * u - 1) ** 2) / 2
    upper, lower = (half * (1 - _dent(u, outlines[mask, i : i + 3])) for i in (0, 3))
    top = np.floor((0.5 - upper) * heights[mask]).astype(np.int64)
    bottom = np.maximum(np.floor((0.5 + lower) * heights[mask]).astype(np.int64), top + 1)
    begin = (low[mask, 0] + column) * side + low[mask, 1]
    return _counts(begin + top, begin + bottom, widths, side * side)


def _dent(u: Array, numbers: Array) -> Array:
    """Return how much of the half height is missing: at most 0.4."""
    depth, frequency, phase = numbers.T
    dent: Array = 0.2 * depth * (1 + np.sin(2 * np.pi * (4 * frequency * u + phase)))
    return dent


def _counts(begin: Array, end: Array, n_runs: Array, n_pixels: int) -> tuple[Array, Array]:
    """Return the counts of masks with so many true runs each, from the positions of these."""
    starts = np.concatenate([[0], np.cumsum(2 * n_runs + 1)])
    mask = np.repeat(np.arange(len(n_runs)), n_runs)
    place = 2 * np.arange(len(mask)) + mask  # of the count before each true run: a mask before it has one count more
    before = np.concatenate([[0], end[:-1]])
    before[np.cumsum(n_runs) - n_runs] = 0
    counts = np.empty(starts[-1], np.int64)
    counts[place] = begin - before
    counts[place + 1] = end - begin
    counts[starts[1:] - 1] = n_pixels - end[np.cumsum(n_runs) - 1]
    return counts, starts

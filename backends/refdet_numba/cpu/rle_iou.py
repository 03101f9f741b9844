"""Intersection over union of run-length encoded masks, run by run.

    for each detection (in parallel):
        for each ground truth:
            nothing to do where one ends before the other begins
            go through the runs of both, that which ends first being replaced by the next of its mask:
                what two true runs have in common counts

All is whole numbers but for the quotient, so the result is exact in any order. Where there is little to do one thread
does it all, as starting the others would take longer; the shapes alone decide.

Workspace: 3 · (D + G) integers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel

FEW_STEPS = 2**18  # from one run to the next, all pairs together: one thread takes less than a millisecond


def rle_iou(
    counts: Array, starts: Array, other_counts: Array, other_starts: Array, crowd: Array | None, *, size: Pair
) -> Array:
    """Return iou, (D, G) float64; mask i has the counts from starts[i] up to starts[i + 1]."""
    D, G = len(starts) - 1, len(other_starts) - 1
    is_crowd = np.zeros(G, bool) if crowd is None else native(crowd)
    iou = np.zeros((D, G))
    measure = _measure_on_one_thread if G * len(counts) + D * len(other_counts) < FEW_STEPS else _measure
    measure(*_masks("starts", counts, starts), *_masks("other_starts", other_counts, other_starts), is_crowd, iou)
    return iou


def _masks(name: str, counts: Array, starts: Array) -> tuple[Array, Array]:
    """Return counts and starts as compiled code reads them; it does not look whether they lie among the counts."""
    runs, bounds = native(counts, np.int64), native(starts, np.int64)
    if bounds[0] < 0 or bounds[-1] > len(runs) or (bounds[1:] < bounds[:-1]).any():
        raise ValueError(f"rle_iou: {name} must ascend from 0 to the number of counts, {len(runs)}, got {starts}")
    return runs, bounds


@compiled_parallel
def _measure(counts: Any, starts: Any, other_counts: Any, other_starts: Any, crowd: Any, iou: Any) -> None:
    extent, other_extent = _extents(counts, starts), _extents(other_counts, other_starts)
    for i in prange(len(iou)):
        _measure_one(
            counts[starts[i] : starts[i + 1]], extent[i], other_counts, other_starts, other_extent, crowd, iou[i]
        )


@compiled
def _measure_on_one_thread(
    counts: Any, starts: Any, other_counts: Any, other_starts: Any, crowd: Any, iou: Any
) -> None:
    extent, other_extent = _extents(counts, starts), _extents(other_counts, other_starts)
    for i in range(len(iou)):
        _measure_one(
            counts[starts[i] : starts[i + 1]], extent[i], other_counts, other_starts, other_extent, crowd, iou[i]
        )


@compiled
def _measure_one(
    runs: Any, extent: Any, other_counts: Any, other_starts: Any, other_extent: Any, crowd: Any, iou: Any
) -> None:
    """Compare one detection with all ground truths; what shares nothing is left as it is."""
    first, last, area = extent
    for j in range(len(iou)):
        other_first, other_last, other_area = other_extent[j]
        if first >= other_last or other_first >= last:
            continue
        inter = _intersection(runs, other_counts[other_starts[j] : other_starts[j + 1]])
        union = area if crowd[j] else area + other_area - inter
        iou[j] = inter / max(union, 1)


@compiled
def _extents(counts: Any, starts: Any) -> Any:
    """Return for each mask where its first true pixel is, where its last one ends, and how many there are."""
    extents = np.zeros((len(starts) - 1, 3), np.int64)
    for i in range(len(starts) - 1):
        position, first, last, area = 0, -1, 0, 0
        for k in range(starts[i], starts[i + 1]):
            if (k - starts[i]) % 2 == 1 and counts[k] > 0:
                first = position if first < 0 else first
                last = position + counts[k]
                area += counts[k]
            position += counts[k]
        extents[i, 0], extents[i, 1], extents[i, 2] = max(first, 0), last, area
    return extents


@compiled
def _intersection(runs: Any, others: Any) -> Any:
    """Return how many pixels are true in both masks."""
    a, b, a_end, b_end, position, shared = 0, 0, runs[0], others[0], 0, 0
    while True:
        end = min(a_end, b_end)
        if a % 2 == 1 and b % 2 == 1:
            shared += end - position
        position = end
        if a_end == end:
            a += 1
            if a == len(runs):
                return shared
            a_end += runs[a]
        else:
            b += 1
            if b == len(others):
                return shared
            b_end += others[b]

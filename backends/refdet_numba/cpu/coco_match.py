"""The greedy matching of the COCO evaluation, problem by problem.

    for each problem of the batch (in parallel):
        for each detection, for each threshold:
            nothing to do where its largest IoU with any ground truth is below the threshold
            among those that are free: the largest IoU, the last of equals, of the counted; else of the ignored

A problem belongs to one thread. IoUs and flags that several problems share are not copied: `sources` says which of each
a problem has.

Workspace: 3 indices for each problem.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.metrics.coco_match import ALMOST_ONE
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel


def coco_match(iou: Array, ignored: Array, crowd: Array, *, thresholds: tuple[float, ...]) -> tuple[Array, Array]:
    """Return matches, (..., T, D), the column of each detection, and taken, (..., T, G), the row; −1 is none."""
    D, G = iou.shape[-2:]
    shapes = iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1]
    batch = np.broadcast_shapes(*shapes)
    numbers = [np.arange(math.prod(shape)).reshape(shape) for shape in shapes]
    sources = np.stack([np.broadcast_to(of_one, batch).ravel() for of_one in numbers])
    limits = np.minimum(np.array(thresholds, np.float64), ALMOST_ONE)
    n_iou, n_ignored, n_crowd = (of_one.size for of_one in numbers)
    matches, taken = np.empty((*batch, len(limits), D), np.int64), np.empty((*batch, len(limits), G), np.int64)
    _match(
        native(iou).reshape(n_iou, D, G),
        native(ignored).reshape(n_ignored, G),
        native(crowd).reshape(n_crowd, G),
        sources,
        limits,
        matches.reshape(sources.shape[1], len(limits), D),
        taken.reshape(sources.shape[1], len(limits), G),
    )
    return matches, taken


@compiled_parallel
def _match(iou: Any, ignored: Any, crowd: Any, sources: Any, limits: Any, matches: Any, taken: Any) -> None:
    n_problems, T, D = matches.shape
    G = taken.shape[2]
    for problem in prange(n_problems):
        overlaps, is_ignored = iou[sources[0, problem]], ignored[sources[1, problem]]
        is_crowd = crowd[sources[2, problem]]
        matches[problem] = -1
        taken[problem] = -1
        for d in range(D):
            row = overlaps[d]
            largest = -np.inf
            for g in range(G):
                if row[g] > largest:
                    largest = row[g]
            for t in range(T):
                if not largest >= limits[t]:
                    continue
                taken_by = taken[problem, t]
                best, best_counts = -1, False
                for g in range(G):
                    if row[g] >= limits[t] and (taken_by[g] < 0 or is_crowd[g]):
                        counts = not is_ignored[g]
                        if best < 0 or (counts and not best_counts) or (counts == best_counts and row[g] >= row[best]):
                            best, best_counts = g, counts
                if best >= 0:
                    matches[problem, t, d] = best
                    taken_by[best] = d

"""The greedy matching of the COCO evaluation, problem by problem.

    for each problem of the batch (in parallel, unless they are few and small):
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
from refdet_numba.cpu.compiling import compiled, compiled_parallel

FEW_COMPARISONS = 2**20  # of an IoU with a threshold; one thread takes about a millisecond


def coco_match(iou: Array, ignored: Array, crowd: Array, *, thresholds: tuple[float, ...]) -> tuple[Array, Array]:
    """Return matches, (..., T, D), the column of each detection, and taken, (..., T, G), the row; −1 is none."""
    D, G = iou.shape[-2:]
    shapes = iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1]
    batch = np.broadcast_shapes(*shapes)
    numbers = [np.arange(math.prod(shape)).reshape(shape) for shape in shapes]
    sources = np.stack([np.broadcast_to(of_one, batch).ravel() for of_one in numbers])
    limits = np.minimum(np.array(thresholds, np.float64), ALMOST_ONE)
    n_iou, n_ignored, n_crowd = (of_one.size for of_one in numbers)
    n_problems, T = sources.shape[1], len(limits)
    matches, taken = np.empty((*batch, T, D), np.int64), np.empty((*batch, T, G), np.int64)
    match = _match_on_one_thread if n_problems * T * D * G < FEW_COMPARISONS else _match
    match(
        native(iou).reshape(n_iou, D, G),
        native(ignored).reshape(n_ignored, G),
        native(crowd).reshape(n_crowd, G),
        sources,
        limits,
        matches.reshape(n_problems, T, D),
        taken.reshape(n_problems, T, G),
    )
    return matches, taken


@compiled_parallel
def _match(iou: Any, ignored: Any, crowd: Any, sources: Any, limits: Any, matches: Any, taken: Any) -> None:
    for problem in prange(len(matches)):
        i, j, k = sources[:, problem]
        _match_problem(iou[i], ignored[j], crowd[k], limits, matches[problem], taken[problem])


@compiled
def _match_on_one_thread(
    iou: Any, ignored: Any, crowd: Any, sources: Any, limits: Any, matches: Any, taken: Any
) -> None:
    for problem in range(len(matches)):
        i, j, k = sources[:, problem]
        _match_problem(iou[i], ignored[j], crowd[k], limits, matches[problem], taken[problem])


@compiled
def _match_problem(overlaps: Any, is_ignored: Any, is_crowd: Any, limits: Any, matches: Any, taken: Any) -> None:
    D, G = overlaps.shape
    matches[:] = -1
    taken[:] = -1
    for d in range(D):
        row = overlaps[d]
        largest = -np.inf
        for g in range(G):
            if row[g] > largest:
                largest = row[g]
        for t in range(len(limits)):
            if not largest >= limits[t]:
                continue
            taken_by = taken[t]
            best, best_counts = -1, False
            for g in range(G):
                if row[g] >= limits[t] and (taken_by[g] < 0 or is_crowd[g]):
                    counts = not is_ignored[g]
                    if best < 0 or (counts and not best_counts) or (counts == best_counts and row[g] >= row[best]):
                        best, best_counts = g, counts
            if best >= 0:
                matches[t, d] = best
                taken_by[best] = d

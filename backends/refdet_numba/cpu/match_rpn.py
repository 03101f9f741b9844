"""Labels of anchors, in two passes over the table of IoU.

best of every anchor, best of every ground truth (`overlaps`)
for each anchor (in parallel):  does it tie for the best of a ground truth?
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.boxes.overlaps import COMPARISONS
from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.overlaps import largest


def match_rpn(
    iou: Array,
    inside: Array | None,
    *,
    positive: float,
    negative: float,
    comparison: str,
    force_best: bool,
    guard_zero: bool,
) -> tuple[Array, Array]:
    """Return labels and matches, both (A,) int64."""
    table = native(iou)
    takes_part = np.ones(len(iou), bool) if inside is None else native(inside)
    best, matches, best_of_truth, _ = largest(table, takes_part)
    labels = np.full(len(best), -1, np.int64)
    labels[best < float(negative)] = 0
    if force_best:
        best_of_truth = np.maximum(best_of_truth, 0)
        forces = best_of_truth > 0 if guard_zero else np.ones(len(best_of_truth), bool)
        is_best = np.zeros(len(best), bool)
        _find_best(table, best_of_truth, forces, is_best)
        labels[is_best] = 1
    labels[COMPARISONS[comparison](best, float(positive))] = 1
    if table.shape[1] == 0:
        labels[:] = 0
    labels[~takes_part] = -1
    return labels, matches


@compiled_parallel
def _find_best(iou: Any, best_of_truth: Any, forces: Any, found: Any) -> None:
    """Set whether a row has the best of a column that forces; NaN counts as 0."""
    n_rows, n_columns = iou.shape
    for r in prange(n_rows):
        for g in range(n_columns):
            value = iou[r, g]
            is_equal = value == best_of_truth[g] or (np.isnan(value) and best_of_truth[g] == 0)
            found[r] |= is_equal and forces[g]

"""Which ground truth each default box is trained on, in one pass over the table of IoU.

    best of every prior, best of every ground truth (`overlaps`)
    "caffe": again and again:
        among the ground truths that are left, take the one whose best free prior overlaps it most, first by prior
        and then by ground truth among equals
        of the others, those that liked the same prior best look for another free one

The reference looks through the whole table for each ground truth; here only a column is read again, and only where two
ground truths compete.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled
from refdet_numba.cpu.overlaps import largest


def match_ssd(iou: Array, *, threshold: float, min_overlap: float, convention: str) -> Array:
    """Return matches, (P,) int64."""
    table = native(iou)
    best, own, best_of_truth, prior_of_truth = largest(table, np.ones(len(iou), bool))
    matches = np.where(best >= float(threshold), own, -1)
    if convention == "caffe":
        with np.errstate(over="ignore"):
            least = table.dtype.type(min_overlap)
        _bipartite(table, best_of_truth, prior_of_truth, least, matches)
    elif len(matches):
        for truth, prior in enumerate(prior_of_truth):
            matches[prior] = truth
    return matches


@compiled
def _bipartite(iou: Any, best: Any, prior_of: Any, min_overlap: Any, matches: Any) -> None:
    """Match best pair after best pair; `best` and `prior_of` are the columns' largest and its row, and are used up."""
    n_priors, n_truths = iou.shape
    is_free, is_left = np.ones(n_priors, np.bool_), np.ones(n_truths, np.bool_)
    for _ in range(min(n_priors, n_truths)):
        truth = -1
        for g in range(n_truths):
            if is_left[g] and (
                truth < 0 or best[g] > best[truth] or (best[g] == best[truth] and prior_of[g] < prior_of[truth])
            ):
                truth = g
        if not best[truth] > min_overlap:
            break
        taken = prior_of[truth]
        matches[taken] = truth
        is_free[taken] = is_left[truth] = False
        for g in range(n_truths):
            if is_left[g] and prior_of[g] == taken:
                prior_of[g] = -1
                for prior in range(n_priors):
                    value = iou.dtype.type(0) if np.isnan(iou[prior, g]) else iou[prior, g]
                    if is_free[prior] and (prior_of[g] < 0 or value > best[g]):
                        best[g], prior_of[g] = value, prior

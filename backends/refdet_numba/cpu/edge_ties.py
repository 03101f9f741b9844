"""Which groups cross the boundary of a box, and which are tied to it: the inner loop of EdgeBoxes.

    groups on the top, bottom, left and right, in that order:  strength 1
    follow the groups in the order of discovery, from the earliest whose strength has risen:
        strength of a neighbour inside the box = max(its own, strength · affinity),  if that is at least 0.05

A side of the box is a stretch of the map in row-major order, or in scan order for the left and right one. Runs of
pixels of one group are listed once for the whole map; the runs on a stretch are found by counting those that begin
before either end.

A strength of 0 means that a group is not found yet. Whoever uses a list of groups clears their strengths afterwards.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.proposals.edge_ties import WEAKEST_PATH
from refdet_numba.cpu.compiling import compiled


@compiled
def runs_of(labels: Any) -> Any:
    """Return the group of each run of a flat map, and how many runs begin before each pixel, (n + 1,).

    A run is of neighbouring pixels with the same number ≥ 0.
    """
    n = len(labels)
    group_of_run, begun = np.empty(n, np.int32), np.empty(n + 1, np.int32)
    n_runs, before = 0, np.int64(-1)
    for p in range(n):
        begun[p] = n_runs
        label = labels[p]
        if label >= 0 and label != before:
            group_of_run[n_runs] = label
            n_runs += 1
        before = label
    begun[n] = n_runs
    return group_of_run[:n_runs].copy(), begun


@compiled
def neighbour_lists(pairs: Any, affinities: Any, n_groups: Any) -> Any:
    """Return the neighbours of every group in the order of the pairs, without those that end any path.

    Those of group g stand in places start[g] … start[g + 1] − 1.
    """
    start = np.zeros(n_groups + 2, np.int64)  # two further on, until the lists are filled
    for p in range(len(pairs)):
        if affinities[p] >= WEAKEST_PATH:
            start[pairs[p, 0] + 2] += 1
            start[pairs[p, 1] + 2] += 1
    start = np.cumsum(start)
    others, ties = np.empty(start[-1], np.int32), np.empty(start[-1], affinities.dtype)
    for p in range(len(pairs)):
        if affinities[p] >= WEAKEST_PATH:
            for end in range(2):
                place = start[pairs[p, end] + 1]
                start[pairs[p, end] + 1] += 1
                others[place], ties[place] = pairs[p, 1 - end], affinities[p]
    return start[:-1], others, ties


@compiled
def find_crossing(begin: Any, end: Any, labels: Any, runs: Any, begun: Any, found: Any, n_found: Any) -> Any:
    """Add the groups on the pixels begin … end of a flat map to those that are found; return how many there are."""
    order, place, renewed, strength = found
    for run in range(begun[begin + 1] - (labels[begin] >= 0), begun[end + 1]):
        group = runs[run]
        if strength[group] == 0:
            strength[group], place[group] = 1, n_found
            order[n_found], renewed[n_found] = group, True
            n_found += 1
    return n_found


@compiled
def find_tied(box: Any, x: Any, y: Any, start: Any, others: Any, ties: Any, found: Any, n_found: Any) -> Any:
    """Add the groups that are tied to those on the boundary; return how many there are."""
    x0, y0, x1, y1 = box
    order, place, renewed, strength = found
    i = 0
    while i < n_found:
        if not renewed[i]:
            i += 1
            continue
        renewed[i] = False
        group, earliest = order[i], i + 1
        so_far = np.float64(strength[group])
        for n in range(start[group], start[group + 1]):
            product = so_far * np.float64(ties[n])
            if product < WEAKEST_PATH:
                continue
            other, rounded = others[n], strength.dtype.type(product)
            known = strength[other]
            if known == 0:
                if x0 <= x[other] and x[other] <= x1 and y0 <= y[other] and y[other] <= y1:
                    strength[other], place[other] = rounded, n_found
                    order[n_found], renewed[n_found] = other, True
                    n_found += 1
            elif rounded > known:
                strength[other], renewed[place[other]] = rounded, True
                earliest = min(earliest, place[other])
        i = earliest
    return n_found

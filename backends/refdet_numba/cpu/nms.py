"""Greedy non-maximum suppression, with the survivors in columns.

    for each block of BLOCK candidates in descending order of score:
        for each candidate of the block (in parallel):
            does a survivor of the blocks before suppress it?  look at GROUP of them at a time, until one does
        for each candidate of the block that is left:
            does a survivor of this block suppress it?  if not, it is a survivor

A candidate is compared with the same survivors as if the candidates came one at a time, so the outcome is the same; a
block's candidates do not know of each other in the parallel step, so it does not depend on the threads either. No pair
is passed over: IoU and threshold are compared as the reference does, the division included. GROUP survivors fill the
vector units; behind the last one the columns hold NaN, whose IoU is greater than nothing.

Class by class, the candidates of each class are a problem of their own. Large classes are solved one after the other,
each by all threads, the small ones side by side.

Workspace: for N boxes 10 · (N + GROUP) numbers, and the order of the scores (`descending`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.box_columns import columns_of, side
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.descending import descending

BLOCK = 512
GROUP = 32
ALONE = 1024  # so few boxes are done before other threads have come


def nms(boxes: Array, scores: Array, *, threshold: float, offset: int) -> Array:
    """Return the indices of the boxes that are kept, (K,) int64, in descending order of score."""
    order = descending(scores)
    return order[_survive(native(boxes), order, threshold, offset)]


def class_nms(boxes: Array, scores: Array, classes: Array, *, threshold: float, offset: int) -> Array:
    """Return the indices of the boxes that are kept in any class, in descending order of score."""
    x, order = native(boxes), descending(scores)
    classes = classes[order]
    by_class = np.argsort(classes, kind="stable")  # positions in the order
    _, first, counts = np.unique(classes[by_class], return_index=True, return_counts=True)
    survives = np.zeros(len(order), bool)
    for start, count in zip(first[counts > ALONE], counts[counts > ALONE], strict=True):
        positions = by_class[start : start + count]
        survives[positions] = _survive(x, order[positions], threshold, offset)
    small = counts <= ALONE
    number = x.dtype.type
    _survive_in_classes(
        x, order, by_class, first[small], counts[small], number(threshold), number(offset), number(np.nan), survives
    )
    return order[survives]


def nms_from_iou(iou: Array, scores: Array, *, threshold: float) -> Array:
    """Return the indices that are kept, reading the row of each in turn."""
    order = descending(scores)
    return order[_survive_in_table(native(iou), order, iou.dtype.type(threshold))]


def _survive(boxes: Array, order: Array, threshold: float, offset: int) -> Array:
    """Return for each place in the order whether its box is kept."""
    n, number = len(order), boxes.dtype.type
    columns = columns_of(boxes, order, number(offset))
    kept = np.full((n // GROUP + 1, 5, GROUP), np.nan, boxes.dtype)
    survives = np.ones(n, bool)
    survive = _survive_in_block if n <= ALONE else _survive_in_blocks
    survive(columns, 0, n, kept, 0, survives, number(threshold), number(offset))
    return survives


@compiled_parallel
def _survive_in_blocks(
    columns: Any, start: Any, stop: Any, kept: Any, n_kept: Any, survives: Any, threshold: Any, offset: Any
) -> Any:
    for first in range(start, stop, BLOCK):
        last, n_groups = min(first + BLOCK, stop), (n_kept + GROUP - 1) // GROUP
        for i in prange(first, last):
            survives[i] = not _is_suppressed(columns, i, kept, 0, n_groups, threshold, offset)
        n_kept = _survive_in_block(columns, first, last, kept, n_kept, survives, threshold, offset)
    return n_kept


@compiled_parallel
def _survive_in_classes(
    boxes: Any,
    order: Any,
    by_class: Any,
    first: Any,
    counts: Any,
    threshold: Any,
    offset: Any,
    nan: Any,
    survives: Any,
) -> None:
    for c in prange(len(first)):
        _survive_in_class(boxes, order, by_class[first[c] : first[c] + counts[c]], threshold, offset, nan, survives)


@compiled
def _survive_in_class(
    boxes: Any, order: Any, positions: Any, threshold: Any, offset: Any, nan: Any, survives: Any
) -> None:
    n = len(positions)
    columns, kept = columns_of(boxes, order[positions], offset), np.full((n // GROUP + 1, 5, GROUP), nan)
    among_them = np.ones(n, np.bool_)
    _survive_in_block(columns, 0, n, kept, 0, among_them, threshold, offset)
    survives[positions] = among_them


@compiled
def _survive_in_block(
    columns: Any, start: Any, stop: Any, kept: Any, n_kept: Any, survives: Any, threshold: Any, offset: Any
) -> Any:
    """Let the candidates start ... stop decide among themselves; add the survivors, return how many there are now."""
    first = n_kept // GROUP
    for i in range(start, stop):
        n_groups = (n_kept + GROUP - 1) // GROUP
        if survives[i] and not _is_suppressed(columns, i, kept, first, n_groups, threshold, offset):
            kept[n_kept // GROUP, :, n_kept % GROUP] = columns[:, i]
            n_kept += 1
        else:
            survives[i] = False
    return n_kept


@compiled
def _is_suppressed(columns: Any, i: Any, kept: Any, first: Any, n_groups: Any, threshold: Any, offset: Any) -> Any:
    """Say whether the IoU of candidate i with a survivor of the groups from the first on exceeds the threshold."""
    x1, y1, x2, y2, own_area = columns[0, i], columns[1, i], columns[2, i], columns[3, i], columns[4, i]
    for g in range(first, n_groups):
        left, top, right, bottom, area = kept[g, 0], kept[g, 1], kept[g, 2], kept[g, 3], kept[g, 4]
        n_larger = 0
        for k in range(GROUP):
            w = side(x1 if x1 > left[k] else left[k], x2 if x2 < right[k] else right[k], offset)
            h = side(y1 if y1 > top[k] else top[k], y2 if y2 < bottom[k] else bottom[k], offset)
            inter = w * h
            n_larger += inter / (own_area + area[k] - inter) > threshold
        if n_larger > 0:
            return True
    return False


@compiled
def _survive_in_table(iou: Any, order: Any, threshold: Any) -> Any:
    n = len(order)
    suppressed = np.zeros(n, np.bool_)
    survives = np.zeros(n, np.bool_)
    for i in range(n):
        if not suppressed[order[i]]:
            survives[i] = True
            row = iou[order[i]]
            for j in range(n):  # those before have been decided, and are not looked at again
                suppressed[j] |= row[j] > threshold
    return survives

"""Intersection over union of every box of one set with every box of another, bit for bit that of the reference.

    for each row p (in parallel):
        for each column q (vectorised):  iou = inter(p, q) / (area(p) + area(q) − inter(p, q))

A row belongs to one thread. The others are kept as columns (`box_columns`), so that a vector holds several of them.

Workspace: 6 · M numbers for the columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.box_columns import columns_of, side
from refdet_numba.cpu.compiling import compiled_parallel


def box_iou(boxes: Array, others: Array, crowd: Array | None, *, offset: int, empty: str) -> Array:
    """Return iou, (N, M)."""
    p, q = native(boxes), native(others)
    number = p.dtype.type
    # a crowd's IoU does not depend on its area, where a NaN of its coordinates would otherwise show
    has_nan = np.where(np.isnan(q).any(axis=1), number(np.nan), number(0))
    is_crowd = np.zeros(len(q), bool) if crowd is None else native(crowd)
    columns = columns_of(q, np.arange(len(q)), number(offset))
    iou = np.empty((len(p), len(q)), p.dtype)
    _measure(p, columns, has_nan, is_crowd, number(offset), number(np.nan if empty == "nan" else 0), iou)
    return iou


@compiled_parallel
def _measure(boxes: Any, others: Any, has_nan: Any, crowd: Any, offset: Any, of_nothing: Any, iou: Any) -> None:
    n, m = iou.shape
    zero = boxes.dtype.type(0)
    x1, y1, x2, y2, area = others[0], others[1], others[2], others[3], others[4]
    for i in prange(n):
        left, top, right, bottom = boxes[i, 0], boxes[i, 1], boxes[i, 2], boxes[i, 3]
        own_area = side(left, right, offset) * side(top, bottom, offset)
        row = iou[i]
        for j in range(m):
            low_x, low_y = left if left > x1[j] else x1[j], top if top > y1[j] else y1[j]
            high_x, high_y = right if right < x2[j] else x2[j], bottom if bottom < y2[j] else y2[j]
            inter = side(low_x, high_x, offset) * side(low_y, high_y, offset) + has_nan[j]
            union = own_area if crowd[j] else own_area + area[j] - inter
            quotient = inter / union
            row[j] = of_nothing if (inter == zero) & (union == zero) else quotient

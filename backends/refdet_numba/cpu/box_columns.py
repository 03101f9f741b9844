"""Boxes as columns, so that one box is held against many at a time: x1, y1, x2, y2 and the area, each contiguous.

Every operation is that of `refdet.boxes.iou`, in the dtype of the boxes and in the same order, so the bits are the
same. In loops `a if a > b else b` stands for the maximum, which passes over a NaN in b; it does not get lost, as the
area of a box with a NaN coordinate is NaN.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet_numba.cpu.compiling import compiled

X1, Y1, X2, Y2, AREA = range(5)


@compiled(inline=True)
def side(low: Any, high: Any, offset: Any) -> Any:
    """Return max(0, high − low + offset); NaN stays NaN."""
    length = high - low + offset
    zero = offset - offset  # in its dtype; a literal 0 would make it float64
    return zero if length < zero else length


@compiled
def columns_of(boxes: Any, order: Any, offset: Any) -> Any:
    """Return the columns of the boxes in some order, (5, n)."""
    columns = np.empty((5, len(order)), boxes.dtype)
    for i in range(len(order)):
        box = boxes[order[i]]
        columns[0, i], columns[1, i], columns[2, i], columns[3, i] = box[0], box[1], box[2], box[3]
        columns[4, i] = side(box[0], box[2], offset) * side(box[1], box[3], offset)
    return columns

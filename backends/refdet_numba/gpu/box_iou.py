"""IoU of every box of one set with every box of another: a thread for each pair.

    for each pair (p, q), of a block of rows and columns:
        iou[p, q] = inter / (area(p) + area(q) − inter)

The arithmetic is that of `refdet.boxes.iou`, each operation rounded on its own, so the bits are the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, types

from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit, multiply

TILE = (4, 8) if IN_SIMULATOR else (8, 32)  # rows and columns of a block


def box_iou(boxes: Any, others: Any, crowd: Any, *, offset: int, empty: str) -> Any:
    """Return iou, (N, M), in the dtype of the boxes."""
    n, m = len(boxes), len(others)
    iou = np.empty_like(boxes, shape=(n, m), order="C")
    flags = np.zeros_like(boxes, shape=(m,), dtype=np.bool_, order="C") if crowd is None else contiguous(crowd)
    blocks = (blocks_for(m, TILE[1]), blocks_for(n, TILE[0]))
    scalars = boxes.dtype.type(offset), boxes.dtype.type(np.nan if empty == "nan" else 0)
    launch(_iou, blocks, TILE[::-1], contiguous(boxes), contiguous(others), flags, *scalars, iou)
    return iou


@device_function
def largest(a: Any, b: Any) -> Any:
    """Return the maximum as NumPy does: NaN if either is NaN."""
    return a if a > b or a != a else b


@device_function
def smallest(a: Any, b: Any) -> Any:
    """Return the minimum as NumPy does: NaN if either is NaN."""
    return a if a < b or a != a else b


@device_function
def area(x1: Any, y1: Any, x2: Any, y2: Any, offset: Any) -> Any:
    """Return side(x1, x2) · side(y1, y2), where side(a, b) = max(0, b − a + offset)."""
    nothing = offset - offset
    return multiply(largest(x2 - x1 + offset, nothing), largest(y2 - y1 + offset, nothing))


@device_function
def overlap(p: Any, q: Any, area_p: Any, area_q: Any, is_crowd: Any, offset: Any, of_nothing: Any) -> Any:
    """Return the IoU of boxes p and q, whose areas are known."""
    inter = area(largest(p[0], q[0]), largest(p[1], q[1]), smallest(p[2], q[2]), smallest(p[3], q[3]), offset)
    union = area_p if is_crowd else area_p + area_q - inter
    return of_nothing if inter == 0 and union == 0 else inter / union


@jit()
def _iou(boxes: Any, others: Any, crowd: Any, offset: Any, of_nothing: Any, iou: Any) -> None:
    column, row = cuda.grid(2)
    if row < iou.shape[0] and column < iou.shape[1]:
        p, q = boxes[row], others[column]
        area_p, area_q = area(p[0], p[1], p[2], p[3], offset), area(q[0], q[1], q[2], q[3], offset)
        iou[row, column] = overlap(p, q, area_p, area_q, crowd[column], offset, of_nothing)


ASSEMBLED = [
    Assembled(
        _iou,
        [array(t, 2), array(t, 2), array(types.boolean, 1), t, t, array(t, 2)],
        registers=48,
        float64=t is float64,
        fused=False,
    )
    for t in (float32, float64)
]

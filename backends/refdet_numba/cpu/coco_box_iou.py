"""Intersection over union of boxes (x, y, w, h) for many small problems at a time, bit for bit that of the reference.

    for each detection of each problem (in parallel):
        for each ground truth of its problem:  the equations of `refdet.metrics.coco_box_iou`, in their order

A row belongs to one thread.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel


def coco_box_iou(detections: Array, ground_truths: Array, crowd: Array) -> Array:
    """Return iou, (..., D, G)."""
    *batch, D, _ = detections.shape
    G = ground_truths.shape[-2]
    n = int(np.prod(batch))
    iou = np.empty((n, D, G), detections.dtype.newbyteorder("="))
    _measure(
        native(detections).reshape(n, D, 4), native(ground_truths).reshape(n, G, 4), native(crowd).reshape(n, G), iou
    )
    return iou.reshape(*batch, D, G)


@compiled_parallel
def _measure(detections: Any, ground_truths: Any, crowd: Any, iou: Any) -> None:
    n_problems, D, G = iou.shape
    zero = detections.dtype.type(0)
    for row in prange(n_problems * D):
        b = row // D
        dx, dy, dw, dh = detections[b, row % D]
        d_area = dw * dh
        for j in range(G):
            gx, gy, gw, gh = ground_truths[b, j]
            w = _least(dw + dx, gw + gx) - _greatest(dx, gx)
            h = _least(dh + dy, gh + gy) - _greatest(dy, gy)
            inter = w * h
            union = d_area if crowd[b, j] else d_area + gw * gh - inter
            is_apart = (w <= zero or h <= zero) and not (np.isnan(w) or np.isnan(h))
            iou[b, row % D, j] = zero if is_apart else inter / union


@compiled(inline=True)
def _least(a: Any, b: Any) -> Any:
    return a if a < b or np.isnan(a) else b


@compiled(inline=True)
def _greatest(a: Any, b: Any) -> Any:
    return a if a > b or np.isnan(a) else b

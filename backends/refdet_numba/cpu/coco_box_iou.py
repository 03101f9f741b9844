"""Intersection over union of boxes (x, y, w, h) for many small problems at a time, bit for bit that of the reference.

    for each detection of each problem (in parallel, unless there is little to do):
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

FEW_PAIRS = 2**18  # one thread takes less than a millisecond


def coco_box_iou(detections: Array, ground_truths: Array, crowd: Array) -> Array:
    """Return iou, (..., D, G)."""
    *batch, D, _ = detections.shape
    G = ground_truths.shape[-2]
    n = int(np.prod(batch))
    iou = np.empty((n, D, G), detections.dtype.newbyteorder("="))
    measure = _measure_on_one_thread if iou.size < FEW_PAIRS else _measure
    measure(
        native(detections).reshape(n, D, 4), native(ground_truths).reshape(n, G, 4), native(crowd).reshape(n, G), iou
    )
    return iou.reshape(*batch, D, G)


@compiled_parallel
def _measure(detections: Any, ground_truths: Any, crowd: Any, iou: Any) -> None:
    n_problems, D, _ = iou.shape
    for row in prange(n_problems * D):
        b, i = row // D, row % D
        _measure_row(detections[b, i], ground_truths[b], crowd[b], iou[b, i])


@compiled
def _measure_on_one_thread(detections: Any, ground_truths: Any, crowd: Any, iou: Any) -> None:
    n_problems, D, _ = iou.shape
    for b in range(n_problems):
        for i in range(D):
            _measure_row(detections[b, i], ground_truths[b], crowd[b], iou[b, i])


@compiled
def _measure_row(detection: Any, ground_truths: Any, crowd: Any, iou: Any) -> None:
    zero = detection.dtype.type(0)
    dx, dy, dw, dh = detection
    d_area = dw * dh
    for j in range(len(iou)):
        gx, gy, gw, gh = ground_truths[j]
        w = _least(dw + dx, gw + gx) - _greatest(dx, gx)
        h = _least(dh + dy, gh + gy) - _greatest(dy, gy)
        inter = w * h
        union = d_area if crowd[j] else d_area + gw * gh - inter
        is_apart = (w <= zero or h <= zero) and not (np.isnan(w) or np.isnan(h))
        iou[j] = zero if is_apart else inter / union


@compiled(inline=True)
def _least(a: Any, b: Any) -> Any:
    return a if a < b or np.isnan(a) else b


@compiled(inline=True)
def _greatest(a: Any, b: Any) -> Any:
    return a if a > b or np.isnan(a) else b

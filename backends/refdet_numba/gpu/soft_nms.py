"""Soft non-maximum suppression: one block, whose threads share the boxes, and select together.

    until no box remains:
        each thread, for each of its boxes that remain:
            score *= f(IoU with the box selected last); discard the box if score < min_score
            remember its best, of equals the first
        in pairs, halving their number: the best of all threads, of equals the first        wait for each other
        one thread writes down the best, and its box remains no longer

A thread alone reads and writes the scores of its boxes, and the best is the same in whatever order it is looked for.
The arithmetic is that of `refdet.boxes.soft_nms`; the exponential is the device's.

Workspace: a score and a flag for each box.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import boolean, float32, float64, int64

from refdet.boxes.soft_nms import METHODS
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.box_iou import area, overlap
from refdet_numba.gpu.device import contiguous, launch, number
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 4 if IN_SIMULATOR else 512  # a power of two
LINEAR, GAUSSIAN = METHODS.index("linear"), METHODS.index("gaussian")


def soft_nms(
    boxes: Any, scores: Any, *, method: str, threshold: float, sigma: float, min_score: float, offset: int
) -> tuple[Any, Any]:
    """Return the indices of the boxes in the order of their selection, (K,) int64, and their scores at that time."""
    n, cast = len(boxes), boxes.dtype.type
    current, remains = np.copy(scores), np.ones_like(scores, dtype=np.bool_)
    selected, selected_scores = np.empty_like(current, dtype=np.int64), np.empty_like(current)
    n_selected = np.zeros_like(selected, shape=(1,))
    numbers = cast(offset), cast(threshold), cast(sigma), cast(min_score)
    arguments = contiguous(boxes), METHODS.index(method), *numbers, current, remains
    launch(SELECTIONS[boxes.dtype.name], min(1, n), THREADS, *arguments, selected, selected_scores, n_selected)
    k = number(n_selected)
    return selected[:k], selected_scores[:k]


def _selection(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit()
    def soft_nms(
        boxes: Any,
        method: Any,
        offset: Any,
        threshold: Any,
        sigma: Any,
        min_score: Any,
        current: Any,
        remains: Any,
        selected: Any,
        selected_scores: Any,
        n_selected: Any,
    ) -> None:
        bests = cuda.shared.array(THREADS, dtype)
        holders = cuda.shared.array(THREADS, int64)  # on a line of its own: by its line the simulator tells an array
        zero, one, least = dtype(0), dtype(1), dtype(-math.inf)
        n, thread = len(boxes), cuda.threadIdx.x
        last, k = -1, 0
        while k <= n:  # one round more than there are boxes: the last finds none
            best, holder = least, n
            for i in range(thread, n, THREADS):
                if remains[i]:
                    score = current[i]
                    if last >= 0:
                        p, q = boxes[last], boxes[i]
                        area_p, area_q = area(p[0], p[1], p[2], p[3], offset), area(q[0], q[1], q[2], q[3], offset)
                        iou = overlap(p, q, area_p, area_q, False, offset, zero)
                        factor = one
                        if method == GAUSSIAN:
                            if iou > zero:
                                factor = dtype(math.exp(-(iou * iou) / sigma))
                        elif iou > threshold:
                            factor = one - iou if method == LINEAR else zero
                        score *= factor
                        current[i] = score
                    if score < min_score:
                        remains[i] = False
                    elif holder == n or score > best:  # a NaN is never greater, and takes the place of −∞
                        best, holder = score if score == score else least, i
            bests[thread], holders[thread] = best, holder
            cuda.syncthreads()
            half = THREADS // 2
            while half > 0:
                if thread < half:
                    other, theirs = bests[thread + half], holders[thread + half]
                    mine = bests[thread]
                    if other > mine or (other == mine and theirs < holders[thread]):
                        bests[thread], holders[thread] = other, theirs
                half //= 2
                cuda.syncthreads()
            last = holders[0]
            cuda.syncthreads()
            if last == n:
                break
            if last % THREADS == thread:  # who owns the box
                remains[last] = False
                selected[k], selected_scores[k] = last, current[last]
            k += 1
        if thread == 0:
            n_selected[0] = k

    return soft_nms


_float32, _float64 = _selection(float32), _selection(float64)
SELECTIONS = {"float32": _float32, "float64": _float64}

ASSEMBLED = [
    Assembled(
        kernel,
        [array(t, 2), int64, t, t, t, t, array(t, 1), array(boolean, 1), array(int64, 1), array(t, 1), array(int64, 1)],
        registers=80 if t is float32 else 56,
        shared_bytes=THREADS * (t.bitwidth // 8 + 8),
        float64=t is float64,  # and fused: the exponential is; the arithmetic of the IoU has its own `multiply`
    )
    for kernel, t in ((_float32, float32), (_float64, float64))
]

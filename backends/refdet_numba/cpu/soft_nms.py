"""Soft non-maximum suppression, with what remains in columns that are closed up in every step.

    while any box remains:
        select the one with the highest score, the first of equals
        for each box that remains:  overlap = IoU with it
        for each:                   factor = f(overlap)
        for each:                   score ← score · factor;  close up over the selected one and those that fall below
                                    min_score, and find the next best

For f(o) = exp(−o²/σ) NumPy computes the factors, as the last bit of its exponential differs from the compiler's. A step
depends on the one before and is short: it is all serial.

Workspace: for N boxes 8 · N numbers and 2 · N indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.box_columns import columns_of, side
from refdet_numba.cpu.compiling import compiled


def soft_nms(
    boxes: Array, scores: Array, *, method: str, threshold: float, sigma: float, min_score: float, offset: int
) -> tuple[Array, Array]:
    """Return the indices of the boxes in the order of their selection, (K,) int64, and their scores at that time."""
    x, s = native(boxes), native(scores)
    number = x.dtype.type
    remaining = np.flatnonzero(~(s < float(min_score)))
    s, columns = s[remaining], columns_of(x, remaining, number(offset))
    with np.errstate(over="ignore"):
        numbers = number(min_score), number(offset)
    if method == "gaussian":
        return _soften_smoothly(columns, s, remaining, float(sigma), *numbers)
    selected = np.empty(len(s), np.int64)
    selected_scores = np.empty_like(s)
    n = _soften(columns, s, remaining, method == "linear", number(threshold), *numbers, selected, selected_scores)
    return selected[:n], selected_scores[:n]


def _soften_smoothly(
    columns: Array, s: Array, remaining: Array, sigma: float, min_score: Any, offset: Any
) -> tuple[Array, Array]:
    """Carry out all steps for f(o) = exp(−o²/σ)."""
    selected, selected_scores = [], []
    iou = np.empty_like(s)
    n, best = len(s), _best(s)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # σ may be next to 0, or round to it
        while n:
            selected.append(remaining[best])
            selected_scores.append(s[best])
            _measure(columns, best, iou, n, offset)
            o = iou[:n]
            factors = np.where(o > 0, np.exp(-(o * o) / sigma), s.dtype.type(1))
            n, best = _decay(columns, s, remaining, factors, n, best, min_score)
    return np.array(selected, np.int64), np.array(selected_scores, s.dtype)


@compiled
def _soften(
    columns: Any,
    s: Any,
    remaining: Any,
    linear: Any,
    threshold: Any,
    min_score: Any,
    offset: Any,
    selected: Any,
    selected_scores: Any,
) -> Any:
    """Carry out all steps, "linear" or "hard", and return how many there are."""
    zero, one = s.dtype.type(0), s.dtype.type(1)
    factors = np.empty_like(s)
    n_selected, n, best = 0, len(s), _best(s)
    while n > 0:
        selected[n_selected], selected_scores[n_selected] = remaining[best], s[best]
        n_selected += 1
        _measure(columns, best, factors, n, offset)
        for i in range(n):
            factor = one - factors[i] if linear else zero
            factors[i] = factor if factors[i] > threshold else one
        n, best = _decay(columns, s, remaining, factors, n, best, min_score)
    return n_selected


@compiled
def _best(s: Any) -> Any:
    """Return the place of the highest score, the first of equals; NaN counts as −∞."""
    best = 0
    for i in range(len(s)):
        if s[i] > s[best] or (np.isnan(s[best]) and s[i] > -np.inf):
            best = i
    return best


@compiled
def _measure(columns: Any, best: Any, iou: Any, n: Any, offset: Any) -> None:
    """Set iou[:n] to the IoU of box `best` with each of the first n."""
    x1, y1, x2, y2, area = columns[0], columns[1], columns[2], columns[3], columns[4]
    left, top, right, bottom, own_area = x1[best], y1[best], x2[best], y2[best], area[best]
    zero = iou.dtype.type(0)
    for i in range(n):
        w = side(left if left > x1[i] else x1[i], right if right < x2[i] else x2[i], offset)
        h = side(top if top > y1[i] else y1[i], bottom if bottom < y2[i] else y2[i], offset)
        inter = w * h
        union = own_area + area[i] - inter
        quotient = inter / union
        iou[i] = zero if (inter == zero) & (union == zero) else quotient


@compiled
def _decay(columns: Any, s: Any, remaining: Any, factors: Any, n: Any, selected: Any, min_score: Any) -> Any:
    """Multiply, and close up over the selected box and those that go; return how many stay, and their best."""
    n_stay, best = 0, 0
    x1, y1, x2, y2, area = columns[0], columns[1], columns[2], columns[3], columns[4]
    for i in range(n):
        score = s[i] * factors[i]
        if i == selected or score < min_score:
            continue
        x1[n_stay], y1[n_stay], x2[n_stay], y2[n_stay], area[n_stay] = x1[i], y1[i], x2[i], y2[i], area[i]
        remaining[n_stay], s[n_stay] = remaining[i], score
        if score > s[best] or (np.isnan(s[best]) and score > -np.inf):
            best = n_stay
        n_stay += 1
    return n_stay, best

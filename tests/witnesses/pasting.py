"""Masks pasted row by row of weights: every rule is a matrix for each axis, pixels × cells."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.question import Question
from tests.witnesses._witness import Witness


def centres(a: float, b: float, m: int, n_pixels: int) -> Array:
    """Detectron2, mask_ops.py: (x + 0.5 - x0) / (x1 - x0) * 2 - 1, and grid_sample with zeros around."""
    weights = np.zeros((n_pixels, m))
    if not (math.isfinite(a) and math.isfinite(b) and b > a):
        return weights
    for x in range(n_pixels):
        at = (x + 0.5 - a) * m / (b - a)  # in cells, from the left edge of the first
        for cell in range(m):
            weights[x, cell] = max(0.0, 1.0 - abs(at - (cell + 0.5)))
    return weights


def stretched(m: int, n: int) -> Array:
    """Resizing m values to n: half-pixel centres, the ends repeated."""
    weights = np.zeros((n, m))
    for i in range(n):
        at = min(max((2 * i + 1) * m / (2 * n) - 0.5, 0.0), m - 1.0)
        left = int(at)
        weights[i, left] += 1 - (at - left)
        weights[i, min(left + 1, m - 1)] += at - left
    return weights


def laid(weights: Array, first: int, n_pixels: int) -> Array:
    """Lay the rows of weights over the pixels from `first` on."""
    rows = np.zeros((n_pixels, weights.shape[1]))
    for i, row in enumerate(weights):
        if 0 <= first + i < n_pixels:
            rows[first + i] = row
    return rows


def grown(a: float, b: float, m: int) -> tuple[float, float]:
    """expand_boxes with the scale (M + 2.0) / M."""
    half = (b - a) * 0.5 * (m + 2.0) / m
    return (a + b) * 0.5 - half, (a + b) * 0.5 + half


def whole_pixels(a: float, b: float, m: int, n_pixels: int) -> Array:
    """Detectron, segm_results: astype(int32), w = x2 - x1 + 1, at least 1; the frame is of zeros."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return np.zeros((n_pixels, m))
    first, last = (int(end) for end in grown(a, b, m))
    resized = stretched(m + 2, max(last - first + 1, 1))[:, 1:-1]
    return laid(resized if last >= first else resized[:0], first, n_pixels)


def rounded(a: float, b: float, m: int, n_pixels: int) -> Array:
    """ChainerCV, segm_to_mask: np.round, and b - a pixels."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return np.zeros((n_pixels, m))
    first, stop = (round(end) for end in grown(a, b, m))
    return laid(stretched(m + 2, max(stop - first, 0))[:, 1:-1], first, n_pixels)


def box(a: float, b: float, m: int, n_pixels: int) -> Array:
    """Mask_RCNN: np.around of the box, then skimage's resize, which is 0 outside the mask."""
    if not (math.isfinite(a) and math.isfinite(b)):
        return np.zeros((n_pixels, m))
    first, stop = round(a), round(b)
    weights = centres(first, stop, m, n_pixels)
    inside = [first <= x < stop for x in range(n_pixels)]
    weights[~np.array(inside, bool)] = 0
    return weights


RULES = {"centres": centres, "whole_pixels": whole_pixels, "rounded": rounded, "box": box}
OF = {"detectron2": ("centres", "ge"), "detectron1": ("whole_pixels", "gt"), "torchvision": ("whole_pixels", "ge")}


def paste(question: Question, *, rule: str = "", compare: str = "") -> dict[str, Any]:
    """Rows · mask · columns, compared."""
    masks, boxes = (np.asarray(question.arguments[name], np.float64) for name in ("masks", "boxes"))
    p = question.params
    asked_rule, asked_compare = OF[p["convention"]]
    height, width = p["size"]
    pasted = np.zeros((len(masks), height, width), bool)
    for i, mask in enumerate(masks):
        x1, y1, x2, y2 = boxes[i].tolist()
        look = RULES[rule or asked_rule]
        values = look(y1, y2, len(mask), height) @ mask @ look(x1, x2, len(mask), width).T
        pasted[i] = values > p["threshold"] if (compare or asked_compare) == "gt" else values >= p["threshold"]
    return {"pasted": pasted}


CONFORMING = [("paste_masks", paste)]

WITNESSES = [
    *(
        Witness(f"mask.paste={rule}", "paste_masks", look.__doc__ or "", partial(paste, rule=rule))
        for rule, look in RULES.items()
    ),
    Witness("mask.cmp=gt", "paste_masks", "torchvision, coco_eval.py: masks > 0.5", partial(paste, compare="gt")),
    Witness("mask.cmp=ge", "paste_masks", "Detectron2, mask_ops.py: >= threshold", partial(paste, compare="ge")),
]

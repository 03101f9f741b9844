"""Deviations of R-CNN's warped regions, all of Caffe's Python detector."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.ops.roi_pool import round_half_away
from refdet.verify.deviation import Body, Deviation

PYCAFFE = "BVLC/caffe, python/caffe/detector.py, Detector.crop"


def _matrix(
    centre: float,
    half: float,
    n_pixels: int,
    S: int,
    p: int,
    keeps: bool,
    rounded: Callable[[Any], Any],
    last_pixel: int,  # 0 if the last pixel of the window is read, −1 if it is not
    beyond: int,  # how far behind the last pixel of the picture a window may end
) -> Array:
    """Return the weight that each output of one axis gives to each pixel of the picture; (S, n_pixels)."""
    weights = np.zeros((S, n_pixels))
    first, last = int(rounded(centre - half)), int(rounded(centre + half - 1))
    if not keeps:
        d = S - 2 * p  # one division each, so that halves are exact
        first, last = (int(rounded((centre * d + sign * half * S) / d)) for sign in (-1, 1))
    n, start, end = last - first + 1, max(first, 0), min(last, n_pixels - 1 + (0 if keeps else beyond))
    pixels = range(start, min(end + 1 + (0 if keeps else last_pixel), n_pixels))
    if end < start or not len(pixels):
        return weights
    pad, size = int(rounded(max(-first, 0) * S / n)), int(rounded((end - start + 1) * S / n))
    size = min(size, S - pad)
    for i in range(size):
        place = min(max((i + 0.5) * len(pixels) / size - 0.5, 0.0), len(pixels) - 1.0)
        before = int(place)
        weights[pad + i, start + before] += 1 - (place - before)
        if place > before:
            weights[pad + i, start + before + 1] += place - before
    return weights


def _warped(
    image: Array,
    boxes: Array,
    mean: Array,
    *,
    side: int,
    padding: int,
    convention: str,
    rounded: Callable[[Any], Any] = round_half_away,
    last_pixel: int = 0,
    beyond: int = 0,
) -> Array:
    """Warp regions as products of matrices, rows · picture · columns."""
    windows = []
    for x1, y1, x2, y2 in boxes.astype(np.float64).tolist():
        halves = [(x2 - x1) / 2, (y2 - y1) / 2]
        if convention == "square":
            halves = [max(halves)] * 2
        columns, rows = (
            _matrix(
                (start + end) / 2,
                half,
                n,
                side,
                padding,
                convention == "warp" and padding == 0,
                rounded,
                last_pixel,
                beyond,
            )
            for start, end, half, n in ((x1, x2, halves[0], image.shape[1]), (y1, y2, halves[1], image.shape[0]))
        )
        shown = np.outer(rows.any(axis=1), columns.any(axis=1))[:, :, None]
        window = np.einsum("iy,yxc,jx->ijc", rows, image.astype(np.float64), columns)
        windows.append(np.where(shown, window - mean, 0))
    stacked = np.array(windows).reshape(len(boxes), side, side, image.shape[2])
    return stacked.astype(image.dtype)


def _where(**choice: Any) -> Callable[[Body], Body]:
    """Warp like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _warped, **choice)

    return wrap


DEVIATIONS = [
    Deviation(
        "warp.round=half_even",
        "rounds halves to the even neighbour",
        "The corners of the window, the pad and the size of what is pasted are a pixel off where they fall on halves.",
        (f"{PYCAFFE}: np.round, and round of Python 3",),
        "Round halves away from zero, as C's and MATLAB's round.",
        {"warp_regions": _where(rounded=np.rint)},
    ),
    Deviation(
        "warp.end=excluded",
        "does not read the last row and column of a window",
        "The window counts n pixels, and n − 1 of them are stretched over the place of n. Without context boxes are "
        "read to their end.",
        (f"{PYCAFFE}: im[box[0]:box[2], box[1]:box[3]] of an inclusive box",),
        "Read the pixels first … last, both inside.",
        {"warp_regions": _where(last_pixel=-1)},
    ),
    Deviation(
        "warp.clip=size",
        "lets a window end one pixel behind the picture",
        "At the right and lower border what is pasted takes the place of a row or column more than the picture has.",
        (f"{PYCAFFE}: np.clip(box, 0., [im_h, im_w, im_h, im_w]), clip_h = box[2] - box[0] + 1",),
        "Cut windows off at the last pixel, the width or height less 1.",
        {"warp_regions": _where(beyond=1)},
    ),
]

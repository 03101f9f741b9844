"""Regions of a picture with some context, all warped to squares of one size: what R-CNN shows its network.

The window of a box is the box grown about its centre, so that after warping p pixels of context surround it:

    s = S / (S − 2p)                             227 / 195 = 1.164 with the S = 227 and p = 16 of R-CNN
    first = round(centre − s · side / 2)         pixels, both inside, along either axis
    last  = round(centre + s · side / 2)         "square": with the longer side of the box along both axes

It is cut off at the border of the picture, and what is left of it goes where it belongs in the square:

    n = last − first + 1,  m = how many of these pixels the picture has
    pad  = round(max(0, −first) · S / n)         left and above
    size = min(round(m · S / n), S − pad)        bilinear, half-pixel centres, border pixels of the window repeated
    y    = window − mean, and 0 where the picture has nothing: there the network sees the mean

Girshick et al., "Rich feature hierarchies" (2014), appendix A; its code, `rcnn_im_crop.m`, which is the same as Caffe's
`window_data_layer.cpp`; decks 000 and 001 (which crops to 224).

refdet's boxes are continuous, half-open and begin at 0; those of the code have a last pixel, and in MATLAB begin at 1.
Its box [100, 80, 199, 229] is (99, 79, 199, 229) here. The centre, x1 + (x2 − x1 + 1) / 2 there, is (x1 + x2) / 2 here,
but what is rounded are pixels: the window (91, 67) … (207, 241) of this box has 117 × 175 pixels, where the grown box
itself is 116.4 × 174.6 long.

Conventions: `round` takes halves away from zero; in MATLAB's coordinates, which are greater by 1, it may go the other
way where −½ is rounded. With p = 0 and "warp" the window is the box itself, from round(x1) to round(x2 − 1). A window
of which the picture has no pixel, or whose size is rounded to 0, is 0 everywhere, as is that of a box with x2 < x1
or y2 < y1 from which no pixel is left. Pixels are not rounded to integers after warping. Windows are computed in
float64, each side of a formula with one division, so that halves are exact; pixels in the dtype of the picture.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np

from refdet.core.check import (
    Array,
    Numbers,
    check_choice,
    check_floating,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.ops.interpolation import Taps, linear_taps, source_coordinates
from refdet.ops.roi_pool import round_half_away

CONVENTIONS = ("warp", "square")
FARTHEST = 2.0**31  # a box beyond it lies in no picture


class _Axis(NamedTuple):
    """Along one axis, for every box: pixels start … stop − 1 of the picture go to pad … pad + size − 1."""

    start: Array
    stop: Array
    pad: Array
    size: Array


def _check(image: Array, boxes: Array, mean: Array, *, side: int, padding: int, convention: str) -> None:
    op = "warp_regions"
    check_floating(op, image=image, mean=mean)
    check_floating(op, boxes=boxes)
    check_rank(op, "image", image, "H, W, C")
    check_shape(op, "boxes", boxes, (*shape_of(boxes)[:1], 4), "one box a row")
    S = integer(op, "side", side, low=1)
    check_shape(op, "mean", mean, (S, S, shape_of(image)[2]), "as one region comes out")
    if 2 * integer(op, "padding", padding, low=0) >= S:
        raise ValueError(f"{op}: padding must be less than half of side, {S}, got {padding}")
    check_choice(op, "convention", convention, CONVENTIONS)


@kernel("warp_regions", check=_check)
def warp_regions_kernel(image: Array, boxes: Array, mean: Array, *, side: int, padding: int, convention: str) -> Array:
    """Return (R, side, side, C): for every box its window, warped, without the mean."""
    H, W, C = shape_of(image)
    first, last = _windows(boxes.astype(np.float64), side, padding, convention)
    columns, rows = _placed(first[:, 0], last[:, 0], W, side), _placed(first[:, 1], last[:, 1], H, side)
    warped = np.zeros((len(boxes), side, side, C), image.dtype)
    for r in np.flatnonzero((rows.size > 0) & (columns.size > 0)).tolist():
        (y1, y2, top, height), (x1, x2, left, width) = ([int(v[r]) for v in axis] for axis in (rows, columns))
        window = _resized(image[y1:y2, x1:x2], height, width)
        inside = slice(top, top + height), slice(left, left + width)
        warped[r][inside] = window - mean[inside]
    return warped


def _windows(boxes: Array, S: int, p: int, convention: str) -> tuple[Array, Array]:
    """Return the first and the last pixel, (R, 2) each, as (x, y)."""
    lengths, twice_centres = boxes[:, 2:] - boxes[:, :2], boxes[:, :2] + boxes[:, 2:]
    if convention == "warp" and p == 0:
        return round_half_away(boxes[:, :2]), round_half_away(boxes[:, 2:] - 1)
    if convention == "square":
        lengths = np.max(lengths, axis=1, keepdims=True)
    d = S - 2 * p
    return round_half_away((twice_centres * d - lengths * S) / (2 * d)), round_half_away(
        (twice_centres * d + lengths * S) / (2 * d)
    )


def _placed(first: Array, last: Array, n_pixels: int, S: int) -> _Axis:
    """Say for every window what the picture has of it, and where that goes; sizes are 0 where it has nothing."""
    n = last - first + 1
    start, stop = np.maximum(first, 0), np.minimum(last, n_pixels - 1) + 1
    is_there = stop > start
    per_pixel = np.where(is_there, n, 1)
    pad = round_half_away(np.maximum(-first, 0) * S / per_pixel)
    size = np.minimum(round_half_away((stop - start) * S / per_pixel), S - pad)
    return _Axis(start, stop, pad, np.where(is_there, size, 0))


def _resized(window: Array, height: int, width: int) -> Array:
    """Resize (h, w, C) bilinearly, rows first."""
    rows, columns = _taps(window.shape[0], height, window.dtype), _taps(window.shape[1], width, window.dtype)
    (above, below), (a, b) = rows.indices.T, rows.weights.T[:, :, None, None]
    tall = a * window[above] + b * window[below]  # (height, w, C)
    (before, behind), (a, b) = columns.indices.T, columns.weights.T[:, :, None]
    resized: Array = a * tall[:, before] + b * tall[:, behind]  # (height, width, C)
    return resized


@functools.lru_cache(maxsize=4096)
def _taps(n_in: int, n_out: int, dtype: np.dtype[np.floating]) -> Taps:
    """Return the two pixels of the window that each output reads, and their weights."""
    return linear_taps(source_coordinates(n_in, n_out, ratio=n_in / n_out, coordinates="half_pixel"), n_in, dtype)


def warp_regions(
    image: Array,
    boxes: Array,
    *,
    side: int = 227,
    padding: int = 16,
    convention: str = "warp",
    mean: Numbers | Array,
) -> Array:
    """Cut regions out of a picture with some context, and warp each to a square.

    Args:
        image: (H, W, C), float32 or float64.
        boxes: (R, 4), rows (x1, y1, x2, y2) in pixels of the picture, float32 or float64.
        side: S, of the squares.
        padding: p, how many of their pixels at each side are context; less than half of S.
        convention: "warp" stretches each axis by itself, "square" both alike.
        mean: what is subtracted: C numbers, or (side, side, C).

    Returns:
        (R, side, side, C), of the dtype of the picture.

    The left half of a picture of 2 × 4 pixels as 2 × 2, and as a square with all that the picture has above and below,
    which is nothing:

    >>> image = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])[:, :, None]
    >>> warp_regions(image, np.array([[0.0, 0, 2, 2]]), side=2, padding=0, mean=[0.0])[0, :, :, 0]
    array([[1., 2.],
           [5., 6.]])
    >>> warp_regions(image, np.array([[0.0, 0, 3, 2]]), side=4, padding=0, convention="square", mean=[0.0])[0, :, :, 0]
    array([[0., 0., 0., 0.],
           [1., 2., 3., 4.],
           [5., 6., 7., 8.],
           [0., 0., 0., 0.]])
    """
    op = "warp_regions"
    check_floating(op, image=image)
    check_rank(op, "image", image, "H, W, C")
    S, C = integer(op, "side", side, low=1), shape_of(image)[2]
    subtracted = np.asarray(mean, image.dtype)
    if shape_of(subtracted) not in ((C,), (S, S, C)):
        raise ValueError(
            f"{op}: mean must be {C} numbers, one per channel, or of shape {(S, S, C)}, "
            f"got shape {shape_of(subtracted)}"
        )
    check_floating(op, boxes=boxes)
    check_shape(op, "boxes", boxes, (*shape_of(boxes)[:1], 4), "one box a row")
    near = (np.abs(boxes) <= FARTHEST).all(axis=1)
    if not near.all():
        row = int(np.argmin(near))
        raise ValueError(f"{op}: box {row} must be finite and within ±2³¹ pixels, got {boxes[row].tolist()}")
    return warp_regions_kernel(
        image, boxes, np.broadcast_to(subtracted, (S, S, C)), side=S, padding=padding, convention=convention
    )


def warp_region(
    image: Array,
    box: Array,
    *,
    side: int = 227,
    padding: int = 16,
    convention: str = "warp",
    mean: Numbers | Array,
) -> Array:
    """Warp one region, (4,), to (side, side, C); all else as `warp_regions`."""
    warped: Array = warp_regions(image, box[None], side=side, padding=padding, convention=convention, mean=mean)[0]
    return warped

"""Pasting: the mask that a head predicts on its m × m grid, laid over the box it was predicted for.

Along one axis of the picture a box is [a, b) and pixel i has its centre at i + ½. Where it reads the mask, cell j of
which has its centre at j:

| convention | u(i) | around the mask | object where |
|---|---|---|---|
| detectron2 | (i + ½ − a) · m/(b − a) − ½ | all is 0 | soft ≥ threshold |
| detectron1 | (i + ½ − a') · (m + 2)/n − 3/2, for i from a' to b' | a frame of 0, one cell wide | soft > threshold |
| torchvision | as detectron1 | as detectron1 | soft ≥ threshold |

with a' = trunc(c − h), b' = trunc(c + h), c = (a + b)/2, h = (b − a)/2 · (m + 2)/m, n = max(b' − a' + 1, 1): the box of
the mask with its frame, in whole pixels from a' to b'. The soft mask is bilinear in u, and 0 where no pixel reads it.

He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §3.1; `mask_ops.py` of Detectron2, `segm_results` of Detectron,
`paste_masks_in_image` of torchvision, which returns the soft masks and leaves the comparison, in its documentation ≥,
to the caller.

Conventions:

- detectron2: a box without area, or with b < a, gets no pixel. The mask fades over half a cell beyond its box.
- detectron1, torchvision: truncation is towards 0, so that −0.9 is pixel 0. A box without area has a pixel all the
  same, the middle of the mask; one with b' < a' has none. The outer half of the frame repeats it.
- A box with a coordinate that is not finite gets no pixel. What lies outside the picture is cut off.
- The threshold is above 0, so that a pixel that reads no mask is false; it is rounded to the dtype of the masks. NaN in
  a mask is false wherever it is read, with weight 0 too.
- Coordinates and weights are computed in float64, products before quotients; weights are rounded once to the dtype of
  the masks, in which the sums accumulate, rows first. Where c ± h is nearly a whole number, an implementation in
  float32 may truncate to another.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice, check_floating, check_number, check_rank, shape_of
from refdet.core.geometry import Pair, pair
from refdet.core.kernel import kernel
from refdet.ops.interpolation import Taps, interpolate, linear_taps

CONVENTIONS = ("detectron2", "detectron1", "torchvision")


class Reach(NamedTuple):
    """The pixels of one axis that read the mask, from `start` on, and what each reads of the mask with its frame."""

    start: int
    taps: Taps


def _check_shapes(op: str, masks: Array, boxes: Array, size: Pair, convention: str) -> None:
    check_boxes(op, boxes=boxes)
    check_floating(op, masks=masks, boxes=boxes)
    check_rank(op, "masks", masks, "D, m, m")
    D, height, width = shape_of(masks)
    if height != width or height == 0:
        raise ValueError(f"{op}: masks must be square and have at least one cell, got shape {shape_of(masks)}")
    if len(boxes) != D:
        raise ValueError(f"{op}: boxes must have {D} rows, one per mask, got {shape_of(boxes)}")
    pair(op, "size", size, low=0)
    check_choice(op, "convention", convention, CONVENTIONS)


def _check(masks: Array, boxes: Array, *, size: Pair, convention: str, threshold: float) -> None:
    _check_shapes("paste_masks", masks, boxes, size, convention)
    check_number("paste_masks", "threshold", threshold, low=0, high=1, open_low=True)


@kernel("paste_masks", check=_check)
def paste_masks_kernel(masks: Array, boxes: Array, *, size: Pair, convention: str, threshold: float) -> Array:
    """Return the pixels of every mask, (D, H, W) bool."""
    pasted, least = np.zeros((len(masks), *size), np.bool_), float(threshold)
    for is_object, (pixels, soft) in zip(pasted, _patches(masks, boxes, size, convention), strict=True):
        is_object[pixels] = soft > least if convention == "detectron1" else soft >= least
    return pasted


def _patches(masks: Array, boxes: Array, size: Pair, convention: str) -> Iterator[tuple[tuple[slice, slice], Array]]:
    """Yield for each mask the pixels that read it, and what they read; the picture has no more of it."""
    reach = _reach_of_box if convention == "detectron2" else _reach_of_whole_pixels
    dtype = np.result_type(masks)
    framed = np.pad(masks, ((0, 0), (1, 1), (1, 1)))  # (D, m + 2, m + 2)
    for mask, (x1, y1, x2, y2) in zip(framed, boxes.tolist(), strict=True):
        top, rows = reach(y1, y2, masks.shape[1], size[0], dtype)
        left, columns = reach(x1, x2, masks.shape[2], size[1], dtype)
        soft = interpolate(mask[None, None], rows, columns)[0, 0]
        yield (slice(top, top + soft.shape[0]), slice(left, left + soft.shape[1])), soft


def _reach_of_box(a: float, b: float, m: int, n_pixels: int, dtype: np.dtype[np.floating]) -> Reach:
    """Return the pixels whose u lies in (−1, m), within a cell of the mask."""
    if not (math.isfinite(a) and math.isfinite(b) and a < b):
        return _nothing(m, dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes near the largest float
        u = (np.arange(n_pixels) + 0.5 - a) * m / (b - a) - 0.5
    reached = np.flatnonzero((u > -1) & (u < m))
    return Reach(int(reached[0]), linear_taps(u[reached] + 1, m + 2, dtype)) if reached.size else _nothing(m, dtype)


def _reach_of_whole_pixels(a: float, b: float, m: int, n_pixels: int, dtype: np.dtype[np.floating]) -> Reach:
    """Return the pixels a' … b' as far as they are in the picture."""
    centre, half = (a + b) * 0.5, (b - a) * 0.5 * (m + 2) / m
    if not (math.isfinite(centre - half) and math.isfinite(centre + half)):
        return _nothing(m, dtype)
    first, last = math.trunc(centre - half), math.trunc(centre + half)
    pixels = np.arange(min(max(first, 0), n_pixels), min(last + 1, n_pixels))
    if not pixels.size:
        return _nothing(m, dtype)
    u = (pixels - float(first) + 0.5) * (m + 2) / max(last - first + 1, 1) - 1.5
    return Reach(int(pixels[0]), linear_taps(u + 1, m + 2, dtype))


def _nothing(m: int, dtype: np.dtype[np.floating]) -> Reach:
    """Return the reach of a mask that no pixel reads."""
    return Reach(0, linear_taps(np.zeros(0), m + 2, dtype))


def paste_masks(
    masks: Array, boxes: Array, size: int | Pair, *, convention: str = "detectron2", threshold: float = 0.5
) -> Array:
    """Lay predicted masks over their boxes in the picture, and say which pixels belong to each object.

    Args:
        masks: (D, m, m), probabilities, float32 or float64.
        boxes: (D, 4) of the same dtype, rows (x1, y1, x2, y2) in pixels of the picture.
        size: (H, W) of the picture, or one integer for both.
        convention: "detectron2", "detectron1" or "torchvision": where pixels read the mask, and what is enough.
        threshold: the probability that is enough, or must be exceeded, in (0, 1].

    Returns:
        (D, H, W) booleans; `rle_encode` makes of each what COCO keeps.

    A mask of one cell, over the box of two pixels, fades to ½ half a cell, here a pixel, beyond it:

    >>> paste_masks(np.array([[[1.0]]]), np.array([[2.0, 0, 4, 1]]), (1, 6))
    array([[[False, False,  True,  True, False, False]]])
    """
    H, W = pair("paste_masks", "size", size, low=0)
    least = check_number("paste_masks", "threshold", threshold, low=0, high=1, open_low=True)
    return paste_masks_kernel(masks, boxes, size=(H, W), convention=convention, threshold=least)


def paste_soft_masks(masks: Array, boxes: Array, size: int | Pair, *, convention: str = "detectron2") -> Array:
    """Lay predicted masks over their boxes in the picture, without deciding which pixels belong to the objects.

    Args:
        masks, boxes, size, convention: as for `paste_masks`; "detectron1" and "torchvision" are the same here.

    Returns:
        (D, H, W) of the dtype of the masks.

    >>> paste_soft_masks(np.array([[[1.0]]]), np.array([[2.0, 0, 4, 1]]), (1, 6))
    array([[[0.  , 0.25, 0.75, 0.75, 0.25, 0.  ]]])
    """
    H, W = pair("paste_soft_masks", "size", size, low=0)
    _check_shapes("paste_soft_masks", masks, boxes, (H, W), convention)
    soft = np.zeros((len(masks), H, W), np.result_type(masks))
    for pasted, (pixels, values) in zip(soft, _patches(masks, boxes, (H, W), convention), strict=True):
        pasted[pixels] = values
    return soft

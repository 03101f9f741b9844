"""Intersection over union of boxes (x, y, w, h), bit for bit as the COCO evaluation has it.

    w = min(d.x + d.w, g.x + g.w) − max(d.x, g.x),    h likewise,    i = w·h, or 0 where w ≤ 0 or h ≤ 0
    iou(d, g) = i / (d.w·d.h + g.w·g.h − i);    for a crowd region g: i / (d.w·d.h)

Lin et al., "Microsoft COCO: common objects in context" (2014); `bbIou` of the COCO API, `maskApi.c`.

Conventions:

- The same numbers as `refdet.boxes.box_iou` up to rounding: there the sides are x2 − x1, here w and h are given, and
  x + w is rounded only for the intersection. Overlaps of exactly 0.5 decide matches, so that it matters.
- Boxes that touch have IoU 0, and so has an empty box with any other.
- A NaN coordinate in either box gives NaN. (C's `fmin` and `fmax` pass over a NaN where the other box has a number.)
- An area that underflows to 0 while w and h are positive: the quotient as IEEE has it, +∞ or NaN.
- The result may exceed 1: where w is little more than the spacing of the floats at x, x + w rounds up.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array, check_booleans, check_floating, not_an_array, shape_of
from refdet.core.kernel import kernel

CHUNK_ELEMENTS = 2**22  # of the largest temporary, two sides for each pair: 32 MiB in float64


def _check(detections: Array, ground_truths: Array, crowd: Array) -> None:
    check_floating("coco_box_iou", detections=detections, ground_truths=ground_truths)
    for name, boxes in (("detections", detections), ("ground_truths", ground_truths)):
        if boxes.ndim < 2 or boxes.shape[-1] != 4:
            raise ValueError(f"coco_box_iou: {name} must have shape (..., N, 4), got {shape_of(boxes)}")
    if crowd is None:
        raise not_an_array("coco_box_iou", "crowd", crowd)
    check_booleans("coco_box_iou", crowd=crowd)
    batch, n_truths = shape_of(ground_truths)[:-2], shape_of(ground_truths)[-2]
    if shape_of(detections)[:-2] != batch or shape_of(crowd) != (*batch, n_truths):
        raise ValueError(
            "coco_box_iou: detections (..., D, 4), ground_truths (..., G, 4) and crowd (..., G) must go together, got "
            f"{shape_of(detections)}, {shape_of(ground_truths)} and {shape_of(crowd)}"
        )


@kernel("coco_box_iou", check=_check, portable=True)
def coco_box_iou_kernel(detections: Array, ground_truths: Array, crowd: Array) -> Array:
    """Return iou, (..., D, G), some rows at a time; axes before these are a batch of independent problems."""
    D, n_columns = detections.shape[-2], math.prod(crowd.shape)
    n_rows = max(1, CHUNK_ELEMENTS // max(1, 2 * n_columns))
    rows = (detections[..., i : i + n_rows, :] for i in range(0, max(1, D), n_rows))
    return np.concatenate([_iou_of_rows(some, ground_truths, crowd) for some in rows], axis=-2)


def _iou_of_rows(detections: Array, ground_truths: Array, crowd: Array) -> Array:
    d, g = detections[..., :, None, :], ground_truths[..., None, :, :]
    position, size = slice(0, 2), slice(2, 4)
    with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
        sides = np.minimum(d[..., size] + d[..., position], g[..., size] + g[..., position])
        sides = sides - np.maximum(d[..., position], g[..., position])  # (..., D, G, 2)
        w, h = sides[..., 0], sides[..., 1]
        inter = w * h
        d_area, g_area = d[..., 2] * d[..., 3], g[..., 2] * g[..., 3]
        union = np.where(crowd[..., None, :], d_area, d_area + g_area - inter)
        is_apart = (w <= 0) | (h <= 0)
        has_nan = np.isnan(w) | np.isnan(h)
        iou: Array = np.where(is_apart & ~has_nan, np.zeros_like(inter), inter / union)
    return iou


def coco_box_iou(detections: Array, ground_truths: Array, crowd: Array | None = None) -> Array:
    """Measure how much each detection overlaps each ground truth.

    Args:
        detections: (D, 4), rows (x, y, w, h), float32 or float64; or (B, D, 4), a batch.
        ground_truths: (G, 4) or (B, G, 4), of the same dtype.
        crowd: (G,) or (B, G) booleans: where the intersection is divided by the area of the detection; None is none.

    Returns:
        iou, (D, G) or (B, D, G), in the dtype of the boxes.

    Two squares of side 2, half of which is shared: 2 of 6, or of a crowd 2 of 4:

    >>> d, g = np.array([[0.0, 0, 2, 2]]), np.array([[1.0, 0, 2, 2]] * 2)
    >>> coco_box_iou(d, g, np.array([False, True]))
    array([[0.33333333, 0.5       ]])
    """
    if crowd is None:
        crowd = np.zeros(np.shape(ground_truths)[:-1], np.bool_)
    return coco_box_iou_kernel(detections, ground_truths, crowd)

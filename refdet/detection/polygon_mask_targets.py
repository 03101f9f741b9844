"""Targets of the mask head drawn from polygons: the outline of an object, moved into the frame of its region.

    u = (x − x1) · m / max(x2 − x1, s),   v = (y − y1) · m / max(y2 − y1, s)     for every vertex (x, y) of the object
    t = the union of its polygons with the vertices (u, v), drawn on m × m pixels: 0 or 1

| convention | s, the least side of a region |
|---|---|
| detectron2 | 0.1 |
| detectron1 | 1 |

This is the third kind of target; the other two, of `refdet.detection.mask_head`, see the object as a mask of pixels.

He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §3.1: "the intersection between an RoI and its associated
ground-truth mask"; `rasterize_polygons_within_box` of Detectron2 and `polys_to_mask_wrt_box` of Detectron.

Conventions:

- The COCO API draws (`refdet.masks.polygons`): vertices are rounded to fifths of a pixel of the target, the even-odd
  rule holds within a polygon, and what lies outside of the region is cut off.
- The width is x2 − x1 for both, even though Detectron elsewhere takes x2 for the last pixel, and adds 1.
- A side shorter than s, or one that ends before it begins, is s long from its start on: the target shows more than
  the region.
- The product comes before the quotient, in float64: whole numbers are met exactly. Detectron2 multiplies by the rounded
  m/(x2 − x1), and Detectron computes in float32; there, a vertex halfway between two fifths of a pixel may go to the
  other one.
- A region that is not finite is refused. So is |u| or |v| above 10⁶, which an object that is large, or far from its
  region, has where that has nearly no width: for m = 28 and s = 0.1 beyond 3571 pixels. Cutting the outline off before
  it is drawn would change how the points of its sides are rounded. Up to that limit, drawing takes memory in proportion
  to the length of the outline.
- An object that no entry of `matches` names is not read. It may be a crowd, which has run lengths and no polygons.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.core.check import Array, check_choice, check_integer, check_shape, integer, sequence
from refdet.masks.polygons import LARGEST, polygons_to_rle, vertices_of
from refdet.masks.rle import RLE, rle_decode

LEAST_SIDE = {"detectron2": 0.1, "detectron1": 1.0}
CONVENTIONS = tuple(LEAST_SIDE)


def polygon_mask_targets(
    polygons: Sequence[Any], boxes: Array, matches: Array, side: int, *, convention: str = "detectron2"
) -> Array:
    """Return what the mask head should predict: the polygons of each region's object, in the frame of the region.

    Args:
        polygons: of each of the G objects a list of polygons, in pixels of the picture: (V, 2) rows of (x, y), or flat
            lists (x₁, y₁, x₂, y₂, ...) as in COCO's files.
        boxes: (P, 4), the regions, float32 or float64.
        matches: (P,), integers, which of the objects each region is.
        side: m.
        convention: "detectron2" or "detectron1", see the module.

    Returns:
        (P, m, m) of the dtype of the boxes, 0 or 1.

    Of a region of 4 × 2 pixels an object of two rectangles has the upper left quarter and the lower right one, and
    reaches beyond the region there:

    >>> parts = [[10, 10, 12, 10, 12, 11, 10, 11], [12, 11, 20, 11, 20, 19, 12, 19]]
    >>> polygon_mask_targets([parts], np.array([[10.0, 10, 14, 12]]), np.array([0]), 2)
    array([[[1., 0.],
            [0., 1.]]])
    """
    op = "polygon_mask_targets"
    objects = sequence(op, "polygons", polygons)
    check_boxes(op, boxes=boxes)
    check_integer(op, matches=matches)
    check_shape(op, "matches", matches, (len(boxes),), "one object per region")
    check_choice(op, "convention", convention, CONVENTIONS)
    side = integer(op, "side", side, low=1)
    if len(matches) and (matches.min() < 0 or matches.max() >= len(objects)):
        raise ValueError(
            f"{op}: matches must name one of {len(objects)} objects, got {matches.min()} … {matches.max()}"
        )
    starts, ends = boxes[:, :2].astype(np.float64), boxes[:, 2:].astype(np.float64)  # (P, 2): x, y
    with np.errstate(over="ignore", invalid="ignore"):
        lengths = ends - starts
    if not np.isfinite(lengths).all():
        p = int(np.flatnonzero(~np.isfinite(lengths).all(axis=1))[0])
        raise ValueError(f"{op}: boxes and their sides must be finite, got {boxes[p].tolist()} (region {p})")
    lengths = np.maximum(lengths, LEAST_SIDE[convention])

    outlines = {g: _outlines(objects[g], g) for g in np.unique(matches).tolist()}
    targets = np.zeros((len(boxes), side, side), boxes.dtype)
    for p, g in enumerate(matches.tolist()):
        with np.errstate(over="ignore"):
            moved = [(vertices - starts[p]) * side / lengths[p] for vertices in outlines[g]]
        furthest = max(np.abs(vertices).max() for vertices in moved)
        if furthest > LARGEST:
            raise ValueError(
                f"{op}: in the frame of region {p}, {boxes[p].tolist()}, the coordinates of object {g} must be within "
                f"±{LARGEST:.0f}, got {furthest:g}: the region is too thin for, or too far from, its object"
            )
        targets[p] = rle_decode(polygons_to_rle(moved, (side, side)))
    return targets


def _outlines(of_object: Any, g: int) -> list[Array]:
    """Return the vertices of each polygon of object g, (V, 2) float64; refuse what has none."""
    op = "polygon_mask_targets"
    if of_object is None or isinstance(of_object, (Mapping, RLE)) or not sequence(op, f"object {g}", of_object):
        got = "none" if of_object is None or not len(of_object) else type(of_object).__name__
        raise ValueError(
            f"{op}: object {g}, to which a region is matched, must have polygons, got {got}; for a crowd, or what else "
            "is kept as a mask, there is mask_targets"
        )
    outlines = []
    for i, polygon in enumerate(of_object):
        try:
            outlines.append(vertices_of(polygon))  # checked in the coordinates that the caller knows
        except (TypeError, ValueError) as error:
            raise type(error)(f"{op}: polygon {i} of object {g}: {error}") from error
    return outlines

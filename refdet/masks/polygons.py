"""Polygons to masks, pixel for pixel as the COCO API draws them.

    1. Vertices go to a grid five times as fine, 5x and 5y, rounded.
    2. Every side becomes a chain of fine points, one per step of its longer extent; the other coordinate is rounded.
    3. Where two consecutive points of the outline lie in different fine columns, the side crosses a border of fine
       columns; only crossings through the middle of a pixel column count.
    4. A crossing in column x at height y changes the value of the mask from pixel ⌈y⌉ of that column on; a pixel is
       true where the number of crossings before it, in the order of the run-length encoding, is odd.

`rleFrPoly` of the COCO API; Lin et al., "Microsoft COCO: common objects in context" (2014), whose polygons these are.

Conventions:

- Coordinates are continuous: pixel (row, column) covers [column, column + 1) × [row, row + 1), so that the corners
  (1, 1) and (3, 2) enclose the pixels (1, 1) and (1, 2).
- Rounding adds ½ and drops the fraction, towards zero: half away from zero for positive numbers. Below zero, outside
  of the image, it is one fine step off.
- The outline is closed; its direction does not matter. Where it crosses itself, the even-odd rule holds. Whatever lies
  outside the image is cut off. A polygon without inner pixels gives an empty mask.
- Because crossings are counted along all columns one after the other, a crossing at the lower end of a column and one
  at the upper end of the next cancel, which is what makes runs around the end of a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array, shape_of
from refdet.core.geometry import Pair, pair
from refdet.masks.rle import RLE, counts_of_changes, rle_merge

SCALE = 5  # fine columns to a pixel; odd, so that one of them is in the middle
# The largest coordinate that is accepted: the number of fine points grows with the length of the outline, and that of a
# triangle of this size takes 0.7 GB.
LARGEST = 1e6


def polygon_to_rle(polygon: Any, size: Pair) -> RLE:
    """Draw a polygon.

    Args:
        polygon: (V, 2) rows of (x, y), or the flat list (x₁, y₁, x₂, y₂, ...) of COCO's files; at least three vertices.
        size: (H, W) of the mask.

    Returns:
        The mask, encoded.

    The rectangle between (1, 1) and (3, 2) in an image of two rows: pixel 1 of the columns 1 and 2.

    >>> polygon_to_rle([1, 1, 3, 1, 3, 2, 1, 2], (2, 4))
    RLE(counts=array([3, 1, 1, 1, 2]), size=(2, 4))
    """
    H, W = pair("polygon_to_rle", "size", size, low=0)
    u, v = _outline(vertices_of(polygon))
    changed = np.flatnonzero(u[1:] != u[:-1])
    border = np.minimum(u[1:], u[:-1])[changed]  # fine column before the border that is crossed
    x = (border + 0.5) / SCALE - 0.5
    through_middle = (x == np.floor(x)) & (x >= 0) & (x <= W - 1)
    y = (np.minimum(v[1:], v[:-1])[changed] + 0.5) / SCALE - 0.5
    row = np.ceil(np.clip(y, 0, H))
    crossings = (x * H + row)[through_middle].astype(np.int64)
    positions, n_crossings = np.unique(crossings, return_counts=True)
    changes = positions[n_crossings % 2 == 1]
    return RLE(counts_of_changes(changes[changes < H * W], H * W), (H, W))


def polygons_to_rle(polygons: Sequence[Any], size: Pair) -> RLE:
    """Draw an object that consists of several polygons: the union of their masks.

    Both halves of the rectangle of `polygon_to_rle`:

    >>> polygons_to_rle([[1, 1, 2, 1, 2, 2, 1, 2], [2, 1, 3, 1, 3, 2, 2, 2]], (2, 4))
    RLE(counts=array([3, 1, 1, 1, 2]), size=(2, 4))
    """
    if len(polygons) == 0:
        raise ValueError("polygons_to_rle: at least one polygon is needed")
    return rle_merge([polygon_to_rle(polygon, size) for polygon in polygons])


def vertices_of(polygon: Any) -> Array:
    """Return the vertices of a polygon, (V, 2) float64; refuse what `polygon_to_rle` cannot draw.

    Args:
        polygon: as in `polygon_to_rle`, whose name the messages have.

    >>> vertices_of([1, 1, 3, 1, 3, 2])
    array([[1., 1.],
           [3., 1.],
           [3., 2.]])
    """
    try:
        points = np.asarray(polygon)
    except ValueError as error:
        raise ValueError(f"polygon_to_rle: the vertices must be pairs (x, y): {error}") from error
    if points.dtype.kind not in "fiu":
        raise TypeError(f"polygon_to_rle: polygon must hold numbers, got {points.dtype.type.__name__.rstrip('_')}")
    if not (points.ndim == 2 and points.shape[1] == 2) and not (points.ndim == 1 and points.size % 2 == 0):
        raise ValueError(f"polygon_to_rle: polygon must be (V, 2) or a flat list of 2·V, got shape {shape_of(points)}")
    points = points.reshape(-1, 2).astype(np.float64)
    if len(points) < 3:
        raise ValueError(f"polygon_to_rle: a polygon has at least three vertices, got {len(points)}")
    if not np.all(np.abs(points) <= LARGEST):
        vertex = np.flatnonzero(~(np.abs(points) <= LARGEST).all(axis=1))[0]
        raise ValueError(
            f"polygon_to_rle: coordinates must be finite and within ±{LARGEST:.0f}, got {points[vertex].tolist()} "
            f"(vertex {vertex})"
        )
    return points


def _outline(vertices: Array) -> tuple[Array, Array]:
    """Return the fine columns u and rows v of all points of the outline, one after the other."""
    corners = np.trunc(SCALE * vertices + 0.5)
    ends = np.roll(corners, -1, axis=0)
    dx, dy = np.abs(ends - corners).T
    steep = dx < dy
    # long and short: the coordinate of larger extent, which advances by one a point, and the other one
    long, short = np.where(steep, 1, 0), np.where(steep, 0, 1)
    side = np.arange(len(corners))
    backwards = corners[side, long] > ends[side, long]  # a side is computed in ascending order of its long coordinate
    low, high = np.where(backwards[:, None], (ends, corners), (corners, ends))
    n_steps = np.maximum(dx, dy).astype(np.int64)
    slope = (high[side, short] - low[side, short]) / np.maximum(n_steps, 1)

    n_points = n_steps + 1
    of = np.repeat(side, n_points)  # the side of each point
    step = np.arange(len(of)) - np.repeat(np.cumsum(n_points) - n_points, n_points)
    step = np.where(backwards[of], n_steps[of] - step, step)
    on_long = low[of, long[of]] + step
    on_short = np.trunc(low[of, short[of]] + slope[of] * step + 0.5)
    return np.where(steep[of], on_short, on_long), np.where(steep[of], on_long, on_short)

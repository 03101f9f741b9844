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
- The work grows with the number of sides and the columns that they cross, not with their length. Coordinates of up to
  ±1,000,000 are accepted.
- Because crossings are counted along all columns one after the other, a crossing at the lower end of a column and one
  at the upper end of the next cancel, which is what makes runs around the end of a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array, check_int64, check_sequence, shape_of
from refdet.core.geometry import Pair, pair
from refdet.masks.rle import RLE, counts_of_changes, rle_merge

SCALE = 5  # fine columns to a pixel; odd, so that one of them is in the middle
MIDDLE = SCALE // 2  # of the fine columns of a pixel the one whose border to the next goes through its middle
LARGEST = 1e6  # coordinate; up to it the rounding errors of a chain are far below a step
CHUNK_ELEMENTS = 2**20  # crossings that are computed at a time


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
    check_int64("polygon_to_rle", "H·W", H * W)
    sides = _sides(vertices_of(polygon), W)
    n_together = max(1, CHUNK_ELEMENTS // max(1, sides.n_crossings.max(initial=0)))
    changes = np.zeros(0, np.int64)
    for first in range(0, len(sides.low), n_together):
        some = _Sides(*(column[first : first + n_together] for column in sides))
        crossings = np.concatenate([changes, _crossings(some, H)])
        positions, n_crossings = np.unique(crossings, return_counts=True)
        changes = positions[n_crossings % 2 == 1]
    return RLE(counts_of_changes(changes[changes < H * W], H * W), (H, W))


def polygons_to_rle(polygons: Sequence[Any], size: Pair) -> RLE:
    """Draw an object that consists of several polygons: the union of their masks.

    Both halves of the rectangle of `polygon_to_rle`:

    >>> polygons_to_rle([[1, 1, 2, 1, 2, 2, 1, 2], [2, 1, 3, 1, 3, 2, 2, 2]], (2, 4))
    RLE(counts=array([3, 1, 1, 1, 2]), size=(2, 4))
    """
    check_sequence("polygons_to_rle", "polygons", polygons)
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


class _Sides(NamedTuple):
    """The sides of a polygon that pass through the middle of a pixel column, on the fine grid."""

    low: Array  # (S, 2) the end (u, v) of the smaller long coordinate: that of the larger extent, one step a point
    slope: Array  # (S,) of the short coordinate, a step
    n_steps: Array  # (S,)
    is_steep: Array  # (S,) whether v is the long coordinate
    first: Array  # (S,) the first pixel column whose middle is passed through
    n_crossings: Array  # (S,) the number of those


def _sides(vertices: Array, W: int) -> _Sides:
    """Return the sides that matter in a mask of W columns."""
    corners = np.trunc(SCALE * vertices + 0.5)
    ends = np.roll(corners, -1, axis=0)
    dx, dy = np.abs(ends - corners).T
    is_steep = dx < dy
    # of both ends, how many columns have their middle to the left: the side passes through those between
    n_left = np.clip((np.stack([corners[:, 0], ends[:, 0]]) + MIDDLE) // SCALE, 0, W).astype(np.int64)
    first, stop = n_left.min(axis=0), n_left.max(axis=0)
    s = np.flatnonzero(first < stop)
    corners, ends, is_steep = corners[s], ends[s], is_steep[s]
    long = is_steep.astype(np.int64)
    side = np.arange(len(s))
    backwards = corners[side, long] > ends[side, long]  # a side is computed in ascending order of its long coordinate
    low, high = np.where(backwards[:, None], (ends, corners), (corners, ends))
    n_steps = np.maximum(dx, dy)[s]
    slope = (high[side, 1 - long] - low[side, 1 - long]) / n_steps
    return _Sides(low, slope, n_steps, is_steep, first[s], (stop - first)[s])


def _crossings(sides: _Sides, H: int) -> Array:
    """Return where the values of a mask of H rows change, in the order of its encoding; a place may come twice.

    Every side passes through the middle of a column once: u never goes back, nor by more than 1 a step.
    """
    n = sides.n_crossings
    of = np.repeat(np.arange(len(n)), n)  # the side of each crossing
    x = sides.first[of] + np.arange(len(of)) - np.repeat(np.cumsum(n) - n, n)
    border = SCALE * x + MIDDLE  # the fine column before the border that is crossed
    (u, v), slope, is_steep = sides.low[of].T, sides.slope[of], sides.is_steep[of]

    def short(start: Array, step: Array) -> Array:
        rounded: Array = np.trunc(start + slope * step + 0.5)
        return rounded

    # steep: where u meets the border behind it; the quotient is rounded, so that it may be one step before or behind
    goes_left = slope < 0
    with np.errstate(divide="ignore", invalid="ignore"):
        meeting = np.where(is_steep, (border + 0.5 - u) / slope, 0)
    step = np.clip(np.floor(meeting), 0, sides.n_steps[of] - 1)
    step -= (short(u, step) > border) != goes_left
    step += (short(u, step + 1) > border) == goes_left
    upper = np.where(is_steep, v + step, np.minimum(short(v, border - u), short(v, border - u + 1)))
    y = (upper + 0.5) / SCALE - 0.5
    places: Array = x * H + np.ceil(np.clip(y, 0, H)).astype(np.int64)
    return places

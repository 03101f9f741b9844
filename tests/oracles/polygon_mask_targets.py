"""Targets of the mask head from polygons: the object's outline in the frame of its region, drawn as the COCO API draws.

    u = (x - x1) m / max(x2 - x1, s),    v = (y - y1) m / max(y2 - y1, s),    s = 1/10 (Detectron2) or 1 (Detectron)

A vertex lies on the grid of fifths of a pixel at (5u + 1/2, 5v + 1/2) without their fractions; so far in exact numbers.
A side of the polygon has one point per step along the axis on which it is longer, from its lower end there; on the
other axis the point is at (lower end + slope * steps + 1/2) without its fraction, in float64 as the program has it.

The middle of pixel (row, column) is in the fine column 5 column + 2. The pixel belongs to the polygon if, of the steps
of the outline between this fine column and the next, an odd number is at 5 row + 2 or above. (The program counts them
down all columns, one after the other. Since a closed outline steps there and back, each column begins anew.)

Sources: Detectron2, structures/masks.py, rasterize_polygons_within_box; Detectron, utils/segms.py,
polys_to_mask_wrt_box; the COCO API, maskApi.c, rleFrPoly.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from tests.oracles._boxes import rows
from tests.oracles._sums import Array

Point = tuple[int, int]
LEAST = {"detectron2": Fraction(1, 10), "detectron1": Fraction(1)}


def forward(
    polygons: Sequence[Sequence[Array]], boxes: Array, matches: Array, *, side: int, convention: str
) -> NDArray[np.bool_]:
    """Return the targets, of shape (P, side, side); a polygon is an array of rows (x, y)."""
    targets = np.zeros((len(boxes), side, side), bool)
    for p, (x1, y1, x2, y2) in enumerate(rows(boxes)):
        for polygon in polygons[int(matches[p])]:
            corners = [
                (_fifths(float(x), x1, x2, side, convention), _fifths(float(y), y1, y2, side, convention))
                for x, y in polygon
            ]
            targets[p] |= _drawn(_outline(corners), side)
    return targets


def _fifths(coordinate: float, start: float, end: float, side: int, convention: str) -> int:
    """Return the coordinate of a vertex on the fine grid of the target."""
    length = max(Fraction(end) - Fraction(start), LEAST[convention])
    return int(5 * (Fraction(coordinate) - Fraction(start)) * side / length + Fraction(1, 2))


def _outline(corners: list[Point]) -> list[Point]:
    """Return all points of the closed outline, one after the other."""
    points: list[Point] = []
    for (u_0, v_0), (u_1, v_1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if abs(u_1 - u_0) >= abs(v_1 - v_0):
            points += _points(u_0, v_0, u_1, v_1)
        else:
            points += [(u, v) for v, u in _points(v_0, u_0, v_1, u_1)]
    return points


def _points(a_0: int, b_0: int, a_1: int, b_1: int) -> list[Point]:
    """Return the points of a side that is longer along axis a than along b."""
    if a_0 > a_1:
        return _points(a_1, b_1, a_0, b_0)[::-1]
    slope = (b_1 - b_0) / (a_1 - a_0) if a_1 > a_0 else 0.0
    return [(a_0 + step, int(b_0 + slope * step + 0.5)) for step in range(a_1 - a_0 + 1)]


def _drawn(points: list[Point], side: int) -> NDArray[np.bool_]:
    """Return the pixels inside of an outline of fine points."""
    steps: dict[int, list[int]] = {}  # the left fine column of each step sideways: the heights of its upper ends
    for (u_0, v_0), (u_1, v_1) in pairwise(points):
        if u_0 != u_1:
            steps.setdefault(min(u_0, u_1), []).append(min(v_0, v_1))
    mask = np.zeros((side, side), bool)
    for row in range(side):
        for column in range(side):
            above = [height for height in steps.get(5 * column + 2, []) if height <= 5 * row + 2]
            mask[row, column] = len(above) % 2 == 1
    return mask

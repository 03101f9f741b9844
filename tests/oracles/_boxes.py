"""Boxes as rows (x1, y1, x2, y2): sides, areas, overlap, and the order of scores.

`offset` is 0 where a box ends at x2 and is x2 - x1 wide, and 1 where x2 is its last pixel and it is x2 - x1 + 1 wide.
"""

import math
from collections.abc import Iterable, Sequence

from tests.oracles._ieee import quotient
from tests.oracles._sums import Array

Box = tuple[float, float, float, float]


def rows(boxes: Array) -> list[Box]:
    """Return the boxes as tuples of Python floats."""
    return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]


def area(box: Box, offset: int) -> float:
    """Return width times height; a side that ends before it begins is 0 long."""
    x1, y1, x2, y2 = box
    return _length(x1, x2, offset) * _length(y1, y2, offset)


def iou(a: Box, b: Box, offset: int, *, crowd: bool = False, empty: str = "zero") -> float:
    """Return |a and b| / |a or b|, for a crowd b |a and b| / |a|; for 0/0, 0 or NaN as `empty` says; for NaN, NaN."""
    if any(math.isnan(coordinate) for coordinate in (*a, *b)):
        return math.nan
    common = (max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3]))
    intersection = area(common, offset)
    union = area(a, offset) if crowd else area(a, offset) + area(b, offset) - intersection
    if intersection == union == 0:
        return 0.0 if empty == "zero" else math.nan
    return quotient(intersection, union)


def descending(indices: Iterable[int], scores: Sequence[float]) -> list[int]:
    """Return the indices by descending score; equal scores by ascending index, NaN scores last."""

    def rank(i: int) -> tuple[bool, float, int]:
        missing = math.isnan(scores[i])
        return missing, 0.0 if missing else -scores[i], i

    return sorted(indices, key=rank)


def _length(start: float, end: float, offset: int) -> float:
    length = end - start + offset
    return 0.0 if length < 0 else length

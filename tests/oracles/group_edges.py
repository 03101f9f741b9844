"""Edge pixels grouped into short, nearly straight pieces of contour.

Candidates are the pixels with edges > min_magnitude (NaN is not) off the first and last row and column; no other pixel
is ever in a group, -1. Two orientations, of [0, pi), differ by v = |a - b| / pi, or by 1 - v where v > 1/2.

Grow       Every candidate, in scan order, that is still free begins a group as its current pixel, with total = 0 and
           an empty list. The current pixel joins the group. Its free neighbours that were never listed for this group
           are listed, each with its v to the current pixel. The entry of the smallest v, the first listed of equal
           ones, is struck off; total += v, one term after the other. If total < merge_threshold it is the next
           current pixel; if not, the group is complete and that pixel stays free. So is the group without entries.
Dissolve   A group whose edges sum to min_group or less is dissolved; its pixels are loose.
Adopt      Every loose pixel, in scan order, joins the group of that grouped neighbour to which its v is the smallest,
           the first of equal ones, and counts as grouped from then on. This sweep is repeated until it changes nothing.
Number     The groups left are numbered 0, 1, ... in the order in which they began.

Scan order has x outer and y inner; a pixel has 8 neighbours, dx outer and dy inner. Not defined: merge_threshold <= 0,
and candidates whose orientation is NaN or outside [0, pi).

Source: Zitnick and Dollár, "Edge boxes: locating object proposals from edges" (2014), section 3.1; orders, ties, and
the two last conditions are those of the authors' program.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._edge_groups import Pixel, neighbours, scan
from tests.oracles._sums import Array, exact_sum


def forward(
    edges: Array, orientation: Array, *, min_magnitude: float, merge_threshold: float, min_group: float
) -> NDArray[np.int64]:
    """Return the number of each pixel's group, of shape (H, W)."""
    candidates = [(x, y) for x, y in scan(edges.shape, border=1) if edges[y, x] > min_magnitude]

    free = set(candidates)
    grown: list[list[Pixel]] = []
    for pixel in candidates:
        if pixel in free:
            grown.append(_grow(pixel, free, orientation, merge_threshold))
            free -= set(grown[-1])

    kept = [group for group in grown if exact_sum(float(edges[y, x]) for x, y in group) > min_group]
    number = {pixel: g for g, group in enumerate(kept) for pixel in group}
    _adopt(candidates, number, orientation)

    groups = np.full(edges.shape, -1, dtype=np.int64)
    for (x, y), g in number.items():
        groups[y, x] = g
    return groups


def _grow(first: Pixel, free: set[Pixel], orientation: Array, merge_threshold: float) -> list[Pixel]:
    """Return the group that `first` begins."""
    group: list[Pixel] = []
    entries: list[tuple[float, Pixel]] = []
    listed: set[Pixel] = set()
    current, total = first, 0.0
    while total < merge_threshold:
        group.append(current)
        for pixel in neighbours(current, 1):
            if pixel in free and pixel not in group and pixel not in listed:
                entries.append((_difference(orientation, pixel, current), pixel))
                listed.add(pixel)
        if not entries:
            break
        best = min(entries, key=lambda entry: entry[0])  # min keeps the first of equal ones
        entries.remove(best)
        total += best[0]
        current = best[1]
    return group


def _adopt(candidates: list[Pixel], number: dict[Pixel, int], orientation: Array) -> None:
    """Give the candidates without a number, as far as it can be, that of a neighbour."""
    changed = True
    while changed:
        changed = False
        for pixel in candidates:
            if pixel in number:
                continue
            grouped = [other for other in neighbours(pixel, 1) if other in number]
            if grouped:
                closest = min(grouped, key=lambda other: _difference(orientation, pixel, other))
                number[pixel] = number[closest]
                changed = True


def _difference(orientation: Array, a: Pixel, b: Pixel) -> float:
    v = abs(float(orientation[a[1], a[0]]) - float(orientation[b[1], b[0]])) / math.pi
    return 1 - v if v > 0.5 else v

"""Scores of boxes by the groups of edge pixels that they hold whole.

A box (x0, y0, x1, y1) has the columns x0 ... x1 and the rows y0 ... y1, both ends included, after clipping them to
0 ... W - 1 and 0 ... H - 1; b_w = x1 - x0, b_h = y1 - y0. Group i has the mass m_i = sum of its edges, and is located
at the last of its pixels in scan order, x outer and y inner. Boundary groups have a pixel on the box's first or last
column or row, within the box. With r_i how strongly group i is tied to the boundary,

    r_i      1 for boundary groups; for others the largest product of affinities along a path of pairs, walked in either
             direction, from a boundary group to i, or 0 without such a path. Every group on the path is a boundary
             group or located in the box, and no product on the way, taken from the boundary, is less than 0.05.
    h        the sum of (1 - r_i) m_i over the groups located in the box, less the edges in the box's centre
    score    h * norm, or 0 if that is less than min_score

    "paper"     norm = 1 / (2 (b_w + b_h) ** kappa)
                centre: |x - (x0 + x1) / 2| <= b_w / 4, |y - (y0 + y1) / 2| <= b_h / 4
    "opencv"    norm = (w + h) ** -kappa, where w = floor(b_w / 2), h = floor(b_h / 2)
                centre: x0 + floor(w / 2) + (0 ... w), y0 + floor(h / 2) + (0 ... h), and there only the pixels with
                edges > min_magnitude, x >= 1 and y >= 1

The score is 0, whatever min_score is, of a box that ends before it begins (before clipping), of any box on an empty map
and where b_w + b_h or w + h, which the norm divides by, is 0. A box beyond the map is clipped to the nearest pixels.
Affinities are in 0 ... 1; a group of the pairs without a pixel on the map has no location and ties nothing.

Source: Zitnick and Dollár, "Edge boxes: locating object proposals from edges" (2014), section 3.2, equations
2 to 4; "opencv", the location and the 0.05: OpenCV's edgeboxes.cpp.
"""

from __future__ import annotations

import math

import numpy as np

from tests.oracles._edge_groups import Pixel, members, scan
from tests.oracles._sums import Array, Float64Array, exact_sum

LEAST_PRODUCT = 0.05


def forward(
    boxes: Array,
    edges: Array,
    groups: Array,
    pairs: Array,
    affinities: Array,
    *,
    convention: str,
    kappa: float,
    min_score: float,
    min_magnitude: float,
) -> Float64Array:
    """Return the scores, of shape (B,)."""
    height, width = edges.shape
    group_pixels = members(groups)
    ties = [(int(i), int(j), float(a)) for (i, j), a in zip(pairs, affinities, strict=True)]
    scores = np.zeros(len(boxes))
    for b in range(len(boxes)):
        x0, y0, x1, y1 = (int(coordinate) for coordinate in boxes[b])
        if x1 < x0 or y1 < y0 or height == 0 or width == 0:
            continue
        x0, x1 = (min(max(x, 0), width - 1) for x in (x0, x1))
        y0, y1 = (min(max(y, 0), height - 1) for y in (y0, y1))

        norm = _norm(x1 - x0, y1 - y0, convention, kappa)
        h = _inside(x0, y0, x1, y1, edges, group_pixels, ties)
        for x, y in scan(edges.shape):
            if convention == "paper":
                counts = 2 * abs(2 * x - x0 - x1) <= x1 - x0 and 2 * abs(2 * y - y0 - y1) <= y1 - y0
            else:
                central = _central(x, x0, x1) and _central(y, y0, y1)
                counts = central and edges[y, x] > min_magnitude and x >= 1 and y >= 1
            if counts:
                h.append(-float(edges[y, x]))
        score = exact_sum(h) * norm
        scores[b] = 0.0 if score < min_score or norm == 0 else score
    return scores


def _norm(b_w: int, b_h: int, convention: str, kappa: float) -> float:
    """Return the factor of the score; 0 for a box too small to have one."""
    extent = b_w + b_h if convention == "paper" else b_w // 2 + b_h // 2
    if extent == 0:
        return 0.0
    factor = math.pow(extent, -kappa)
    return factor / 2 if convention == "paper" else factor


def _central(position: int, start: int, end: int) -> bool:
    """Return whether a column, or row, is one of the centre of start ... end, by the rule "opencv"."""
    half = (end - start) // 2
    return start + half // 2 <= position <= start + half // 2 + half


def _inside(
    x0: int,
    y0: int,
    x1: int,
    y1: int,
    edges: Array,
    group_pixels: dict[int, list[Pixel]],
    ties: list[tuple[int, int, float]],
) -> list[float]:
    """Return the terms (1 - r_i) m_i of the groups located in the box."""

    def inside(pixel: Pixel) -> bool:
        return x0 <= pixel[0] <= x1 and y0 <= pixel[1] <= y1

    def on_boundary(pixel: Pixel) -> bool:
        return inside(pixel) and (pixel[0] in (x0, x1) or pixel[1] in (y0, y1))

    located = {i for i, pixels in group_pixels.items() if inside(pixels[-1])}
    tied = {i: 1.0 for i, pixels in group_pixels.items() if any(on_boundary(pixel) for pixel in pixels)}
    lengthened = True
    while lengthened:  # one more step on every path, until none ties a group more strongly
        lengthened = False
        for i, j, a in ties + [(j, i, a) for i, j, a in ties]:
            product = tied.get(i, 0.0) * a
            if j in located and product >= LEAST_PRODUCT and product > tied.get(j, 0.0):
                tied[j] = product
                lengthened = True
    masses = {i: exact_sum(float(edges[y, x]) for x, y in group_pixels[i]) for i in located}
    return [(1 - tied.get(i, 0.0)) * masses[i] for i in located]

"""Hierarchical grouping of regions, from Uijlings, van de Sande, Gevers & Smeulders (2013), algorithm 1.

The similarity of every pair of living neighbours is computed anew in every step, from its definition; the largest wins,
the lowest pair (i, j) on ties.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def forward(
    sizes: Array,
    boxes: Array,
    colours: Array,
    textures: Array,
    pairs: Array,
    *,
    weights: tuple[float, float, float, float],
    image_area: float,
) -> tuple[Array, Array]:
    size = [int(n) for n in sizes]
    box = [tuple(float(v) for v in row) for row in boxes]
    colour = [[float(v) for v in row] for row in colours]
    texture = [[float(v) for v in row] for row in textures]
    alive = set(range(len(size)))
    adjacent = {frozenset((int(i), int(j))) for i, j in pairs if int(i) != int(j)}

    def union(i: int, j: int) -> tuple[float, float, float, float]:
        a, b = box[i], box[j]
        return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])

    def similarity(i: int, j: int) -> float:
        x1, y1, x2, y2 = union(i, j)
        terms = [
            math.fsum(min(p, q) for p, q in zip(colour[i], colour[j], strict=True)),
            math.fsum(min(p, q) for p, q in zip(texture[i], texture[j], strict=True)),
            1 - (size[i] + size[j]) / image_area,
            1 - ((x2 - x1) * (y2 - y1) - size[i] - size[j]) / image_area,
        ]
        s = 0.0
        for a, term in zip(weights, terms, strict=True):
            if a != 0:
                s += a * term
        return s

    merges: list[tuple[int, int]] = []
    while True:
        best: tuple[float, int, int] | None = None
        for i in sorted(alive):
            for j in sorted(alive):
                if i < j and frozenset((i, j)) in adjacent:
                    s = similarity(i, j)
                    if best is None or s > best[0]:
                        best = (s, i, j)
        if best is None:
            break
        _, i, j = best
        new, total = len(size), size[i] + size[j]
        size.append(total)
        box.append(union(i, j))
        for histogram in (colour, texture):
            histogram.append(
                [(size[i] * p + size[j] * q) / total for p, q in zip(histogram[i], histogram[j], strict=True)]
            )
        neighbours = {k for pair in adjacent if i in pair or j in pair for k in pair} - {i, j}
        alive -= {i, j}
        alive.add(new)
        adjacent = {pair for pair in adjacent if not pair & {i, j}} | {frozenset((k, new)) for k in neighbours & alive}
        merges.append((i, j))
    return np.array(merges, np.int64).reshape(-1, 2), np.array(box, np.float64).reshape(-1, 4)

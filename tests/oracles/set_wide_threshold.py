"""The regions that R-CNN's test leaves for the suppression, class by class, as its code walks over a set of pictures.

    for each picture, for each class: of the regions with score > threshold of the class the `top_per_class` best;
        their scores go on the heap of the class; while more than `per_picture` · N are on it, the least falls off,
        and the threshold is the least that remains
    at the end: away with what is < threshold of its class

A threshold is −∞ until something falls off. Class 0 is the background. Scores that are not finite are not there.

Source: Girshick et al., "Rich feature hierarchies", its code rcnn_test.m, which sorts a list where a heap is here.
"""

import heapq
import math
from collections.abc import Sequence

from tests.oracles._boxes import descending
from tests.oracles._sums import Array


def forward(
    pictures: Sequence[Array], *, n_classes: int, top_per_class: int, per_picture: int
) -> tuple[list[set[tuple[int, int, int]]], list[float], list[int]]:
    """Return of each class what is kept, as (picture, region, class), its threshold, and the last picture to raise it.

    That last picture is −1 where the threshold is −∞.
    """
    limit = per_picture * len(pictures)
    thresholds, raised_by = [-math.inf] * n_classes, [-1] * n_classes
    heaps: list[list[float]] = [[] for _ in range(n_classes)]
    kept: list[set[tuple[int, int, int]]] = [set() for _ in range(n_classes)]
    for i, scores in enumerate(pictures):
        for c in range(1, n_classes):
            column = [float(row[c]) for row in scores]
            above = [r for r, z in enumerate(column) if math.isfinite(z) and z > thresholds[c]]
            for r in descending(above, column)[:top_per_class]:
                kept[c].add((i, r, c))
                heapq.heappush(heaps[c], column[r])
            fell = False
            while len(heaps[c]) > limit:
                heapq.heappop(heaps[c])
                fell = True
            if fell and heaps[c][0] > thresholds[c]:
                thresholds[c], raised_by[c] = heaps[c][0], i
    for c in range(1, n_classes):
        kept[c] = {(i, r, c) for i, r, c in kept[c] if not float(pictures[i][r, c]) < thresholds[c]}
    return kept, thresholds, raised_by

"""Which edge groups belong to an object that a box cuts: those that cross its boundary, and what continues them.

    strength of group i = 1 if it crosses the boundary, else max over paths t from a crossing group to i of
                          Π_k a(t_k, t_{k+1}), and 0 without such a path

Zitnick & Dollár, "Edge Boxes", ECCV 2014, §3.2, equation (2); a(i, j) are the affinities of
`refdet.proposals.edge_affinities`. A path runs through groups that are inside the box or cross its boundary, and is
given up once the product is < 0.05. (The paper drops each affinity below 0.05 instead, and does not say that a path
must stay inside; its authors' code does.)

This is the inner loop of EdgeBoxes, which goes through it some hundred thousand times a picture. So it works on lists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.proposals.edge_maps import in_scan_order

WEAKEST_PATH = 0.05

Neighbours = list[list[tuple[int, float]]]  # of each group: the others, with the affinity


def neighbours_of(n_groups: int, pairs: Array, affinities: Array) -> Neighbours:
    """Return the neighbours of every group in the order of the pairs, without those that end any path."""
    neighbours: Neighbours = [[] for _ in range(n_groups)]
    for (i, j), affinity in zip(pairs.tolist(), affinities.tolist(), strict=True):
        if affinity >= WEAKEST_PATH:
            neighbours[i].append((j, affinity))
            neighbours[j].append((i, affinity))
    return neighbours


class Boundary(NamedTuple):
    """Which groups lie along a stretch of a row or column, read off a list of all pixels that are in a group."""

    along_rows: list[int]  # groups of those pixels, in row-major order
    before_in_rows: Array  # (H·W + 1,): how many of them come before each pixel of the map
    along_columns: list[int]  # likewise in scan order
    before_in_columns: Array
    shape: tuple[int, int]

    @classmethod
    def of(cls, groups: Array) -> Boundary:
        """Read the groups off a map."""
        by_row, by_column = groups.ravel(), in_scan_order(groups)
        before = [np.append(0, np.cumsum(labels >= 0)) for labels in (by_row, by_column)]
        along = [labels[labels >= 0].tolist() for labels in (by_row, by_column)]
        H, W = groups.shape
        return cls(along[0], before[0], along[1], before[1], (H, W))

    def crossing(self, boxes: Array) -> Iterator[list[int]]:
        """Yield for each box the groups on its top, bottom, left and right, with repetitions."""
        H, W = self.shape
        x0, y0, x1, y1 = boxes.T
        stretches = [self.before_in_rows[[y * W + x0, y * W + x1 + 1]].T.tolist() for y in (y0, y1)]
        stretches += [self.before_in_columns[[x * H + y0, x * H + y1 + 1]].T.tolist() for x in (x0, x1)]
        rows, columns = self.along_rows, self.along_columns
        for (t0, t1), (b0, b1), (l0, l1), (r0, r1) in zip(*stretches, strict=True):
            yield rows[t0:t1] + rows[b0:b1] + columns[l0:l1] + columns[r0:r1]


def tied_groups(
    crossing: Sequence[int],
    box: Sequence[int],
    located: Sequence[tuple[int, int]],
    neighbours: Neighbours,
    rounded_product: Callable[[float], float],
) -> dict[int, float]:
    """Return the groups tied to the boundary of a box, each with its strength, in the order of discovery.

    Args:
        crossing: the groups that cross the boundary; repetitions do not count.
        box: (x0, y0, x1, y1), first and last column and row.
        located: (x, y) of each group.
        neighbours: of each group.
        rounded_product: rounds a product of strengths and affinities to the dtype of the maps.

    Groups are followed in the order of discovery, starting over from the earliest one whose tie has become stronger.
    The strengths do not depend on that order; it decides the rounding of the sum that is made of them.
    """
    x0, y0, x1, y1 = box
    strength = dict.fromkeys(crossing, 1.0)
    order, renewed, i = list(strength), set(strength), 0
    while i < len(order):
        group = order[i]
        i += 1
        if group not in renewed:
            continue
        renewed.remove(group)
        so_far = strength[group]
        for other, affinity in neighbours[group]:
            product = so_far * affinity
            if product < WEAKEST_PATH:
                continue
            known = strength.get(other)
            if known is None:
                x, y = located[other]
                if x0 <= x <= x1 and y0 <= y <= y1:
                    strength[other] = rounded_product(product)
                    order.append(other)
                    renewed.add(other)
            elif product > known and rounded_product(product) > known:
                strength[other] = rounded_product(product)
                renewed.add(other)
                i = min(i, order.index(other))
    return strength

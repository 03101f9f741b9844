"""Hierarchical grouping of regions: a heap of pairs, and lists of neighbours that are never rewritten.

    while the heap holds a pair of living neighbours (i, j), the most similar one first:
        merge them into region u: size, box, histograms
        join their lists of neighbours, and walk the joined list once:
            an entry names a region of the beginning; what that is part of by now is a neighbour of u
            an entry that leads to u itself, or where an earlier one leads, is taken out
        push u's similarity to each of its neighbours

Uijlings et al., "Selective Search for Object Recognition", IJCV 104(2), 2013. Each pair of the beginning is two entries
for good, so that no set has to be edited where regions die. Merges depend on those before them: one thread does it all.
The heap orders by similarity, then i, then j, which no two entries share, so that it pops what the reference's pops.

Similarities are the reference's to the last bit: `_pairwise_sum` adds the bins in the order of NumPy's sums.

Workspace: 8 (bins + 13) bytes for each of 2n − 1 regions, 32 bytes per pair, and the heap: 24 bytes per pair and for
each neighbour of each merged region.
"""

from __future__ import annotations

import heapq
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.proposals.region_grouping import Weights
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled


def group_regions(
    sizes: Array, boxes: Array, colours: Array, textures: Array, pairs: Array, *, weights: Weights, image_area: float
) -> tuple[Array, Array]:
    """Return the merges and the boxes of all regions, as the reference does."""
    n = len(sizes)
    if pairs.size and (pairs.min() < 0 or pairs.max() >= n):  # compiled code does not look where it reads
        raise IndexError(f"group_regions: pairs must join regions 0 … {n - 1}, got {pairs.min()} … {pairs.max()}")
    lower, upper = np.sort(native(pairs, np.int64), axis=1).T
    distinct = np.unique((lower * n + upper)[lower != upper])
    ends = np.stack(np.divmod(distinct, max(n, 1)), axis=1)
    features = [_with_room_for_unions(x) for x in (sizes, boxes, colours, textures)]
    merges = _group(*features, ends, n, tuple(float(a) for a in weights), float(image_area))
    return merges, features[1][: n + len(merges)].astype(boxes.dtype.newbyteorder("="))


def _with_room_for_unions(x: Array) -> Array:
    """Return (n, …) in float64 with rows for the n − 1 regions that may be born."""
    rows = np.zeros((max(2 * len(x) - 1, 0), *x.shape[1:]))
    rows[: len(x)] = x
    return rows


@compiled
def _group(
    sizes: Any, boxes: Any, colours: Any, textures: Any, ends: Any, n: Any, weights: Any, image_area: Any
) -> Any:
    first, last, following = _lists_of_neighbours(ends, len(sizes))
    part_of = np.arange(len(sizes))  # the region that a dead one became, a living one itself
    seen_by = np.full(len(sizes), -1, np.int64)
    merges = np.empty((max(n - 1, 0), 2), np.int64)
    union = n

    heap = [(0.0, 0, 0) for _ in range(0)]
    for i, j in ends:
        heap.append((-_similarity(sizes, boxes, colours, textures, i, j, weights, image_area), i, j))
    heapq.heapify(heap)
    while len(heap) > 0:
        _, i, j = heapq.heappop(heap)
        if part_of[i] != i or part_of[j] != j:
            continue
        merges[union - n] = i, j
        _merge(sizes, boxes, colours, textures, i, j, union)
        part_of[i] = part_of[j] = union
        following[last[i]] = first[j]  # both have neighbours: each other
        first[union], last[union] = first[i], -1
        before = -1
        entry = first[union]
        while entry >= 0:
            neighbour = _living(part_of, ends[entry // 2, entry % 2])
            after = following[entry]
            if neighbour == union or seen_by[neighbour] == union:  # take the entry out
                if before < 0:
                    first[union] = after
                else:
                    following[before] = after
            else:
                seen_by[neighbour] = union
                similarity = _similarity(sizes, boxes, colours, textures, union, neighbour, weights, image_area)
                heapq.heappush(heap, (-similarity, neighbour, union))
                before = entry
            entry = after
        last[union] = before
        union += 1
    return merges[: union - n]


@compiled
def _lists_of_neighbours(ends: Any, n_regions: Any) -> Any:
    """Return the first and last entry of each region's list, and which one follows each; −1 for none.

    Entry 2p + e names ends[p, e], and stands in the list of the other end of pair p.
    """
    first, last = np.full(n_regions, -1, np.int64), np.full(n_regions, -1, np.int64)
    following = np.full(2 * len(ends), -1, np.int64)
    for entry in range(2 * len(ends)):
        region = ends[entry // 2, 1 - entry % 2]
        if first[region] < 0:
            first[region] = entry
        else:
            following[last[region]] = entry
        last[region] = entry
    return first, last, following


@compiled
def _living(part_of: Any, region: Any) -> Any:
    """Return what a region is part of by now; halves the path to it for the next search."""
    while part_of[region] != region:
        part_of[region] = part_of[part_of[region]]
        region = part_of[region]
    return region


@compiled
def _merge(sizes: Any, boxes: Any, colours: Any, textures: Any, i: Any, j: Any, union: Any) -> None:
    """Fill the row of the union of regions i and j."""
    sizes[union] = sizes[i] + sizes[j]
    for side in range(2):
        boxes[union, side] = min(boxes[i, side], boxes[j, side])
        boxes[union, 2 + side] = max(boxes[i, 2 + side], boxes[j, 2 + side])
    for histograms in (colours, textures):
        for b in range(histograms.shape[1]):
            histograms[union, b] = (sizes[i] * histograms[i, b] + sizes[j] * histograms[j, b]) / sizes[union]


@compiled
def _similarity(
    sizes: Any, boxes: Any, colours: Any, textures: Any, i: Any, j: Any, weights: Any, image_area: Any
) -> Any:
    a_colour, a_texture, a_size, a_fill = weights
    s = 0.0
    if a_colour:
        s += a_colour * _pairwise_sum(colours[i], colours[j])
    if a_texture:
        s += a_texture * _pairwise_sum(textures[i], textures[j])
    if a_size:
        s += a_size * (1 - (sizes[i] + sizes[j]) / image_area)
    if a_fill:
        x1, y1 = min(boxes[i, 0], boxes[j, 0]), min(boxes[i, 1], boxes[j, 1])
        x2, y2 = max(boxes[i, 2], boxes[j, 2]), max(boxes[i, 3], boxes[j, 3])
        s += a_fill * (1 - ((x2 - x1) * (y2 - y1) - sizes[i] - sizes[j]) / image_area)
    return s


@compiled
def _pairwise_sum(p: Any, q: Any) -> Any:
    """Return Σ min(p, q) as NumPy adds it: eight sums side by side, halves apart where there are more than 128."""
    n = len(p)
    if n > 128:
        half = n // 2 - n // 2 % 8
        return _pairwise_sum(p[:half], q[:half]) + _pairwise_sum(p[half:], q[half:])
    total = 0.0
    r0 = r1 = r2 = r3 = r4 = r5 = r6 = r7 = 0.0
    n_eights = n // 8 * 8
    for b in range(0, n_eights, 8):
        r0 += min(p[b], q[b])
        r1 += min(p[b + 1], q[b + 1])
        r2 += min(p[b + 2], q[b + 2])
        r3 += min(p[b + 3], q[b + 3])
        r4 += min(p[b + 4], q[b + 4])
        r5 += min(p[b + 5], q[b + 5])
        r6 += min(p[b + 6], q[b + 6])
        r7 += min(p[b + 7], q[b + 7])
    total = ((r0 + r1) + (r2 + r3)) + ((r4 + r5) + (r6 + r7))
    for b in range(n_eights, n):
        total += min(p[b], q[b])
    return total

"""Edge groups: pieces of a contour, each of them nearly straight.

    start from a free edge pixel; add the neighbouring edge pixel whose orientation differs least, again and again,
    until the differences add up to π/2

Zitnick & Dollár, "Edge Boxes: Locating Object Proposals from Edges", ECCV 2014, §3.1. The paper leaves the order of the
pixels, and what becomes of small groups, to the code; here they are as in the authors' code and OpenCV's:

- An edge pixel has a magnitude > `min_magnitude`, and does not lie in the first or last row or column.
- Pixels are visited in scan order (columns first, `refdet.proposals.edge_maps`). The first one that is free starts a
  group. A pixel that joins offers its free 8-neighbours, in scan order, each with the difference of its orientation
  from that of this pixel, |θ1 − θ2| / π folded to at most 1/2; a pixel is offered once to a group. Of all offers to the
  group, not only those of the last pixel, the smallest is taken, the earliest of equal ones. Its difference is added to
  the group's total, and if that reaches `merge_threshold` (1/2, that is π/2), the pixel stays free and the group is
  complete; else it joins.
- Groups whose magnitudes add up to at most `min_group` are dissolved. Their pixels are swept in scan order, each
  joining the group of the 8-neighbour of nearest orientation, the first of equal ones, until a sweep changes nothing; a
  pixel that joined early in a sweep counts for those after it. A pixel that no group reaches belongs to none, −1.
- Groups are numbered 0, 1, … in the order in which they were started.
- The arithmetic is that of the dtype of the maps. A NaN magnitude is no edge; the public function refuses it.
"""

from __future__ import annotations

import heapq
import math

import numpy as np

from refdet.core.check import Array, check_number
from refdet.core.kernel import kernel
from refdet.proposals.edge_maps import check_edge_maps, check_edge_values, count_groups, in_scan_order

NEIGHBOURS = [(dx, dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1) if (dx, dy) != (0, 0)]  # in scan order

Offers = list[list[tuple[float, int]]]  # of each pixel: its neighbours on edges, with the difference of orientation


def _check(edges: Array, orientation: Array, *, min_magnitude: float, merge_threshold: float, min_group: float) -> None:
    check_edge_maps("group_edges", edges, orientation)
    check_number("group_edges", "min_magnitude", min_magnitude, low=0)
    check_number("group_edges", "merge_threshold", merge_threshold, low=0, open_low=True)
    check_number("group_edges", "min_group", min_group, low=0)


@kernel("group_edges", check=_check)
def group_edges_kernel(
    edges: Array, orientation: Array, *, min_magnitude: float, merge_threshold: float, min_group: float
) -> Array:
    """Return the group of every pixel, (H, W) int64, or −1."""
    H, W = edges.shape
    is_edge = edges > float(min_magnitude)
    is_edge[:1], is_edge[-1:], is_edge[:, :1], is_edge[:, -1:] = False, False, False, False
    magnitudes = in_scan_order(edges)
    pixels = np.flatnonzero(in_scan_order(is_edge))
    offers = _offers(in_scan_order(orientation), pixels, magnitudes.size, H)

    group_of = _grow(pixels, offers, magnitudes.size, magnitudes.dtype.type(merge_threshold))
    sums = np.zeros(count_groups(group_of), magnitudes.dtype)
    np.add.at(sums, group_of[pixels], magnitudes[pixels])  # pixel after pixel, in scan order
    is_small = sums <= float(min_group)
    loose = pixels[is_small[group_of[pixels]]]
    group_of[loose] = -1
    _adopt(group_of, loose.tolist(), offers)

    number = np.cumsum(~is_small) - 1  # (groups,): counted without the small ones
    group_of[group_of >= 0] = number[group_of[group_of >= 0]]
    return np.ascontiguousarray(group_of.reshape(W, H).T)


def _offers(orientation: Array, pixels: Array, n_pixels: int, H: int) -> Offers:
    """Return for every edge pixel its neighbours that are edge pixels too, in scan order."""
    is_edge = np.zeros(n_pixels, bool)
    is_edge[pixels] = True
    offers: Offers = [[] for _ in range(n_pixels)]
    steps = np.array([dx * H + dy for dx, dy in NEIGHBOURS])
    from_pixel, i_step = np.nonzero(is_edge[pixels[:, None] + steps])  # row-major: pixel by pixel
    start, end = pixels[from_pixel], pixels[from_pixel] + steps[i_step]
    turn = np.abs(orientation[end] - orientation[start]) / orientation.dtype.type(math.pi)
    turn = np.where(turn > 0.5, 1 - turn, turn)
    for pixel, difference, neighbour in zip(start.tolist(), turn.tolist(), end.tolist(), strict=True):
        offers[pixel].append((difference, neighbour))
    return offers


def _grow(pixels: Array, offers: Offers, n_pixels: int, merge_threshold: np.floating) -> Array:
    """Return the group of each pixel, before small ones are dissolved; −1 off the edges."""
    scalar = type(merge_threshold)  # totals round as the dtype of the maps does
    group_of = [-1] * n_pixels
    n_groups = 0
    for pixel in pixels.tolist():
        if group_of[pixel] >= 0:
            continue
        total, seen = scalar(0), {pixel}
        heap: list[tuple[float, int, int]] = []  # difference, how many were offered before, pixel
        while total < merge_threshold:
            group_of[pixel] = n_groups
            for difference, neighbour in offers[pixel]:
                if group_of[neighbour] < 0 and neighbour not in seen:
                    seen.add(neighbour)
                    heapq.heappush(heap, (difference, len(seen), neighbour))
            if not heap:
                break
            difference, _, pixel = heapq.heappop(heap)
            total += scalar(difference)
        n_groups += 1
    return np.array(group_of, np.int64)


def _adopt(group_of: Array, loose: list[int], offers: Offers) -> None:
    """Let loose pixels join the neighbouring group of nearest orientation, sweep after sweep, in place."""
    group = group_of.tolist()
    changed = True
    while changed:
        remaining = []
        for pixel in loose:
            joined = [(difference, neighbour) for difference, neighbour in offers[pixel] if group[neighbour] >= 0]
            if joined:
                _, nearest = min(joined, key=lambda offer: offer[0])
                group[pixel] = group[nearest]
            else:
                remaining.append(pixel)
        changed, loose = len(remaining) < len(loose), remaining
    group_of[:] = group


def group_edges(
    edges: Array,
    orientation: Array,
    *,
    min_magnitude: float = 0.1,
    merge_threshold: float = 0.5,
    min_group: float = 0.5,
) -> Array:
    """Divide the edge pixels of a picture into nearly straight groups.

    Args:
        edges: (H, W) magnitudes in [0, 1], float32 or float64.
        orientation: (H, W), of the same dtype, in [0, π]: the normal of the edge.
        min_magnitude: what is above it is an edge pixel.
        merge_threshold: how much a group may turn, in units of π: the sum of its differences stays below.
        min_group: a group of at most this sum of magnitudes is dissolved.

    Returns:
        (H, W) int64: the number of each pixel's group, or −1.

    Two horizontal edges meet two vertical ones; the turn by π/2 ends a group:

    >>> edges, orientation = np.zeros((4, 6)), np.zeros((4, 6))
    >>> edges[1, 1:5], orientation[1, 1:3] = 1, np.pi / 2
    >>> group_edges(edges, orientation)[1]
    array([-1,  0,  0,  1,  1, -1])
    """
    check_edge_maps("group_edges", edges, orientation)
    check_edge_values("group_edges", edges, orientation)
    return group_edges_kernel(
        edges, orientation, min_magnitude=min_magnitude, merge_threshold=merge_threshold, min_group=min_group
    )

"""Edge groups: the reference's loops over pixels, compiled.

    for each free edge pixel, in scan order:                                            grow
        while the differences of orientation add up to less than merge_threshold:
            the pixel joins and offers its free neighbours; the best offer of all is next
    dissolve the groups of little magnitude
    sweep their pixels, each joining its nearest neighbour's group, until a sweep changes nothing

The maps lie in scan order, pixel (y, x) at x · H + y, so that neighbours are a fixed number of places away; edge pixels
are never on the border. Every step depends on those before it: one thread does it all. Differences and totals are
rounded to the dtype of the maps, as in the reference.

Workspace: 33 bytes per pixel of the map at most, and the offers to one group.
"""

from __future__ import annotations

import heapq
import math
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.proposals.edge_maps import in_scan_order
from refdet.proposals.group_edges import NEIGHBOURS
from refdet_numba.cpu.compiling import compiled


def group_edges(
    edges: Array, orientation: Array, *, min_magnitude: float, merge_threshold: float, min_group: float
) -> Array:
    """Return the group of every pixel, or −1, as the reference does."""
    H, W = edges.shape
    is_edge = edges > float(min_magnitude)
    is_edge[:1], is_edge[-1:], is_edge[:, :1], is_edge[:, -1:] = False, False, False, False
    magnitudes = in_scan_order(edges)
    scalar = magnitudes.dtype.type
    steps = np.array([dx * H + dy for dx, dy in NEIGHBOURS], np.int64)
    group_of = _group(
        np.flatnonzero(in_scan_order(is_edge)),
        magnitudes,
        in_scan_order(orientation),
        steps,
        scalar(merge_threshold),
        scalar(min_group),
        scalar(math.pi),
    )
    return np.ascontiguousarray(group_of.reshape(W, H).T)


@compiled
def _group(
    pixels: Any, magnitudes: Any, orientation: Any, steps: Any, merge_threshold: Any, min_group: Any, pi: Any
) -> Any:
    group_of = np.full(len(magnitudes), -1, np.int64)
    is_edge = np.zeros(len(magnitudes), np.bool_)
    for pixel in pixels:
        is_edge[pixel] = True
    n_groups = _grow(pixels, is_edge, orientation, steps, merge_threshold, pi, group_of)

    sums = np.zeros(n_groups, magnitudes.dtype)
    for pixel in pixels:
        sums[group_of[pixel]] += magnitudes[pixel]
    number = np.full(n_groups, -1, np.int64)  # counted without the small groups
    n_large = 0
    for group in range(n_groups):
        if not sums[group] <= min_group:
            number[group] = n_large
            n_large += 1
    for pixel in pixels:
        group_of[pixel] = number[group_of[pixel]]
    _adopt(pixels[group_of[pixels] < 0], is_edge, orientation, steps, pi, group_of)
    return group_of


@compiled
def _grow(pixels: Any, is_edge: Any, orientation: Any, steps: Any, merge_threshold: Any, pi: Any, group_of: Any) -> Any:
    """Put every edge pixel into a group, in place; return how many groups there are."""
    offered_to = np.full(len(group_of), -1, np.int64)  # the last group that a pixel was offered to
    n_groups = 0
    heap = [(pi, 0, 0)]  # difference, how many were offered before, pixel
    for start in pixels:
        if group_of[start] >= 0:
            continue
        heap.clear()
        pixel, total, n_offered = start, orientation.dtype.type(0), 0
        offered_to[start] = n_groups
        while total < merge_threshold:
            group_of[pixel] = n_groups
            for step in steps:
                neighbour = pixel + step
                if is_edge[neighbour] and group_of[neighbour] < 0 and offered_to[neighbour] != n_groups:
                    offered_to[neighbour] = n_groups
                    n_offered += 1
                    heapq.heappush(heap, (_difference(orientation, pixel, neighbour, pi), n_offered, neighbour))
            if len(heap) == 0:
                break
            difference, _, pixel = heapq.heappop(heap)
            total += difference
        n_groups += 1
    return n_groups


@compiled
def _adopt(loose: Any, is_edge: Any, orientation: Any, steps: Any, pi: Any, group_of: Any) -> None:
    """Let loose pixels join the neighbouring group of nearest orientation, sweep after sweep, in place."""
    n_before = len(loose) + 1
    while len(loose) < n_before:
        n_before = len(loose)
        n_remaining = 0
        for pixel in loose:
            group, least = np.int64(-1), pi
            for step in steps:
                neighbour = pixel + step
                if is_edge[neighbour] and group_of[neighbour] >= 0:
                    difference = _difference(orientation, pixel, neighbour, pi)
                    if group < 0 or difference < least:
                        group, least = group_of[neighbour], difference
            group_of[pixel] = group
            if group < 0:
                loose[n_remaining] = pixel
                n_remaining += 1
        loose = loose[:n_remaining]


@compiled
def _difference(orientation: Any, pixel: Any, neighbour: Any, pi: Any) -> Any:
    """Return |θ1 − θ2| / π, folded to at most 1/2."""
    turn = abs(orientation[neighbour] - orientation[pixel]) / pi
    return orientation.dtype.type(1) - turn if turn > 0.5 else turn

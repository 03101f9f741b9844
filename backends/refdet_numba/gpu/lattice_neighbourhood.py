"""The taps around every vertex, found as neighbours are: by bisection, a thread for each tap and vertex.

    exact, for each tap and vertex: bisect for the vertex a fixed step ahead (`lattice_index`)
    walk, for each tap and vertex: go the tap's steps from neighbour to neighbour, until one is missing

Workspace: 8 M bytes for M vertices; `traversal="walk"` also holds the d + 1 neighbours of every vertex.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import int64

from refdet.crf.lattice_index import MISSING, neighbour_offsets
from refdet.crf.lattice_neighbourhood import tap_offsets, tap_steps
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.lattice_index import encoded, find, on_the_host, radix_of
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 8 if IN_SIMULATOR else 256


def lattice_neighbourhood(vertices: Any, *, size: int, traversal: str) -> Any:
    """Return the taps, (T, M)."""
    rows = contiguous(vertices.astype(np.int64, copy=False))
    M, d = rows.shape
    radix = radix_of(rows, reach=max(size, 1) * d)
    if radix is None:
        return on_the_host("lattice_neighbourhood", vertices, size=size, traversal=traversal)
    codes = encoded(rows, radix)
    if traversal == "exact":
        return find(codes, tap_offsets(d, size), radix)
    steps = tap_steps(d, size)
    taps = np.empty_like(rows, shape=(len(steps), M))
    neighbours = find(codes, neighbour_offsets(d), radix)
    launch(_walk, blocks_for(taps.size, THREADS), THREADS, neighbours, to_device(steps), taps)
    return taps


@jit()
def _walk(neighbours: Any, steps: Any, taps: Any) -> None:
    place = cuda.grid(1)
    if place < taps.size:
        t, v = place // taps.shape[1], place % taps.shape[1]
        at = int64(v)
        for axis in range(steps.shape[1]):
            for _ in range(steps[t, axis]):
                if at != MISSING:
                    at = neighbours[axis, at]
        taps[t, v] = at


ASSEMBLED = [Assembled(_walk, [array(int64, 2)] * 3, registers=48)]

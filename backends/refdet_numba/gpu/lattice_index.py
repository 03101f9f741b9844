"""Numbering the vertices of a lattice by sorting, and finding neighbours by bisection.

    for each key (a thread each):   write it as one number, the reference's mixed radix
    sort the numbers; the distinct ones are the vertices, in lexicographic order
    for each vertex (a thread each):   read its key back from its number
    for each offset and vertex (a thread each):   bisect the numbers for the one a fixed step ahead

In mixed radix a neighbour is a constant away. Sorting is CuPy's; nothing here depends on the order of threads. The host
learns the range of the keys and how many are distinct. Keys too wide for 63 bits make the round trip to the reference.

Workspace for n keys: 8 n bytes, and what CuPy takes for sorting them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import int64

from refdet.core.kernel import KERNELS, ROUND_TRIPS
from refdet.crf.lattice_index import MISSING, neighbour_offsets
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device, to_host
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit

THREADS = 8 if IN_SIMULATOR else 256


class Radix(NamedTuple):
    """The code Σ_j (key_j − low_j) · steps_j, below 2⁶³ for all keys within reach."""

    steps: Any  # (d,) int64, on the host
    table: Any  # (2, d) int64, on the device: low and steps


def lattice_index(keys: Any) -> tuple[Any, Any, Any]:
    """Return the vertices (M, d), the ids (N, K) of the keys among them, and the neighbours (d + 1, 2, M)."""
    n_points, n_corners, d = keys.shape
    rows = contiguous(keys.astype(np.int64, copy=False)).reshape(n_points * n_corners, d)
    radix = radix_of(rows, reach=d)
    if radix is None:
        found: tuple[Any, Any, Any] = on_the_host("lattice_index", keys)
        return found
    codes, ids = np.unique(encoded(rows, radix), return_inverse=True)
    vertices = np.empty_like(rows, shape=(len(codes), d))
    launch(_decode, blocks_for(len(codes), THREADS), THREADS, codes, radix.table, vertices)
    ahead = neighbour_offsets(d)
    neighbours = find(codes, np.stack([ahead, -ahead], axis=1).reshape(2 * (d + 1), d), radix)
    ids = ids.astype(np.int64, copy=False).reshape(n_points, n_corners)
    return vertices, ids, neighbours.reshape(d + 1, 2, len(codes))


def radix_of(rows: Any, *, reach: int) -> Radix | None:
    """Return how to write the keys and all at most `reach` away; None if 63 bits are too few. Waits for their range.

    As the reference's the range includes 0, so that keys whose neighbours are no int64 are always too wide.
    """
    d = rows.shape[1]
    low, high = [0] * d, [0] * d
    if len(rows):
        low, high = to_host(np.stack([rows.min(axis=0), rows.max(axis=0)])).tolist()
    low, high = [min(0, a) - reach for a in low], [max(0, b) + reach for b in high]
    widths = [b - a + 1 for a, b in zip(low, high, strict=True)]  # Python's integers do not wrap around
    if math.prod(widths) >= 2**63:
        return None
    steps = np.array([math.prod(widths[j + 1 :]) for j in range(d)], np.int64)
    return Radix(steps, to_device(np.stack([np.array(low, np.int64), steps])))


def on_the_host(kernel: str, *arrays: Any, **params: Any) -> Any:
    """Return what the reference does, by an explicit round trip."""
    ROUND_TRIPS[kernel] += 1
    return to_device(KERNELS[kernel].reference(*to_host(arrays), **params))


def encoded(rows: Any, radix: Radix) -> Any:
    """Return each row as one number, (n,) int64."""
    codes = np.empty_like(rows, shape=(len(rows),))
    launch(_encode, blocks_for(len(rows), THREADS), THREADS, rows, radix.table, codes)
    return codes


def find(codes: Any, offsets: Any, radix: Radix) -> Any:
    """Return, for every offset (T, d), the number of the vertex that far from each vertex, −1 where none: (T, M)."""
    found = np.empty_like(codes, shape=(len(offsets), len(codes)))
    distances = to_device(offsets @ radix.steps)
    launch(_find, blocks_for(found.size, THREADS), THREADS, codes, distances, found)
    return found


@jit()
def _encode(rows: Any, table: Any, codes: Any) -> None:
    row = cuda.grid(1)
    if row < len(codes):
        code = int64(0)
        for j in range(rows.shape[1]):
            code += (rows[row, j] - table[0, j]) * table[1, j]
        codes[row] = code


@jit()
def _decode(codes: Any, table: Any, vertices: Any) -> None:
    v = cuda.grid(1)
    if v < len(codes):
        rest = codes[v]
        for j in range(vertices.shape[1]):
            digit = rest // table[1, j]
            rest -= digit * table[1, j]
            vertices[v, j] = table[0, j] + digit


@jit()
def _find(codes: Any, distances: Any, found: Any) -> None:
    place = cuda.grid(1)
    if place < found.size:
        t, v = place // len(codes), place % len(codes)
        wanted = codes[v] + distances[t]
        u = first_at_least(codes, wanted)
        found[t, v] = u if u < len(codes) and codes[u] == wanted else MISSING


@device_function
def first_at_least(ascending: Any, wanted: Any) -> Any:
    """Return the first place whose number is at least `wanted`, or the length if there is none."""
    low, high = int64(0), int64(len(ascending))
    while low < high:
        middle = (low + high) >> 1
        if ascending[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low


_CODES, _ROWS = array(int64, 1), array(int64, 2)
ASSEMBLED = [
    Assembled(_encode, [_ROWS, _ROWS, _CODES], registers=38),
    Assembled(_decode, [_CODES, _ROWS, _ROWS], registers=56),
    Assembled(_find, [_CODES, _CODES, _ROWS], registers=40),
]

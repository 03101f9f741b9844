"""Numbering the vertices of a lattice by hashing, in the reference's order; finding neighbours without searching.

    for each sixteenth of the keys (in parallel):
        write every key as one number, the reference's mixed radix; note the distinct ones in a hash table, as they come
    sort the distinct numbers of all parts: the vertices, in lexicographic order
    for each part (in parallel):   replace what the table said by the number of the vertex
    for each offset (in parallel):   walk through the sorted numbers and through those a fixed step ahead, side by side

Points next to each other share most of their corners: a key that equals that of the point before it is not looked up.
In mixed radix a neighbour is a constant away, so that its number is found by merging two sorted lists. Everything is in
integers and the parts depend on the number of keys alone. Keys too wide for 63 bits are left to the reference.

Workspace for n keys: 12 n bytes, and for each thread a hash table of 12 · 2^⌈log₂ n/8⌉ bytes.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.kernel import KERNELS, active_backend
from refdet.crf.lattice_index import MISSING, neighbour_offsets
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.threads import per_thread

PARTS = 16
EMPTY = -1
SCATTER = np.int64(-7046029254386353131)  # 2⁶⁴ / golden ratio, odd; Knuth, The Art of Computer Programming 3, §6.4


class Radix(NamedTuple):
    """The code Σ_j (key_j − low_j) · steps_j, below 2⁶³ for all keys within reach."""

    low: Array  # (d,)
    steps: Array  # (d,)


def lattice_index(keys: Array) -> tuple[Array, Array, Array]:
    """Return the vertices (M, d), the ids (N, K) of the keys among them, and the neighbours (d + 1, 2, M)."""
    n_points, n_corners, d = keys.shape
    rows = native(keys, np.int64).reshape(n_points * n_corners, d)
    radix = radix_of(rows, reach=d)
    if radix is None:
        found: tuple[Array, Array, Array] = by_the_reference("lattice_index", keys)
        return found
    ids = np.empty((n_points, n_corners), np.int64)
    local = np.empty((n_points, n_corners), np.int32)
    size = -(-n_points // PARTS)
    table_size = 1 << max(2 * size * n_corners - 1, 1).bit_length()
    tables = per_thread((table_size,), np.int64), per_thread((table_size,), np.int32)
    codes = np.empty((PARTS, size * n_corners), np.int64)
    counts = np.zeros(PARTS, np.int64)
    last = per_thread((2, n_corners), np.int64)
    _number_parts(rows.reshape(n_points, n_corners, d), *radix, *tables, last, codes, counts, local)
    distinct = np.concatenate([part[:count] for part, count in zip(codes, counts, strict=True)])
    vertex_codes, vertex_of = np.unique(distinct, return_inverse=True)
    starts = np.cumsum(counts) - counts
    _renumber(local, starts, vertex_of, ids)
    vertices = np.empty((len(vertex_codes), d), np.int64)
    _decode(vertex_codes, *radix, vertices)
    ahead = neighbour_offsets(d) @ radix.steps
    neighbours = np.empty((2 * (d + 1), len(vertices)), np.int64)
    _find(vertex_codes, np.stack([ahead, -ahead], axis=1).reshape(-1), neighbours)
    return vertices, ids, neighbours.reshape(d + 1, 2, -1)


def radix_of(rows: Array, *, reach: int) -> Radix | None:
    """Return how to write the keys and all at most `reach` away; None if 63 bits are too few."""
    if len(rows) == 0:
        return Radix(np.zeros(rows.shape[1], np.int64), np.zeros(rows.shape[1], np.int64))
    bounds = np.empty((PARTS, 2, rows.shape[1]), np.int64)
    _bounds(rows, bounds)
    low, high = bounds[:, 0].min(axis=0).tolist(), bounds[:, 1].max(axis=0).tolist()
    widths = [b - a + 1 + 2 * reach for a, b in zip(low, high, strict=True)]  # Python's integers do not wrap around
    if math.prod(widths) >= 2**63 or min(low) < -(2**62) or max(high) > 2**62:
        return None
    steps = [math.prod(widths[j + 1 :]) for j in range(len(widths))]
    return Radix(np.array(low) - reach, np.array(steps, np.int64))


def by_the_reference(kernel: str, *arrays: Array, **params: Any) -> Any:
    """Return what the reference does with keys that are too wide, unless the caller has ruled that out."""
    backend = active_backend()
    if backend.fallback == "error":
        raise NotImplementedError(
            f"backend {backend.name!r} has no kernel {kernel!r} for keys wider than 63 bits, and fallback='error'"
        )
    return KERNELS[kernel].reference(*arrays, **params)


def find(vertices: Array, offsets: Array, radix: Radix) -> Array:
    """Return, for every offset, the number of the vertex that far from each vertex, −1 where there is none: (T, M)."""
    codes = (vertices - radix.low) @ radix.steps
    found = np.empty((len(offsets), len(vertices)), np.int64)
    _find(codes, offsets @ radix.steps, found)
    return found


@compiled_parallel
def _bounds(rows: Any, bounds: Any) -> None:
    n_rows, d = rows.shape
    n_parts = len(bounds)
    size = -(-n_rows // n_parts)
    for part in prange(n_parts):
        low, high = bounds[part, 0], bounds[part, 1]
        first = min(part * size, n_rows - 1)  # an empty part repeats a row
        for j in range(d):
            low[j] = high[j] = rows[first, j]
        for i in range(first, min(n_rows, (part + 1) * size)):
            for j in range(d):
                low[j] = min(low[j], rows[i, j])
                high[j] = max(high[j], rows[i, j])


@compiled_parallel
def _number_parts(
    keys: Any, low: Any, steps: Any, table: Any, number: Any, last: Any, codes: Any, counts: Any, local: Any
) -> None:
    n_points, n_corners, d = keys.shape
    size, mask = -(-n_points // len(counts)), table.shape[1] - 1
    for part in prange(len(counts)):
        thread = get_thread_id()
        slots, numbers, distinct = table[thread], number[thread], codes[part]
        previous_code, previous_number = last[thread, 0], last[thread, 1]
        slots[:] = EMPTY
        previous_code[:] = EMPTY
        count = 0
        for i in range(part * size, min(n_points, (part + 1) * size)):
            for k in range(n_corners):
                code = 0
                for j in range(d):
                    code += (keys[i, k, j] - low[j]) * steps[j]
                if code != previous_code[k]:
                    slot = _hash(code) & mask
                    while slots[slot] != code and slots[slot] != EMPTY:
                        slot = (slot + 1) & mask
                    if slots[slot] == EMPTY:
                        slots[slot], numbers[slot], distinct[count] = code, count, code
                        count += 1
                    previous_code[k], previous_number[k] = code, numbers[slot]
                local[i, k] = previous_number[k]
        counts[part] = count


@compiled
def _hash(code: Any) -> Any:
    return (code * SCATTER) >> 32


@compiled_parallel
def _renumber(local: Any, starts: Any, vertex_of: Any, ids: Any) -> None:
    n_points, n_corners = local.shape
    size = -(-n_points // len(starts))
    for part in prange(len(starts)):
        for i in range(part * size, min(n_points, (part + 1) * size)):
            for k in range(n_corners):
                ids[i, k] = vertex_of[starts[part] + local[i, k]]


@compiled_parallel
def _decode(codes: Any, low: Any, steps: Any, vertices: Any) -> None:
    for v in prange(len(codes)):
        rest = codes[v]
        for j in range(len(low)):
            digit = rest // steps[j]
            rest -= digit * steps[j]
            vertices[v, j] = low[j] + digit


@compiled_parallel
def _find(codes: Any, distances: Any, found: Any) -> None:
    """Both codes and codes + distance ascend: what is passed once is not needed again."""
    for t in prange(len(distances)):
        v = 0
        for u in range(len(codes)):
            wanted = codes[u] + distances[t]
            while v < len(codes) and codes[v] < wanted:
                v += 1
            found[t, u] = v if v < len(codes) and codes[v] == wanted else MISSING

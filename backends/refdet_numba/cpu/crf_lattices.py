"""The lattices of a CRF side by side, cut into parts for mean-field inference.

The points are cut into 16 parts, however many threads there are. A part splats on vertices of its own, those that its
points have for corners: a few hundred rows, which stay in the cache. What the parts have for a vertex is then added up
in their order.

    vertex    one number through all lattices, those with more axes first
    slot      a vertex within a part; the slots of a part follow each other, in the order in which its points meet them

Arrays (sums over lattices: K corners of a point, M vertices; S slots):

    corners     (N, K) int32     slots of the corners of every point, counted from the first of its part
    out_weights, in_weights (N, K)   of the corners, times n^α in slicing, times n^β in splatting; one array where these
                are the same
    first_slot  (17,)            of every part
    vertex_of   (S,) int32       which vertex that is
    slots_from  (M + 1,)         of vertex v are the slots slots_of[slots_from[v] : slots_from[v + 1]]
    first_vertex, n_axes         of every lattice; the first has one entry more, M
    neighbours  (axes, 2, M) int32, counted from the first vertex of the lattice; its last + 1 where there is none
    blocks      (B, 4)           of at most 256 vertices each: lattice, first and last vertex counted from the lattice's
                first, and the first vertex counted through all lattices

Workspace: 4 M bytes for each thread, and the arrays above.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.crf.filters import LatticeFilter, NormalisedFilter
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.mean_field_vertices import BLOCK
from refdet_numba.cpu.threads import per_thread

PARTS = 16


class Lattices(NamedTuple):
    """See the top of this file."""

    corners: Array
    out_weights: Array
    in_weights: Array
    first_slot: Array
    vertex_of: Array
    slots_from: Array
    slots_of: Array
    first_vertex: Array
    n_axes: Array
    neighbours: Array
    blocks: Array


def side_by_side(filters: Sequence[NormalisedFilter], n_points: int, dtype: Any) -> Lattices:
    """Return lattices as one; `filters` are all of the kind "lattice", in descending order of their dimensions."""
    each: list[LatticeFilter] = [f.kernel for f in filters]  # type: ignore[misc]
    sizes = np.array([f.n_vertices for f in each], np.int64)
    bases = np.concatenate([[0], np.cumsum(sizes)])
    n_axes = np.array([len(f.neighbours) for f in each], np.int64)
    corners_from = np.concatenate([[0], np.cumsum([f.ids.shape[1] for f in each], dtype=np.int64)])
    n_vertices, n_corners = int(bases[-1]), int(corners_from[-1])

    corners = np.empty((n_points, n_corners), np.int32)
    in_weights = np.empty((n_points, n_corners), dtype)
    is_symmetric = all(np.array_equal(f.left, f.right) for f in filters)
    out_weights = in_weights if is_symmetric else np.empty_like(in_weights)
    neighbours = np.empty((max(n_axes, default=0), 2, n_vertices), np.int32)
    for m, (f, lattice) in enumerate(zip(filters, each, strict=True)):
        of_lattice = native(lattice.ids, np.int64), native(lattice.weights, dtype)
        wrong = _enter(*of_lattice, native(f.right[:, 0]), bases[m], sizes[m], corners_from[m], corners, in_weights)
        if np.any(wrong):
            raise IndexError(f"mean_field: a lattice of {sizes[m]} vertices has a corner outside them")
        if not is_symmetric:
            _enter(*of_lattice, native(f.left[:, 0]), bases[m], sizes[m], corners_from[m], corners, out_weights)
        own = neighbours[: n_axes[m], :, bases[m] : bases[m + 1]]
        own[:] = lattice.neighbours
        own[own < 0] = sizes[m]
    vertices = np.empty((PARTS, min(-(-n_points // PARTS) * n_corners, n_vertices)), np.int32)
    counts = np.zeros(PARTS, np.int64)
    _take_slots(corners, per_thread((n_vertices,), np.int32), vertices, counts)
    first_slot = np.concatenate([[0], np.cumsum(counts)])
    vertex_of, slots_of = np.empty((2, first_slot[-1]), np.int32)
    slots_from = np.zeros(n_vertices + 2, np.int64)
    _order_slots(vertices, counts, vertex_of, slots_from, slots_of)
    blocks = [(m, v, min(v + BLOCK, size), bases[m] + v) for m, size in enumerate(sizes) for v in range(0, size, BLOCK)]
    return Lattices(
        corners,
        out_weights,
        in_weights,
        first_slot,
        vertex_of,
        slots_from[:-1],
        slots_of,
        bases,
        n_axes,
        neighbours,
        np.array(blocks, np.int64).reshape(-1, 4),
    )


@compiled_parallel
def _enter(ids: Any, weights: Any, norm: Any, base: Any, size: Any, first: Any, all_ids: Any, all_weights: Any) -> Any:
    """Write the ids and normalised weights of a lattice into their columns; return where an id is no vertex."""
    n_points, n_corners = ids.shape
    wrong = np.zeros(n_points, np.bool_)
    for i in prange(n_points):
        for k in range(n_corners):
            v = ids[i, k]
            if v < 0 or v >= size:
                wrong[i] = True
            all_ids[i, first + k] = base + v
            all_weights[i, first + k] = weights[i, k] * norm[i]
    return wrong


@compiled_parallel
def _take_slots(corners: Any, slot: Any, vertices: Any, counts: Any) -> None:
    """Replace vertices by slots of their part; note the vertices of the slots."""
    n_points, n_corners = corners.shape
    size = -(-n_points // len(counts))
    for part in prange(len(counts)):
        slot_of, count = slot[get_thread_id()], 0
        slot_of[:] = -1
        for i in range(part * size, min(n_points, (part + 1) * size)):
            for k in range(n_corners):
                v = corners[i, k]
                if slot_of[v] < 0:
                    slot_of[v] = count
                    vertices[part, count] = v
                    count += 1
                corners[i, k] = slot_of[v]
        counts[part] = count


@compiled
def _order_slots(vertices: Any, counts: Any, vertex_of: Any, slots_from: Any, slots_of: Any) -> None:
    """List the slots of each vertex, part by part; `slots_from` has one entry more than it keeps, all 0."""
    slot = 0
    for part in range(len(counts)):
        for s in range(counts[part]):
            v = vertices[part, s]
            vertex_of[slot] = v
            slots_from[v + 2] += 1
            slot += 1
    for v in range(len(slots_from) - 1):
        slots_from[v + 1] += slots_from[v]
    slot = 0
    for part in range(len(counts)):
        for s in range(counts[part]):
            v = vertices[part, s]
            slots_of[slots_from[v + 1]] = slot
            slots_from[v + 1] += 1
            slot += 1

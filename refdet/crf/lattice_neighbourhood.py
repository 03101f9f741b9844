"""What a filter on the permutohedral lattice covers: for every vertex, the vertices around it, tap by tap.

One step along axis m = 0 … d of the lattice changes the d + 1 coordinates of a vertex by

    a_m = (−1, …, −1) with d in place m,     Σ_m a_m = 0

so that i_m steps along each axis, 0 ≤ i_m ≤ s, lead as far as i_m − min i steps do. The neighbourhood of size s has
every place that they lead to once, by the steps of which at least one is 0:

    T = (s + 1)^{d+1} − s^{d+1} taps,     tap t of vertex v = the vertex at key_v + Σ_m i_m a_m

7 taps for d = 2 and 63 for d = 5 at s = 1; 19 and 665 at s = 2, which are those that a Gaussian blur reaches
(`refdet.crf.lattice_blur`). Kiefel, Jampani & Gehler, "Permutohedral lattice CNNs" (2015); Jampani, Kiefel & Gehler,
"Learning sparse high dimensional filters: image filtering, dense CRFs and bilateral neural networks" (2016), which is
the reference of deck 004 on learned filters under its later title.

Conventions:

- Taps are counted as nested loops count, i_0 outermost and i_d innermost, those without a 0 left out. Tap 0 is the
  vertex itself. Filters are stored by these numbers, so that they fit every lattice of the same d.
- A tap whose vertex is not in use is −1.
- `traversal="exact"` looks each tap up. `"walk"` goes there step by step, along axis 0 first, and gives up at the first
  vertex that is not in use, even if the last one is. The authors' code does, as it is faster; it may find a vertex from
  one side only. On a lattice without holes the two agree.
- Keys must leave room for s · d to either side in 64 bits; others are an error, not another vertex.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_choice, integer
from refdet.core.kernel import kernel
from refdet.crf.lattice_index import MISSING, check_keys, code_of, find, neighbour_offsets

TRAVERSALS = ("exact", "walk")
MAX_BYTES = 2**30  # of the list of taps


def tap_steps(d: int, size: int) -> Array:
    """Return the steps i_0 … i_d of every tap, (T, d + 1).

    >>> tap_steps(1, 1).tolist()
    [[0, 0], [0, 1], [1, 0]]
    """
    n_bytes = 8 * (d + 1) * (size + 1) ** (d + 1)
    if n_bytes > MAX_BYTES:
        n_taps = (size + 1) ** (d + 1) - size ** (d + 1)
        raise ValueError(
            f"a neighbourhood of size {size} in {d} dimensions has {n_taps:,} taps, and to list them takes "
            f"{n_bytes:,} bytes; use fewer dimensions or a smaller neighbourhood"
        )
    steps = np.indices((size + 1,) * (d + 1)).reshape(d + 1, -1).T
    taps: Array = steps[np.min(steps, axis=1) == 0]
    return taps


def tap_offsets(d: int, size: int) -> Array:
    """Return by how much the first d coordinates of every tap differ from those of its vertex, (T, d).

    >>> tap_offsets(2, 1).tolist()
    [[0, 0], [-1, -1], [-1, 2], [-2, 1], [2, -1], [1, -2], [1, 1]]
    """
    return tap_steps(d, size) @ neighbour_offsets(d)


def _check(vertices: Array, *, size: int, traversal: str) -> None:
    check_keys("lattice_neighbourhood", "vertices", vertices, "M, d")
    integer("lattice_neighbourhood", "size", size, low=0)
    check_choice("lattice_neighbourhood", "traversal", traversal, TRAVERSALS)


@kernel("lattice_neighbourhood", check=_check)
def lattice_neighbourhood_kernel(vertices: Array, *, size: int, traversal: str) -> Array:
    """Return the taps, (T, M); vertices are distinct and in ascending lexicographic order."""
    vertices = vertices.astype(np.int64, copy=False)
    d = vertices.shape[1]
    code = code_of("lattice_neighbourhood", vertices, reach=max(size, 1) * d)
    if traversal == "exact":
        return find(vertices, tap_offsets(d, size), code)
    return walk(find(vertices, neighbour_offsets(d), code), tap_steps(d, size))


def walk(neighbours: Array, steps: Array) -> Array:
    """Return the taps, each found from an earlier one by a last step along its last axis: (T, M).

    `neighbours`, (d + 1, M), are the vertices one step along each axis.
    """
    taps: dict[tuple[int, ...], Array] = {}
    for tap in map(tuple, steps.tolist()):
        axis = max((m for m, i in enumerate(tap) if i), default=None)
        if axis is None:
            taps[tap] = np.arange(neighbours.shape[1])
        else:
            start = taps[(*tap[:axis], tap[axis] - 1, *tap[axis + 1 :])]
            taps[tap] = np.where(start == MISSING, MISSING, neighbours[axis, start])
    return np.stack(list(taps.values()))


def lattice_neighbourhood(vertices: Array, *, size: int = 1, traversal: str = "exact") -> Array:
    """Find the vertices around each vertex of a lattice, in the order in which filters are stored.

    Args:
        vertices: (M, d) int64, those of `lattice_index`: distinct and in ascending lexicographic order.
        size: s, at least 0; how many steps along the axes the neighbourhood goes. T grows as (s + 1)^{d+1}.
        traversal: "exact", or "walk", which stops at the first vertex that is missing on its way.

    Returns:
        The taps, (T, M) int64, indices of vertices, −1 where there is none.

    In one dimension the taps are the vertex itself, the one at 1 less and the one at 1 more:

    >>> lattice_neighbourhood(np.array([[0], [1], [3]]))
    array([[ 0,  1,  2],
           [-1,  0, -1],
           [ 1, -1, -1]])
    """
    _check(vertices, size=size, traversal=traversal)
    before, after = vertices[:-1], vertices[1:]
    column = np.argmax(before != after, axis=1)[:, None]  # the first in which they differ
    ascends = np.take_along_axis(after, column, axis=1) > np.take_along_axis(before, column, axis=1)
    if not np.all(ascends):
        v = int(np.argmin(ascends)) + 1
        raise ValueError(
            f"lattice_neighbourhood: vertices must be distinct and in ascending lexicographic order, as lattice_index "
            f"returns them, got {vertices[v].tolist()} in row {v} after {vertices[v - 1].tolist()}"
        )
    return lattice_neighbourhood_kernel(vertices, size=size, traversal=traversal)

"""The taps around every vertex, found as neighbours are: by merging two sorted lists (`lattice_index`).

Workspace: none beside the answer; `traversal="walk"` holds the d + 1 neighbours of every vertex.
"""

from __future__ import annotations

from refdet.core.check import Array
from refdet.crf.lattice_index import neighbour_offsets
from refdet.crf.lattice_neighbourhood import tap_offsets, tap_steps, walk
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.lattice_index import by_the_reference, find, radix_of


def lattice_neighbourhood(vertices: Array, *, size: int, traversal: str) -> Array:
    """Return the taps, (T, M)."""
    rows = native(vertices, "int64")
    d = rows.shape[1]
    radix = radix_of(rows, reach=max(size, 1) * d)
    if radix is None:
        found: Array = by_the_reference("lattice_neighbourhood", vertices, size=size, traversal=traversal)
        return found
    if traversal == "exact":
        return find(rows, tap_offsets(d, size), radix)
    return walk(find(rows, neighbour_offsets(d), radix), tap_steps(d, size))

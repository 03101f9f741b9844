"""The half of an iteration of mean-field inference that is over the vertices; the other is `mean_field_pass`.

    for each 256 vertices (in parallel):
        z ← Σ of what the parts of the points have for them, in their order
    for each lattice and each vector of labels (in parallel):
        for each axis:  for each vertex:  blur
    for each 256 vertices (in parallel):
        z⁽ᵐ⁾(l) ← scale · Σ_l' μ⁽ᵐ⁾(l, l') z⁽ᵐ⁾(l')

The compatibility transform works on labels, slicing on points: which of them comes first makes no difference, and
vertices are fewer than points.

`blocks` are rows of a lattice, first and last vertex in it, and the row of the first in z (`crf_lattices`). `tables`,
(vectors · lattices, 2, rows, lanes), hold z before and after an axis, a vector of the labels of every vertex at a time;
a last row of 0 stands for missing neighbours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet_numba.cpu.arrays import LINE
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.lane_operations import every, multiply_add
from refdet_numba.cpu.lanes import LANE_BYTES, lanes_of, load, prefetch, store

BLOCK = 256  # vertices
AHEAD = 16  # slots that are fetched before they are added


@compiled
def fetch_row(x: Any, i: Any) -> None:
    """Fetch row i into the cache; where x has no such row this does nothing."""
    for b in range(0, x.shape[1], LINE // LANE_BYTES * lanes_of(x)):
        prefetch(x, i * x.shape[1] + b)


@compiled_parallel
def add_up(slots: Any, slots_from: Any, slots_of: Any, n_axes: Any, blocks: Any, tables: Any) -> None:
    """Add up what the parts have for each vertex."""
    lanes = lanes_of(tables)
    for block in prange(len(blocks)):
        m, first, last, to = blocks[block]
        for v in range(first, last):
            begin, end = slots_from[to + v - first], slots_from[to + v - first + 1]
            for k in range(begin, end):
                fetch_row(slots, np.int64(slots_of[min(k + AHEAD, len(slots_of) - 1)]))
            for b in range(0, slots.shape[1], lanes):
                x = every(slots.dtype.type(0))
                for k in range(begin, end):
                    x = x + load(slots, (np.int64(slots_of[k]), b))
                store(tables, (b // lanes * len(n_axes) + m, 0, v, 0), x)


@compiled_parallel
def blur(neighbours: Any, first_vertex: Any, n_axes: Any, tables: Any) -> None:
    """Blur every lattice along its axes."""
    n_lattices = len(n_axes)
    for task in prange(len(tables)):
        m = task % n_lattices
        base = first_vertex[m]
        n_vertices = first_vertex[m + 1] - base
        none, half = every(tables.dtype.type(0)), every(tables.dtype.type(0.5))
        store(tables, (task, 0, n_vertices, 0), none)
        store(tables, (task, 1, n_vertices, 0), none)
        for j in range(n_axes[m]):
            before, after = j % 2, (j + 1) % 2
            for v in range(n_vertices):
                one, other = np.int64(neighbours[j, 0, base + v]), np.int64(neighbours[j, 1, base + v])
                around = load(tables, (task, before, one, 0)) + load(tables, (task, before, other, 0))
                x = multiply_add(half, around, load(tables, (task, before, v, 0)))
                store(tables, (task, after, v, 0), x)


@compiled_parallel(multiplies_matrices=True)
def transform(tables: Any, n_axes: Any, blocks: Any, costs: Any, blurred: Any, z: Any) -> None:
    """Multiply by `costs`, scale · μᵀ of every lattice."""
    width = z.shape[1]
    lanes = lanes_of(tables)
    n_lattices = len(n_axes)
    for block in prange(len(blocks)):
        m, first, last, to = blocks[block]
        table = n_axes[m] % 2
        for v in range(first, last):
            for b in range(0, width, lanes):
                x = load(tables, (b // lanes * n_lattices + m, table, v, 0))
                store(blurred, (block * BLOCK + v - first, b), x)
        rows = blurred[block * BLOCK : block * BLOCK + last - first]
        gemm(rows, costs[m * width : (m + 1) * width], z[to : to + last - first], 0.0)

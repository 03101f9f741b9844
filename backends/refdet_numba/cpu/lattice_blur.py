"""Blurring on the lattice: one pass over the vertices for each axis.

    for each axis, in order:
        for each vertex (in parallel):   z'[v] ← z[v] + ½ (z[n⁺] + z[n⁻])
        z, z' change places

A missing neighbour reads a row of zeros behind the last vertex. A row belongs to one thread, and is computed as in the
reference: the same bits.

Workspace: 2 (M + 1) V numbers of the dtype of z.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.crf.lattice_blur import LatticeBlurResidual
from refdet.crf.lattice_index import MISSING, check_numbers
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel


def forward(
    z: Array, neighbours: Array, *, reverse: bool, keep_residual: bool
) -> tuple[Array, LatticeBlurResidual | None]:
    """Return the blurred z, (M, V)."""
    return blurred(z, neighbours, reverse), LatticeBlurResidual(z, neighbours) if keep_residual else None


def backward(
    residual: LatticeBlurResidual, dy: Array, *, needs: tuple[bool, bool], reverse: bool
) -> tuple[Array | None, ...]:
    """Blur in the opposite order."""
    return (blurred(dy, residual.neighbours, not reverse) if needs[0] else None), None


def blurred(z: Array, neighbours: Array, reverse: bool) -> Array:
    """Return z blurred along all axes, the last one first if `reverse`."""
    n_vertices = len(z)
    check_numbers("lattice_blur", "neighbours", neighbours, n_vertices, low=MISSING)
    rows = np.empty((2, n_vertices + 1, z.shape[1]), np.result_type(z))
    rows[0, :n_vertices] = z
    rows[:, n_vertices] = 0
    _blur(rows, native(neighbours, np.int64), bool(reverse))
    return rows[len(neighbours) % 2, :n_vertices]


@compiled_parallel
def _blur(rows: Any, neighbours: Any, reverse: bool) -> None:
    n_axes, _, n_vertices = neighbours.shape
    half = rows.dtype.type(0.5)
    for j in range(n_axes):
        sides = neighbours[n_axes - 1 - j if reverse else j]
        before, after = rows[j % 2], rows[(j + 1) % 2]
        for v in prange(n_vertices):
            one, other = sides[0, v], sides[1, v]
            one, other = one if one >= 0 else n_vertices, other if other >= 0 else n_vertices
            for c in range(rows.shape[2]):
                after[v, c] = before[v, c] + half * (before[one, c] + before[other, c])

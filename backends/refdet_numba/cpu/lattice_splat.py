"""Splatting, eight columns of values at a time; and its transpose, which slicing shares with it.

    for each eight columns (in parallel):
        for each point, for each of its corners, in order:
            z[vertex] += weight · values        in float64, rounded once at the end

    for each point (in parallel):   y ← scale · Σ over its corners, in order, of weight · z[vertex]

The sums run through the points as the reference's do, so they have the same bits, and no two threads add to one column
or row.

Workspace: 8 · 8 ⌈V/8⌉ M bytes (float64 sums for M vertices and V columns), 8 V M for V < 8.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.crf.lattice_index import check_numbers
from refdet.crf.lattice_splat import LatticeSplatResidual
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import REORDERED, compiled, compiled_parallel

COLUMNS = 8  # float64 of a cache line


def forward(
    values: Array, weights: Array, ids: Array, *, n_vertices: int, keep_residual: bool
) -> tuple[Array, LatticeSplatResidual | None]:
    """Return z, (M, V)."""
    check_numbers("lattice_splat", "ids", ids, n_vertices)
    z = spread(values, weights, ids, n_vertices)
    return z, LatticeSplatResidual(values, weights, ids) if keep_residual else None


def backward(
    residual: LatticeSplatResidual, dy: Array, *, needs: tuple[bool, bool, bool], n_vertices: int
) -> tuple[Array | None, ...]:
    """Every point takes the gradients of its vertices; ids receive none."""
    values, weights, ids = residual
    check_numbers("lattice_splat", "ids", ids, n_vertices)
    return (
        interpolated(dy, weights, ids, 1.0) if needs[0] else None,
        products(values, dy, ids) if needs[1] else None,
        None,
    )


def spread(values: Array, weights: Array, ids: Array, n_vertices: int) -> Array:
    """Return Σ weights[i, k] · values[i] over all i, k with ids[i, k] = v, for every v: (M, V)."""
    n_values = values.shape[1]
    z = np.empty((n_vertices, n_values), np.result_type(values))
    sums = np.zeros((-(-n_values // COLUMNS), n_vertices, min(n_values, COLUMNS)))
    _spread(native(values), native(weights), native(ids, np.int64), sums, z)
    return z


def interpolated(z: Array, weights: Array, ids: Array, scale: float) -> Array:
    """Return scale · Σ_k weights[i, k] · z[ids[i, k]] for every i: (N, V)."""
    y = np.empty((len(ids), z.shape[1]), np.result_type(z))
    _interpolate(native(z), native(weights), native(ids, np.int64), y.dtype.type(scale), y)
    return y


def products(values: Array, z: Array, ids: Array) -> Array:
    """Return ⟨values[i], z[ids[i, k]]⟩ for every i and k: (N, K)."""
    result = np.empty(ids.shape, np.result_type(values))
    _products(native(values), native(z), native(ids, np.int64), result)
    return result


@compiled_parallel
def _spread(values: Any, weights: Any, ids: Any, sums: Any, z: Any) -> None:
    n_points, n_values = values.shape
    for block in prange(len(sums)):
        first, total = block * COLUMNS, sums[block]
        width = min(total.shape[1], n_values - first)
        for i in range(n_points):
            for k in range(ids.shape[1]):
                weight, v = np.float64(weights[i, k]), ids[i, k]
                if width == 1:  # as the loop would, at half the time
                    total[v, 0] += weight * values[i, first]
                    continue
                for j in range(width):
                    total[v, j] += weight * values[i, first + j]
        for v in range(len(z)):
            for j in range(width):
                z[v, first + j] = total[v, j]


@compiled_parallel
def _interpolate(z: Any, weights: Any, ids: Any, scale: Any, y: Any) -> None:
    number = y.dtype.type
    for i in prange(len(y)):
        if z.shape[1] == 1:  # one sum, which need not go through memory
            total = number(0)
            for k in range(ids.shape[1]):
                total = number(total + weights[i, k] * z[ids[i, k], 0])
            y[i, 0] = total * scale
            continue
        for c in range(z.shape[1]):
            y[i, c] = 0
        for k in range(ids.shape[1]):
            weight, v = weights[i, k], ids[i, k]
            for c in range(z.shape[1]):
                y[i, c] += weight * z[v, c]
        for c in range(z.shape[1]):
            y[i, c] *= scale


@compiled_parallel
def _products(values: Any, z: Any, ids: Any, result: Any) -> None:
    for i in prange(len(result)):
        for k in range(ids.shape[1]):
            result[i, k] = _dot(values[i], z[ids[i, k]])


@compiled(fastmath=REORDERED)
def _dot(a: Any, b: Any) -> Any:
    total = a.dtype.type(0)
    for c in range(len(a)):
        total += a[c] * b[c]
    return total

"""Splatting: the corners of all points, sorted by vertex, are summed in pieces; and its transpose.

    once for the ids:
        sort the corners by vertex, those of one vertex in the order of the points
        cut those of each vertex into pieces of PIECE
    for each piece and column of values (a thread each):   sum weight · values over its corners, in float64
    for each vertex and column (a thread each):   add up its pieces, in order; round once

    dvalues, for each point and column (a thread each):   scale · Σ over its corners, in order, of weight · dz[vertex]
    dweights, for each point and corner (a thread each):   Σ over the columns of values · dz[vertex]

A vertex may have one corner or all of them, as where a wide filter covers an image; in pieces no thread has much more
to do than another. No atomics: the pieces depend on the ids alone, and so does every sum. A sum of one piece has the
bits of the reference's.

The number of pieces is not asked for, it is at most M + N K / PIECE; threads beyond the last piece do nothing.

Workspace for M vertices, n = N K corners, V columns and P pieces: 8 (2 n + 2 M + P (V + 1)) bytes, and what CuPy takes
for sorting.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, int64

from refdet.crf.lattice_splat import LatticeSplatResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.lattice_index import first_at_least
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit, multiply

THREADS = 8 if IN_SIMULATOR else 256
PIECE = 4 if IN_SIMULATOR else 128  # corners


class ByVertex(NamedTuple):
    """The corners of N points, sorted by vertex; corner k of point i is number i K + k."""

    order: Any  # (N K,)
    starts: Any  # (M + 1,): those of vertex v are order[starts[v] : starts[v + 1]]
    pieces: Any  # (M + 1,): its pieces are pieces[v] … pieces[v + 1] − 1
    vertex_of: Any  # (P,): of each piece; M for those that do not exist


def forward(
    values: Any, weights: Any, ids: Any, *, n_vertices: int, keep_residual: bool
) -> tuple[Any, LatticeSplatResidual | None]:
    """Return z, (M, V)."""
    z = spread(values, weights, by_vertex(ids, n_vertices))
    return z, LatticeSplatResidual(values, weights, ids) if keep_residual else None


def backward(
    residual: LatticeSplatResidual, dy: Any, *, needs: tuple[bool, bool, bool], n_vertices: int
) -> tuple[Any | None, ...]:
    """Every point takes the gradients of its vertices; ids receive none."""
    values, weights, ids = residual
    return (
        interpolated(dy, weights, ids, 1.0) if needs[0] else None,
        products(values, dy, ids) if needs[1] else None,
        None,
    )


def by_vertex(ids: Any, n_vertices: int) -> ByVertex:
    """Sort the corners by vertex, and cut them into pieces."""
    flat = _numbers(ids).reshape(-1)
    order = np.argsort(flat, kind="stable").astype(np.int64, copy=False)
    starts = np.empty_like(flat, shape=(n_vertices + 1,))
    launch(_starts, blocks_for(n_vertices + 1, THREADS), THREADS, flat[order], starts)
    pieces = np.zeros_like(starts)
    pieces[1:] = np.cumsum((starts[1:] - starts[:-1] + (PIECE - 1)) // PIECE)
    vertex_of = np.empty_like(starts, shape=(n_vertices + flat.size // PIECE,))
    launch(_vertices_of_pieces, blocks_for(len(vertex_of), THREADS), THREADS, pieces, vertex_of)
    return ByVertex(order, starts, pieces, vertex_of)


def spread(values: Any, weights: Any, corners: ByVertex) -> Any:
    """Return Σ weights[i, k] · values[i] over all i, k with ids[i, k] = v, for every v: (M, V)."""
    n_values = values.shape[1]
    z = np.empty_like(values, shape=(len(corners.starts) - 1, n_values), order="C")
    sums = np.empty_like(values, shape=(len(corners.vertex_of), n_values), dtype=np.float64, order="C")
    launch(
        _sum_pieces, blocks_for(sums.size, THREADS), THREADS, contiguous(values), contiguous(weights), *corners, sums
    )
    launch(_add_pieces, blocks_for(z.size, THREADS), THREADS, sums, corners.pieces, z)
    return z


def interpolated(z: Any, weights: Any, ids: Any, scale: float) -> Any:
    """Return scale · Σ_k weights[i, k] · z[ids[i, k]] for every i: (N, V)."""
    y = np.empty_like(z, shape=(len(ids), z.shape[1]), order="C")
    arguments = contiguous(z), contiguous(weights), _numbers(ids), z.dtype.type(scale), y
    launch(_interpolate, blocks_for(y.size, THREADS), THREADS, *arguments)
    return y


def products(values: Any, z: Any, ids: Any) -> Any:
    """Return ⟨values[i], z[ids[i, k]]⟩ for every i and k: (N, K)."""
    result = np.empty_like(values, shape=ids.shape, order="C")
    arguments = contiguous(values), contiguous(z), _numbers(ids), values.dtype.type(0), result
    launch(_products, blocks_for(result.size, THREADS), THREADS, *arguments)
    return result


def _numbers(ids: Any) -> Any:
    return contiguous(ids.astype(np.int64, copy=False))


@jit()
def _starts(ascending: Any, starts: Any) -> None:
    v = cuda.grid(1)
    if v < len(starts):
        starts[v] = first_at_least(ascending, v)


@jit()
def _vertices_of_pieces(pieces: Any, vertex_of: Any) -> None:
    piece = cuda.grid(1)
    if piece < len(vertex_of):
        vertex_of[piece] = first_at_least(pieces, piece + 1) - 1


@jit()
def _sum_pieces(values: Any, weights: Any, order: Any, starts: Any, pieces: Any, vertex_of: Any, sums: Any) -> None:
    n_values, n_corners = values.shape[1], weights.shape[1]
    place = cuda.grid(1)
    if place < sums.size:
        piece, c = place // n_values, place % n_values
        v = vertex_of[piece]
        if v < len(starts) - 1:
            first = starts[v] + (piece - pieces[v]) * PIECE
            total = float64(0)
            for at in range(first, min(first + PIECE, starts[v + 1])):
                corner = order[at]
                i = corner // n_corners
                total += multiply(float64(weights[i, corner - i * n_corners]), float64(values[i, c]))
            sums[piece, c] = total


@jit()
def _add_pieces(sums: Any, pieces: Any, z: Any) -> None:
    place = cuda.grid(1)
    if place < z.size:
        v, c = place // z.shape[1], place % z.shape[1]
        total = float64(0)
        for piece in range(pieces[v], pieces[v + 1]):
            total += sums[piece, c]
        z[v, c] = total


@jit()
def _interpolate(z: Any, weights: Any, ids: Any, scale: Any, y: Any) -> None:
    place = cuda.grid(1)
    if place < y.size:
        i, c = place // y.shape[1], place % y.shape[1]
        total = scale - scale
        for k in range(ids.shape[1]):
            total += weights[i, k] * z[ids[i, k], c]
        y[i, c] = total * scale


@jit()
def _products(values: Any, z: Any, ids: Any, zero: Any, result: Any) -> None:
    place = cuda.grid(1)
    if place < result.size:
        i, k = place // ids.shape[1], place % ids.shape[1]
        v, total = ids[i, k], zero
        for c in range(values.shape[1]):
            total += values[i, c] * z[v, c]
        result[i, k] = total


_NUMBERS, _IDS = array(int64, 1), array(int64, 2)
ASSEMBLED = [
    Assembled(_starts, [_NUMBERS, _NUMBERS], registers=28),
    Assembled(_vertices_of_pieces, [_NUMBERS, _NUMBERS], registers=25),
    *(
        assembled
        for t in (float32, float64)
        for is_double in (t is float64,)
        for assembled in (
            Assembled(
                _sum_pieces,
                [array(t, 2), array(t, 2), *[_NUMBERS] * 4, array(float64, 2)],
                registers=53,
                float64=True,
                fused=False,
            ),
            Assembled(_add_pieces, [array(float64, 2), _NUMBERS, array(t, 2)], registers=40, float64=True),
            Assembled(_interpolate, [array(t, 2), array(t, 2), _IDS, t, array(t, 2)], registers=56, float64=is_double),
            Assembled(_products, [array(t, 2), array(t, 2), _IDS, t, array(t, 2)], registers=48, float64=is_double),
        )
    ),
]

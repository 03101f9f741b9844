"""Separable interpolation of planes, and its adjoint: columns first, on each row of the smaller side once.

    for each plane, each chunk of rows of y (in parallel):
        for each row i of y:
            for each tap k, unless the line of row[i, k] is there already:
                line[row[i, k]][j] = Σ_l w_column[j, l] · x[row[i, k], column[j, l]]
            y[i, j] = Σ_k w_row[i, k] · line[row[i, k]][j]

Neighbouring rows of y read the same rows of x, so the last lines are kept, one for each tap: line r in place r mod
taps. Only the making of a line jumps about in memory. (The reference takes rows first, which rounds differently.)

For the adjoint, the taps are sorted by the pixel they read, which leaves sums and no scattering:

    for each plane, each row h of dx (in parallel):
        line[j] = Σ over the taps (i, k) that read row h of w_row[i, k] · dy[i, j]
        dx[h, w] = Σ over the taps (j, l) that read column w of w_column[j, l] · line[j]

Workspace: taps·Wo numbers per thread; for the adjoint, Wo numbers per thread, and the sorted taps of both axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.interpolation import Taps
from refdet_numba.cpu.compiling import ROUNDED_ONCE, compiled, compiled_parallel
from refdet_numba.cpu.planes import planes_of
from refdet_numba.cpu.threads import per_thread

CHUNK = 64  # rows of a task


def interpolate(x: Array, rows: Taps, columns: Taps) -> Array:
    """Return Σ_k Σ_l w_row[i, k] · w_column[j, l] · x[..., row[i, k], column[j, l]]."""
    planes = planes_of(x)
    (Ho, n_taps), Wo = rows.indices.shape, len(columns.indices)
    y = np.empty((len(planes), Ho, Wo), planes.dtype)
    lines, numbers = per_thread((n_taps, Wo), y.dtype), per_thread((n_taps,), np.uint64)
    _interpolate(planes, *_plain(rows, y.dtype), *_plain(columns, y.dtype), lines, numbers, y)
    return y.reshape(*x.shape[:2], Ho, Wo)


def interpolate_adjoint(dy: Array, rows: Taps, columns: Taps, size: Pair) -> Array:
    """Return (N, C, *size): every gradient added back to the pixels that it was read from."""
    planes = planes_of(dy)
    dx = np.empty((len(planes), *size), planes.dtype)
    lines = per_thread((planes.shape[2],), dx.dtype)
    _adjoint(planes, *_sorted(rows, size[0], dx.dtype), *_sorted(columns, size[1], dx.dtype), lines, dx)
    return dx.reshape(*dy.shape[:2], *size)


def _plain(taps: Taps, dtype: Any) -> tuple[Array, Array]:
    """Return indices, unsigned so that compiled code need not ask whether they count from the end, and weights."""
    return np.ascontiguousarray(taps.indices, np.uint64), np.ascontiguousarray(taps.weights, dtype)


def _sorted(taps: Taps, n_pixels: int, dtype: Any) -> tuple[Array, Array, Array]:
    """Return where the taps of each pixel start, and the output and the weight of each; tap by tap, then by output."""
    pixels = taps.indices.T.reshape(-1)
    order = np.argsort(pixels, kind="stable")
    starts = np.searchsorted(pixels[order], np.arange(n_pixels + 1))
    weights = taps.weights.T.reshape(-1)[order].astype(dtype, copy=False)
    return starts, (order % len(taps.indices)).astype(np.uint64), weights


@compiled_parallel
def _interpolate(
    x: Any, rows: Any, row_weights: Any, columns: Any, column_weights: Any, lines: Any, numbers: Any, y: Any
) -> None:
    n_planes, Ho = y.shape[:2]
    n_taps, none = np.uint64(rows.shape[1]), np.uint64(x.shape[1])
    n_chunks = (Ho + CHUNK - 1) // CHUNK
    for task in prange(n_planes * n_chunks):
        plane, chunk = task // n_chunks, task % n_chunks
        line, number = lines[get_thread_id()], numbers[get_thread_id()]
        number[:] = none
        for i in range(chunk * CHUNK, min(Ho, (chunk + 1) * CHUNK)):
            for k in range(rows.shape[1]):
                row = rows[i, k]
                if number[row % n_taps] != row:
                    number[row % n_taps] = row
                    _resample(x[plane, row], columns, column_weights, line[row % n_taps])
            _combine(line, rows[i], row_weights[i], y[plane, i])


@compiled(fastmath=ROUNDED_ONCE)
def _resample(pixels: Any, columns: Any, weights: Any, line: Any) -> None:
    """Write Σ_l weights[j, l] · pixels[columns[j, l]] into line[j]."""
    n_taps = columns.shape[1]
    if n_taps == 2:
        for j in range(line.size):
            line[j] = weights[j, 0] * pixels[columns[j, 0]] + weights[j, 1] * pixels[columns[j, 1]]
        return
    for j in range(line.size):
        total = weights[j, 0] * pixels[columns[j, 0]]
        for l in range(1, n_taps):
            total += weights[j, l] * pixels[columns[j, l]]
        line[j] = total


@compiled(fastmath=ROUNDED_ONCE)
def _combine(lines: Any, rows: Any, weights: Any, out: Any) -> None:
    """Write Σ_k weights[k] · line of row k into out."""
    n_taps = np.uint64(rows.size)
    first, weight = lines[rows[0] % n_taps], weights[0]
    if n_taps == 1:
        for j in range(out.size):
            out[j] = weight * first[j]
        return
    second, other = lines[rows[1] % n_taps], weights[1]
    for j in range(out.size):
        out[j] = weight * first[j] + other * second[j]
    for k in range(2, rows.size):
        _add(weights[k], lines[rows[k] % n_taps], out)


@compiled(fastmath=ROUNDED_ONCE)
def _add(weight: Any, line: Any, out: Any) -> None:
    for j in range(out.size):
        out[j] += weight * line[j]


@compiled_parallel
def _adjoint(
    dy: Any,
    row_starts: Any,
    rows: Any,
    row_weights: Any,
    column_starts: Any,
    columns: Any,
    column_weights: Any,
    lines: Any,
    dx: Any,
) -> None:
    n_planes, H = dx.shape[:2]
    for task in prange(n_planes * H):
        plane, h = task // H, task % H
        line = lines[get_thread_id()]
        line[:] = 0
        for tap in range(row_starts[h], row_starts[h + 1]):
            _add(row_weights[tap], dy[plane, rows[tap]], line)
        _gather(line, column_starts, columns, column_weights, dx[plane, h])


@compiled(fastmath=ROUNDED_ONCE)
def _gather(line: Any, starts: Any, columns: Any, weights: Any, out: Any) -> None:
    for w in range(out.size):
        total = out.dtype.type(0)
        for tap in range(starts[w], starts[w + 1]):
            total += weights[tap] * line[columns[tap]]
        out[w] = total

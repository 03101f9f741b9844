"""Bilinear resizing: a thread for each output; in the backward pass, a thread for each pixel.

    forward, for each output (n, c, i, j):
        y = Σ_l w_column[j, l] · (Σ_k w_row[i, k] · x[row[i, k], column[j, l]])
    backward, for each pixel (n, c, h, w): over the taps (i, k) that read row h, those (j, l) that read column w,
        dx = Σ w_row[i, k] · (Σ w_column[j, l] · dy[i, j])

Pixels and weights are the reference's, computed on the host once for each pair of sizes and kept on the device; for
the adjoint they are sorted by the pixel that they read, k by k and then by output. A pixel collects its gradients
itself, so nothing is added from two threads, and in the order of the reference; every dy is read four times.

Workspace: the tables, 2·(4 + itemsize) bytes for each row and column of y, and 4 for each of dx.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import float32, float64, int32

from refdet.core.geometry import Pair
from refdet.ops.interpolation import Ratio, linear_taps, source_coordinates
from refdet.ops.resize import ResizeResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 32 if IN_SIMULATOR else 256


def forward(
    x: Any, *, size: Pair, ratio: Ratio, coordinates: str, keep_residual: bool
) -> tuple[Any, ResizeResidual | None]:
    """Return x at `size` and the residual, as the reference does."""
    y = np.empty_like(x, shape=(*x.shape[:2], *size), order="C")
    rows, columns = (taps(*axis, coordinates, x.dtype.name) for axis in zip(x.shape[2:], size, ratio, strict=True))
    launch(_forward, blocks_for(y.size, THREADS), THREADS, contiguous(x), *rows, *columns, y)
    return y, ResizeResidual(x) if keep_residual else None


def backward(
    residual: ResizeResidual, dy: Any, *, needs: tuple[bool], size: Pair, ratio: Ratio, coordinates: str
) -> tuple[Any | None, ...]:
    """Return dx, by the weights of the forward pass."""
    dx = np.empty_like(dy, shape=residual.x.shape, order="C")
    rows, columns = (readers(*axis, coordinates, dy.dtype.name) for axis in zip(dx.shape[2:], size, ratio, strict=True))
    arguments = contiguous(dy), *rows, *columns, dy.dtype.type(0), dx
    launch(_backward, blocks_for(dx.size, THREADS), THREADS, *arguments)
    return (dx,)


@functools.lru_cache(maxsize=256)
def taps(n_in: int, n_out: int, ratio: float, coordinates: str, dtype: str) -> tuple[Any, Any]:
    """Return the two pixels of each output of an axis, int32, and their weights, both (n_out, 2), on the device."""
    pixels, weights = linear_taps(
        source_coordinates(n_in, n_out, ratio=ratio, coordinates=coordinates), n_in, np.dtype(dtype)
    )
    tables: tuple[Any, Any] = to_device((pixels.astype(np.int32), weights))
    return tables


@functools.lru_cache(maxsize=256)
def readers(n_in: int, n_out: int, ratio: float, coordinates: str, dtype: str) -> tuple[Any, Any, Any]:
    """Return where the readers of each pixel start, (n_in + 1,), and output and weight of each reader."""
    pixels, weights = linear_taps(
        source_coordinates(n_in, n_out, ratio=ratio, coordinates=coordinates), n_in, np.dtype(dtype)
    )
    read = pixels.T.reshape(-1)
    order = np.argsort(read, kind="stable")
    starts = np.searchsorted(read[order], np.arange(n_in + 1))
    sorted_weights = weights.T.reshape(-1)[order]
    tables: tuple[Any, Any, Any] = to_device(
        (starts.astype(np.int32), (order % n_out).astype(np.int32), sorted_weights)
    )
    return tables


@jit()
def _forward(x: Any, rows: Any, row_weights: Any, columns: Any, column_weights: Any, y: Any) -> None:
    _, C, Ho, Wo = y.shape
    index = cuda.grid(1)
    if index < y.size:
        plane, i, j = index // (Ho * Wo), index // Wo % Ho, index % Wo
        n, c = plane // C, plane % C
        above, below, left, right = rows[i, 0], rows[i, 1], columns[j, 0], columns[j, 1]
        over, under = row_weights[i, 0], row_weights[i, 1]
        at_left = x[n, c, above, left] * over + x[n, c, below, left] * under
        at_right = x[n, c, above, right] * over + x[n, c, below, right] * under
        y[n, c, i, j] = at_left * column_weights[j, 0] + at_right * column_weights[j, 1]


@jit()
def _backward(
    dy: Any,
    row_starts: Any,
    rows: Any,
    row_weights: Any,
    column_starts: Any,
    columns: Any,
    column_weights: Any,
    zero: Any,
    dx: Any,
) -> None:
    _, C, H, W = dx.shape
    index = cuda.grid(1)
    if index < dx.size:
        plane, h, w = index // (H * W), index // W % H, index % W
        n, c = plane // C, plane % C
        total = zero
        for row in range(row_starts[h], row_starts[h + 1]):
            band = zero
            for column in range(column_starts[w], column_starts[w + 1]):
                band += dy[n, c, rows[row], columns[column]] * column_weights[column]
            total += band * row_weights[row]
        dx[n, c, h, w] = total


_INDICES = array(int32, 1)
ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(
            _forward,
            [array(t, 4), array(int32, 2), array(t, 2), array(int32, 2), array(t, 2), array(t, 4)],
            44,
            float64=t is float64,
        ),
        Assembled(
            _backward,
            [array(t, 4), *([_INDICES, _INDICES, array(t, 1)] * 2), t, array(t, 4)],
            80,
            float64=t is float64,
        ),
    )
]

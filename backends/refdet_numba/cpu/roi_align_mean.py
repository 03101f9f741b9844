"""RoIAlign that takes the mean: two passes of weighted sums over neighbouring numbers, block of channels by block.

    for each block of channels, each chunk of regions (in parallel):
        for each region, each row p of bins:
            band[w] = Σ_h A[p, h] · x[h, w]                    the columns that the region reads, of all channels
            for each q:  crop[p, q] = Σ_w B[q, w] · band[w]

and for the gradient, whose sum over regions stays in their order because one thread has a block of an image to itself:

    for each image, each block of channels (in parallel):
        for each region of the image in its order, each p:
            dband[w] = Σ_q B[q, w] · dcrop[p, q]
            dx[h, w] += A[p, h] · dband[w]                     for every h

A region with g × g points in a bin costs about (g + 1)·W' + (g + 1)·PW products per p, where W' is the number of
columns that it reads, not the 4 · g² · PW of point by point.

Workspace: the copy of x of `channel_blocks` in the forward pass, width·H·W numbers per thread in the backward pass, and
per thread width·(W + PH·PW) numbers in both, width the lanes of a block.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.channel_blocks import channel_blocks, lanes_for, number_of_blocks, read_lanes, write_lanes
from refdet_numba.cpu.compiling import ROUNDED_ONCE, compiled, compiled_parallel
from refdet_numba.cpu.roi_align_weights import AxisWeights
from refdet_numba.cpu.threads import per_thread

CHUNK = 32  # regions of a task


def mean_crops(x: Array, images: Array, rows: AxisWeights, columns: AxisWeights) -> Array:
    """Return y (R, C, PH, PW)."""
    C, (R, PH), PW = x.shape[1], rows.counts.shape, columns.counts.shape[1]
    blocks = channel_blocks(x, lanes_for(C))
    y = np.empty((R, C, PH * PW), blocks.dtype)
    _forward(blocks, x.shape[3], images, rows, columns, *_workspace(x, PH * PW, y.dtype), y)
    return y.reshape(R, C, PH, PW)


def mean_crops_adjoint(dy: Array, images: Array, rows: AxisWeights, columns: AxisWeights, shape: Any) -> Array:
    """Return dx of `shape` (N, C, H, W)."""
    dx = np.empty(shape, dy.dtype.newbyteorder("="))
    R, C, PH, PW = dy.shape
    H, W = shape[2:]
    sums = per_thread((H * W, lanes_for(C)), dx.dtype)
    dcrops = native(dy).reshape(R, C, PH * PW)
    _backward(
        dcrops,
        W,
        number_of_blocks(C),
        images,
        rows,
        columns,
        *_workspace(dx, PH * PW, dx.dtype),
        sums,
        dx.reshape(*shape[:2], H * W),
    )
    return dx


def _workspace(x: Array, n_bins: int, dtype: Any) -> tuple[Array, Array]:
    width = lanes_for(x.shape[1])
    return per_thread((x.shape[3] * width,), dtype), per_thread((n_bins * width,), dtype)


@compiled_parallel
def _forward(blocks: Any, W: int, images: Any, rows: Any, columns: Any, bands: Any, crops: Any, y: Any) -> None:
    n_blocks, width = blocks.shape[1], blocks.shape[3]
    R, C = y.shape[:2]
    PH, PW = rows.counts.shape[1], columns.counts.shape[1]
    n_chunks = (R + CHUNK - 1) // CHUNK
    for task in prange(n_blocks * n_chunks):
        block, chunk = task // n_chunks, task % n_chunks
        first = block * width
        n_lanes = min(width, C - first)
        band, crop = bands[get_thread_id()], crops[get_thread_id()]
        for r in range(chunk * CHUNK, min(R, (chunk + 1) * CHUNK)):
            x = blocks[images[r], block].reshape(-1)
            for p in range(PH):
                for run in range(columns.n_runs[r]):
                    start, stop = columns.runs[r, run, 0], columns.runs[r, run, 1]
                    _weigh(
                        x[start * width :],
                        rows.pixels[r, p],
                        W * width,
                        rows.weights[r, p],
                        rows.counts[r, p],
                        band[start * width : stop * width],
                    )
                for q in range(PW):
                    out = crop[(p * PW + q) * width : (p * PW + q + 1) * width]
                    _weigh(band, columns.pixels[r, q], width, columns.weights[r, q], columns.counts[r, q], out)
            write_lanes(crop, width, n_lanes, y[r, first : first + n_lanes].reshape(-1))


@compiled(fastmath=ROUNDED_ONCE)
def _weigh(x: Any, pixels: Any, step: int, weights: Any, count: int, out: Any) -> None:
    """Write Σ_k weights[k] · x[pixels[k] · step + i] into out[i]."""
    n = out.size
    done = min(count, 4)
    if count == 0:
        out[:] = 0
        return
    x0, w0 = x[pixels[0] * step :][:n], weights[0]
    if count == 1:
        for i in range(n):
            out[i] = w0 * x0[i]
        return
    x1, w1 = x[pixels[1] * step :][:n], weights[1]
    if count == 2:
        for i in range(n):
            out[i] = w0 * x0[i] + w1 * x1[i]
        return
    x2, w2 = x[pixels[2] * step :][:n], weights[2]
    if count == 3:
        for i in range(n):
            out[i] = w0 * x0[i] + w1 * x1[i] + w2 * x2[i]
        return
    x3, w3 = x[pixels[3] * step :][:n], weights[3]
    for i in range(n):
        out[i] = w0 * x0[i] + w1 * x1[i] + w2 * x2[i] + w3 * x3[i]
    while done + 1 < count:
        x0, w0 = x[pixels[done] * step :][:n], weights[done]
        x1, w1 = x[pixels[done + 1] * step :][:n], weights[done + 1]
        for i in range(n):
            out[i] = out[i] + w0 * x0[i] + w1 * x1[i]
        done += 2
    if done < count:
        _add(weights[done], x[pixels[done] * step :], out)


@compiled(fastmath=ROUNDED_ONCE)
def _add(weight: Any, x: Any, out: Any) -> None:
    """Add weight · x to out."""
    for i in range(out.size):
        out[i] += weight * x[i]


@compiled_parallel
def _backward(
    dy: Any, W: int, n_blocks: int, images: Any, rows: Any, columns: Any, bands: Any, crops: Any, sums: Any, dx: Any
) -> None:
    N, C = dx.shape[:2]
    PH, PW = rows.counts.shape[1], columns.counts.shape[1]
    width = sums.shape[2]
    for task in prange(N * n_blocks):
        n, first = task // n_blocks, task % n_blocks * width
        n_lanes = min(width, C - first)
        dband, dcrop, total = bands[get_thread_id()], crops[get_thread_id()], sums[get_thread_id()].reshape(-1)
        total[:] = 0
        dcrop[:] = 0
        for r in range(images.size):
            if images[r] != n:
                continue
            read_lanes(dy[r, first : first + n_lanes].reshape(-1), width, n_lanes, dcrop)
            for p in range(PH):
                for run in range(columns.n_runs[r]):
                    dband[columns.runs[r, run, 0] * width : columns.runs[r, run, 1] * width] = 0
                for q in range(PW):
                    part = dcrop[(p * PW + q) * width : (p * PW + q + 1) * width]
                    for k in range(columns.counts[r, q]):
                        column = columns.pixels[r, q, k]
                        _add(columns.weights[r, q, k], part, dband[column * width : (column + 1) * width])
                for k in range(rows.counts[r, p]):
                    row = total[rows.pixels[r, p, k] * W * width :]
                    for run in range(columns.n_runs[r]):
                        start, stop = columns.runs[r, run, 0] * width, columns.runs[r, run, 1] * width
                        _add(rows.weights[r, p, k], dband[start:stop], row[start:stop])
        write_lanes(total, width, n_lanes, dx[n, first : first + n_lanes].reshape(-1))

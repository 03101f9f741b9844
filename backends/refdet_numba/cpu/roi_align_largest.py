"""RoIAlign that takes the largest point: points one by one, each for a block of channels at once.

    for each block of channels, each chunk of regions (in parallel):
        for each region, each bin, each of its points in row-major order:
            value = ((0 + w00 · x00) + w01 · x01) + … over the pixels that exist
            keep it if it is the first, larger than the best, or the first NaN

The weights w are products in float64, rounded once; products and sums are rounded one by one, in the reference's order,
so that values, and therefore winners, have the same bits. The gradient of a channel goes to the four pixels around each
winner, tap by tap, region by region, on one thread.

Workspace: the copy of x of `channel_blocks`; per thread WIDTH numbers, and WIDTH·PH·PW of values and of winners.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.ops.roi_sampling import Sampling
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.channel_blocks import WIDTH, channel_blocks, write_lanes
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.roi_align_weights import axis_samplings, grid, one_of, taps
from refdet_numba.cpu.threads import per_thread

CHUNK = 32  # regions of a task


def largest_crops(x: Array, images: Array, boxes: Array, sampling: Sampling, border: str) -> tuple[Array, Array]:
    """Return y and winners, both (R, C, PH, PW)."""
    (R, C), (PH, PW) = (images.size, x.shape[1]), sampling.output_size
    blocks = channel_blocks(x)
    y = np.empty((R, C, PH * PW), blocks.dtype)
    winners = np.empty(y.shape, np.int64)
    work = (
        per_thread((PH * PW * WIDTH,), y.dtype),
        per_thread((PH * PW * WIDTH,), np.int64),
        per_thread((WIDTH,), y.dtype),
    )
    _forward(blocks, x.shape[2], x.shape[3], images, boxes, *axis_samplings(sampling, border), *work, y, winners)
    return y.reshape(R, C, PH, PW), winners.reshape(R, C, PH, PW)


def largest_crops_adjoint(
    dy: Array, winners: Array, images: Array, boxes: Array, sampling: Sampling, border: str, shape: Any
) -> Array:
    """Return dx of `shape` (N, C, H, W)."""
    dx = np.zeros(shape, dy.dtype.newbyteorder("="))
    rows, columns = axis_samplings(sampling, border)
    wrong = _backward(native(dy), native(winners, np.int64), images, boxes, rows, columns, dx)
    if np.any(wrong >= 0):
        raise IndexError(f"roi_align: a winner of {np.max(wrong)} is not one of the points of its bin")
    return dx


@compiled_parallel
def _forward(
    blocks: Any,
    H: int,
    W: int,
    images: Any,
    boxes: Any,
    rows: Any,
    columns: Any,
    bests: Any,
    numbers: Any,
    values: Any,
    y: Any,
    winners: Any,
) -> None:
    n_blocks = blocks.shape[1]
    R, C = y.shape[:2]
    n_chunks = (R + CHUNK - 1) // CHUNK
    for task in prange(n_blocks * n_chunks):
        block, chunk = task // n_chunks, task % n_chunks
        first = block * WIDTH
        n_lanes = min(WIDTH, C - first)
        best, number, value = bests[get_thread_id()], numbers[get_thread_id()], values[get_thread_id()]
        for r in range(chunk * CHUNK, min(R, (chunk + 1) * CHUNK)):
            x = blocks[images[r], block]
            top, height, g_h = grid(boxes[r, 1], boxes[r, 3], rows)
            left, width, g_w = grid(boxes[r, 0], boxes[r, 2], columns)
            best[:] = 0
            number[:] = -1
            for p in range(rows.n_bins):
                for q in range(columns.n_bins):
                    lanes = slice((p * columns.n_bins + q) * WIDTH, (p * columns.n_bins + q + 1) * WIDTH)
                    for i in range(g_h):
                        row_taps = taps(top + p * height + (i + 0.5) * height / g_h, H, rows.clamps)
                        for j in range(g_w):
                            column_taps = taps(left + q * width + (j + 0.5) * width / g_w, W, columns.clamps)
                            _interpolate(x, W, row_taps, column_taps, value)
                            _keep_larger(value, i * g_w + j, best[lanes], number[lanes])
            write_lanes(best, WIDTH, n_lanes, y[r, first : first + n_lanes].reshape(-1))
            write_lanes(number, WIDTH, n_lanes, winners[r, first : first + n_lanes].reshape(-1))


@compiled
def _interpolate(x: Any, W: int, rows: Any, columns: Any, value: Any) -> None:
    """Write the feature at a point, for all channels of the block, into value."""
    value[:] = 0
    for k in range(2):
        for l in range(2):
            (h, row_weight), (w, column_weight) = one_of(rows, k), one_of(columns, l)
            if h >= 0 and w >= 0:
                weight = x.dtype.type(row_weight * column_weight)
                pixel = x[h * W + w]
                for lane in range(WIDTH):
                    value[lane] += weight * pixel[lane]


@compiled
def _keep_larger(value: Any, number: int, best: Any, winner: Any) -> None:
    for lane in range(WIDTH):
        v, b = value[lane], best[lane]
        if v > b or winner[lane] < 0 or (np.isnan(v) and not np.isnan(b)):
            best[lane], winner[lane] = v, number


@compiled_parallel
def _backward(dy: Any, winners: Any, images: Any, boxes: Any, rows: Any, columns: Any, dx: Any) -> Any:
    N, C, H, W = dx.shape
    wrong = np.full(N * C, -1, np.int64)
    for plane in prange(N * C):
        n, c = plane // C, plane % C
        for r in range(images.size):
            if images[r] != n:
                continue
            top, height, g_h = grid(boxes[r, 1], boxes[r, 3], rows)
            left, width, g_w = grid(boxes[r, 0], boxes[r, 2], columns)
            for tap in range(4):
                for p in range(rows.n_bins):
                    for q in range(columns.n_bins):
                        winner = winners[r, c, p, q]
                        if winner < 0:
                            continue
                        if winner >= g_h * g_w:
                            wrong[plane] = max(wrong[plane], winner)
                            continue
                        i, j = winner // g_w, winner % g_w
                        row_taps = taps(top + p * height + (i + 0.5) * height / g_h, H, rows.clamps)
                        column_taps = taps(left + q * width + (j + 0.5) * width / g_w, W, columns.clamps)
                        (h, row_weight), (w, column_weight) = one_of(row_taps, tap // 2), one_of(column_taps, tap % 2)
                        if h >= 0 and w >= 0:
                            dx[n, c, h, w] += dy[r, c, p, q] * dx.dtype.type(row_weight * column_weight)
    return wrong

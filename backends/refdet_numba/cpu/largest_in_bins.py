"""The largest pixel of rectangular bins, for a block of channels at once.

    for each block of channels, each chunk of regions (in parallel):
        for each region, each bin, each of its pixels in row-major order:
            keep it if it is the first, larger than the best, or the first NaN

What is kept is chosen channel by channel, without branches. One thread makes a crop, so the number of threads changes
nothing.

Workspace: per thread WIDTH·PH·PW values and as many switches, of the same size where H·W < 2³¹; the caller's copy of x.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet_numba.cpu.channel_blocks import WIDTH, write_lanes
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.threads import per_thread

CHUNK = 32  # regions of a task


def largest_in_bins(
    blocks: Array, n_channels: int, size: Pair, images: Array, rows: Array, columns: Array, empty: float
) -> tuple[Array, Array]:
    """Return the largest pixels and their indices h·W + w, both (R, C, PH, PW).

    `rows` (R, PH, 2) and `columns` (R, PW, 2) hold the first pixel of each bin and the one after its last, inside the
    map of `size` that `blocks` (`channel_blocks`) holds. A bin without a pixel is `empty`, with the index −1.
    """
    (R, PH), PW = rows.shape[:2], columns.shape[1]
    y = np.empty((R, n_channels, PH * PW), blocks.dtype)
    switches = np.empty(y.shape, np.int64)
    narrow = y.itemsize == 4 and size[0] * size[1] < 2**31
    n = PH * PW * WIDTH
    work = per_thread((n,), y.dtype), per_thread((n,), np.int32 if narrow else np.int64)
    _largest_in_bins(blocks, size[1], images, rows, columns, y.dtype.type(empty), *work, y, switches)
    shape = (R, n_channels, PH, PW)
    return y.reshape(shape), switches.reshape(shape)


@compiled_parallel
def _largest_in_bins(
    blocks: Any,
    W: int,
    images: Any,
    rows: Any,
    columns: Any,
    empty: Any,
    bests: Any,
    indices: Any,
    y: Any,
    switches: Any,
) -> None:
    n_blocks = blocks.shape[1]
    R, C = y.shape[:2]
    PH, PW = rows.shape[1], columns.shape[1]
    n_chunks = (R + CHUNK - 1) // CHUNK
    for task in prange(n_blocks * n_chunks):
        block, chunk = task // n_chunks, task % n_chunks
        first = block * WIDTH
        n_lanes = min(WIDTH, C - first)
        best, index = bests[get_thread_id()], indices[get_thread_id()]
        for r in range(chunk * CHUNK, min(R, (chunk + 1) * CHUNK)):
            x = blocks[images[r], block]
            for p in range(PH):
                for q in range(PW):
                    lanes = slice((p * PW + q) * WIDTH, (p * PW + q + 1) * WIDTH)
                    _largest(x, W, rows[r, p], columns[r, q], empty, best[lanes], index[lanes])
            write_lanes(best, WIDTH, n_lanes, y[r, first : first + n_lanes].reshape(-1))
            write_lanes(index, WIDTH, n_lanes, switches[r, first : first + n_lanes].reshape(-1))


@compiled
def _largest(x: Any, W: int, rows: Any, columns: Any, empty: Any, best: Any, index: Any) -> None:
    """Write the largest pixel of one bin, and its index, for every channel of a block."""
    if rows[0] >= rows[1] or columns[0] >= columns[1]:
        for lane in range(WIDTH):
            best[lane], index[lane] = empty, -1
        return
    first = rows[0] * W + columns[0]
    values = x[first]
    for lane in range(WIDTH):
        best[lane], index[lane] = values[lane], first
    for h in range(rows[0], rows[1]):
        for pixel in range(h * W + columns[0], h * W + columns[1]):
            values, here = x[pixel], index.dtype.type(pixel)
            for lane in range(WIDTH):
                v, b, i = values[lane], best[lane], index[lane]
                wins = (v > b) | ((v != v) & (b == b))
                best[lane] = v if wins else b
                index[lane] = here if wins else i

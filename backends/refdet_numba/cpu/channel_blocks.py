"""Feature maps with the channels innermost, where a region reads the same pixels of every channel.

    x (N, C, H, W)  →  (N, blocks, H·W, WIDTH),     channel c is lane c mod WIDTH of block ⌊c / WIDTH⌋

What is done to a pixel is then done to WIDTH neighbouring numbers, whatever the pixel. A block of a usual map fits in
the cache of one core, and regions are cropped from one block after another. The lanes beyond the last channel hold 0,
and nobody reads their results. Where there is no need for WIDTH lanes, there may be fewer (`lanes_for`).

Workspace: the copy, N·⌈C/WIDTH⌉·WIDTH·H·W numbers, or of fewer lanes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled, compiled_parallel

WIDTH = 64
FEWEST_LANES = 16  # that are added up no slower than one


def channel_blocks(x: Array, width: int = WIDTH) -> Array:
    """Return a copy of x (N, C, H, W) in blocks of channels; `width` is WIDTH, or `lanes_for` C."""
    N, C, H, W = x.shape
    blocks = np.empty((N, number_of_blocks(C), H * W, width), x.dtype.newbyteorder("="))
    _fill(native(x).reshape(N, C, H * W), blocks)
    return blocks


def number_of_blocks(n_channels: int) -> int:
    """Return ⌈C / WIDTH⌉."""
    return -(-n_channels // WIDTH)


def lanes_for(n_channels: int) -> int:
    """Return how many lanes the blocks of so many channels need: WIDTH if there is more than one block."""
    return min(WIDTH, -(-n_channels // FEWEST_LANES) * FEWEST_LANES)


@compiled_parallel
def _fill(x: Any, blocks: Any) -> None:
    N, C, n_pixels = x.shape
    n_blocks, width = blocks.shape[1], blocks.shape[3]
    for task in prange(N * n_blocks):
        n, block = task // n_blocks, task % n_blocks
        first = block * width
        n_lanes = min(width, C - first)
        out = blocks[n, block]
        if n_lanes < width:
            out[:] = 0
        for start in range(0, n_pixels, WIDTH):  # square tiles: the lines of both arrays stay in the nearest cache
            stop = min(start + WIDTH, n_pixels)
            for lane in range(n_lanes):
                plane = x[n, first + lane]
                for pixel in range(start, stop):
                    out[pixel, lane] = plane[pixel]


@compiled
def write_lanes(rows: Any, width: int, n_lanes: int, out: Any) -> None:
    """Write lane after lane of rows (n · width) into out (n_lanes · n)."""
    n = out.size // n_lanes
    for lane in range(n_lanes):
        part, source = out[lane * n : (lane + 1) * n], rows[lane:]
        for i in range(n):
            part[i] = source[i * width]


@compiled
def read_lanes(values: Any, width: int, n_lanes: int, rows: Any) -> None:
    """Write values (n_lanes · n) into the lanes of rows (n · width); the other lanes stay as they are."""
    n = values.size // n_lanes
    for lane in range(n_lanes):
        part, target = values[lane * n : (lane + 1) * n], rows[lane:]
        for i in range(n):
            target[i * width] = part[i]

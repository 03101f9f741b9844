"""Depthwise convolution without stride: every channel is correlated with a kernel of its own.

    y[n, c, i, j] = bias[c] + Σ_{a, b} w[c, a, b] · xp[n, c, i + a, j + b]

    for each block of output rows, each CHANNELS channels of the batch (in parallel):
        for each of these channels:
            plane ← the rows of xp that the block reads; its zeros are those of the channel before
            for each ROWS rows of outputs, each vector of neighbouring columns:
                sums[r] ← bias                                                         r < ROWS
                for each b:
                    pixels[r] ← the vector of row r of the plane, b columns on         r < ROWS − 1
                    for each a:
                        pixels[ROWS − 1] ← that of row ROWS − 1 + a
                        sums[r] += w[a, b] · pixels[r]                                 r < ROWS
                        pixels[r] ← pixels[r + 1]

Sums and pixels stay in registers, so that for ROWS products little more than one vector is read. The last rows and the
last vector of a block are moved back to end with it; what they share with those before is computed twice.

The blocks depend on shapes alone and each output is the sum of its terms in one order: the result does not depend on
the number of threads.

Workspace, for each thread: a plane of less than 2 · `PLANE_BYTES`, or, of a wide map, of less than
(2 · ROWS + kh) · (Wo + kw) numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.direct import lay_out
from refdet_numba.cpu.lane_operations import every
from refdet_numba.cpu.lanes import LANE_BYTES, lanes_of, load, store
from refdet_numba.cpu.threads import per_thread

ROWS = 8  # of outputs at a time, with two registers each
CHANNELS = 4  # of a task
PLANE_BYTES = 24 << 10  # less than a first-level cache


def is_depthwise(x: Array, weight: Array, output_size: Pair, geometry: Geometry) -> bool:
    """Return whether each channel has its own kernel, no stride and no dilation, and fills a vector and `ROWS` rows."""
    return (
        x.shape[1] == weight.shape[0] == geometry.groups
        and geometry.stride == geometry.dilation == (1, 1)
        and x.shape[0] > 0
        and output_size[0] >= ROWS
        and output_size[1] * x.itemsize >= LANE_BYTES
    )


def correlate_depthwise(x: Array, weight: Array, bias: Array | None, output_size: Pair, geometry: Geometry) -> Array:
    """Return y (N, C, Ho, Wo) from native arrays."""
    (N, C), (_, _, kh, kw), (Ho, Wo) = x.shape[:2], weight.shape, output_size
    (top, _), (left, _) = geometry.padding
    pitch = Wo + kw - 1
    n_blocks = max(1, Ho // max(ROWS, PLANE_BYTES // (pitch * x.itemsize) - kh + 1))
    n_rows = -(-Ho // n_blocks) + kh - 1
    y = np.empty((N, C, Ho, Wo), x.dtype)
    bias = np.zeros(C, x.dtype) if bias is None else bias
    _correlate(x, weight, bias, y, (n_blocks, pitch, top, left), per_thread((n_rows * pitch,), x.dtype))
    return y


@compiled_parallel
def _correlate(x: Any, weight: Any, bias: Any, y: Any, sizes: Any, planes: Any) -> None:
    (N, C, Ho, _), n_blocks = y.shape, sizes[0]
    n_shares = (N * C + CHANNELS - 1) // CHANNELS
    for task in prange(n_blocks * n_shares):
        block, share = divmod(np.int64(task), n_shares)
        rows = block * Ho // n_blocks, (block + 1) * Ho // n_blocks
        first = share * CHANNELS
        for channel in range(first, min(first + CHANNELS, N * C)):
            _block(x, weight, bias, y, channel, rows, sizes, channel > first, planes[get_thread_id()])


@compiled
def _block(
    x: Any, weight: Any, bias: Any, y: Any, channel: int, rows: Any, sizes: Any, has_zeros: bool, plane: Any
) -> None:
    """Compute output rows of a channel, counted through the batch."""
    _, pitch, top, left = sizes
    (_, C, H, W), kh, (_, _, Ho, Wo) = x.shape, weight.shape[2], y.shape
    (first, after), c = rows, channel % C
    n_rows = after - first
    lay_out(
        x.reshape(x.size), channel * H * W, (H, W), first - top, -left, (1, 1), n_rows + kh - 1, pitch, plane, 0,
        has_zeros,
    )  # fmt: skip
    kernel, results, at = weight[c, 0], y.reshape(y.size), (channel * Ho + first) * Wo
    for i in range(0, n_rows, ROWS):
        row = min(i, n_rows - ROWS)
        for j in range(0, Wo, lanes_of(x)):
            column = min(j, Wo - lanes_of(x))
            _eight_rows(plane, row * pitch + column, pitch, kernel, bias[c], results, at + row * Wo + column, Wo)


@compiled
def _eight_rows(plane: Any, first: int, pitch: int, kernel: Any, bias: Any, y: Any, at: int, Wo: int) -> None:
    """Compute a vector of each of `ROWS` rows of outputs, from plane[first] on, and store them from y[at] on."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = every(bias)
    for b in range(kernel.shape[1]):
        p0 = load(plane, (first + b,))
        p1 = load(plane, (first + pitch + b,))
        p2 = load(plane, (first + 2 * pitch + b,))
        p3 = load(plane, (first + 3 * pitch + b,))
        p4 = load(plane, (first + 4 * pitch + b,))
        p5 = load(plane, (first + 5 * pitch + b,))
        p6 = load(plane, (first + 6 * pitch + b,))
        for a in range(kernel.shape[0]):
            p7 = load(plane, (first + (7 + a) * pitch + b,))
            w = kernel[a, b]
            s0 = s0 + w * p0
            s1 = s1 + w * p1
            s2 = s2 + w * p2
            s3 = s3 + w * p3
            s4 = s4 + w * p4
            s5 = s5 + w * p5
            s6 = s6 + w * p6
            s7 = s7 + w * p7
            p0, p1, p2, p3, p4, p5, p6 = p1, p2, p3, p4, p5, p6, p7
    store(y, (at,), s0)
    store(y, (at + Wo,), s1)
    store(y, (at + 2 * Wo,), s2)
    store(y, (at + 3 * Wo,), s3)
    store(y, (at + 4 * Wo,), s4)
    store(y, (at + 5 * Wo,), s5)
    store(y, (at + 6 * Wo,), s6)
    store(y, (at + 7 * Wo,), s7)

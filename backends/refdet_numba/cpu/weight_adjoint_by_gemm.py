"""The gradient of a convolution's weights as matrix products: the route for every geometry.

    dw[o, c, a, b] = Σ_{n, i, j} dy[n, o, i, j] · xp[n, g(o)·C/g + c, i·s + a·d, j·s + b·d]

The windows of xp are the rows of a matrix with a row for each tap (c, a, b) and a column for each position (i, j); a
few rows of it, and a few rows of positions, are copied at a time:

    for each part of the positions, group, block of the taps and block of the outputs (in parallel):
        partial ← 0
        for each chunk of the part, in order:
            windows ← the pixels that the taps of the block read, zero in the padding
            partial ← partial + dy · windowsᵀ
    dw ← the partial sums of all parts, added in their order

There is one part only if groups and blocks of taps are enough to share among threads. Parts, blocks and chunks depend
on shapes alone, and so does the result. The products of LONG rows are `inner_products`, of shorter ones BLAS's.

Workspace: max(WORK, taps of a block · Wo) values for each thread, and where there is more than one part (at most PARTS)
that many times the size of dw, which then has fewer than PARTS · (WIDE + VECTORS) · O values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.direct import lay_out
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.inner_products import inner_products
from refdet_numba.cpu.register_tile import VECTORS
from refdet_numba.cpu.threads import per_thread

WORK = 1 << 17  # values of the windows copied at a time: half of a second-level cache in float32
PARTS = 4  # of the positions at most
WIDE = 96  # taps in a block: enough that copying dy into BLAS's own order is a small part of the product
NARROW = 48  # at least, where there are not many: blocks of taps need no partial sums
LONG = 256  # terms: enough that adding the lanes of their sums is a small part of the product
LONGEST = 1600  # terms of a chunk, about: the rows of a tile stay in the nearest cache


def weight_adjoint_by_gemm(x: Array, dy: Array, geometry: Geometry) -> Array:
    """Return dweight (O, C/g, kh, kw) from x (N, C, H, W) and dy (N, O, Ho, Wo)."""
    (N, C, H, W), (_, O, Ho, Wo), G = x.shape, dy.shape, geometry.groups
    dweight = np.zeros((O, C // G, *geometry.kernel_size), x.dtype.newbyteorder("="))
    if x.size == 0 or dy.size == 0 or dweight.size == 0:
        return dweight
    (top, _), (left, _) = geometry.padding
    n_taps = C // G * math.prod(geometry.kernel_size)
    n_blocks = max(n_taps // WIDE, PARTS if n_taps >= PARTS * NARROW else 1)
    n_parts = min(PARTS, -(-PARTS // (G * n_blocks)), N * Ho)
    partial = np.empty((n_parts, *dweight.shape), dweight.dtype) if n_parts > 1 else dweight[None]
    width = -(-n_taps // (n_blocks * VECTORS)) * VECTORS
    in_place = geometry.kernel_size == geometry.stride == (1, 1) and (Ho, Wo) == (H, W)
    chunk = max(1, min(Ho, LONGEST // Wo, Ho if in_place else WORK // (width * Wo)))
    _gather(
        native(x).reshape(N, G, C // G, H * W),
        native(dy).reshape(N, G, O // G, Ho * Wo),
        partial.reshape(n_parts, G, O // G, n_taps),
        per_thread((0 if in_place else width * chunk * Wo,), dweight.dtype),
        (H, W, Ho, Wo),
        _integers(geometry.kernel_size),
        _integers(geometry.stride),
        _integers(geometry.dilation),
        (int(top), int(left)),
        (width, chunk, in_place),
    )
    for part in partial if n_parts > 1 else ():
        dweight += part
    return dweight


def _integers(pair: Pair) -> Pair:
    return int(pair[0]), int(pair[1])


@compiled_parallel(multiplies_matrices=True)
def _gather(
    x: Any,
    dy: Any,
    partial: Any,
    work: Any,
    sizes: Any,
    kernel_size: Any,
    stride: Any,
    dilation: Any,
    start: Any,
    blocks: Any,
) -> None:
    """Fill partial (parts, G, O/g, C/g·kh·kw) from x (N, G, C/g, H·W) and dy (N, G, O/g, Ho·Wo)."""
    N, _, C, _ = x.shape
    n_parts, G, _, n_taps = partial.shape
    (H, W, Ho, Wo), (kh, kw), pixels = sizes, kernel_size, x.reshape(x.size)
    width, chunk, in_place = blocks
    n_blocks = -(-n_taps // width)
    for task in prange(n_parts * G * n_blocks):
        part, g, t0 = task // (n_blocks * G), task // n_blocks % G, task % n_blocks * width
        t1 = min(n_taps, t0 + width)
        sums = partial[part, g, :, t0:t1]
        copies, goes_on = work[get_thread_id()], False
        row, end = part * N * Ho // n_parts, (part + 1) * N * Ho // n_parts  # of all rows of all images
        while row < end:
            n, i0 = row // Ho, row % Ho
            i1 = min(Ho, i0 + chunk, i0 + end - row)
            n_positions = (i1 - i0) * Wo
            block = dy[n, g, :, i0 * Wo : i1 * Wo]
            if in_place:
                windows = x[n, g, t0:t1, i0 * Wo : i1 * Wo]
            else:
                windows = copies[: (t1 - t0) * n_positions].reshape(t1 - t0, n_positions)
                for t in range(t0, t1):
                    c, a, b = t // (kh * kw), t // kw % kh, t % kw
                    lay_out(
                        pixels, ((n * G + g) * C + c) * H * W, (H, W), i0 * stride[0] + a * dilation[0] - start[0],
                        b * dilation[1] - start[1], stride, i1 - i0, Wo, copies, (t - t0) * n_positions,
                        False,
                    )  # fmt: skip
            if n_positions < LONG:
                gemm(block, windows.T, sums, 1.0 if goes_on else 0.0)
            else:
                inner_products(block, windows, sums, goes_on)
            goes_on = True
            row += i1 - i0

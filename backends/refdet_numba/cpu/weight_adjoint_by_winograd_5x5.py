"""The gradient of 5×5 weights by Winograd's minimal filtering, in 64 products a tile of 4 × 4.

It is itself a correlation: that of x with dy, of which 5 × 5 values are wanted. With a tile of dy and the 8 × 8 pixels
of x that its windows read,

    dw[o, c] = Aᵀ [ Σ_tiles (G dy_tile[o] Gᵀ) ⊙ (Bᵀ x_tile[c] B) ] A

where Bᵀ is that of `winograd_5x5_transforms` and, for r = 5 weights and m = 4 positions, with the points
p = 0, 1, −1, 2, −2, ½, −½ and ∞,

    G: row p is (1, p, p², p³) times 1, −2/9, −2/9, 1/90, 1/90, 32/45, 32/45;  row ∞ is (0, 0, 0, 1)
    Aᵀ: row k is (0ᵏ, 1, (−1)ᵏ, 2ᵏ, (−2)ᵏ, ½ᵏ, (−½)ᵏ, 0), the last row with 1 at ∞

The sum over the tiles is 64 matrix products, which take 64 multiplications where the definition takes 400. (Winograd,
"Arithmetic complexity of computations", SIAM 1980; Lavin & Gray, "Fast algorithms for convolutional neural networks",
CVPR 2016, section 4; filter and output are exchanged here.)

    for as many blocks of tiles at a time as LARGE allows:
        for each block, for some channels of x (in parallel): transform their tiles
        for each group, for some channels of dy (in parallel):
            for each block: transform their tiles;  sums += dy's · x'sᵀ
            after the last block: transform the sums back

Blocks and the order of every sum depend on shapes alone, and so does the result.

Errors: on gradients of variance 1 the largest seen was about 3e-5 in float32.

Workspace: the sums, 64 · (O + 1) · C/g values; 64 · (C + 1) for each tile of x, at most LARGE or one block's; and for
each thread 64 · (OUTPUTS + 1) · MAX_TILES. C/g and the tiles of a block are rounded up to whole lines of the cache,
tiles with room for seven more.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import aligned, native, whole_lines
from refdet_numba.cpu.compiling import REORDERED, compiled, compiled_parallel
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.lanes import lanes_of, load, load_in_turn, store
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.winograd_5x5 import LARGE, transform_all_inputs
from refdet_numba.cpu.winograd_5x5_transforms import (
    KERNEL,
    MAX_TILES,
    N_PRODUCTS,
    TAPS,
    load_eight,
    store_eight,
)
from refdet_numba.cpu.winograd_transforms import TILE

OUTPUTS = 32  # channels of dy at a time, at most
SHARES = 4  # at least, of the channels of dy, where there are as many


def weight_adjoint_by_winograd_5x5(x: Array, dy: Array, geometry: Geometry) -> Array | None:
    """Return dweight (O, C/g, 5, 5) from x (N, C, H, W) and dy (N, O, Ho, Wo); None if not all of it is finite."""
    (N, C, _, _), (_, O, Ho, Wo), G = x.shape, dy.shape, int(geometry.groups)
    (top, _), (left, _) = geometry.padding
    x, dy, C_per_group = native(x), native(dy), C // G
    tiles = -(-Ho // TILE), -(-Wo // TILE)
    n_tiles = N * tiles[0] * tiles[1]
    n_blocks = -(-n_tiles // MAX_TILES)
    block = -(-n_tiles // n_blocks)  # tiles
    n_outputs = min(OUTPUTS, O // G, max(4, -(-O // SHARES)))
    row = whole_lines(block + 7)  # the last tiles are written eight at a time
    at_once = min(n_blocks, max(1, LARGE // (N_PRODUCTS * (C + 1) * row)))  # blocks
    x_hat = aligned((at_once, N_PRODUCTS, C + 1, row), x.dtype)
    dy_hat = per_thread((N_PRODUCTS, n_outputs + 1, row), x.dtype)
    sums = aligned((N_PRODUCTS, O + 1, whole_lines(C_per_group)), x.dtype)
    dweight, is_finite = np.empty((O, C_per_group, KERNEL * KERNEL), x.dtype), np.ones(O, np.bool_)
    for first in range(0, n_tiles, at_once * block):
        cut = G, block, first, min(first + at_once * block, n_tiles)
        transform_all_inputs(x, (int(top), int(left)), tiles, cut, x_hat)
        _add_up(dy, tiles, cut, x_hat, dy_hat, sums, dweight, is_finite)
    return dweight.reshape(O, C_per_group, KERNEL, KERNEL) if is_finite.all() else None


@compiled_parallel(multiplies_matrices=True)
def _add_up(
    dy: Any, tiles: Any, cut: Any, x_hat: Any, dy_hat_of_threads: Any, sums: Any, dweight: Any, is_finite: Any
) -> None:
    """Add the products of the blocks to the sums, after the last one transform them back."""
    groups, block, first, last = cut
    O, C, n_outputs = dy.shape[1] // groups, dweight.shape[1], dy_hat_of_threads.shape[2] - 1
    n_chunks = (O + n_outputs - 1) // n_outputs
    for item in prange(groups * n_chunks):
        group, o0 = item // n_chunks, item % n_chunks * n_outputs
        n, o = min(n_outputs, O - o0), group * O + o0
        dy_hat = dy_hat_of_threads[get_thread_id()]
        for b in range((last - first + block - 1) // block):
            t0 = first + b * block
            t1 = min(t0 + block, last)
            _transform_gradients(dy, tiles, t0, t1, o, o + n, dy_hat)
            for f in range(N_PRODUCTS):
                x_tiles = x_hat[b, f, group * C : group * C + C, : t1 - t0]
                gemm(dy_hat[f, :n, : t1 - t0], x_tiles.T, sums[f, o : o + n, :C], min(t0, 1))
        if last == dy.shape[0] * tiles[0] * tiles[1]:
            _transform_back(sums, o, o + n, dweight, is_finite)


@compiled(fastmath=REORDERED)
def _of_gradients(a: Any, b: Any, c: Any, d: Any) -> Any:
    """G times four gradients."""
    even, odd = (-2 / 9) * (a + c), (-2 / 9) * (b + d)
    far_even, far_odd = (1 / 90) * (a + 4 * c), (1 / 45) * (b + 4 * d)
    near_even, near_odd = (8 / 45) * (4 * a + c), (4 / 45) * (4 * b + d)
    return (
        a,
        even + odd,
        even - odd,
        far_even + far_odd,
        far_even - far_odd,
        near_even + near_odd,
        near_even - near_odd,
        d,
    )


@compiled(fastmath=REORDERED)
def _of_sums(sums: Any) -> Any:
    """Aᵀ times eight sums."""
    a, b, c, d, e, f, g, h = sums
    even, odd, far_even, far_odd, near_even, near_odd = b + c, b - c, d + e, d - e, f + g, f - g
    return (
        a + even + far_even + near_even,
        odd + 2 * far_odd + 0.5 * near_odd,
        even + 4 * far_even + 0.25 * near_even,
        odd + 8 * far_odd + 0.125 * near_odd,
        even + 16 * far_even + 0.0625 * near_even + h,
    )


@compiled(fastmath=REORDERED)
def _transform_gradients(dy: Any, tiles: Any, first: int, last: int, o0: int, o1: int, dy_hat: Any) -> None:
    """Write dy_hat[f, o - o0, t]: G dy_tile Gᵀ for the tiles first + t < last and the channels o0 ≤ o < o1."""
    _, _, Ho, Wo = dy.shape
    th, tw = tiles
    lanes = lanes_of(dy)
    rows = np.zeros((TILE, 1, TILE * (MAX_TILES + lanes)), dy.dtype)  # of a row of tiles, side by side
    half = np.zeros((TAPS, 1, TILE * (MAX_TILES + lanes)), dy.dtype)  # G dy
    for o in range(o0, o1):
        t = first
        while t < last:  # the part of one row of tiles that lies in the block
            row, n_tiles = t // tw, min(tw - t % tw, last - t)
            n, i0, j0 = row // th, TILE * (row % th), TILE * (t % tw)
            width = min(TILE * n_tiles, Wo - j0)
            for i in range(TILE):
                line = rows[i, 0]
                line[width : TILE * n_tiles] = 0
                if i0 + i < Ho:
                    source = dy[n, o, i0 + i]
                    for j in range(width):
                        line[j] = source[j0 + j]
                else:
                    line[:width] = 0
            for j in range(0, TILE * n_tiles, lanes):
                a, b = load(rows, (0, 0, j)), load(rows, (1, 0, j))
                c, d = load(rows, (2, 0, j)), load(rows, (3, 0, j))
                store_eight(half, 0, 1, 0, j, _of_gradients(a, b, c, d))
            for i in range(TAPS):
                for j in range(0, n_tiles, lanes):
                    a, b, c, d = load_in_turn(half, (i, 0, TILE * j))
                    store_eight(dy_hat, TAPS * i, 1, o - o0, t - first + j, _of_gradients(a, b, c, d))
            t += n_tiles


@compiled(fastmath=REORDERED)
def _transform_back(sums: Any, o0: int, o1: int, dweight: Any, is_finite: Any) -> None:
    """Write dweight (O, C/g, 25): Aᵀ sums A for the channels o0 ≤ o < o1, and whether it is finite."""
    C, lanes = dweight.shape[1], lanes_of(sums)
    half = np.empty((KERNEL * TAPS, 1, lanes), sums.dtype)  # Aᵀ sums
    taps = np.empty((KERNEL * KERNEL, 1, lanes), sums.dtype)
    for o in range(o0, o1):
        total = sums.dtype.type(0)
        for c in range(0, C, lanes):
            for j in range(TAPS):
                _store_five(half, j, TAPS, _of_sums(load_eight(sums, j, TAPS, o, c)))
            for i in range(KERNEL):
                _store_five(taps, KERNEL * i, 1, _of_sums(load_eight(half, TAPS * i, 1, 0, 0)))
            for lane in range(min(lanes, C - c)):
                weights = dweight[o, c + lane]
                for tap in range(KERNEL * KERNEL):
                    weights[tap] = taps[tap, 0, lane]
                    total += taps[tap, 0, lane]
        is_finite[o] = np.isfinite(total)


@compiled(fastmath=REORDERED)
def _store_five(x: Any, f: int, step: int, five: Any) -> None:
    a, b, c, d, e = five
    store(x, (f, 0, 0), a)
    store(x, (f + step, 0, 0), b)
    store(x, (f + 2 * step, 0, 0), c)
    store(x, (f + 3 * step, 0, 0), d)
    store(x, (f + 4 * step, 0, 0), e)

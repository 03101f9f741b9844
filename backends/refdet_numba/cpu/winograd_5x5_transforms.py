"""The three transforms of Winograd's F(4×4, 5×5), on blocks of tiles (`winograd_5x5` says what they are for).

With the points 0, ±1, ±2, ±½ and ∞; the polynomial Π (x − p) and its divisors give the rows of Bᵀ:

         ⎡1   0  -21/4    0    21/4    0   -1 0⎤         ⎡  1     0     0     0     0  ⎤
         ⎢0   1    1   -17/4  -17/4    1    1 0⎥         ⎢-2/9  -2/9  -2/9  -2/9  -2/9 ⎥
         ⎢0  -1    1    17/4  -17/4   -1    1 0⎥         ⎢-2/9   2/9  -2/9   2/9  -2/9 ⎥
    Bᵀ = ⎢0  1/2  1/4   -5/2   -5/4    2    1 0⎥     G = ⎢ 1/90  1/45  2/45  4/45  8/45⎥
         ⎢0 -1/2  1/4    5/2   -5/4   -2    1 0⎥         ⎢ 1/90 -1/45  2/45 -4/45  8/45⎥
         ⎢0   2    4    -5/2    -5   1/2    1 0⎥         ⎢32/45 16/45  8/45  4/45  2/45⎥
         ⎢0  -2    4     5/2    -5  -1/2    1 0⎥         ⎢32/45 -16/45 8/45 -4/45  2/45⎥
         ⎣0  -1    0    21/4     0  -21/4   0 1⎦         ⎣  0     0     0     0     1  ⎦

         ⎡1  1  1  1  1   1    1   0⎤
    Aᵀ = ⎢0  1 -1  2 -2  1/2 -1/2  0⎥
         ⎢0  1  1  4  4  1/4  1/4  0⎥
         ⎣0  1 -1  8 -8  1/8 -1/8  1⎦

Tiles are counted through the batch, row after row: tile t of maps of th × tw tiles lies in row t // tw of all rows of
all images. A block is a run of at most MAX_TILES tiles, which may begin and end inside a row.

The arithmetic is that of the dtype, on as many tiles (of the weights: input channels) at once as a register holds. The
last of a row of tiles may fill a register only in part: what the rest of it writes is overwritten by the next row, or
lies behind the block, so v and m have room for seven more tiles, and rows of u are multiples of eight channels long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet_numba.cpu.compiling import REORDERED, compiled
from refdet_numba.cpu.lanes import lanes_of, load, load_in_turn, store, store_in_turn
from refdet_numba.cpu.winograd_transforms import TILE, write_tiles

TAPS = 8  # inputs of a tile along each axis
N_PRODUCTS = TAPS * TAPS
KERNEL = 5
MAX_TILES = 64  # in a block
AT_A_TIME = 64  # input channels whose weights are transformed


@compiled(fastmath=REORDERED)
def _of_inputs(x: Any) -> Any:
    """Bᵀ times eight inputs."""
    a, b, c, d, e, f, g, h = x
    even, odd = c + g - 4.25 * e, b + f - 4.25 * d
    far_even, far_odd = 0.25 * c + g - 1.25 * e, 0.5 * b + 2 * f - 2.5 * d
    near_even, near_odd = 4 * c + g - 5 * e, 2 * b + 0.5 * f - 2.5 * d
    return (
        a - g + 5.25 * (e - c),
        even + odd,
        even - odd,
        far_even + far_odd,
        far_even - far_odd,
        near_even + near_odd,
        near_even - near_odd,
        h - b + 5.25 * (d - f),
    )


@compiled(fastmath=REORDERED)
def _of_weights(w: Any) -> Any:
    """G times five weights."""
    a, b, c, d, e = w
    even, odd = (-2 / 9) * (a + c + e), (-2 / 9) * (b + d)
    far_even, far_odd = (1 / 90) * (a + 4 * c + 16 * e), (1 / 45) * (b + 4 * d)
    near_even, near_odd = (2 / 45) * (16 * a + 4 * c + e), (4 / 45) * (4 * b + d)
    return (
        a,
        even + odd,
        even - odd,
        far_even + far_odd,
        far_even - far_odd,
        near_even + near_odd,
        near_even - near_odd,
        e,
    )


@compiled(fastmath=REORDERED)
def _of_products(m: Any) -> Any:
    """Aᵀ times eight products."""
    a, b, c, d, e, f, g, h = m
    even, odd, far_even, far_odd, near_even, near_odd = b + c, b - c, d + e, d - e, f + g, f - g
    return (
        a + even + far_even + near_even,
        odd + 2 * far_odd + 0.5 * near_odd,
        even + 4 * far_even + 0.25 * near_even,
        odd + 8 * far_odd + 0.125 * near_odd + h,
    )


@compiled(fastmath=REORDERED)
def load_eight(x: Any, f: int, step: int, i: int, j: int) -> Any:
    """Return x[f, i, j], x[f + step, i, j], …"""
    return (
        load(x, (f, i, j)),
        load(x, (f + step, i, j)),
        load(x, (f + 2 * step, i, j)),
        load(x, (f + 3 * step, i, j)),
        load(x, (f + 4 * step, i, j)),
        load(x, (f + 5 * step, i, j)),
        load(x, (f + 6 * step, i, j)),
        load(x, (f + 7 * step, i, j)),
    )


@compiled(fastmath=REORDERED)
def store_eight(x: Any, f: int, step: int, i: int, j: int, eight: Any) -> None:
    a, b, c, d, e, g, h, k = eight
    store(x, (f, i, j), a)
    store(x, (f + step, i, j), b)
    store(x, (f + 2 * step, i, j), c)
    store(x, (f + 3 * step, i, j), d)
    store(x, (f + 4 * step, i, j), e)
    store(x, (f + 5 * step, i, j), g)
    store(x, (f + 6 * step, i, j), h)
    store(x, (f + 7 * step, i, j), k)


@compiled(fastmath=REORDERED)
def transform_weights(weight: Any, n_in: int, start: int, steps: Any, flipped: bool, u: Any) -> None:
    """Write u[f, k, c] for c < n_in: G w Gᵀ.

    The 25 taps of w lie in the flat array `weight` from start + steps · (k, c) on; flipped, they are read backwards.
    """
    of_k, of_c = steps
    lanes = lanes_of(u)
    taps = np.zeros((KERNEL * KERNEL, 1, AT_A_TIME), u.dtype)  # of some channels, side by side
    half = np.empty((TAPS * KERNEL, 1, AT_A_TIME), u.dtype)  # G w
    for k in range(u.shape[1]):
        for c0 in range(0, n_in, AT_A_TIME):
            n = min(AT_A_TIME, n_in - c0)
            for c in range(n):
                at = start + k * of_k + (c0 + c) * of_c
                if flipped:
                    for tap in range(KERNEL * KERNEL):
                        taps[tap, 0, c] = weight[at + KERNEL * KERNEL - 1 - tap]
                else:
                    for tap in range(KERNEL * KERNEL):
                        taps[tap, 0, c] = weight[at + tap]
            for c in range(0, n, lanes):
                for j in range(KERNEL):
                    column = (
                        load(taps, (j, 0, c)),
                        load(taps, (j + 5, 0, c)),
                        load(taps, (j + 10, 0, c)),
                        load(taps, (j + 15, 0, c)),
                        load(taps, (j + 20, 0, c)),
                    )
                    store_eight(half, j, KERNEL, 0, c, _of_weights(column))
                for i in range(TAPS):
                    row = (
                        load(half, (5 * i, 0, c)),
                        load(half, (5 * i + 1, 0, c)),
                        load(half, (5 * i + 2, 0, c)),
                        load(half, (5 * i + 3, 0, c)),
                        load(half, (5 * i + 4, 0, c)),
                    )
                    store_eight(u, TAPS * i, 1, k, c0 + c, _of_weights(row))


@compiled(fastmath=REORDERED)
def transform_inputs(x: Any, start: Any, tiles: Any, first: int, last: int, c0: int, c1: int, v: Any) -> None:
    """Write v[f, c, t]: Bᵀ d B for the tiles first + t < last and the channels c0 ≤ c < c1 of x (N, C, H, W).

    `start` is the padding above and to the left.
    """
    _, _, H, W = x.shape
    top, left = start
    th, tw = tiles
    lanes = lanes_of(x)
    pixels = np.zeros((TAPS, 1, TILE * (MAX_TILES + 2 * lanes)), x.dtype)  # of a row of tiles, side by side
    half = np.zeros((TAPS, 1, TILE * (MAX_TILES + 2 * lanes)), x.dtype)  # Bᵀ d
    for c in range(c0, c1):
        t = first
        while t < last:  # the part of one row of tiles that lies in the block
            row, n_tiles = t // tw, min(tw - t % tw, last - t)
            n, h, w = row // th, TILE * (row % th) - top, TILE * (t % tw) - left
            width = TILE * n_tiles + TAPS - TILE
            begin, end = min(max(0, -w), width), max(min(width, W - w), 0)  # where there are pixels
            for i in range(TAPS):
                line = pixels[i, 0]
                if 0 <= h + i < H and begin < end:
                    source = x[n, c, h + i]
                    line[:begin] = 0
                    for j in range(begin, end):
                        line[j] = source[w + j]
                    line[end:width] = 0
                else:
                    line[:width] = 0
            for j in range(0, width, lanes):
                store_eight(half, 0, 1, 0, j, _of_inputs(load_eight(pixels, 0, 1, 0, j)))
            for i in range(TAPS):
                for j in range(0, n_tiles, lanes):
                    values = load_in_turn(half, (i, 0, TILE * j)) + load_in_turn(half, (i, 0, TILE * j + TILE))
                    store_eight(v, TAPS * i, 1, c, t - first + j, _of_inputs(values))
            t += n_tiles


@compiled(fastmath=REORDERED)
def transform_products(m: Any, bias: Any, tiles: Any, first: int, last: int, k0: int, k1: int, y: Any) -> Any:
    """Write y (N, K, Ho, Wo): Aᵀ m A + bias for the tiles first + t < last and the channels k0 ≤ k < k1.

    m[f, k - k0, t] are the products. Return whether the sum of what was written is finite: if so, every y is.
    """
    lanes = lanes_of(y)
    half = np.empty((TILE * TAPS, 1, lanes), y.dtype)  # Aᵀ m
    lines = np.empty((TILE, TILE * (MAX_TILES + lanes)), y.dtype)  # the tiles of the block side by side
    total, scale = y.dtype.type(0), y.dtype.type(1)
    for k in range(k0, k1):
        for t in range(0, last - first, lanes):
            for j in range(TAPS):
                a, b, c, d = _of_products(load_eight(m, j, TAPS, k - k0, t))
                store(half, (j, 0, 0), a)
                store(half, (TAPS + j, 0, 0), b)
                store(half, (2 * TAPS + j, 0, 0), c)
                store(half, (3 * TAPS + j, 0, 0), d)
            for i in range(TILE):
                a, b, c, d = _of_products(load_eight(half, TAPS * i, 1, 0, 0))
                store_in_turn(lines, (i, TILE * t), a, b, c, d)
        total += write_tiles(lines, scale, bias[k], tiles, first, last, k, y)
    return np.isfinite(total)

"""The three transforms of Winograd's F(4×4, 3×3), on blocks of tiles (`winograd` says what they are for).

With the points 0, ±1, ±2 and ∞ (Lavin & Gray 2016, section 4.3); the signs of two rows of Bᵀ and G are turned, and G is
taken six times, so that the weights need no division: the outputs are divided by 36.

         ⎡ 4  0 -5  0  1  0⎤          ⎡3/2   0   0⎤
         ⎢ 0  4  4 -1 -1  0⎥          ⎢ 1    1   1⎥          ⎡1  1  1  1  1  0⎤
    Bᵀ = ⎢ 0 -4  4  1 -1  0⎥    6 G = ⎢ 1   -1   1⎥     Aᵀ = ⎢0  1 -1  2 -2  0⎥
         ⎢ 0 -2 -1  2  1  0⎥          ⎢1/4  1/2  1⎥          ⎢0  1  1  4  4  0⎥
         ⎢ 0  2 -1 -2  1  0⎥          ⎢1/4 -1/2  1⎥          ⎣0  1 -1  8 -8  1⎦
         ⎣ 0  4  0 -5  0  1⎦          ⎣ 0    0   6⎦

Tiles are counted through the batch, row after row: tile t of maps of th × tw tiles lies in row t // tw of all rows of
all images. A block is a run of at most MAX_TILES tiles, which may begin and end inside a row.

The arithmetic is that of the dtype, on as many tiles (of the weights: output channels) at once as a register holds. The
last of a row of tiles may fill a register only in part: what the rest of it writes is overwritten by the next row, or
lies behind the block, so v and m have room for seven more tiles, and u for a multiple of eight output channels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet_numba.cpu.compiling import REORDERED, compiled
from refdet_numba.cpu.lanes import lanes_of, load, load_in_turn, load_nine, prefetch, store, store_in_turn
from refdet_numba.cpu.winograd_products import GROUP

TILE = 4  # outputs of a tile along each axis
TAPS = 6  # inputs of a tile along each axis
N_PRODUCTS = TAPS * TAPS
MAX_TILES = 64  # in a block
AHEAD = 8  # input channels whose weights are fetched before they are needed


@compiled(fastmath=REORDERED)
def _of_inputs(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Bᵀ times six inputs."""
    near_even, near_odd = 4 * c - e, 4 * b - d
    far_even, far_odd = e - c, 2 * (d - b)
    return (
        4 * a - 5 * c + e,
        near_even + near_odd,
        near_even - near_odd,
        far_even + far_odd,
        far_even - far_odd,
        4 * b - 5 * d + f,
    )


@compiled(fastmath=REORDERED)
def _of_products(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Aᵀ times six products."""
    near_even, near_odd, far_even, far_odd = b + c, b - c, d + e, d - e
    return a + near_even + far_even, near_odd + 2 * far_odd, near_even + 4 * far_even, near_odd + 8 * far_odd + f


@compiled(fastmath=REORDERED)
def _of_weights(a: Any, b: Any, c: Any) -> Any:
    """6 G times three weights."""
    near, far, half = a + c, 0.25 * a + c, 0.5 * b
    return 1.5 * a, near + b, near - b, far + half, far - half, 6 * c


@compiled(fastmath=REORDERED)
def _store_six(x: Any, f: int, i: int, j: int, six: Any) -> None:
    a, b, c, d, e, g = six
    store(x, (f, i, j), a)
    store(x, (f + 1, i, j), b)
    store(x, (f + 2, i, j), c)
    store(x, (f + 3, i, j), d)
    store(x, (f + 4, i, j), e)
    store(x, (f + 5, i, j), g)


@compiled(fastmath=REORDERED)
def transform_weights(weight: Any, n_in: int, n_out: int, start: int, steps: Any, flipped: bool, u: Any) -> None:
    """Write u[⌊k / 8⌋, f, c, k mod 8] for k < n_out and c < n_in: 36 G w Gᵀ.

    The nine taps of w lie in the flat array `weight` from start + steps · (k, c) on; flipped, they are read backwards.
    """
    of_k, of_c = steps
    lanes = lanes_of(u)
    for k in range(0, n_out, lanes):
        of_group, i = u[k // GROUP], k % GROUP
        for c in range(n_in):
            at = start + k * of_k + c * of_c
            for lane in range(lanes):
                prefetch(weight, at + AHEAD * of_c + lane * of_k)
            w = load_nine(weight, at, of_k, n_out - k)
            w00, w01, w02, w10, w11, w12, w20, w21, w22 = w
            if flipped:
                w22, w21, w20, w12, w11, w10, w02, w01, w00 = w
            a0, a1, a2, a3, a4, a5 = _of_weights(w00, w10, w20)
            b0, b1, b2, b3, b4, b5 = _of_weights(w01, w11, w21)
            c0, c1, c2, c3, c4, c5 = _of_weights(w02, w12, w22)
            _store_six(of_group, 0, c, i, _of_weights(a0, b0, c0))
            _store_six(of_group, 6, c, i, _of_weights(a1, b1, c1))
            _store_six(of_group, 12, c, i, _of_weights(a2, b2, c2))
            _store_six(of_group, 18, c, i, _of_weights(a3, b3, c3))
            _store_six(of_group, 24, c, i, _of_weights(a4, b4, c4))
            _store_six(of_group, 30, c, i, _of_weights(a5, b5, c5))


@compiled(fastmath=REORDERED)
def transform_inputs(
    x: Any, zeros: Any, start: Any, tiles: Any, first: int, last: int, c0: int, c1: int, v: Any
) -> None:
    """Write v[f, c, t]: Bᵀ d B for the tiles first + t < last and the channels c0 ≤ c < c1 of x (N, C, H, W).

    `start` is the padding above and to the left; `zeros` stands for a row outside the map.
    """
    _, _, H, W = x.shape
    top, left = start
    th, tw = tiles
    lanes = lanes_of(x)
    s = np.zeros((TAPS, TILE * (MAX_TILES + 2 * lanes)), x.dtype)  # Bᵀ d of a row of tiles, side by side
    for c in range(c0, c1):
        t = first
        while t < last:  # the part of one row of tiles that lies in the block
            row, n_tiles = t // tw, min(tw - t % tw, last - t)
            n, h, w = row // th, TILE * (row % th) - top, TILE * (t % tw) - left
            width = TILE * n_tiles + 2
            begin, end = min(max(0, -w), width), max(min(width, W - w), 0)  # where there are pixels
            x0 = x[n, c, h] if 0 <= h < H else zeros
            x1 = x[n, c, h + 1] if 0 <= h + 1 < H else zeros
            x2 = x[n, c, h + 2] if 0 <= h + 2 < H else zeros
            x3 = x[n, c, h + 3] if 0 <= h + 3 < H else zeros
            x4 = x[n, c, h + 4] if 0 <= h + 4 < H else zeros
            x5 = x[n, c, h + 5] if 0 <= h + 5 < H else zeros
            if end - begin >= lanes:
                for at in range(begin, end, lanes):
                    j = min(at, end - lanes)
                    here, next_plane = (w + j,), w + j + H * W
                    prefetch(x0, next_plane)
                    prefetch(x1, next_plane)
                    prefetch(x2, next_plane)
                    prefetch(x3, next_plane)
                    prefetch(x4, next_plane)
                    prefetch(x5, next_plane)
                    a0, a1, a2, a3, a4, a5 = _of_inputs(
                        load(x0, here), load(x1, here), load(x2, here), load(x3, here), load(x4, here), load(x5, here)
                    )
                    store(s, (0, j), a0)
                    store(s, (1, j), a1)
                    store(s, (2, j), a2)
                    store(s, (3, j), a3)
                    store(s, (4, j), a4)
                    store(s, (5, j), a5)
            else:
                for j in range(begin, end):
                    s[0, j], s[1, j], s[2, j], s[3, j], s[4, j], s[5, j] = _of_inputs(
                        x0[w + j], x1[w + j], x2[w + j], x3[w + j], x4[w + j], x5[w + j]
                    )
            for i in range(TAPS):
                s[i, :begin] = 0
                s[i, end:width] = 0
                for j in range(0, n_tiles, lanes):
                    b0, b1, b2, b3 = load_in_turn(s, (i, TILE * j))
                    b4, b5, _, _ = load_in_turn(s, (i, TILE * j + TILE))
                    _store_six(v, TAPS * i, c, t - first + j, _of_inputs(b0, b1, b2, b3, b4, b5))
            t += n_tiles


@compiled(fastmath=REORDERED)
def _of_column(m: Any, j: int, k: int, t: int) -> Any:
    """Aᵀ times column j of a tile of products."""
    return _of_products(
        load(m, (j, k, t)),
        load(m, (6 + j, k, t)),
        load(m, (12 + j, k, t)),
        load(m, (18 + j, k, t)),
        load(m, (24 + j, k, t)),
        load(m, (30 + j, k, t)),
    )


@compiled(fastmath=REORDERED)
def transform_products(m: Any, bias: Any, tiles: Any, first: int, last: int, k0: int, k1: int, y: Any) -> Any:
    """Write y (N, K, Ho, Wo): Aᵀ m A / 36 + bias for the tiles first + t < last and the channels k0 ≤ k < k1.

    m[f, k - k0, t] are the products. Return whether the sum of what was written is finite: if so, every y is.
    """
    lanes = lanes_of(y)
    lines = np.empty((TILE, TILE * (MAX_TILES + lanes)), y.dtype)  # the tiles of the block side by side
    total, scale = y.dtype.type(0), y.dtype.type(1 / 36)
    for k in range(k0, k1):
        for t in range(0, last - first, lanes):
            a0, a1, a2, a3 = _of_column(m, 0, k - k0, t)
            b0, b1, b2, b3 = _of_column(m, 1, k - k0, t)
            c0, c1, c2, c3 = _of_column(m, 2, k - k0, t)
            d0, d1, d2, d3 = _of_column(m, 3, k - k0, t)
            e0, e1, e2, e3 = _of_column(m, 4, k - k0, t)
            f0, f1, f2, f3 = _of_column(m, 5, k - k0, t)
            y0, y1, y2, y3 = _of_products(a0, b0, c0, d0, e0, f0)
            store_in_turn(lines, (0, TILE * t), y0, y1, y2, y3)
            y0, y1, y2, y3 = _of_products(a1, b1, c1, d1, e1, f1)
            store_in_turn(lines, (1, TILE * t), y0, y1, y2, y3)
            y0, y1, y2, y3 = _of_products(a2, b2, c2, d2, e2, f2)
            store_in_turn(lines, (2, TILE * t), y0, y1, y2, y3)
            y0, y1, y2, y3 = _of_products(a3, b3, c3, d3, e3, f3)
            store_in_turn(lines, (3, TILE * t), y0, y1, y2, y3)
        total += write_tiles(lines, scale, bias[k], tiles, first, last, k, y)
    return np.isfinite(total)


@compiled(fastmath=REORDERED)
def write_tiles(lines: Any, scale: Any, bias: Any, tiles: Any, first: int, last: int, k: int, y: Any) -> Any:
    """Write scale · lines + bias, the tiles first + t < last side by side, to y[:, k]; return the sum of it."""
    _, _, Ho, Wo = y.shape
    th, tw = tiles
    total, t = y.dtype.type(0), first
    while t < last:  # the part of one row of tiles that lies in the block
        row, at = t // tw, TILE * (t - first)
        n_tiles = min(tw - t % tw, last - t)
        n, h, w = row // th, TILE * (row % th), TILE * (t % tw)
        width = min(TILE * n_tiles, Wo - w)
        for i in range(min(TILE, Ho - h)):
            line, part = lines[i, at : at + width], y[n, k, h + i, w : w + width]
            for j in range(width):
                value = line[j] * scale + bias
                part[j] = value
                total += value
        t += n_tiles
    return total

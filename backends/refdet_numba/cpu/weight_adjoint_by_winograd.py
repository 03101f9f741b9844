"""The gradient of 3×3 weights by Winograd's minimal filtering, in 36 products a tile.

It is itself a correlation: that of x with dy, of which 3 × 3 values are wanted. Cut dy into tiles of 4 × 4; with the
6 × 6 pixels of x that a tile's windows read,

    dw[o, c] = Aᵀ [ Σ_tiles (G dy_tile[o] Gᵀ) ∘ (Bᵀ x_tile[c] B) ] A            Aᵀ: 3 × 6,  G: 6 × 4,  Bᵀ: 6 × 6

which takes 36 multiplications where the definition takes 144. The sums over the tiles are 36 matrix products.
(Winograd, "Arithmetic complexity of computations", SIAM 1980; Lavin & Gray, "Fast algorithms for
convolutional neural networks", CVPR 2016, section 4; filter and output are exchanged here.)

The matrices come from polynomials at the points p = 0, 1, −1, 2, −2 and ∞:

    G: row p is (1, p, p², p³) times ¼, −⅙, −⅙, 1/24, 1/24;  row ∞ is (0, 0, 0, 1)
    Aᵀ: row k is (0ᵏ, 1, (−1)ᵏ, 2ᵏ, (−2)ᵏ, 0), the last row with 1 at ∞
    Bᵀ: ⎡ 4  0 −5  0  1  0⎤
        ⎢ 0 −4 −4  1  1  0⎥
        ⎢ 0  4 −4 −1  1  0⎥
        ⎢ 0 −2 −1  2  1  0⎥
        ⎢ 0  2 −1 −2  1  0⎥
        ⎣ 0  4  0 −5  0  1⎦

With dilation d the positions fall into d × d maps, each with its own tiles, which read every d-th pixel.

    for each chunk of the strips (one row of tiles of one map):
        for each LANES channels of x or of dy (in parallel): transform their tiles
        for each of the 36 products, or blocks of channels (in parallel): sums += dy's · x'sᵀ
    for each block of the weights (in parallel): transform the sums back

All transforms work on LANES channels at a time, which lie side by side in memory. Strips, chunks and blocks depend on
shapes alone, and so does the result.

Workspace: 36·(C + O) values for each tile of a chunk, at most TRANSFORMED in all unless one strip has more; the sums,
36·BLOCK² values for each thread if there is one chunk, else 36·O·C/g; and SCRATCH values for each thread.
"""

from __future__ import annotations

from math import ceil
from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import REORDERED, ROUNDED_ONCE, compiled, compiled_parallel
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.threads import per_thread

TRANSFORMED = 1 << 22
NEAR = 1 << 20  # values that stay in a second- or third-level cache
BLOCK = 64  # channels of x and of dy: 36·64² sums in float32 are half of a second-level cache
LANES = 16
TILE = 4  # positions along each axis
SEGMENT = 8  # tiles of a strip that are transformed at a time
LINE = (4 * SEGMENT + 2) * LANES  # the pixels of one row that they read
DOWN, OUT = 6 * LINE, 12 * LINE  # where scratch holds what is transformed along columns, and one tile's result
SCRATCH = max(12 * LINE + 36 * LANES, (36 + 18 + 18) * BLOCK)


def winograd_pays(x_shape: tuple[int, ...], dy_shape: tuple[int, ...], geometry: Geometry) -> bool:
    """Return whether the transforms apply and are a small part of the work."""
    if geometry.kernel_size != (3, 3) or geometry.stride != (1, 1):
        return False
    C, O = x_shape[1] // geometry.groups, dy_shape[1] // geometry.groups
    return C >= 16 and O >= 16 and dy_shape[0] * dy_shape[2] * dy_shape[3] >= 16


def weight_adjoint_by_winograd(x: Array, dy: Array, geometry: Geometry) -> Array | None:
    """Return dweight (O, C/g, 3, 3) from x (N, C, H, W) and dy (N, O, Ho, Wo); None if not all of it is finite."""
    (N, C, _, _), (_, O, Ho, Wo), G = x.shape, dy.shape, geometry.groups
    (dh, dw), ((top, _), (left, _)) = geometry.dilation, geometry.padding
    tiles_high, tiles_wide = ceil(ceil(Ho / dh) / TILE), ceil(ceil(Wo / dw) / TILE)
    n_strips = N * dh * dw * tiles_high
    most = TRANSFORMED if 36 * O * (C // G) > NEAR else min(TRANSFORMED, NEAR)
    strips = min(n_strips, max(1, most // (36 * (C + O) * tiles_wide)))
    strips = -(-n_strips // -(-n_strips // strips))  # of a chunk
    dtype = x.dtype.newbyteorder("=")
    dweight = np.empty((O, C // G, 9), dtype)
    if strips == n_strips:
        sums = per_thread((36, min(BLOCK, O // G), min(BLOCK, C // G)), dtype)
    else:
        sums = np.empty((1, 36, O, C // G), dtype)
    finite = _fill(
        native(x),
        native(dy),
        dweight,
        np.empty((36, strips * tiles_wide, C), dtype),
        np.empty((36, strips * tiles_wide, O), dtype),
        sums,
        per_thread((SCRATCH,), dtype),
        (int(G), strips, n_strips, tiles_high, tiles_wide),
        (int(dh), int(dw), int(top), int(left)),
    )
    return dweight.reshape(O, C // G, 3, 3) if finite.all() else None


@compiled_parallel(multiplies_matrices=True)
def _fill(
    x: Any, dy: Any, dweight: Any, x_hat: Any, dy_hat: Any, sums: Any, scratch: Any, sizes: Any, geometry: Any
) -> Any:
    """Fill dweight (O, C/g, 9) from x (N, C, H, W) and dy (N, O, Ho, Wo); return whether each block is finite."""
    groups, strips, n_strips, _, tiles_wide = sizes
    C, O = x.shape[1], dy.shape[1]
    C_per_group, O_per_group = C // groups, O // groups
    over_x, over_dy = -(-C_per_group // BLOCK), -(-O_per_group // BLOCK)
    lanes_x, lanes_dy = -(-C // LANES), -(-O // LANES)
    for first in range(0, n_strips, strips):
        after = min(n_strips, first + strips)
        n_tiles = (after - first) * tiles_wide
        for unit in prange(lanes_x + lanes_dy):
            work = scratch[get_thread_id()]
            if (unit % 2 == 0 and unit // 2 < min(lanes_x, lanes_dy)) or unit >= 2 * lanes_dy:
                lane = unit // 2 if unit < 2 * lanes_dy else unit - lanes_dy
                _transform(x, lane * LANES, x_hat, first, after, sizes, geometry, True, work)
            else:
                lane = unit // 2 if unit < 2 * lanes_x else unit - lanes_x
                _transform(dy, lane * LANES, dy_hat, first, after, sizes, geometry, False, work)
        if strips < n_strips:
            for product in prange(36 * groups):
                f, g = product // groups, product % groups
                o0, c0 = g * O_per_group, g * C_per_group
                gemm(
                    dy_hat[f, :n_tiles, o0 : o0 + O_per_group].T,
                    x_hat[f, :n_tiles, c0 : c0 + C_per_group],
                    sums[0, f, o0 : o0 + O_per_group],
                    1.0 if first else 0.0,
                )
    finite = np.ones(groups * over_dy * over_x, np.bool_)
    for block in prange(groups * over_dy * over_x):
        g = block // (over_x * over_dy)
        o0, c0 = block // over_x % over_dy * BLOCK, block % over_x * BLOCK
        o1, c1 = min(O_per_group, o0 + BLOCK), min(C_per_group, c0 + BLOCK)
        target = dweight[g * O_per_group + o0 : g * O_per_group + o1, c0:c1]
        if strips < n_strips:
            ready = sums[0, :, g * O_per_group + o0 : g * O_per_group + o1, c0:c1]
        else:
            ready = sums[get_thread_id(), :, : o1 - o0, : c1 - c0]
            for f in range(36):
                gemm(
                    dy_hat[f, :, g * O_per_group + o0 : g * O_per_group + o1].T,
                    x_hat[f, :, g * C_per_group + c0 : g * C_per_group + c1],
                    ready[f],
                    0.0,
                )
        finite[block] = _transform_back(ready, target, scratch[get_thread_id()])
    return finite


@compiled(fastmath=ROUNDED_ONCE, inline=True)
def _at_points_of_x(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Multiply by Bᵀ."""
    two, four, five = type(a)(2), type(a)(4), type(a)(5)  # an integer times float32 would be float64
    even, odd, even_2, odd_2 = e - four * c, d - four * b, e - c, two * (d - b)
    return four * a - five * c + e, even + odd, even - odd, even_2 + odd_2, even_2 - odd_2, four * b - five * d + f


@compiled(fastmath=ROUNDED_ONCE, inline=True)
def _at_points_of_dy(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Multiply by G: a + b p + c p² + d p³ at each point, and the last coefficient for ∞."""
    two, four, eight, sixth = type(a)(2), type(a)(4), type(a)(8), type(a)(1 / 6)
    even, odd, even_2, odd_2 = a + c, b + d, a + four * c, two * b + eight * d
    quarter, twenty_fourth = type(a)(0.25), type(a)(1 / 24)
    return (
        quarter * a,
        -sixth * (even + odd),
        sixth * (odd - even),
        twenty_fourth * (even_2 + odd_2),
        twenty_fourth * (even_2 - odd_2),
        d,
    )


@compiled(fastmath=ROUNDED_ONCE, inline=True)
def _from_points(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any) -> Any:
    """Multiply by Aᵀ."""
    two, four = type(a)(2), type(a)(4)
    even, odd, even_2, odd_2 = b + c, b - c, d + e, d - e
    return a + even + even_2, odd + two * odd_2, even + four * even_2 + f


@compiled
def _read_row(x: Any, n: Any, channel: Any, h: Any, start: Any, step: Any, n_columns: Any, row: Any) -> None:
    """Copy every step-th pixel of row h of LANES channels, from `start` on, to row (n_columns, LANES); 0 outside."""
    _, C, H, W = x.shape
    first = min(n_columns, max(0, -(start // step))) if 0 <= h < H else n_columns
    after = max(first, min(n_columns, (W - 1 - start) // step + 1))
    row[: first * LANES] = 0
    row[after * LANES : n_columns * LANES] = 0
    for lane in range(min(LANES, C - channel)):
        pixels = x[n, channel + lane, min(max(h, 0), H - 1)]
        for j in range(first, after):
            row[j * LANES + lane] = pixels[start + j * step]


@compiled(fastmath=ROUNDED_ONCE)
def _transform(
    source: Any, channel: Any, hat: Any, first: Any, after: Any, sizes: Any, geometry: Any, is_x: Any, work: Any
) -> None:
    """Write the transformed tiles of LANES channels of x, or of dy, to hat (36, tiles, channels)."""
    _, _, _, tiles_high, tiles_wide = sizes
    dh, dw, top, left = geometry
    side = 6 if is_x else TILE
    n_lanes = min(LANES, source.shape[1] - channel)
    work[:DOWN] = 0
    for strip in range(first, after):
        n, rest = strip // (dh * dw * tiles_high), strip % (dh * dw * tiles_high)
        i, j = rest // tiles_high // dw, rest // tiles_high % dw  # where the map begins among the positions
        i += rest % tiles_high * TILE * dh
        if is_x:
            i, j = i - top, j - left
        for t0 in range(0, tiles_wide, SEGMENT):
            n_tiles = min(SEGMENT, tiles_wide - t0)
            n_columns = TILE * (n_tiles - 1) + side
            for k in range(side):
                row = work[k * LINE : (k + 1) * LINE]
                _read_row(source, n, channel, i + k * dh, j + t0 * TILE * dw, dw, n_columns, row)
            _along_columns(work, n_columns * LANES, is_x)
            for t in range(n_tiles):
                _along_rows(work[DOWN + t * TILE * LANES :], is_x, work[OUT:])
                tile = (strip - first) * tiles_wide + t0 + t
                if n_lanes == LANES:
                    _copy_tile(work[OUT:], hat, tile, channel)
                else:
                    for f in range(36):
                        for lane in range(n_lanes):
                            hat[f, tile, channel + lane] = work[OUT + f * LANES + lane]


@compiled
def _copy_tile(tile_values: Any, hat: Any, tile: Any, channel: Any) -> None:
    """Copy 36 rows of LANES values to hat[:, tile, channel:]."""
    for f in range(36):
        out = hat[f, tile, channel : channel + LANES]
        for lane in range(LANES):
            out[lane] = tile_values[f * LANES + lane]


@compiled(fastmath=ROUNDED_ONCE)
def _along_columns(work: Any, n_values: Any, is_x: Any) -> None:
    for e in range(n_values):
        a, b, c, d = work[e], work[LINE + e], work[2 * LINE + e], work[3 * LINE + e]
        if is_x:
            values = _at_points_of_x(a, b, c, d, work[4 * LINE + e], work[5 * LINE + e])
        else:
            values = _at_points_of_dy(a, b, c, d)
        work[DOWN + e], work[DOWN + LINE + e], work[DOWN + 2 * LINE + e] = values[0], values[1], values[2]
        work[DOWN + 3 * LINE + e], work[DOWN + 4 * LINE + e], work[DOWN + 5 * LINE + e] = (
            values[3],
            values[4],
            values[5],
        )


@compiled(fastmath=ROUNDED_ONCE)
def _along_rows(down: Any, is_x: Any, out: Any) -> None:
    for k in range(6):
        i, o = k * LINE, 6 * k * LANES
        if is_x:
            for e in range(LANES):
                a, b, c = down[i + e], down[i + LANES + e], down[i + 2 * LANES + e]
                d, f, g = down[i + 3 * LANES + e], down[i + 4 * LANES + e], down[i + 5 * LANES + e]
                values = _at_points_of_x(a, b, c, d, f, g)
                out[o + e], out[o + LANES + e], out[o + 2 * LANES + e] = values[0], values[1], values[2]
                out[o + 3 * LANES + e], out[o + 4 * LANES + e], out[o + 5 * LANES + e] = values[3], values[4], values[5]
        else:
            for e in range(LANES):
                a, b = down[i + e], down[i + LANES + e]
                c, d = down[i + 2 * LANES + e], down[i + 3 * LANES + e]
                values = _at_points_of_dy(a, b, c, d)
                out[o + e], out[o + LANES + e], out[o + 2 * LANES + e] = values[0], values[1], values[2]
                out[o + 3 * LANES + e], out[o + 4 * LANES + e], out[o + 5 * LANES + e] = values[3], values[4], values[5]


@compiled
def _transform_back(sums: Any, dweight: Any, work: Any) -> Any:
    """Write Aᵀ sums A, of sums (36, o, c), to dweight (o, c, 9); return whether it is finite."""
    _, O, C = sums.shape
    zero = sums.dtype.type(0)
    work[:] = 0
    half, back = work[36 * BLOCK :], work[54 * BLOCK :]
    for o in range(O):
        for f in range(36):
            row = sums[f, o]
            column = work[(f % 6 * 6 + f // 6) * BLOCK :]
            for c in range(C):
                column[c] = row[c]
        for j in range(6):
            _combine(work[6 * j * BLOCK :], half[j * BLOCK :])
        for k in range(3):
            _combine(half[6 * k * BLOCK :], back[k * BLOCK :])
        zero += _zero_if_finite(back[: 18 * BLOCK])
        rows = dweight[o]
        for c in range(C):
            for k in range(3):
                for l in range(3):
                    rows[c, 3 * k + l] = back[(6 * l + k) * BLOCK + c]
    return zero == 0


@compiled(fastmath=REORDERED)
def _zero_if_finite(values: Any) -> Any:
    """Return 0, or NaN if one of the values is infinite or none."""
    sum_of_zeros = values.dtype.type(0)
    for i in range(values.shape[0]):
        sum_of_zeros += values[i] * values.dtype.type(0)
    return sum_of_zeros


@compiled(fastmath=ROUNDED_ONCE)
def _combine(rows: Any, out: Any) -> None:
    """Multiply six rows of BLOCK values by Aᵀ: three rows, six apart."""
    for e in range(BLOCK):
        a, b, c = rows[e], rows[BLOCK + e], rows[2 * BLOCK + e]
        d, f, g = rows[3 * BLOCK + e], rows[4 * BLOCK + e], rows[5 * BLOCK + e]
        out[e], out[6 * BLOCK + e], out[12 * BLOCK + e] = _from_points(a, b, c, d, f, g)

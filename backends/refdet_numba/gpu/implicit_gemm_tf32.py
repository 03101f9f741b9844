"""The implicit matrix product on tensor cores, each number split in two; float32.

The tiles, the copies and the stages are those of `implicit_gemm_wide`. A tensor core multiplies numbers of 11
significant bits (TF32) exactly and adds in float32. So each x is split, as it is read, into

    big = tf32(x),  small = tf32(x − big),      x − big is exact,  |x − big − small| ≤ 2⁻²³ |x|

and a product becomes three, small·big + big·small + big·big; small·small, at most 2⁻²² |x·y|, is left out. A product
thus has an error of at most 2⁻²¹ |x·y| (a float32 product: 2⁻²⁴), before the sum, where errors are a float32 sum's.
(S. Markidis et al., NVIDIA Tensor Core Programmability, Performance & Precision, IPDPSW 2018, section V, for the split;
H. Ootomo and R. Yokota, Recovering single precision accuracy from Tensor Cores while surpassing the FP32 theoretical
peak performance, IJHPCA 36(4), 2022, for what follows.) A tensor core adds rounding towards zero, and errors of one
sign grow with the number of terms; so its sums run over 8 terms alone, from zero, and are added by the usual addition,
which rounds to nearest.

It is not a float32 product in two respects. Infinities become NaN (∞ − ∞ in the split), as do numbers from
(2 − 2⁻¹¹)·2¹²⁷ on, which round to infinity. And of numbers below 2⁻¹⁰³ or so, whose `small` is no normal number any
more, perhaps only 11 bits count.

A block is 2 × 4 warps, a warp 64 outputs × 32 positions, which are 4 × 4 products of 16 × 8 numbers:

    for each run of 8 terms of the stage:
        read and split the 2 × 4 pixels of this lane
        for each of 4 rows of products: read and split its 4 weights
            for each of 4 in the row: three products on the tensor core, from zero; add their 4 results to the sums

`instructions.multiply_add_tf32` says which numbers of a product a lane has. Which outputs and positions make up a
product is free. Product i of a column has the outputs 16i + (0 … 15) of its warp: the lanes read single weights, from
four rows of shared memory that lie 8 banks apart, hence from 32 banks. Product j of a row has the positions 4g + j for
its columns g = 0 … 7: so a lane reads its pixels for all four in one load of 16 bytes, and its 8 columns of results lie
side by side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import float32, int32, uint32

from refdet_numba.gpu.assembly import Assembled
from refdet_numba.gpu.implicit_gemm_wide import (
    ARGUMENTS,
    SHARED,
    THREADS,
    TILE,
    TS,
    copied_pixels,
    copy_pixels,
    copy_weights,
    launch_tiles,
    origin,
    place,
    store,
)
from refdet_numba.gpu.instructions import load4, multiply_add_tf32, quotient, round_to_tf32, wait_for_copies
from refdet_numba.gpu.shim import cuda, device_function, jit

if TYPE_CHECKING:
    from refdet_numba.gpu.implicit_gemm import Grid


def multiply_into(y: Any, x: Any, weight: Any, steps: Any, bias: Any, grid: Grid, groups: int) -> None:
    """Write y (N, G·m, H, W) at the places of the grid; everything as in `implicit_gemm.multiply_into`."""
    launch_tiles(implicit_gemm_tf32, y, x, weight, steps, bias, grid, groups)


@device_function
def read_row(thread: Any) -> Any:
    """Return the output, g of the first product, whose weights a lane reads."""
    return int32(thread // 128 * 64 + thread % 32 // 4)


@device_function
def read_column(thread: Any) -> Any:
    """Return the first of the four positions whose pixels a lane reads."""
    return int32(thread // 32 % 4 * 32 + thread % 32 // 4 * 4)


@device_function
def read_term(thread: Any, half: Any) -> Any:
    """Return the term, of eight, that a lane reads; half is 0 for r, 1 for r + 4."""
    return int32(thread % 4 + 4 * half)


@device_function
def first_column(thread: Any) -> Any:
    """Return the first of the eight columns of a lane's results."""
    return int32(thread // 32 % 4 * 32 + thread % 4 * 8)


@jit(launch_bounds=(THREADS, 2))
def implicit_gemm_tf32(x: Any, weight: Any, steps: Any, bias: Any, numbers: Any, y: Any) -> None:
    weights = cuda.shared.array(SHARED, float32, alignment=16)
    pixels = cuda.shared.array(SHARED, float32, alignment=16)
    sums = cuda.local.array((8, 8), float32)
    b = cuda.local.array((2, 4), float32)
    small_a = cuda.local.array(4, float32)
    big_a = cuda.local.array(4, float32)
    small_b = cuda.local.array((2, 4), float32)
    big_b = cuda.local.array((2, 4), float32)
    zero = float32(0)
    thread = uint32(cuda.threadIdx.x)
    group = int32(cuda.blockIdx.z)
    first_m, first_p = int32(cuda.blockIdx.y * TILE), int32(cuda.blockIdx.x * TILE)
    n_tiles = quotient(int32(weight.shape[1]), TS)
    m, p = read_row(thread), read_column(thread)
    h0, w0, start = origin(int32(first_p + copied_pixels(thread)[1]), x, group, numbers)

    for i in range(8):
        for j in range(8):
            sums[i, j] = zero
    copy_weights(weights, 0, weight, 0, first_m, group, thread)
    copy_pixels(pixels, 0, x, steps, 0, h0, w0, start, thread)
    for tile in range(n_tiles):
        stage, next_t = int32(tile & 1), int32(tile * TS + TS)
        wait_for_copies()
        cuda.syncthreads()
        if tile + 1 < n_tiles:
            copy_weights(weights, int32(1 - stage), weight, next_t, first_m, group, thread)
            copy_pixels(pixels, int32(1 - stage), x, steps, next_t, h0, w0, start, thread)
        for first in range(0, TS, 8):
            for e in range(2):
                at = place(stage, int32(first + read_term(thread, e)), p)
                b[e, 0], b[e, 1], b[e, 2], b[e, 3] = load4(pixels, at)
                for j in range(4):
                    big_b[e, j] = round_to_tf32(b[e, j])
                    small_b[e, j] = round_to_tf32(b[e, j] - big_b[e, j])
            for i in range(4):
                for e in range(4):
                    t = int32(first + read_term(thread, e // 2))
                    weight_read = weights[uint32(place(stage, t, int32(m + 16 * i + 8 * (e % 2))))]
                    big_a[e] = round_to_tf32(weight_read)
                    small_a[e] = round_to_tf32(weight_read - big_a[e])
                for j in range(4):
                    c0, c1, c2, c3 = multiply_add_tf32(
                        small_a[0], small_a[1], small_a[2], small_a[3], big_b[0, j], big_b[1, j], zero, zero, zero, zero
                    )
                    c0, c1, c2, c3 = multiply_add_tf32(
                        big_a[0], big_a[1], big_a[2], big_a[3], small_b[0, j], small_b[1, j], c0, c1, c2, c3
                    )
                    c0, c1, c2, c3 = multiply_add_tf32(
                        big_a[0], big_a[1], big_a[2], big_a[3], big_b[0, j], big_b[1, j], c0, c1, c2, c3
                    )
                    sums[i, j] += c0
                    sums[i, 4 + j] += c1
                    sums[4 + i, j] += c2
                    sums[4 + i, 4 + j] += c3
    rows_at, columns_at = (int32(first_m + m), 16, 8), (int32(first_p + first_column(thread)), 1, 4)
    store(y, sums, bias, numbers, group, rows_at, columns_at)


ASSEMBLED = [Assembled(implicit_gemm_tf32, ARGUMENTS, registers=128, shared_bytes=2 * SHARED * 4)]

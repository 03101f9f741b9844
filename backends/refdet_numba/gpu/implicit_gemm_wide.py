"""The implicit matrix product in tiles of 128 × 128, each thread with 8 × 8 results; float32.

    y[n, m, place(p)] = bias[m] + Σ_t weight[m, t] · x[n, channel(t), base(p) + step(t)]

as in `implicit_gemm`, and as there a thread sums the terms in their order. A block of 256 threads has two stages of
shared memory, one being filled while the other is read:

    begin to copy the first 16 terms to stage 0
    for each run of 16 terms:
        wait for my copies, then for each other
        begin to copy the next 16 terms to the other stage, which nobody reads any more
        for each of the 16 terms: read 8 weights and 8 pixels in four loads of 16 bytes, add 64 products

Copies are asynchronous (`cp.async`) and go from global to shared memory through no register: weights 16 bytes at a
time, which needs them in the order (G, T, m) and m a multiple of 4; pixels singly, zero where they lie outside of their
plane. T must be a multiple of 16, so no run of terms is cut; `implicit_gemm_routes` sees to all that.

A thread's rows and columns are two runs of 4, 64 apart: so the 8 lanes that read at once read 128 bytes without gaps.
Work space: the weights in their other order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba import float32, int32, types, uint32

from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.instructions import copy_1, copy_4, load4, mad, quotient, store_where, wait_for_copies
from refdet_numba.gpu.shim import cuda, device_function, jit

if TYPE_CHECKING:
    from refdet_numba.gpu.implicit_gemm import Grid

TILE = 128  # outputs, and positions, of a block
TS = 16  # terms of a stage
THREADS = 256
ROW = TILE + 8  # of shared memory; the 8 serve `implicit_gemm_tf32`, whose lanes read in four rows at once
SHARED = 2 * TS * ROW  # numbers, of the weights or of the pixels, in both stages
APART = 64  # between the two runs of a thread's rows, and of its columns


def multiply_into(y: Any, x: Any, weight: Any, steps: Any, bias: Any, grid: Grid, groups: int) -> None:
    """Write y (N, G·m, H, W) at the places of the grid; everything as in `implicit_gemm.multiply_into`."""
    launch_tiles(implicit_gemm_wide, y, x, weight, steps, bias, grid, groups)


def launch_tiles(kernel: Any, y: Any, x: Any, weight: Any, steps: Any, bias: Any, grid: Grid, groups: int) -> None:
    """Launch a kernel of these tiles, with the weights in the order that it reads."""
    n_outputs, n_positions = y.shape[1] // groups, x.shape[0] * grid.rows * grid.columns
    by_term = contiguous(weight.reshape(groups, n_outputs, weight.shape[1]).swapaxes(1, 2))  # (G, T, m)
    numbers = (grid.rows, grid.columns, *grid.base, *grid.stride, *grid.place, *grid.spacing)
    blocks = blocks_for(n_positions, TILE), blocks_for(n_outputs, TILE), groups
    launch(kernel, blocks, THREADS, x, by_term, steps, bias, numbers, y)


@device_function
def place(stage: Any, t: Any, k: Any) -> Any:
    """Return where shared memory has the k-th row or column of the tile for term t of a stage."""
    return mad(mad(stage, TS, t), ROW, k)


@device_function
def copied_weights(thread: Any) -> Any:
    """Return the term and the first of four rows that a thread copies; and again 8 terms further on."""
    return int32(thread // 32), int32(thread % 32 * 4)


@device_function
def copied_pixels(thread: Any) -> Any:
    """Return the first of 8 terms, which follow each other, and the column that a thread copies."""
    return int32(thread // TILE * 8), int32(thread % TILE)


@device_function
def first_row(thread: Any) -> Any:
    """Return the first row of a thread: a warp has 4 × 8 threads, a block 4 × 2 warps."""
    return int32((thread // 64 * 4 + thread % 32 // 8) * 4)


@device_function
def first_column(thread: Any) -> Any:
    """Return the first column of a thread."""
    return int32((thread // 32 % 2 * 8 + thread % 8) * 4)


@device_function
def split_position(position: Any, rows: Any, columns: Any) -> Any:
    """Return the image, the row and the column of a position."""
    row = quotient(position, columns)
    n = quotient(row, rows)
    return n, mad(-rows, n, row), mad(-columns, row, position)


@device_function
def origin(position: Any, x: Any, group: Any, numbers: Any) -> Any:
    """Return row, column and place in x of the pixel of channel 0 of a group from which a position's steps count.

    Positions behind the last are read as those of the first image; `store` leaves them out.
    """
    rows, columns, base_h, base_w, stride_h, stride_w = numbers[:6]
    n, i, j = split_position(position, int32(rows), int32(columns))
    n = int32(n * int32(n < x.shape[0]))
    h, w = mad(i, int32(stride_h), int32(base_h)), mad(j, int32(stride_w), int32(base_w))
    C, H, W = int32(x.shape[1]), int32(x.shape[2]), int32(x.shape[3])
    channel = mad(n, C, mad(group, quotient(C, int32(cuda.gridDim.z)), 0))
    return h, w, mad(mad(channel, H, h), W, w)


@device_function
def copy_weights(weights: Any, stage: Any, weight: Any, first_t: Any, first_m: Any, group: Any, thread: Any) -> None:
    """Begin to copy 16 terms of 128 outputs."""
    n_terms, n_outputs = int32(weight.shape[1]), int32(weight.shape[2])
    t, m = copied_weights(thread)
    output = int32(first_m + m)
    inside = output < n_outputs
    for further in range(0, TS, 8):
        source = mad(mad(group, n_terms, int32(first_t + t + further)), n_outputs, output)
        copy_4(weights, place(stage, int32(t + further), m), weight, int32(source * int32(inside)), inside)


@device_function
def copy_pixels(
    pixels: Any, stage: Any, x: Any, steps: Any, first_t: Any, h0: Any, w0: Any, start: Any, thread: Any
) -> None:
    """Begin to copy 16 terms of 128 positions; (h0, w0) and start are the `origin` of this thread's position.

    The steps of four terms are three loads, the same for all threads of a warp.
    """
    H, W = int32(x.shape[2]), int32(x.shape[3])
    step = cuda.local.array(12, int32)
    t, p = copied_pixels(thread)
    for four in range(0, 8, 4):
        at = mad(int32(first_t + t + four), 3, 0)
        for i in range(0, 12, 4):
            step[i], step[i + 1], step[i + 2], step[i + 3] = load4(steps, int32(at + i))
        for i in range(4):
            h, w = int32(h0 + step[3 * i + 1]), int32(w0 + step[3 * i + 2])
            inside = (h >= 0) & (h < H) & (w >= 0) & (w < W)
            source = mad(mad(step[3 * i], H, step[3 * i + 1]), W, int32(start + step[3 * i + 2]))
            copy_1(pixels, place(stage, int32(t + four + i), p), x, int32(source * int32(inside)), inside)


@device_function
def store(y: Any, sums: Any, bias: Any, numbers: Any, group: Any, rows_at: Any, columns_at: Any) -> None:
    """Write a thread's 8 × 8 results.

    Of all outputs of the group they are r, r + a, r + 2a, r + 3a and, b further on, the same again, for rows_at
    (r, a, b); of all positions likewise for columns_at.
    """
    row, column = rows_at[0], columns_at[0]
    rows, columns = int32(numbers[0]), int32(numbers[1])
    place_h, place_w = int32(numbers[6]), int32(numbers[7])
    spacing_h, spacing_w = int32(numbers[8]), int32(numbers[9])
    N, O, H, W = int32(y.shape[0]), int32(y.shape[1]), int32(y.shape[2]), int32(y.shape[3])
    n_outputs = quotient(O, int32(cuda.gridDim.z))
    plane, first = mad(H, W, 0), mad(group, n_outputs, row)
    for m in range(8):
        output = m % 4 * rows_at[1] + m // 4 * rows_at[2]
        added = bias[uint32(int32(first + output) * int32(row + output < n_outputs))]
        for p in range(8):
            sums[m, p] += added
    for p in range(8):
        n, i, j = split_position(int32(column + p % 4 * columns_at[1] + p // 4 * columns_at[2]), rows, columns)
        at = mad(mad(mad(n, O, first), H, mad(i, spacing_h, place_h)), W, mad(j, spacing_w, place_w))
        for m in range(8):
            output = int32(m % 4 * rows_at[1] + m // 4 * rows_at[2])
            store_where(y, mad(output, plane, at), sums[m, p], (n < N) & (row + output < n_outputs))


@jit(launch_bounds=(THREADS, 2))
def implicit_gemm_wide(x: Any, weight: Any, steps: Any, bias: Any, numbers: Any, y: Any) -> None:
    weights = cuda.shared.array(SHARED, float32, alignment=16)
    pixels = cuda.shared.array(SHARED, float32, alignment=16)
    sums = cuda.local.array((8, 8), float32)
    a = cuda.local.array(8, float32)
    b = cuda.local.array(8, float32)
    thread = uint32(cuda.threadIdx.x)
    group = int32(cuda.blockIdx.z)
    first_m, first_p = int32(cuda.blockIdx.y * TILE), int32(cuda.blockIdx.x * TILE)
    n_tiles = quotient(int32(weight.shape[1]), TS)
    h0, w0, start = origin(int32(first_p + copied_pixels(thread)[1]), x, group, numbers)
    m, p = first_row(thread), first_column(thread)

    for i in range(8):
        for j in range(8):
            sums[i, j] = float32(0)
    copy_weights(weights, 0, weight, 0, first_m, group, thread)
    copy_pixels(pixels, 0, x, steps, 0, h0, w0, start, thread)
    for tile in range(n_tiles):
        stage, next_t = int32(tile & 1), int32(tile * TS + TS)
        wait_for_copies()
        cuda.syncthreads()
        if tile + 1 < n_tiles:
            copy_weights(weights, int32(1 - stage), weight, next_t, first_m, group, thread)
            copy_pixels(pixels, int32(1 - stage), x, steps, next_t, h0, w0, start, thread)
        for t in range(TS):
            a[0], a[1], a[2], a[3] = load4(weights, place(stage, t, m))
            a[4], a[5], a[6], a[7] = load4(weights, place(stage, t, int32(m + APART)))
            b[0], b[1], b[2], b[3] = load4(pixels, place(stage, t, p))
            b[4], b[5], b[6], b[7] = load4(pixels, place(stage, t, int32(p + APART)))
            for i in range(8):
                for j in range(8):
                    sums[i, j] += a[i] * b[j]
    rows_at, columns_at = (int32(first_m + m), 1, APART), (int32(first_p + p), 1, APART)
    store(y, sums, bias, numbers, group, rows_at, columns_at)


ARGUMENTS = [array(float32, 4), array(float32, 3), array(int32, 2), array(float32, 1)]
ARGUMENTS += [types.UniTuple(types.int64, 10), array(float32, 4)]
ASSEMBLED = [Assembled(implicit_gemm_wide, ARGUMENTS, registers=128, shared_bytes=2 * SHARED * 4)]

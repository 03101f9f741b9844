"""Convolution, forwards or towards its input, as one matrix product whose second factor is never stored.

    y[n, m, place(p)] = bias[m] + Σ_t weight[m, t] · x[n, channel(t), base(p) + step(t)]

for output channels m, positions p of a grid and terms t, where x is 0 outside its plane. `correlate` says what grid,
terms and places a convolution and its transpose have. The steps are a table, so that the loop over terms divides
nothing.

A block of THREADS threads computes a tile of MS × PS results, each thread its own M × P of them in registers:

    for each run of TS terms:
        all threads copy MS × TS weights and TS × PS pixels to shared memory       wait for each other
        for each term: read M weights and P pixels, add M · P products             wait for each other

A thread sums the terms in their order; nothing is added from two threads. No work space but the table.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import float32, float64, int32, types

from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, launch
from refdet_numba.gpu.implicit_gemm_routes import faster
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

M, P, TS = (4, 2, 32) if IN_SIMULATOR else (4, 4, 16)
ACROSS = 2 if IN_SIMULATOR else 16  # threads along either side of a tile; THREADS must be a multiple of PS
THREADS = ACROSS * ACROSS
MS, PS = ACROSS * M, ACROSS * P
ROW_M, ROW_P = MS + 4, PS + 4  # of shared memory: four more, so that neighbours in a column lie in different banks


class Grid(NamedTuple):
    """Positions p = (i, j), the pixel that term (0, 0) reads there, and the place of the result."""

    rows: int
    columns: int
    base: tuple[int, int]  # at (0, 0)
    stride: tuple[int, int]  # of base
    place: tuple[int, int]  # at (0, 0)
    spacing: tuple[int, int]  # of places


def multiply_into(y: Any, x: Any, weight: Any, steps: Any, bias: Any, grid: Grid, groups: int) -> None:
    """Write y (N, G·m, H, W) at the places of the grid, from x (N, G·c, h, w).

    weight is (G·m, T); steps (T, 3) int32: channel within the group, rows and columns from the base; bias (G·m,).
    """
    other = faster(y, x, weight, grid, groups)
    if other is not None:
        return other(y, x, weight, steps, bias, grid, groups)
    n_positions = x.shape[0] * grid.rows * grid.columns
    n_outputs = y.shape[1] // groups
    blocks = blocks_for(n_positions, PS), blocks_for(n_outputs, MS), groups
    numbers = (grid.rows, grid.columns, *grid.base, *grid.stride, *grid.place, *grid.spacing)
    launch(KERNELS[y.dtype.name], blocks, THREADS, x, weight, steps, bias, numbers, y)


def _kernel(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit(launch_bounds=(THREADS, 2 if dtype is float32 else 1))  # two blocks on a multiprocessor: 128 registers each
    def implicit_gemm(x: Any, weight: Any, steps: Any, bias: Any, numbers: Any, y: Any) -> None:
        rows, columns, base_h, base_w, stride_h, stride_w = numbers[:6]
        place_h, place_w, spacing_h, spacing_w = numbers[6:]
        weights = cuda.shared.array((TS, ROW_M), dtype)
        pixels = cuda.shared.array((TS, ROW_P), dtype)
        sums = cuda.local.array((M, P), dtype)
        zero = dtype(0)
        N, C, H, W = x.shape
        n_terms = int32(weight.shape[1])
        groups = int32(cuda.gridDim.z)
        group = int32(cuda.blockIdx.z)
        n_outputs, n_channels = int32(y.shape[1]) // groups, int32(C) // groups
        thread = int32(cuda.threadIdx.x)
        thread_m, thread_p = thread // ACROSS, thread % ACROSS
        first_m, first_p = int32(cuda.blockIdx.y) * MS, int32(cuda.blockIdx.x) * PS

        # the position whose pixels this thread copies: the same one for all terms
        copied_p = thread % PS
        position = first_p + copied_p
        copies_position = position < N * rows * columns
        n, i, j = position // (rows * columns), position // columns % rows, position % columns
        h0, w0 = i * stride_h + base_h, j * stride_w + base_w

        for m in range(M):
            for p in range(P):
                sums[m, p] = zero
        for first_t in range(0, n_terms, TS):
            for at in range(thread, TS * MS, THREADS):
                m, t = at // TS, at % TS
                inside = first_m + m < n_outputs and first_t + t < n_terms
                weights[t, m] = weight[group * n_outputs + first_m + m, first_t + t] if inside else zero
            for t in range(thread // PS, TS, THREADS // PS):
                value = zero
                if copies_position and first_t + t < n_terms:
                    h, w = h0 + steps[first_t + t, 1], w0 + steps[first_t + t, 2]
                    if 0 <= h < H and 0 <= w < W:
                        value = x[n, group * n_channels + steps[first_t + t, 0], h, w]
                pixels[t, copied_p] = value
            cuda.syncthreads()
            for t in range(TS):
                for m in range(M):
                    for p in range(P):
                        sums[m, p] += weights[t, thread_m * M + m] * pixels[t, thread_p * P + p]
            cuda.syncthreads()

        for p in range(P):
            position = first_p + thread_p * P + p
            if position < N * rows * columns:
                n, i, j = position // (rows * columns), position // columns % rows, position % columns
                h, w = i * spacing_h + place_h, j * spacing_w + place_w
                for m in range(M):
                    output = first_m + thread_m * M + m
                    if output < n_outputs:
                        output += group * n_outputs
                        y[n, output, h, w] = sums[m, p] + bias[output]

    return implicit_gemm


_float32, _float64 = _kernel(float32), _kernel(float64)
KERNELS = {"float32": _float32, "float64": _float64}


def table(steps: Any) -> Any:
    """Return steps as the kernel reads them."""
    return np.ascontiguousarray(steps, dtype=np.int32)


def _assembled(kernel: Any, t: Any, registers: int) -> Assembled:
    numbers = types.UniTuple(types.int64, 10)
    arguments = [array(t, 4), array(t, 2), array(int32, 2), array(t, 1), numbers, array(t, 4)]
    return Assembled(kernel, arguments, registers, TS * (ROW_M + ROW_P) * t.bitwidth // 8, float64=t is float64)


ASSEMBLED = [_assembled(_float32, float32, 128), _assembled(_float64, float64, 160)]

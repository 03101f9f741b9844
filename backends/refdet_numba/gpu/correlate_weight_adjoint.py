"""The gradient of a convolution for its weights, as a matrix product over all positions of all images.

    dweight[o, t] = Σ_p dy[n, o, i, j] · x[n, channel(t), i·s + a·d − top, j·s + b·d − left],     p = (n, i, j)

for terms t = (c, a, b). There are few results and very many positions, so the positions are cut into pieces whose
number depends on the shapes alone; each piece has its own partial sums, which are added in order afterwards. Within a
piece it is the product of `implicit_gemm`, with positions in the place of terms.

Workspace: as many times the size of the weights as there are pieces, and pieces only as long as BLOCKS blocks of
threads are not reached.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, float64, int32, types

from refdet.ops.correlation import Geometry
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.correlate import forward_steps
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.implicit_gemm import ACROSS, MS, PS, ROW_M, ROW_P, THREADS, TS, M, P
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

BLOCKS = 4 if IN_SIMULATOR else 264  # two for each multiprocessor of an H100
POSITIONS = 16 if IN_SIMULATOR else 512  # at least, of a piece


def correlate_weight_adjoint(x: Any, dy: Any, geometry: Geometry) -> Any:
    """Return dweight (O, C/g, kh, kw)."""
    (N, O, Ho, Wo), G = dy.shape, geometry.groups
    C_per_group = x.shape[1] // G
    n_terms, n_positions = C_per_group * math.prod(geometry.kernel_size), N * Ho * Wo
    tiles = blocks_for(n_terms, PS) * blocks_for(O // G, MS) * G
    n_pieces = max(1, min(blocks_for(BLOCKS, max(tiles, 1)), n_positions // POSITIONS))
    length = blocks_for(n_positions, n_pieces)
    partial = np.empty_like(dy, shape=(n_pieces, O, n_terms), order="C")
    (top, _), (left, _) = geometry.padding
    numbers = (*geometry.stride, -top, -left, G, length)
    steps = forward_steps(C_per_group, geometry.kernel_size, geometry.dilation)
    blocks = blocks_for(n_terms, PS), blocks_for(O // G, MS), G * n_pieces
    launch(KERNELS[dy.dtype.name], blocks, THREADS, contiguous(dy), contiguous(x), steps, numbers, partial)
    dweight = partial[0] if n_pieces == 1 else np.sum(partial, axis=0)
    return dweight.reshape(O, C_per_group, *geometry.kernel_size)


def _kernel(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit(launch_bounds=(THREADS, 2 if dtype is float32 else 1))  # two blocks on a multiprocessor: 128 registers each
    def weight_adjoint(dy: Any, x: Any, steps: Any, numbers: Any, partial: Any) -> None:
        stride_h, stride_w, base_h, base_w = int32(numbers[0]), int32(numbers[1]), int32(numbers[2]), int32(numbers[3])
        groups, length = int32(numbers[4]), int32(numbers[5])
        gradients = cuda.shared.array((TS, ROW_M), dtype)
        pixels = cuda.shared.array((TS, ROW_P), dtype)
        sums = cuda.local.array((M, P), dtype)
        zero = dtype(0)
        N, O, rows, columns = int32(dy.shape[0]), int32(dy.shape[1]), int32(dy.shape[2]), int32(dy.shape[3])
        C, H, W = int32(x.shape[1]), int32(x.shape[2]), int32(x.shape[3])
        n_outputs, n_channels, n_terms = O // groups, C // groups, int32(len(steps))
        piece, group = int32(cuda.blockIdx.z) // groups, int32(cuda.blockIdx.z) % groups
        begin, end = piece * length, min((piece + 1) * length, N * rows * columns)
        thread = int32(cuda.threadIdx.x)
        thread_m, thread_p = thread // ACROSS, thread % ACROSS
        first_m, first_t = int32(cuda.blockIdx.y) * int32(MS), int32(cuda.blockIdx.x) * int32(PS)

        copied_t = first_t + thread % PS  # the term whose pixels this thread copies, at all positions
        copies_term = copied_t < n_terms
        channel, step_h, step_w = int32(0), int32(0), int32(0)
        if copies_term:
            channel, step_h, step_w = steps[copied_t, 0], steps[copied_t, 1], steps[copied_t, 2]

        for m in range(M):
            for p in range(P):
                sums[m, p] = zero
        for first in range(begin, end, TS):
            for at in range(thread, TS * MS, THREADS):
                m, k = at // TS, at % TS
                value = zero
                if first_m + m < n_outputs and first + k < end:
                    position = first + k
                    i, j = position // columns % rows, position % columns
                    value = dy[position // (rows * columns), group * n_outputs + first_m + m, i, j]
                gradients[k, m] = value
            for k in range(thread // PS, TS, THREADS // PS):
                value = zero
                if copies_term and first + k < end:
                    position = first + k
                    h = position // columns % rows * stride_h + base_h + step_h
                    w = position % columns * stride_w + base_w + step_w
                    if 0 <= h < H and 0 <= w < W:
                        value = x[position // (rows * columns), group * n_channels + channel, h, w]
                pixels[k, thread % PS] = value
            cuda.syncthreads()
            for k in range(TS):
                for m in range(M):
                    for p in range(P):
                        sums[m, p] += gradients[k, thread_m * M + m] * pixels[k, thread_p * P + p]
            cuda.syncthreads()

        for m in range(M):
            output = first_m + thread_m * M + m
            for p in range(P):
                term = first_t + thread_p * P + p
                if output < n_outputs and term < n_terms:
                    partial[piece, group * n_outputs + output, term] = sums[m, p]

    return weight_adjoint


_float32, _float64 = _kernel(float32), _kernel(float64)
KERNELS = {"float32": _float32, "float64": _float64}


def _assembled(kernel: Any, t: Any, registers: int) -> Assembled:
    arguments = [array(t, 4), array(t, 4), array(int32, 2), types.UniTuple(types.int64, 6), array(t, 3)]
    return Assembled(kernel, arguments, registers, TS * (ROW_M + ROW_P) * t.bitwidth // 8, float64=t is float64)


ASSEMBLED = [_assembled(_float32, float32, 128), _assembled(_float64, float64, 160)]

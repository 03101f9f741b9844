"""The gradient of a convolution's input as matrix products: the route for every geometry.

    dx[n, c, i·s + a·d − top, j·s + b·d − left] += Σ_o w[o, c, a, b] · dy[n, o, i, j]        for every i, j, a, b

dy is read as a matrix, and a product is spread over dx, a few rows of dy at a time:

    for each image, group, block of channels and band of rows of dx (in parallel):
        dx ← 0 there
        for each chunk of the rows of dy whose windows touch the band, in order:
            products ← Wᵀ · dy                   a row for each (c, a, b), a column for each (i, j)
            for each c, i, a, b:
                if row i·s + a·d − top lies in the band: add to it the products of (c, a, b) and i

A task owns its part of dx and adds to it in one order; blocks, bands and chunks depend on shapes alone, so the result
does not depend on the number of threads. With 1 × 1 kernels and no stride the product is dx, and nothing is added.

Workspace: max(WORK, kh·kw·Wo) values for each thread.
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
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.threads import per_thread

WORK = 1 << 17  # values of the products of one chunk: half of a second-level cache in float32
TASKS = 8  # into which the work is cut if it can be: enough for a few threads to end together


def input_adjoint_by_gemm(dy: Array, weight: Array, input_size: Pair, geometry: Geometry) -> Array:
    """Return dx (N, C, H, W) from dy (N, O, Ho, Wo) and weight (O, C/g, kh, kw)."""
    (N, O, Ho, Wo), (H, W), G = dy.shape, input_size, geometry.groups
    C_per_group = weight.shape[1]
    dx = np.empty((N, G * C_per_group, H, W), dy.dtype.newbyteorder("="))
    if dy.size == 0 or weight.size == 0 or dx.size == 0:
        dx[...] = 0
        return dx
    if geometry.kernel_size == geometry.stride == (1, 1) and (Ho, Wo) == (H, W):
        _multiply(
            native(dy).reshape(N, G, O // G, H * W),
            native(weight).reshape(G, O // G, C_per_group),
            dx.reshape(N, G, C_per_group, H * W),
            -(-H * W // min(TASKS, -(-H * W // 64))),
        )
        return dx
    (top, _), (left, _) = geometry.padding
    n_taps = math.prod(geometry.kernel_size)
    channels = max(1, min(-(-C_per_group * N * G // TASKS), C_per_group, WORK // (n_taps * Wo)))
    n_tasks = N * G * -(-C_per_group // channels)
    rows = -(-H // max(1, min(-(-TASKS // n_tasks), H // (4 * geometry.stride[0]))))
    chunk = max(1, min(Ho, WORK // (channels * n_taps * Wo)))
    _spread(
        native(dy).reshape(N, G, O // G, Ho * Wo),
        native(weight).reshape(G, O // G, C_per_group * n_taps),
        dx.reshape(N, G, C_per_group, H, W),
        per_thread((channels * n_taps * chunk * Wo,), dx.dtype),
        (Ho, Wo),
        _integers(geometry.kernel_size),
        _integers(geometry.stride),
        _integers(geometry.dilation),
        (int(top), int(left)),
        (channels, rows, chunk),
    )
    return dx


def _integers(pair: Pair) -> Pair:
    return int(pair[0]), int(pair[1])


@compiled_parallel(multiplies_matrices=True)
def _multiply(dy: Any, weight: Any, dx: Any, width: Any) -> None:
    """Fill dx (N, G, C/g, H·W) from dy (N, G, O/g, H·W) and weight (G, O/g, C/g), `width` pixels at a time."""
    N, G, _, n_pixels = dx.shape
    n_blocks = -(-n_pixels // width)
    for task in prange(N * G * n_blocks):
        n, g, first = task // (n_blocks * G), task // n_blocks % G, task % n_blocks * width
        after = min(n_pixels, first + width)
        gemm(weight[g].T, dy[n, g, :, first:after], dx[n, g, :, first:after], 0.0)


@compiled_parallel(multiplies_matrices=True)
def _spread(
    dy: Any,
    weight: Any,
    dx: Any,
    work: Any,
    output_size: Any,
    kernel_size: Any,
    stride: Any,
    dilation: Any,
    start: Any,
    blocks: Any,
) -> None:
    """Fill dx (N, G, C/g, H, W) from dy (N, G, O/g, Ho·Wo) and weight (G, O/g, C/g·kh·kw)."""
    N, G, C, H, _ = dx.shape
    Ho, Wo = output_size
    channels, rows, chunk = blocks
    n_taps = kernel_size[0] * kernel_size[1]
    n_blocks, n_bands = -(-C // channels), -(-H // rows)
    for task in prange(N * G * n_blocks * n_bands):
        n, g = task // (n_bands * n_blocks * G), task // (n_bands * n_blocks) % G
        c0, h0 = task // n_bands % n_blocks * channels, task % n_bands * rows
        c1, h1 = min(C, c0 + channels), min(H, h0 + rows)
        part = dx[n, g, c0:c1]
        part[:, h0:h1] = 0
        block_weight = weight[g, :, c0 * n_taps : c1 * n_taps].T  # (c·kh·kw, O/g)
        first = max(0, -(((kernel_size[0] - 1) * dilation[0] - h0 - start[0]) // stride[0]))
        last = min(Ho, (h1 - 1 + start[0]) // stride[0] + 1)
        for i0 in range(first, last, chunk):
            i1 = min(last, i0 + chunk)
            n_positions = (i1 - i0) * Wo
            products = work[get_thread_id(), : (c1 - c0) * n_taps * n_positions].reshape(-1, n_positions)
            gemm(block_weight, dy[n, g, :, i0 * Wo : i1 * Wo], products, 0.0)
            _add(products.reshape(c1 - c0, n_taps, i1 - i0, Wo), part, i0, h0, h1, kernel_size, stride, dilation, start)


@compiled
def _add(
    products: Any, dx: Any, i0: Any, h0: Any, h1: Any, kernel_size: Any, stride: Any, dilation: Any, start: Any
) -> None:
    """Add products (c, kh·kw, rows, Wo) of the rows from i0 on to rows h0 … h1 − 1 of dx (c, H, W)."""
    n_channels, _, n_rows, Wo = products.shape
    W = dx.shape[2]
    for c in range(n_channels):
        for i in range(n_rows):
            for a in range(kernel_size[0]):
                h = (i0 + i) * stride[0] + a * dilation[0] - start[0]
                if h < h0 or h >= h1:
                    continue
                row = dx[c, h]
                for b in range(kernel_size[1]):
                    shift = b * dilation[1] - start[1]
                    j0 = min(Wo, max(0, -(shift // stride[1])))  # the first window whose tap lies on a pixel
                    j1 = max(j0, min(Wo, (W - 1 - shift) // stride[1] + 1))
                    tap = products[c, a * kernel_size[1] + b, i]
                    to, every, tap = np.uint64(j0 * stride[1] + shift), np.uint64(stride[1]), tap[j0:]
                    if stride[1] == 1:
                        for j in range(np.uint64(j1 - j0)):  # unsigned: no index counts from the end
                            row[to + j] += tap[j]
                    else:
                        for j in range(np.uint64(j1 - j0)):
                            row[to + every * j] += tap[j]

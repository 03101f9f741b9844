"""Convolution of many small maps, such as the crops of regions: their images side by side in the lanes of vectors.

The images of a block lie innermost, so that what a tap reads for a row of outputs of all of them is one run of memory.
With x̃ (C, H + p, W + p′, n) of a block of n images, padded,

    for each block of images and row i of outputs (in parallel):
        for CHANNELS input channels at a time:
            y[o, i, j, ·] += Σ_{c, a, b} w[o, c, a, b] · x̃[c, i + a, j + b, ·]           (`register_tile`)

and the gradient of the weights, from dy laid out likewise,

    for some input channels (in parallel):
        for each block of images and row i of outputs:
            windows[(c, a, b)] ← x̃[c, i + a, b : b + Wo]                                  rows of Wo·n numbers
            dw ← dw + dy[:, i] · windowsᵀ                                                  (`inner_products`)

The gradient of the input is the first of the two, of dy and the weights turned by 180°. Winograd's way needs a quarter
of the products, but its tiles of 4 × 4 cover more than a small map, and it has few of them to transform at a time.

The zeros of the padding are multiplied as well: where an answer is not finite, there is none, and the caller takes
another way. Blocks depend on shapes alone, and a number is written by one task, so the result does not depend on the
number of threads.

Workspace: x̃, dy once more; for each thread a row of y of the images of a block, or of windows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import aligned, native
from refdet_numba.cpu.compiling import compiled, compiled_parallel
from refdet_numba.cpu.inner_products import inner_products
from refdet_numba.cpu.register_tile import VECTOR_BYTES, sums_of_products
from refdet_numba.cpu.threads import per_thread

IMAGES = 64  # of a block, about
CHANNELS = 8  # input channels at a time: what a tile reads of them stays in the first cache
FEWEST_IMAGES, FEWEST_CHANNELS = 16, 8
LARGEST = 16  # side of a map
NO_PADDING = ((0, 0), (0, 0))


def small_maps_pay(n_images: int, channels: Pair, size: Pair, geometry: Geometry) -> bool:
    """Return whether maps of this size, of so many input and output channels, are small and many."""
    plain = geometry.stride == geometry.dilation == (1, 1) and geometry.groups == 1 and geometry.kernel_size != (1, 1)
    return plain and n_images >= FEWEST_IMAGES and min(channels) >= FEWEST_CHANNELS and max(size) <= LARGEST


def correlate_small_maps(x: Array, weight: Array, bias: Array | None, padding: Padding) -> Array | None:
    """Correlate x (N, C, H, W) with weight (O, C, kh, kw), stride 1; None where an answer is not finite."""
    (N, _, H, W), (O, _, kh, kw) = x.shape, weight.shape
    (top, bottom), (left, right) = padding
    Ho, Wo = top + H + bottom - kh + 1, left + W + right - kw + 1
    maps = _images_innermost(native(x), padding)
    (_, _, H, W, n), lanes = maps.shape, VECTOR_BYTES // maps.itemsize
    channel, a, b = np.meshgrid(np.arange(CHANNELS), np.arange(kh), np.arange(kw), indexing="ij")
    y = np.empty((N, O, Ho, Wo), maps.dtype)
    finite = _correlate(
        maps,
        native(weight).reshape(O, -1),
        np.zeros(O, y.dtype) if bias is None else native(bias),
        (((channel * H + a) * W + b) * n).reshape(-1),
        np.arange(Wo * n // lanes) * lanes,
        per_thread((O, Wo * n), y.dtype),
        y,
    )
    return y if finite.all() else None


def correlate_small_maps_turned(dy: Array, weight: Array, padding: Padding) -> Array | None:
    """Correlate dy (N, O, H, W) with weight (O, C, kh, kw), turned by 180°: the adjoint; None where not finite."""
    return correlate_small_maps(dy, weight[:, :, ::-1, ::-1].swapaxes(0, 1), None, padding)


def weight_adjoint_of_small_maps(x: Array, dy: Array, geometry: Geometry) -> Array | None:
    """Return dweight (O, C, kh, kw) from x (N, C, H, W) and dy (N, O, Ho, Wo); None where it is not finite."""
    C, (O, _, Wo), (kh, kw) = x.shape[1], dy.shape[1:], geometry.kernel_size
    maps, gradients = _images_innermost(native(x), geometry.padding), _images_innermost(native(dy), NO_PADDING)
    dweight = np.zeros((O, C * kh * kw), maps.dtype)
    windows = per_thread((CHANNELS * kh * kw, Wo * maps.shape[4]), maps.dtype)
    _gather(maps, gradients, (int(kh), int(kw)), windows, dweight)
    return dweight.reshape(O, C, kh, kw) if np.isfinite(dweight).all() else None


def _images_innermost(x: Array, padding: Padding) -> Array:
    """Return x (N, C, H, W), padded, as (blocks, C, H', W', n), n a whole number of vectors; what is left over is 0."""
    (N, C, H, W), lanes = x.shape, VECTOR_BYTES // x.itemsize
    (top, bottom), (left, right) = padding
    n_vectors = -(-N // lanes)
    n_blocks = -(-n_vectors // (IMAGES // lanes))
    n = -(-n_vectors // n_blocks) * lanes
    maps = aligned((-(-N // n), C, top + H + bottom, left + W + right, n), x.dtype)
    _lay_out(x, (int(top), int(left)), maps)
    return maps


@compiled_parallel
def _lay_out(x: Any, start: Any, maps: Any) -> None:
    _, C, H, W = x.shape
    n = maps.shape[4]
    for task in prange(maps.shape[0] * C):
        block, c = task // C, task % C
        target = maps[block, c]
        target[:] = 0
        images = x[block * n : block * n + n, c]
        for h in range(H):
            for v in range(W):
                run = target[start[0] + h, start[1] + v]
                for k in range(images.shape[0]):
                    run[k] = images[k, h, v]


@compiled_parallel
def _correlate(maps: Any, weight: Any, bias: Any, offsets: Any, places: Any, rows: Any, y: Any) -> Any:
    """Fill y (N, O, Ho, Wo) from maps (blocks, C, H, W, n) and weight (O, C·kh·kw); return whether rows are finite."""
    n_blocks, C, H, W, n = maps.shape
    _, O, Ho, Wo = y.shape
    pixels, n_taps = maps.reshape(maps.size), offsets.size // CHANNELS
    finite = np.ones(n_blocks * Ho, np.bool_)
    for task in prange(n_blocks * Ho):
        block, i = task // Ho, task % Ho
        row = rows[get_thread_id()]
        for c in range(0, C, CHANNELS):
            of_terms = offsets[: min(CHANNELS, C - c) * n_taps]
            begin = ((block * C + c) * H + i) * W * n
            sums_of_products(
                pixels, begin, places, places.size, of_terms, weight, (0, O), c * n_taps, bias, c > 0,
                row.reshape(row.size), 0, places, Wo * n,
            )  # fmt: skip
        finite[task] = _write(row.reshape(O, Wo, n), i, y[block * n : block * n + n])
    return finite


@compiled
def _write(row: Any, i: Any, y: Any) -> Any:
    """Write row (O, Wo, n) to row i of images y (≤ n, O, Ho, Wo); return whether it is finite."""
    O, Wo, _ = row.shape
    finite = True
    for k in range(y.shape[0]):
        for o in range(O):
            for j in range(Wo):
                finite &= np.isfinite(row[o, j, k])
                y[k, o, i, j] = row[o, j, k]
    return finite


@compiled_parallel
def _gather(maps: Any, gradients: Any, kernel_size: Any, windows_of_threads: Any, dweight: Any) -> None:
    """Fill dweight (O, C·kh·kw) from maps (blocks, C, H, W, n) and gradients (blocks, O, Ho, Wo, n)."""
    (kh, kw), C = kernel_size, maps.shape[1]
    n_blocks, O, Ho, Wo, n = gradients.shape
    for task in prange(-(-C // CHANNELS)):
        c0 = task * CHANNELS
        c1 = min(C, c0 + CHANNELS)
        windows = windows_of_threads[get_thread_id(), : (c1 - c0) * kh * kw]
        sums = dweight[:, c0 * kh * kw : c1 * kh * kw]
        for block in range(n_blocks):
            by_row = gradients[block].reshape(O, Ho * Wo * n)
            for i in range(Ho):
                _fill_windows(maps[block, c0:c1], i, kernel_size, windows)
                inner_products(by_row[:, i * Wo * n : (i + 1) * Wo * n], windows, sums, True)


@compiled
def _fill_windows(maps: Any, i: Any, kernel_size: Any, windows: Any) -> None:
    """Write what every tap (c, a, b) of maps (C, H, W, n) reads for row i of outputs, (C·kh·kw, Wo·n)."""
    kh, kw = kernel_size
    n, length = maps.shape[3], windows.shape[1]
    for c in range(maps.shape[0]):
        for a in range(kh):
            row = maps[c, i + a].reshape(maps.shape[2] * n)
            for b in range(kw):
                _copy(row[b * n : b * n + length], windows[(c * kh + a) * kw + b])


@compiled
def _copy(source: Any, target: Any) -> None:
    for i in range(source.size):
        target[i] = source[i]

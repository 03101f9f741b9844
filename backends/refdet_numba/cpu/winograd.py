"""3×3 convolution with a quarter of the multiplications: Winograd's F(4×4, 3×3).

Lavin & Gray, "Fast algorithms for convolutional neural networks" (CVPR 2016), section 4.3; Winograd, "Arithmetic
complexity of computations" (1980). The map of outputs is cut into tiles of 4 × 4, each of which depends on 6 × 6 inputs
d. With the matrices of `winograd_transforms`, the tile of output channel k is

    Aᵀ [ Σ_c (G w[k, c] Gᵀ) ⊙ (Bᵀ d[c] B) ] A

so that, over all tiles t, the sum over channels is 36 matrix products, one for each entry f of a 6 × 6 tile:

    m[f, k, t] = Σ_c u[f, k, c] · v[f, c, t]        u of the weights, v of the inputs, m to be transformed into outputs

36 products give 16 outputs, where the sum over a 3 × 3 window takes 144. Tiles come in blocks of at most MAX_TILES, so
that what a thread works on stays in its cache. On large maps with few channels the threads share out the tiles:

    u ← all weights
    for each block of tiles (in parallel):
        v ← its inputs
        for some output channels at a time:
            m ← u · v;  y ← m

and otherwise the output channels, for as many tiles at a time as LARGE allows:

    v ← the inputs of all these tiles
    for some output channels (in parallel):
        for CHANNELS input channels at a time:
            u ← their weights
            for each block of tiles:
                m ← m + u · v
        y ← m

The weights are transformed anew in every call: u, four times as large as the weights, would take longer to read from
main memory than to compute in cache, and nothing kept can be out of date. The other way round (`correlate_3x3_flipped`)
the transform reads the taps backwards.

Errors: the transforms cancel, so the error is larger than that of a plain sum: on outputs of variance 1 the largest
seen was about 5e-5 in float32 and 1e-13 in float64. It is relative to all inputs of the tile, not only to those of
the output: an output whose window lies wholly in the padding need not be the bias exactly. The tests hold the error to
ε · |A|ᵀ [ Σ_c (|G| |w| |G|ᵀ) ⊙ (|B|ᵀ |d| |B|) ] |A|. A NaN or an infinity spoils its whole tile, and sums may overflow
that would not in plain order: where an output is not finite, there is no answer, and the caller computes it in plain
order.

Where a block ends, and the order of every sum, depend on the shapes alone, and no two threads write to one element, so
the result does not depend on the number of threads.

Workspace: by tiles, 36 · (C · K + threads · MAX_TILES · (C + OUTPUTS)) numbers, where 36 · C · K ≤ LARGE. By channels,
36 · C · tiles, at most LARGE or one block's, and 36 · OUTPUTS · (CHANNELS + tiles) for each thread, where
tiles ≤ 8 · MAX_TILES. The tiles of a block are rounded up to whole lines of the cache, with room for seven more: a
block of 64 takes 80, one of 16 takes 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet_numba.cpu.arrays import aligned, native, whole_lines
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.winograd_products import GROUP, multiply
from refdet_numba.cpu.winograd_transforms import (
    MAX_TILES,
    N_PRODUCTS,
    TILE,
    transform_inputs,
    transform_products,
    transform_weights,
)

LARGE = 4 * 2**20  # numbers: 16 MiB of float32, which a shared cache may hold
OUTPUTS = 16  # output channels at a time
CHANNELS = 128  # input channels of u at a time: 36 · 16 · 128 numbers, a quarter of a private cache
MANY_BLOCKS = 8  # enough to share out among threads


def pays(x_shape: tuple[int, ...], weight_shape: tuple[int, ...]) -> bool:
    """Return whether Winograd's way takes less time than plain sums of products, padding of 1 supposed.

    Counted in multiplications: measured, a weight's transform takes the time of some 220 of them, that of a tile's
    inputs 740 and of its outputs 480. Both ways are supposed to multiply equally fast.
    """
    (N, C, H, W), K = x_shape, weight_shape[0]
    n_tiles = N * -(-H // TILE) * -(-W // TILE)
    winograd = C * K * (N_PRODUCTS * n_tiles + 220) + n_tiles * (740 * C + 480 * K)
    return winograd < 9 * C * K * N * H * W


def correlate_3x3(x: Array, weight: Array, bias: Array | None, padding: Padding) -> Array | None:
    """Correlate x (N, C, H, W) with weight (K, C, 3, 3), stride 1; None where an answer is not finite."""
    K, C = weight.shape[:2]
    return _correlate(x, K, bias, padding, native(weight).reshape(-1), (9 * C, 9), False)


def correlate_3x3_flipped(x: Array, weight: Array, padding: Padding) -> Array | None:
    """Correlate x (N, C, H, W) with weight (C, K, 3, 3), turned by 180°: the adjoint; None where not finite."""
    K = weight.shape[1]
    return _correlate(x, K, None, padding, native(weight).reshape(-1), (9, 9 * K), True)


def _correlate(
    x: Array, K: int, bias: Array | None, padding: Padding, weight: Array, steps: Pair, flipped: bool
) -> Array | None:
    N, C, H, W = x.shape
    (top, bottom), (left, right) = padding
    Ho, Wo = H + top + bottom - 2, W + left + right - 2
    y = np.empty((N, K, Ho, Wo), x.dtype.newbyteorder("="))
    bias = np.zeros(K, y.dtype) if bias is None else native(bias)
    if y.size == 0 or x.size == 0:
        y[...] = bias[:, None, None]
        return y if np.isfinite(bias).all() else None

    x, zeros, start, tiles = native(x), np.zeros(W, y.dtype), (top, left), (-(-Ho // TILE), -(-Wo // TILE))
    n_tiles = N * tiles[0] * tiles[1]
    n_blocks = -(-n_tiles // MAX_TILES)
    n_blocks += n_blocks % 2 if n_blocks > 1 else 0
    block = -(-n_tiles // (8 * n_blocks)) * 8  # tiles
    n_blocks = -(-n_tiles // block)
    row = whole_lines(block + 7)  # the last tiles are written eight at a time
    if n_blocks >= MANY_BLOCKS and N_PRODUCTS * C * K <= LARGE:
        u = aligned((-(-K // GROUP), N_PRODUCTS, C + 2, GROUP), y.dtype)
        v = per_thread((N_PRODUCTS, C + 1, row), y.dtype)
        m = per_thread((N_PRODUCTS, OUTPUTS + 1, row), y.dtype)
        _transform_all_weights(weight, K, C, steps, flipped, u)
        is_finite = _by_tiles(x, zeros, start, tiles, block, u, v, m, bias, y)
        return y if is_finite.all() else None

    at_once = min(n_blocks, MANY_BLOCKS, max(1, LARGE // (N_PRODUCTS * C * block)))  # blocks
    u = per_thread((OUTPUTS // GROUP, N_PRODUCTS, min(C, CHANNELS) + 2, GROUP), y.dtype)
    v = aligned((at_once, N_PRODUCTS, C + 1, row), y.dtype)
    m = per_thread((at_once, N_PRODUCTS, OUTPUTS + 1, row), y.dtype)
    for first in range(0, n_tiles, at_once * block):
        last = min(first + at_once * block, n_tiles)
        _transform_all_inputs(x, zeros, start, tiles, block, first, last, v)
        is_finite = _by_channels(weight, steps, flipped, tiles, block, first, last, u, v, m, bias, y)
        if not is_finite.all():
            return None
    return y


# In u, v and m there are more channels than are used: without them, with 2ⁿ channels, the 36 matrices would lie a power
# of 2 apart, and what belongs to the same place in each of them would compete for the same lines of the cache.


@compiled_parallel
def _transform_all_weights(weight: Any, K: int, C: int, steps: Any, flipped: bool, u: Any) -> None:
    for group in prange(u.shape[0]):
        k = GROUP * group
        transform_weights(weight, C, min(GROUP, K - k), k * steps[0], steps, flipped, u[group : group + 1])


@compiled_parallel
def _transform_all_inputs(
    x: Any, zeros: Any, start: Any, tiles: Any, block: int, first: int, last: int, v: Any
) -> None:
    C = x.shape[1]
    n_blocks, n_chunks = (last - first + block - 1) // block, (C + 15) // 16
    for item in prange(n_blocks * n_chunks):
        b, c0 = item // n_chunks, item % n_chunks * 16
        t0 = first + b * block
        transform_inputs(x, zeros, start, tiles, t0, min(t0 + block, last), c0, min(c0 + 16, C), v[b])


@compiled_parallel
def _by_tiles(
    x: Any,
    zeros: Any,
    start: Any,
    tiles: Any,
    block: int,
    u: Any,
    v_of_threads: Any,
    m_of_threads: Any,
    bias: Any,
    y: Any,
) -> Any:
    C, K, n_tiles = x.shape[1], y.shape[1], x.shape[0] * tiles[0] * tiles[1]
    n_blocks = (n_tiles + block - 1) // block
    is_finite = np.ones(n_blocks, np.bool_)
    for b in prange(n_blocks):
        v, m = v_of_threads[get_thread_id()], m_of_threads[get_thread_id()]
        first, last = b * block, min(b * block + block, n_tiles)
        transform_inputs(x, zeros, start, tiles, first, last, 0, C, v)
        for k0 in range(0, K, OUTPUTS):
            k1 = min(k0 + OUTPUTS, K)
            multiply(u[k0 // GROUP :], v, m, C, k1 - k0, last - first, False)
            is_finite[b] &= transform_products(m, bias, tiles, first, last, k0, k1, y)
    return is_finite


@compiled_parallel
def _by_channels(
    weight: Any,
    steps: Any,
    flipped: bool,
    tiles: Any,
    block: int,
    first: int,
    last: int,
    u_of_threads: Any,
    v: Any,
    m_of_threads: Any,
    bias: Any,
    y: Any,
) -> Any:
    K, C, n_blocks = y.shape[1], v.shape[2] - 1, (last - first + block - 1) // block
    n_chunks = (K + OUTPUTS - 1) // OUTPUTS
    is_finite = np.ones(n_chunks, np.bool_)
    for chunk in prange(n_chunks):
        u, m = u_of_threads[get_thread_id()], m_of_threads[get_thread_id()]
        k0, k1 = chunk * OUTPUTS, min(chunk * OUTPUTS + OUTPUTS, K)
        for c0 in range(0, C, CHANNELS):
            c1 = min(c0 + CHANNELS, C)
            transform_weights(weight, c1 - c0, k1 - k0, k0 * steps[0] + c0 * steps[1], steps, flipped, u)
            for b in range(n_blocks):
                n = min(block, last - first - b * block)
                multiply(u, v[b, :, c0:], m[b], c1 - c0, k1 - k0, n, c0 > 0)
        for b in range(n_blocks):
            t0 = first + b * block
            is_finite[chunk] &= transform_products(m[b], bias, tiles, t0, min(t0 + block, last), k0, k1, y)
    return is_finite

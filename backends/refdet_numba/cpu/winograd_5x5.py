"""5×5 convolution with less than a sixth of the multiplications: Winograd's F(4×4, 5×5).

Winograd, "Arithmetic complexity of computations" (1980); Lavin & Gray, "Fast algorithms for convolutional neural
networks" (CVPR 2016). The map of outputs is cut into tiles of 4 × 4, each of which depends on 8 × 8 inputs d. With the
matrices of `winograd_5x5_transforms`, the tile of output channel k is

    Aᵀ [ Σ_c (G w[k, c] Gᵀ) ⊙ (Bᵀ d[c] B) ] A

so that, over all tiles t, the sum over channels is 64 matrix products, one for each entry f of an 8 × 8 tile:

    m[f, k, t] = Σ_c u[f, k, c] · v[f, c, t]        u of the weights, v of the inputs, m to be transformed into outputs

64 products give 16 outputs, where the sum over a 5 × 5 window takes 400.

    for as many blocks of tiles at a time as LARGE allows:
        for each block, for some input channels (in parallel):
            v ← the inputs
        for each group, for some output channels (in parallel):
            u ← their weights
            for each block of tiles:
                m ← u · v;  y ← m

The other way round (`correlate_5x5_flipped`) the transform reads the taps backwards.

Errors: on outputs of variance 1 the largest seen was about 4e-5 in float32 and 7e-14 in float64. They are relative to
all inputs of the tile: an output whose window lies wholly in the padding need not be the bias exactly. A NaN or an
infinity spoils its whole tile, and sums may overflow that would not in plain order: where an output is not finite,
there is no answer, and the caller computes it in another way.

Where a block ends, and the order of every sum, depend on the shapes alone, and no two threads write to one element, so
the result does not depend on the number of threads.

Workspace: 64 · (C + 1) · tiles numbers, at most LARGE or one block's, and for each thread 64 · (K' + 1) · (C/g + tiles
of a block) where K' · C/g ≤ max(WEIGHTS, 4 · C/g). Tiles of a block and, for the weights, C/g are rounded up to whole
lines of the cache, tiles with room for seven more: a block of 16 takes 32.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import get_thread_id, prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.arrays import aligned, native, whole_lines
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.gemm import gemm
from refdet_numba.cpu.threads import per_thread
from refdet_numba.cpu.winograd_5x5_transforms import (
    MAX_TILES,
    N_PRODUCTS,
    transform_inputs,
    transform_products,
    transform_weights,
)
from refdet_numba.cpu.winograd_transforms import TILE

LARGE = 4 << 20  # numbers: 16 MiB of float32, which a shared cache may hold
WEIGHTS = 2048  # of u at a time: 64 · 2048 numbers, half a private cache
OUTPUTS = 32  # channels of u at a time, at most
SHARES = 4  # at least, of the output channels, where there are as many


def pays(x_shape: tuple[int, ...], K: int, size: Pair, geometry: Geometry) -> bool:
    """Return whether it is 5 × 5 without stride and dilation, and takes less time than plain sums of products.

    Counted in multiplications for K maps of outputs of that size: measured, a weight's transform takes the time of some
    1500 of them, that of a tile's inputs 2600 and of its outputs 1500. Both ways are supposed to multiply equally fast.
    """
    (N, C, _, _), (Ho, Wo) = x_shape, size
    if geometry[:2] != ((5, 5), (1, 1)) or geometry.dilation != (1, 1) or min(*x_shape, K, *size) == 0:
        return False
    n_tiles, n_weights = N * -(-Ho // TILE) * -(-Wo // TILE), C // geometry.groups * K
    ours = n_weights * (N_PRODUCTS * n_tiles + 1500) + n_tiles * (2600 * C + 1500 * K)
    return ours < 25 * n_weights * N * Ho * Wo


def correlate_5x5(x: Array, weight: Array, bias: Array | None, padding: Padding, groups: int) -> Array | None:
    """Correlate x (N, C, H, W) with weight (K, C/g, 5, 5), stride 1; None where an answer is not finite."""
    K, C = weight.shape[:2]
    return _correlate(x, K, bias, padding, weight, (25 * C, 25), groups, flipped=False)


def correlate_5x5_flipped(x: Array, weight: Array, padding: Padding, groups: int) -> Array | None:
    """Correlate x (N, C, H, W) with weight (C, K/g, 5, 5), turned by 180°: the adjoint; None where not finite."""
    K = weight.shape[1]
    return _correlate(x, K * groups, None, padding, weight, (25, 25 * K), groups, flipped=True)


def _correlate(
    x: Array, K: int, bias: Array | None, padding: Padding, weight: Array, steps: Pair, groups: int, *, flipped: bool
) -> Array | None:
    (N, C, H, W), ((top, bottom), (left, right)) = x.shape, padding
    Ho, Wo, C_per_group = H + top + bottom - 4, W + left + right - 4, C // groups
    y = np.empty((N, K, Ho, Wo), x.dtype.newbyteorder("="))
    tiles = -(-Ho // TILE), -(-Wo // TILE)
    n_tiles = N * tiles[0] * tiles[1]
    n_blocks = -(-n_tiles // MAX_TILES)
    block = -(-n_tiles // n_blocks)  # tiles
    n_outputs = max(min(OUTPUTS, WEIGHTS // C_per_group, -(-K // SHARES)), min(4, K // groups))
    row = whole_lines(block + 7)  # the last tiles are written eight at a time
    at_once = min(n_blocks, max(1, LARGE // (N_PRODUCTS * (C + 1) * row)))  # blocks
    # In u, v and m there is one more channel than is used: without it, with 2ⁿ channels, the 64 matrices would lie a
    # power of 2 apart, and what belongs to one place in each would compete for the same lines of the cache.
    v = aligned((at_once, N_PRODUCTS, C + 1, row), y.dtype)
    u = per_thread((N_PRODUCTS, n_outputs + 1, whole_lines(C_per_group)), y.dtype)
    m = per_thread((N_PRODUCTS, n_outputs + 1, row), y.dtype)
    biases = np.zeros(K, y.dtype) if bias is None else native(bias)
    for first in range(0, n_tiles, at_once * block):
        cut = int(groups), block, first, min(first + at_once * block, n_tiles)
        transform_all_inputs(native(x), (int(top), int(left)), tiles, cut, v)
        is_finite = _multiply(native(weight).reshape(-1), steps, flipped, tiles, cut, u, v, m, biases, y)
        if not is_finite.all():
            return None
    return y


@compiled_parallel
def transform_all_inputs(x: Any, start: Any, tiles: Any, cut: Any, v: Any) -> None:
    _, block, first, last = cut
    C = x.shape[1]
    n_chunks = (C + 7) // 8
    for item in prange((last - first + block - 1) // block * n_chunks):
        b, c0 = item // n_chunks, item % n_chunks * 8
        t0 = first + b * block
        transform_inputs(x, start, tiles, t0, min(t0 + block, last), c0, min(c0 + 8, C), v[b])


@compiled_parallel(multiplies_matrices=True)
def _multiply(
    weight: Any,
    steps: Any,
    flipped: bool,
    tiles: Any,
    cut: Any,
    u_of_threads: Any,
    v: Any,
    m_of_threads: Any,
    bias: Any,
    y: Any,
) -> Any:
    groups, block, first, last = cut
    K, C, n_outputs = y.shape[1] // groups, (v.shape[2] - 1) // groups, u_of_threads.shape[2] - 1
    n_chunks = (K + n_outputs - 1) // n_outputs
    is_finite = np.ones(groups * n_chunks, np.bool_)
    for item in prange(groups * n_chunks):
        group, k0 = item // n_chunks, item % n_chunks * n_outputs
        n = min(n_outputs, K - k0)
        u, m = u_of_threads[get_thread_id()], m_of_threads[get_thread_id()]
        transform_weights(weight, C, group * K * C * 25 + k0 * steps[0], steps, flipped, u[:, :n])
        for b in range((last - first + block - 1) // block):
            t0 = first + b * block
            t1, k = min(t0 + block, last), group * K + k0
            for f in range(N_PRODUCTS):
                gemm(u[f, :n, :C], v[b, f, group * C : group * C + C, : t1 - t0], m[f, :n, : t1 - t0], 0)
            is_finite[item] &= transform_products(m, bias, tiles, t0, t1, k, k + n, y)
    return is_finite

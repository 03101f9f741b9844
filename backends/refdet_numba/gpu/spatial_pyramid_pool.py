"""Spatial pyramid pooling: a thread for each bin of every level; in the backward pass, a thread for each pixel.

    forward, for each image, level, channel, bin: visit its pixels in row-major order and keep
        the first, a larger one, or the first NaN
    backward, for each pixel (n, c, h, w): for each level, for the bins that hold the pixel in row-major order:
        add the dy of those whose switch names it

The bins of k that hold row h of H are ⌊h·k/H⌋ … ⌈(h + 1)·k/H⌉ − 1. A pixel collects its gradients itself, so nothing is
added from two threads, and in the order of the reference. A switch that does not lie in its bin is not followed, as in
`max_pool2d`. No work space but a table of the levels.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.ops.spatial_pyramid_pool import Levels, SpatialPyramidPoolResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.roi_pool import largest_pixel
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 32 if IN_SIMULATOR else 128


def forward(
    x: Any, *, levels: Levels, keep_residual: bool
) -> tuple[tuple[Any, Any], SpatialPyramidPoolResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    shape = (x.shape[0], x.shape[1] * sum(k * k for k in levels))
    y, switches = np.empty_like(x, shape=shape, order="C"), np.empty_like(x, shape=shape, dtype=np.int64, order="C")
    arguments = contiguous(x), table(levels), x.dtype.type(-np.inf), y, switches
    launch(_forward, blocks_for(y.size, THREADS), THREADS, *arguments)
    return (y, switches), SpatialPyramidPoolResidual(x, switches) if keep_residual else None


def backward(
    residual: SpatialPyramidPoolResidual, dy: Any, *, needs: tuple[bool], levels: Levels
) -> tuple[Any | None, ...]:
    """Return dx: every dy added to the pixel that won its bin, level by level."""
    dx = np.empty_like(dy, shape=residual.x.shape, order="C")
    arguments = contiguous(dy), contiguous(residual.switches), table(levels), dy.dtype.type(0), dx
    launch(_backward, blocks_for(dx.size, THREADS), THREADS, *arguments)
    return (dx,)


@functools.lru_cache(maxsize=64)
def table(levels: Levels) -> Any:
    """Return k of each level, and the number of bins of the levels before it, (levels, 2), on the device."""
    n_bins = np.array([k * k for k in levels], np.int64)
    return to_device(np.stack([np.array(levels, np.int64), np.cumsum(n_bins) - n_bins], axis=1))


@jit()
def _forward(x: Any, levels: Any, nothing: Any, y: Any, switches: Any) -> None:
    _, C, H, W = x.shape
    index, length = cuda.grid(1), y.shape[1]
    if index < y.size:
        n, place = index // length, index % length
        level = levels.shape[0] - 1
        while place < levels[level, 1] * C:
            level -= 1
        k, within = levels[level, 0], place - levels[level, 1] * C
        c, i, j = within // (k * k), within // k % k, within % k
        rows, columns = (i * H // k, -(-(i + 1) * H // k)), (j * W // k, -(-(j + 1) * W // k))
        y[n, place], switches[n, place] = largest_pixel(x, n, c, rows, columns, nothing)


@jit()
def _backward(dy: Any, switches: Any, levels: Any, zero: Any, dx: Any) -> None:
    _, C, H, W = dx.shape
    index = cuda.grid(1)
    if index < dx.size:
        w, h = index % W, index // W % H
        c, n = index // (H * W) % C, index // (H * W) // C
        total = zero
        for level in range(levels.shape[0]):
            k = levels[level, 0]
            first = levels[level, 1] * C + c * k * k
            for i in range(h * k // H, -(-(h + 1) * k // H)):
                for j in range(w * k // W, -(-(w + 1) * k // W)):
                    place = first + i * k + j
                    if switches[n, place] == h * W + w:
                        total += dy[n, place]
        dx[n, c, h, w] = total


_TABLE, _SWITCHES = array(int64, 2), array(int64, 2)
ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(_forward, [array(t, 4), _TABLE, t, array(t, 2), _SWITCHES], 70, float64=t is float64, fused=False),
        Assembled(_backward, [array(t, 2), _SWITCHES, _TABLE, t, array(t, 4)], 80, float64=t is float64, fused=False),
    )
]

"""Spatial pyramid pooling: every image is one region, and every level one grid of bins of `largest_in_bins`.

Workspace: the copy of x of `channel_blocks`, and what `largest_in_bins` takes for the finest level.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.ops.spatial_pyramid_pool import Levels, SpatialPyramidPoolResidual
from refdet_numba.cpu.channel_blocks import channel_blocks
from refdet_numba.cpu.largest_in_bins import largest_in_bins
from refdet_numba.cpu.roi_pool import bin_bounds
from refdet_numba.cpu.switches import add_at_switches


def forward(
    x: Array, *, levels: Levels, keep_residual: bool
) -> tuple[tuple[Array, Array], SpatialPyramidPoolResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    N, C, H, W = x.shape
    blocks, images = channel_blocks(x), np.arange(N)
    y = np.empty((N, C * sum(k * k for k in levels)), blocks.dtype)
    switches, start = np.empty(y.shape, np.int64), 0
    for k in levels:
        rows, columns = (bin_bounds(np.zeros(N, np.int64), np.full(N, n), k, n, "exact") for n in (H, W))
        part = slice(start, start := start + C * k * k)
        largest = largest_in_bins(blocks, C, (H, W), images, rows, columns, -np.inf)
        y[:, part], switches[:, part] = (a.reshape(N, C * k * k) for a in largest)
    return (y, switches), SpatialPyramidPoolResidual(x, switches) if keep_residual else None


def backward(residual: SpatialPyramidPoolResidual, dy: Array, *, needs: tuple[bool], levels: Levels) -> Gradients:
    """Return dx: every dy added to the pixel that won its bin, level by level."""
    x, switches = residual
    C = x.shape[1]
    return (
        add_at_switches("spatial_pyramid_pool", _by_plane(dy, C, levels), _by_plane(switches, C, levels), x.shape[2:]),
    )


def _by_plane(y: Array, C: int, levels: Levels) -> Array:
    """Return what belongs to each plane of x together, (N, C, Σk²)."""
    ends = np.cumsum([C * k * k for k in levels])[:-1].tolist()
    parts = zip(levels, np.split(y, ends, axis=1), strict=True)
    return np.concatenate([part.reshape(len(y), C, k * k) for k, part in parts], axis=2)

"""RoI pooling: bounds of bins in NumPy, the search in `largest_in_bins`, the gradient plane by plane.

    for each image, each group of its planes (in parallel):
        for each region of the image in its order, each plane:
            dx[switch] += dy                                   in row-major order of the bins

There are two groups of planes, and more where one would have more than GROUP. What limits the speed is reading
dy and the switches, 12 bytes a bin in float32, and a group reads those of a region in one run: the longer, the faster.

Workspace: the copy of x of `channel_blocks` and what `largest_in_bins` takes, in the forward pass; none in the
backward pass.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Pair
from refdet.ops.roi_pool import RoiPoolResidual, round_half_away
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.channel_blocks import channel_blocks
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.largest_in_bins import largest_in_bins
from refdet_numba.cpu.regions import region_numbers
from refdet_numba.cpu.switches import add_in_plane, refuse_outside

GROUP = 64  # planes of a task, at most


def forward(
    x: Array, rois: Array, *, output_size: Pair, scale: float, convention: str, keep_residual: bool
) -> tuple[tuple[Array, Array], RoiPoolResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    images, _ = region_numbers("roi_pool", rois, x.shape[0])
    H, W = x.shape[2:]
    precision = "float64" if convention == "exact" else "float32"
    corners = round_half_away(rois[:, 1:].astype(precision) * np.asarray(scale, precision)).astype(np.int64)
    x1, y1, x2, y2 = corners.T
    rows = bin_bounds(y1, np.maximum(y2 - y1 + 1, 1), output_size[0], H, convention)
    columns = bin_bounds(x1, np.maximum(x2 - x1 + 1, 1), output_size[1], W, convention)
    outputs = largest_in_bins(channel_blocks(x), x.shape[1], (H, W), images, rows, columns, 0.0)
    return outputs, RoiPoolResidual(x, rois, outputs[1]) if keep_residual else None


def bin_bounds(starts: Array, extents: Array, n_bins: int, size: int, convention: str) -> Array:
    """Return the bounds that `refdet.ops.bins.bin_slices` gives each region, (R, n_bins, 2)."""
    p, extent = np.arange(n_bins), extents[:, None]
    if convention == "exact":
        low, high = p * extent // n_bins, -(-(p + 1) * extent // n_bins)
    else:
        bin_size = extent.astype(np.float32) / np.float32(n_bins)
        low = np.floor(p.astype(np.float32) * bin_size).astype(np.int64)
        high = np.ceil((p + 1).astype(np.float32) * bin_size).astype(np.int64)
    bounds = np.stack([low, high], axis=2) + starts[:, None, None]
    return np.clip(bounds, 0, size)


def backward(
    residual: RoiPoolResidual,
    dy: Array,
    *,
    needs: tuple[bool, bool],
    output_size: Pair,
    scale: float,
    convention: str,
) -> Gradients:
    """Return dx: every dy added to the pixel that won its bin."""
    if not needs[0]:
        return None, None
    x, rois, switches = residual
    N, C, H, W = x.shape
    images, _ = region_numbers("roi_pool", rois, N)
    n_bins = output_size[0] * output_size[1]
    dx = np.empty((N, C, H * W), dy.dtype.newbyteorder("="))
    shape = (len(rois), C, n_bins)
    largest = _backward(native(dy).reshape(shape), native(switches, np.int64).reshape(shape), images, dx)
    refuse_outside("roi_pool", largest, (H, W))
    return dx.reshape(x.shape), None


@compiled_parallel
def _backward(dy: Any, switches: Any, images: Any, dx: Any) -> Any:
    N, C, _ = dx.shape
    n_groups = max(2, (C + GROUP - 1) // GROUP)
    largest = np.full(N * n_groups, -1, np.int64)
    for task in prange(N * n_groups):
        n, group = task // n_groups, task % n_groups
        first, stop = group * C // n_groups, (group + 1) * C // n_groups
        dx[n, first:stop] = 0
        for r in range(images.size):
            if images[r] == n:
                for c in range(first, stop):
                    largest[task] = max(largest[task], add_in_plane(dy[r, c], switches[r, c], dx[n, c]))
    return largest

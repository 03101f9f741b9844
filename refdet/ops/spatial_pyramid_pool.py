"""Spatial pyramid pooling: the largest feature in each bin of several grids, one vector whatever the size of the map.

    y[n, level k, c, i, j] = max of x[n, c, h, w] over ⌊i·H/k⌋ ≤ h < ⌈(i + 1)·H/k⌉, ⌊j·W/k⌋ ≤ w < ⌈(j + 1)·W/k⌉
    switch = h·W + w of that pixel

for every level k of the pyramid, a grid of k × k bins. He, Zhang, Ren & Sun, "Spatial pyramid pooling in deep
convolutional networks" (2014), §2.2 and §2.3; deck 000, "fix the number of bins (instead of filter sizes)".

Conventions: a row of y holds the levels in the order given, each of them flattened (C, k, k). Bins overlap where k does
not divide the size of the map, and repeat where it exceeds it; only those of an empty map are empty, −∞ with switch −1.
Of equal pixels the first in row-major order wins and takes the whole gradient; a NaN wins, the first of its bin. A
pixel that wins several bins adds up their gradients, level by level in the order given, row-major within a level, in
the dtype of x.

The authors' code starts every maximum from 0, which is the same only behind a ReLU. In training they slide windows of
⌈a/k⌉ pixels, ⌊a/k⌋ apart, over maps of a × a; that is `max_pool2d`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor
from refdet.core.check import (
    Array,
    check_floating,
    check_gradient,
    check_integer,
    check_rank,
    check_shape,
    integers,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.ops.bins import bin_slices, largest_in_bins
from refdet.ops.pooling import add_at_switches, read_only

Levels = tuple[int, ...]


class SpatialPyramidPoolResidual(NamedTuple):
    x: Array
    switches: Array  # of the shape of y


def _check(x: Array, *, levels: Levels, keep_residual: bool) -> None:
    check_rank("spatial_pyramid_pool", "x", x, "N, C, H, W")
    check_floating("spatial_pyramid_pool", x=x)
    if not isinstance(levels, tuple) or not levels:
        raise ValueError(f"spatial_pyramid_pool: levels must be a tuple of at least one level, got {levels!r}")
    integers("spatial_pyramid_pool", "levels", levels, count=len(levels), low=1)


def _check_backward(residual: SpatialPyramidPoolResidual, dy: Array, *, needs: tuple[bool], levels: Levels) -> None:
    shape = _output_shape(residual.x, levels)
    check_gradient("spatial_pyramid_pool", dy, shape, residual.x)
    check_integer("spatial_pyramid_pool", switches=residual.switches)
    check_shape("spatial_pyramid_pool", "switches", residual.switches, shape, "one per bin")


def _output_shape(x: Array, levels: Levels) -> tuple[int, int]:
    N, C = shape_of(x)[:2]
    return N, C * sum(k * k for k in levels)


@kernel("spatial_pyramid_pool.forward", check=_check)
def spatial_pyramid_pool_forward(
    x: Array, *, levels: Levels, keep_residual: bool
) -> tuple[tuple[Array, Array], SpatialPyramidPoolResidual | None]:
    """Return y and switches, both (N, C·Σk²)."""
    N, C, H, W = x.shape
    y = np.empty(_output_shape(x, levels), np.result_type(x))
    switches = np.empty(y.shape, np.int64)
    for k, part in zip(levels, _parts(C, levels), strict=True):
        rows = bin_slices(0, H, k, H, convention="exact")
        columns = bin_slices(0, W, k, W, convention="exact")
        largest, where = largest_in_bins(x, rows, columns, empty=-np.inf)  # (N, C, k, k)
        y[:, part], switches[:, part] = largest.reshape(N, C * k * k), where.reshape(N, C * k * k)
    return (y, switches), SpatialPyramidPoolResidual(x, switches) if keep_residual else None


def _parts(C: int, levels: Levels) -> list[slice]:
    """Return where each level lies in a row of y."""
    ends = np.cumsum([C * k * k for k in levels]).tolist()
    return [slice(end - C * k * k, end) for k, end in zip(levels, ends, strict=True)]


@kernel("spatial_pyramid_pool.backward", check=_check_backward)
def spatial_pyramid_pool_backward(
    residual: SpatialPyramidPoolResidual, dy: Array, *, needs: tuple[bool], levels: Levels
) -> Gradients:
    """Every dy goes to the pixel that won its bin."""
    x, switches = residual
    C = x.shape[1]
    return (add_at_switches(_by_plane(dy, C, levels), _by_plane(switches, C, levels), x.shape[2:]),)


def _by_plane(y: Array, C: int, levels: Levels) -> Array:
    """Return what belongs to each plane of x together, (N, C, Σk², 1)."""
    parts = zip(levels, _parts(C, levels), strict=True)
    return np.concatenate([y[:, part].reshape(len(y), C, k * k, 1) for k, part in parts], axis=2)


_spatial_pyramid_pool = differentiable(spatial_pyramid_pool_forward, spatial_pyramid_pool_backward)


def spatial_pyramid_pool(x: Tensor | Array, levels: Sequence[int] = (1, 2, 3, 6)) -> tuple[Tensor, Array]:
    """Take the largest feature of every bin of a pyramid of grids.

    Args:
        x: (N, C, H, W), float32 or float64.
        levels: bins along each axis, grid by grid. The default is SPP-net's for detection, 1 + 4 + 9 + 36 = 50 bins.

    Returns:
        y, (N, C·Σk²), and the switches, int64 of the same shape, read-only: h·W + w of each maximum in its plane of
        x.

    All of 0 … 8, then its four quarters, which share the middle row and column:

    >>> y, switches = spatial_pyramid_pool(np.arange(9.0).reshape(1, 1, 3, 3), (1, 2))
    >>> y.data
    array([[8., 4., 5., 7., 8.]])
    """
    if not isinstance(levels, Sequence):
        raise TypeError(f"spatial_pyramid_pool: levels must be a sequence of integers, got {levels!r}")
    plain = integers("spatial_pyramid_pool", "levels", levels, count=len(levels), low=1)
    y, *extras = _spatial_pyramid_pool.with_extras(x, levels=plain)
    return y, read_only(extras[0])

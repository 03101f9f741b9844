"""Anchors: around one point on the host, at every position of a map by a thread for each of their numbers.

    for each number j of anchor a at position (y, x), from its index ((y·W + x)·A + a)·4 + j:
        anchors = base[a, j] + ((x or y) + offset)·stride

The shift is a product in float64 that is rounded to the dtype of the anchors before it is added, as in
`refdet.boxes.anchors`. No work space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.boxes.anchors import base_anchors_kernel
from refdet.core.geometry import Pair
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit, multiply

THREADS = 32 if IN_SIMULATOR else 256


def base_anchors(*, sizes: tuple[float, ...], ratios: tuple[float, ...], base_size: int | None, convention: str) -> Any:
    """Return the anchors around one point, (A, 4) in float64: a few numbers made of parameters alone, then sent."""
    return to_device(
        base_anchors_kernel.reference(sizes=sizes, ratios=ratios, base_size=base_size, convention=convention)
    )


def anchor_grid(base: Any, *, size: Pair, stride: Pair, offset: float) -> Any:
    """Return the anchors of a whole map, (H·W·A, 4)."""
    H, W = size
    anchors = np.empty_like(base, shape=(H * W * len(base), 4), order="C")
    arguments = contiguous(base), W, float(stride[0]), float(stride[1]), float(offset), anchors
    launch(GRIDS[base.dtype.name], blocks_for(anchors.size, THREADS), THREADS, *arguments)
    return anchors


def _grid(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit()
    def anchor_grid(base: Any, W: Any, down: Any, across: Any, offset: Any, anchors: Any) -> None:
        index = cuda.grid(1)
        if index < anchors.size:
            j, row = index % 4, index // 4
            a, position = row % len(base), row // len(base)
            if j % 2 == 0:
                shift = multiply(float64(position % W) + offset, across)
            else:
                shift = multiply(float64(position // W) + offset, down)
            anchors[row, j] = base[a, j] + dtype(shift)

    return anchor_grid


_float32, _float64 = _grid(float32), _grid(float64)
GRIDS = {"float32": _float32, "float64": _float64}

ASSEMBLED = [
    Assembled(
        kernel, [array(t, 2), int64, float64, float64, float64, array(t, 2)], registers=40, float64=True, fused=False
    )
    for kernel, t in ((_float32, float32), (_float64, float64))
]

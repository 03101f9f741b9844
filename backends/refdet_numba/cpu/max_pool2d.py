"""Max pooling in one pass over the windows.

    for each plane (in parallel):
        for each window (i, j):
            for each tap (a, b) that lies on a real pixel, in row-major order:
                keep the pixel if it is the first, larger than the best, or the first NaN

A plane belongs to one thread and its windows are visited in row-major order, so the result, and the order in which the
gradients of one pixel are added, do not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.ops.pooling import PoolingWindows
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel


def forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[tuple[Array, Array], MaxPool2dResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    windows = PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention)
    size = windows.output_size(x.shape[2:])
    (top, _), (left, _) = padding
    y, switches = _forward(_planes(x), kernel_size, stride, (top, left), dilation, size)
    shape = (*x.shape[:2], *size)
    outputs = (y.reshape(shape), switches.reshape(shape))
    return outputs, MaxPool2dResidual(x, outputs[1]) if keep_residual else None


def backward(residual: MaxPool2dResidual, dy: Array, *, needs: tuple[bool], **params: Any) -> tuple[Array | None, ...]:
    """Return dx: every dy added to the pixel that won its window."""
    x, switches = residual
    n_pixels = x.shape[2] * x.shape[3]
    if switches.size and np.max(switches) >= n_pixels:  # compiled code does not look where it writes
        raise IndexError(f"max_pool2d: a switch of {np.max(switches)} lies outside a plane of {n_pixels} pixels")
    dx = _backward(_planes(dy), native(switches).reshape(-1, *switches.shape[2:]), x.shape[2:])
    return (dx.reshape(x.shape),)


def _planes(x: Array) -> Array:
    """Return (N·C, H, W), contiguous and in native byte order."""
    return native(x).reshape(x.shape[0] * x.shape[1], *x.shape[2:])


@compiled_parallel
def _forward(x: Any, kernel_size: Any, stride: Any, start: Any, dilation: Any, size: Any) -> Any:
    n_planes, H, W = x.shape
    y = np.empty((n_planes, size[0], size[1]), x.dtype)
    switches = np.empty((n_planes, size[0], size[1]), np.int64)
    for plane in prange(n_planes):
        for i in range(size[0]):
            for j in range(size[1]):
                best, switch = x.dtype.type(-np.inf), np.int64(-1)
                for a in range(kernel_size[0]):
                    h = i * stride[0] + a * dilation[0] - start[0]
                    if h < 0 or h >= H:
                        continue
                    for b in range(kernel_size[1]):
                        w = j * stride[1] + b * dilation[1] - start[1]
                        if w < 0 or w >= W:
                            continue
                        value = x[plane, h, w]
                        if switch < 0 or value > best or (np.isnan(value) and not np.isnan(best)):
                            best, switch = value, np.int64(h * W + w)
                y[plane, i, j] = best
                switches[plane, i, j] = switch
    return y, switches


@compiled_parallel
def _backward(dy: Any, switches: Any, size: Any) -> Any:
    n_planes, Ho, Wo = dy.shape
    H, W = size
    dx = np.zeros((n_planes, H, W), dy.dtype)
    for plane in prange(n_planes):
        for i in range(Ho):
            for j in range(Wo):
                switch = switches[plane, i, j]
                if switch >= 0:
                    dx[plane, switch // W, switch % W] += dy[plane, i, j]
    return dx

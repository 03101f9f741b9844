"""Max pooling: a thread for each window; in the backward pass, a thread for each pixel.

    forward, for each window (n, c, i, j): visit its real pixels in row-major order and keep
        the first, a larger one, or the first NaN
    backward, for each pixel (n, c, h, w): visit the windows that hold it in row-major order and add the dy of those
        whose switch names it

A pixel collects its gradients itself, so nothing is added from two threads, and in the order of the reference. A switch
that names no pixel of its window is not followed: the reference refuses one outside of the plane, but to look for it
here would mean to wait for the device. No work space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64, types

from refdet.core.geometry import Padding, Pair
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.ops.pooling import PoolingWindows
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit

THREADS = 32 if IN_SIMULATOR else 256


def forward(
    x: Any,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[tuple[Any, Any], MaxPool2dResidual | None]:
    """Return (y, switches) and the residual, as the reference does."""
    windows = PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention)
    shape = (*x.shape[:2], *windows.output_size(x.shape[2:]))
    y, switches = np.empty_like(x, shape=shape, order="C"), np.empty_like(x, shape=shape, dtype=np.int64, order="C")
    nothing = x.dtype.type(-np.inf)
    launch(_forward, blocks_for(y.size, THREADS), THREADS, contiguous(x), geometry(windows), nothing, y, switches)
    return (y, switches), MaxPool2dResidual(x, switches) if keep_residual else None


def backward(residual: MaxPool2dResidual, dy: Any, *, needs: tuple[bool], **params: Any) -> tuple[Any | None, ...]:
    """Return dx: every dy added to the pixel that won its window."""
    x, switches = residual
    dx = np.empty_like(x, shape=x.shape, dtype=dy.dtype, order="C")
    blocks, zero = blocks_for(dx.size, THREADS), dy.dtype.type(0)
    windows = geometry(PoolingWindows(**params))
    launch(_backward, blocks, THREADS, contiguous(dy), contiguous(switches), windows, zero, dx)
    return (dx,)


def geometry(windows: PoolingWindows) -> tuple[int, ...]:
    """Return kh, kw, stride and dilation down and across, and the padding above and to the left."""
    (top, _), (left, _) = windows.padding
    return (*windows.kernel_size, *windows.stride, *windows.dilation, top, left)


@jit()
def _forward(x: Any, windows: Any, nothing: Any, y: Any, switches: Any) -> None:
    kh, kw, down, across, dh, dw, top, left = windows
    _, C, H, W = x.shape
    Ho, Wo = y.shape[2:]
    window = cuda.grid(1)
    if window < y.size:
        plane, i, j = window // (Ho * Wo), window // Wo % Ho, window % Wo
        n, c = plane // C, plane % C
        best, switch = nothing, -1
        for a in range(kh):
            h = i * down + a * dh - top
            for b in range(kw):
                w = j * across + b * dw - left
                if 0 <= h < H and 0 <= w < W:
                    value = x[n, c, h, w]
                    # `value != value` is True of a NaN alone
                    if switch < 0 or value > best or (value != value and best == best):
                        best, switch = value, h * W + w
        y[n, c, i, j] = best
        switches[n, c, i, j] = switch


@jit()
def _backward(dy: Any, switches: Any, windows: Any, zero: Any, dx: Any) -> None:
    kh, kw, down, across, dh, dw, top, left = windows
    _, C, H, W = dx.shape
    Ho, Wo = dy.shape[2:]
    pixel = cuda.grid(1)
    if pixel < dx.size:
        plane, h, w = pixel // (H * W), pixel // W % H, pixel % W
        n, c = plane // C, plane % C
        total = zero
        for i in range(first_window(h + top, (kh - 1) * dh, down), min(Ho, (h + top) // down + 1)):
            for j in range(first_window(w + left, (kw - 1) * dw, across), min(Wo, (w + left) // across + 1)):
                if switches[n, c, i, j] == h * W + w:
                    total += dy[n, c, i, j]
        dx[n, c, h, w] = total


@device_function
def first_window(position: Any, reach: Any, stride: Any) -> Any:
    """Return the first window that holds a position, ⌈(position − reach) / stride⌉, at least 0."""
    return max(0, (position - reach + stride - 1) // stride)


_WINDOWS = types.UniTuple(int64, 8)
ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(_forward, [array(t, 4), _WINDOWS, t, array(t, 4), array(int64, 4)], 64, float64=t is float64),
        Assembled(
            _backward, [array(t, 4), array(int64, 4), _WINDOWS, t, array(t, 4)], 64, float64=t is float64, fused=False
        ),
    )
]

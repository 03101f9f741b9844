"""Average pooling: a thread for each window; in the backward pass, a thread for each pixel.

    forward, for each window (n, c, i, j): add its real pixels in row-major order, and divide by D[i, j]
    backward, for each pixel (n, c, h, w): add dy / D of the windows that hold it, the last window first,
        which is the order of their taps

A pixel collects its gradients itself, so nothing is added from two threads, and in the order of the reference. D is
counted where it is needed. No work space.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import float32, float64, int64, types

from refdet.core.geometry import Padding, Pair
from refdet.ops.avg_pool2d import AvgPool2dResidual
from refdet.ops.pooling import PoolingWindows
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.max_pool2d import first_window
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit

THREADS = 32 if IN_SIMULATOR else 256


def forward(
    x: Any,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[Any, AvgPool2dResidual | None]:
    """Return y (N, C, Ho, Wo) and the residual, as the reference does."""
    windows = PoolingWindows(kernel_size, stride, padding, (1, 1), ceil_mode, convention)
    y = np.empty_like(x, shape=(*x.shape[:2], *windows.output_size(x.shape[2:])), order="C")
    numbers, of_nothing = geometry(kernel_size, stride, padding), x.dtype.type(np.nan)
    arguments = contiguous(x), numbers, count_include_pad, of_nothing, y
    launch(FORWARD[x.dtype.name], blocks_for(y.size, THREADS), THREADS, *arguments)
    return y, AvgPool2dResidual(x) if keep_residual else None


def backward(
    residual: AvgPool2dResidual,
    dy: Any,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
) -> tuple[Any | None, ...]:
    """Return dx: every real pixel of a window receives dy / D."""
    dx = np.empty_like(dy, shape=residual.x.shape, order="C")
    arguments = contiguous(dy), geometry(kernel_size, stride, padding), count_include_pad, dx
    launch(BACKWARD[dy.dtype.name], blocks_for(dx.size, THREADS), THREADS, *arguments)
    return (dx,)


def geometry(kernel_size: Pair, stride: Pair, padding: Padding) -> tuple[int, ...]:
    """Return kh, kw, stride down and across, and the padding above, below, left and right."""
    return (*kernel_size, *stride, *padding[0], *padding[1])


@device_function
def n_positions(start: Any, k: Any, low: Any, high: Any) -> Any:
    """Return how many of k positions from `start` lie in [low, high)."""
    return max(0, min(start + k, high) - max(start, low))


def _forward(dtype: Any) -> Any:
    """Return the kernel for arrays of a dtype."""

    @jit()
    def avg_pool2d_forward(x: Any, numbers: Any, counts_padding: Any, of_nothing: Any, y: Any) -> None:
        kh, kw, down, across, top, bottom, left, right = numbers
        _, C, H, W = x.shape
        Ho, Wo = y.shape[2:]
        window = cuda.grid(1)
        if window < y.size:
            plane, i, j = window // (Ho * Wo), window // Wo % Ho, window % Wo
            n, c = plane // C, plane % C
            h0, w0 = i * down - top, j * across - left
            total = dtype(0)
            for h in range(max(h0, 0), min(h0 + kh, H)):
                for w in range(max(w0, 0), min(w0 + kw, W)):
                    total += x[n, c, h, w]
            padded = n_positions(h0, kh, -top, H + bottom) * n_positions(w0, kw, -left, W + right)
            count = padded if counts_padding else n_positions(h0, kh, 0, H) * n_positions(w0, kw, 0, W)
            if padded == 0:
                count = 1  # beyond the padded extent: a sum of nothing, over 1
            y[n, c, i, j] = of_nothing if count == 0 else total / dtype(count)

    return avg_pool2d_forward


def _backward(dtype: Any) -> Any:
    @jit()
    def avg_pool2d_backward(dy: Any, numbers: Any, counts_padding: Any, dx: Any) -> None:
        kh, kw, down, across, top, bottom, left, right = numbers
        if not counts_padding:
            above, below, before, after = 0, 0, 0, 0
        else:
            above, below, before, after = top, bottom, left, right
        _, C, H, W = dx.shape
        Ho, Wo = dy.shape[2:]
        pixel = cuda.grid(1)
        if pixel < dx.size:
            plane, h, w = pixel // (H * W), pixel // W % H, pixel % W
            n, c = plane // C, plane % C
            first_i, first_j = first_window(h + top, kh - 1, down), first_window(w + left, kw - 1, across)
            last_i, last_j = min(Ho - 1, (h + top) // down), min(Wo - 1, (w + left) // across)
            total = dtype(0)
            for i in range(last_i, first_i - 1, -1):
                rows = n_positions(i * down - top, kh, -above, H + below)
                for j in range(last_j, first_j - 1, -1):
                    columns = n_positions(j * across - left, kw, -before, W + after)
                    total += dy[n, c, i, j] / dtype(rows * columns)
            dx[n, c, h, w] = total

    return avg_pool2d_backward


_forward_float32, _forward_float64 = _forward(float32), _forward(float64)
_backward_float32, _backward_float64 = _backward(float32), _backward(float64)
FORWARD = {"float32": _forward_float32, "float64": _forward_float64}
BACKWARD = {"float32": _backward_float32, "float64": _backward_float64}
_NUMBERS = types.UniTuple(int64, 8)
ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(FORWARD[t.name], [array(t, 4), _NUMBERS, types.boolean, t, array(t, 4)], 76, float64=t is float64),
        Assembled(BACKWARD[t.name], [array(t, 4), _NUMBERS, types.boolean, array(t, 4)], 111, float64=t is float64),
    )
]

"""Two-dimensional average pooling.

    y[n, c, i, j] = (1 / D[i, j]) · Σ over the real pixels of window (i, j) of x[n, c, i·s + a − top, j·s + b − left]

LeCun, Bottou, Bengio & Haffner (1998), §II, for averaging windows (their "sub-sampling" without its learned scale).

| `count_include_pad` | divisor D: positions of the window in | a window without a real pixel |
|---|---|---|
| True  | the padded extent, rows [−top, H + bottom), columns [−left, W + right) | 0 |
| False | the plane, rows [0, H), columns [0, W) | 0/0 = NaN |

Conventions: what a ceil window overhangs beyond the padded extent is never counted. A window that lies beyond the
padded extent altogether (which only `convention="caffe"` keeps) is 0 whatever `count_include_pad` (Caffe divides 0 by 0
there). A window without a real pixel sends no gradient. Every real pixel of any other window receives dy / D. Sums go
through the taps in row-major order and accumulate in the dtype of x. Padding is not limited by the kernel size (torch
allows at most half of it). The default `count_include_pad=True` is torch's and Caffe's; ONNX's is False. The number of
windows is that of `refdet.core.geometry`: with ceil_mode a last window that starts at or beyond the end of x (counting
the padding before it) is dropped; under `convention="caffe"` only if any side of any axis is padded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_flag, check_gradient, check_rank
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair, check_geometry, padding_pairs, pair
from refdet.core.kernel import kernel
from refdet.ops.pooling import PoolingWindows, check_windows, output_shape


class AvgPool2dResidual(NamedTuple):
    x: Array


def _windows(kernel_size: Pair, stride: Pair, padding: Padding, ceil_mode: bool, convention: str) -> PoolingWindows:
    return PoolingWindows(kernel_size, stride, padding, (1, 1), ceil_mode, convention)


def _check(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
    keep_residual: bool,
) -> None:
    check_geometry("avg_pool2d", kernel_size=kernel_size, stride=stride, padding=padding)
    check_flag("avg_pool2d", "count_include_pad", count_include_pad)
    check_windows("avg_pool2d", x, _windows(kernel_size, stride, padding, ceil_mode, convention))


def _check_backward(
    residual: AvgPool2dResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
) -> None:
    windows = _windows(kernel_size, stride, padding, ceil_mode, convention)
    check_gradient("avg_pool2d", dy, output_shape(residual.x, windows), residual.x)


@kernel("avg_pool2d.forward", check=_check)
def avg_pool2d_forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
    keep_residual: bool,
) -> tuple[Array, AvgPool2dResidual | None]:
    """Return y (N, C, Ho, Wo)."""
    windows = _windows(kernel_size, stride, padding, ceil_mode, convention)
    size: Pair = x.shape[2:]
    y = np.zeros(output_shape(x, windows), np.result_type(x))
    for (rows, columns), pixels in windows.taps(size):
        y[:, :, rows, columns] += x[:, :, *pixels]
    in_padded_extent, in_plane = _n_positions(windows, size, padding), _n_positions(windows, size, ((0, 0), (0, 0)))
    divisor = in_padded_extent if count_include_pad else in_plane
    divisor = np.where(in_padded_extent == 0, 1, divisor)  # a sum of nothing, over 1
    with np.errstate(invalid="ignore"):  # 0/0 without a real pixel
        y /= divisor.astype(y.dtype)
    return y, AvgPool2dResidual(x) if keep_residual else None


@kernel("avg_pool2d.backward", check=_check_backward)
def avg_pool2d_backward(
    residual: AvgPool2dResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
) -> Gradients:
    """Every real pixel of a window receives dy / D."""
    windows = _windows(kernel_size, stride, padding, ceil_mode, convention)
    size: Pair = residual.x.shape[2:]
    divisor = _n_positions(windows, size, padding if count_include_pad else ((0, 0), (0, 0)))
    share = dy / np.maximum(divisor, 1).astype(dy.dtype)  # where D is 0 there is no pixel to receive it
    dx = np.zeros(residual.x.shape, np.result_type(dy))
    for (rows, columns), pixels in windows.taps(size):
        dx[:, :, *pixels] += share[:, :, rows, columns]  # within one tap no two windows touch the same pixel
    return (dx,)


def _n_positions(windows: PoolingWindows, size: Pair, border: Padding) -> Array:
    """Return how many positions of each window lie in the plane enlarged by `border`, (Ho, Wo)."""
    counts: list[Array] = []
    for n_windows, n, k, s, (before, _), (low, high) in zip(
        windows.output_size(size), size, windows.kernel_size, windows.stride, windows.padding, border, strict=True
    ):
        starts = np.arange(n_windows) * s - before
        counts.append(np.maximum(0, np.minimum(starts + k, n + high) - np.maximum(starts, -low)))
    rows, columns = counts
    return rows[:, None] * columns


_avg_pool2d = differentiable(avg_pool2d_forward, avg_pool2d_backward)


def avg_pool2d(
    x: Tensor | Array,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    convention: str = "torch",
) -> Tensor:
    """Average every window.

    Args:
        x: (N, C, H, W), float32 or float64.
        kernel_size: size of the window, int or (vertical, horizontal).
        stride: int or (vertical, horizontal); None is `kernel_size`, windows side by side.
        padding: as for `conv2d`.
        ceil_mode: round the number of windows up, so that the last one may overhang.
        count_include_pad: divide by the number of padded positions too (True), or by that of the real pixels (False).
        convention: "torch" or "caffe": which of the overhanging windows are dropped (see the module).

    Returns:
        (N, C, Ho, Wo).

    >>> avg_pool2d(np.array([[[[1.0, 3.0, 5.0]]]]), (1, 2), ceil_mode=True).data[0, 0]
    array([[2., 5.]])
    """
    x = as_tensor("avg_pool2d", "x", x)
    check_rank("avg_pool2d", "x", x.data, "N, C, H, W")
    kernel_sizes = pair("avg_pool2d", "kernel_size", kernel_size, low=1)
    strides = kernel_sizes if stride is None else pair("avg_pool2d", "stride", stride, low=1)
    pads = padding_pairs(
        "avg_pool2d", padding, size=x.shape[2:], kernel_size=kernel_sizes, stride=strides, dilation=(1, 1)
    )
    return _avg_pool2d(
        x,
        kernel_size=kernel_sizes,
        stride=strides,
        padding=pads,
        ceil_mode=ceil_mode,
        count_include_pad=count_include_pad,
        convention=convention,
    )

"""Two-dimensional max pooling, and the switches that remember where each maximum was.

    y[n, c, i, j] = max over taps (a, b) of x[n, c, i·s + a·d − top, j·s + b·d − left]
    switch[n, c, i, j] = h·W + w of that pixel in the unpadded plane

Krizhevsky, Sutskever & Hinton (2012), §3.4, for windows that overlap; Zeiler & Fergus (2014), §2.1, for the switches.

Conventions:

- Padding never wins: only real pixels are compared. A window without one (a ceil window that starts beyond x under the
  Caffe convention, or taps that dilation spreads around a small x) has y = −inf, switch −1 and no gradient. A window
  whose real pixels are all −inf has the switch of its first. Caffe starts from −FLT_MAX instead, so in both cases its
  output is −FLT_MAX and its mask −1.
- Of equal maxima the first in row-major order wins (a later one must be `>`), and takes the whole gradient. A pixel
  that wins several windows adds up their gradients, in row-major order of the windows and in the dtype of x.
- A NaN counts as the maximum, the first NaN of the window if there are several. torch propagates NaN too but remembers
  the last one; onnxruntime prefers any number to NaN.
- Padding must be smaller than the extent of the window, d(k − 1) + 1, on every side. (torch allows at most half the
  kernel size.)
- The number of windows is that of `refdet.core.geometry`: with ceil_mode a last window that starts at or beyond the end
  of x (counting the padding before it) is dropped; under `convention="caffe"` only if any side of any axis is padded.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_gradient, check_integer, check_rank, check_shape
from refdet.core.elementwise import Gradients
from refdet.core.geometry import Padding, Pair, check_geometry, padding_pairs, pair, window_extent
from refdet.core.kernel import kernel
from refdet.ops.pooling import PoolingWindows, add_at_switches, check_windows, output_shape, read_only


class MaxPool2dResidual(NamedTuple):
    x: Array
    switches: Array


def _check(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
    keep_residual: bool,
) -> None:
    check_geometry("max_pool2d", kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
    for pads, k, d in zip(padding, kernel_size, dilation, strict=True):
        if max(pads) >= window_extent(k, d):
            raise ValueError(
                f"max_pool2d: padding must be smaller than the extent of the window, dilation·(kernel_size − 1) + 1 = "
                f"{window_extent(k, d)}, got {padding}"
            )
    check_windows("max_pool2d", x, PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention))


def _check_backward(
    residual: MaxPool2dResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
) -> None:
    windows = PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention)
    check_gradient("max_pool2d", dy, output_shape(residual.x, windows), residual.x)
    check_integer("max_pool2d", switches=residual.switches)
    check_shape("max_pool2d", "switches", residual.switches, output_shape(residual.x, windows), "one per window")


@kernel("max_pool2d.forward", check=_check)
def max_pool2d_forward(
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
    """Return y and switches, both (N, C, Ho, Wo)."""
    windows = PoolingWindows(kernel_size, stride, padding, dilation, ceil_mode, convention)
    H, W = x.shape[2:]
    pixel_index = np.arange(H * W, dtype=np.int64).reshape(H, W)
    y = np.full(output_shape(x, windows), -np.inf, np.result_type(x))
    switches = np.full(y.shape, -1, np.int64)
    for (rows, columns), pixels in windows.taps((H, W)):
        values, index = x[:, :, *pixels], pixel_index[pixels]
        best, switch = y[:, :, rows, columns], switches[:, :, rows, columns]  # views
        wins = (values > best) | (switch < 0) | (np.isnan(values) & ~np.isnan(best))
        np.copyto(best, values, where=wins)
        np.copyto(switch, index, where=wins)
    return (y, switches), MaxPool2dResidual(x, switches) if keep_residual else None


@kernel("max_pool2d.backward", check=_check_backward)
def max_pool2d_backward(
    residual: MaxPool2dResidual,
    dy: Array,
    *,
    needs: tuple[bool],
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
) -> Gradients:
    """Every dy goes to the pixel that won its window."""
    x, switches = residual
    return (add_at_switches(dy, switches, x.shape[2:]),)


_max_pool2d = differentiable(max_pool2d_forward, max_pool2d_backward)


def max_pool2d(
    x: Tensor | Array,
    kernel_size: int | Pair,
    *,
    stride: int | Pair | None = None,
    padding: Any = 0,
    dilation: int | Pair = 1,
    ceil_mode: bool = False,
    convention: str = "torch",
) -> tuple[Tensor, Array]:
    """Take the largest pixel of every window, and remember where it was.

    Args:
        x: (N, C, H, W), float32 or float64.
        kernel_size: taps of the window, int or (vertical, horizontal).
        stride: int or (vertical, horizontal); None is `kernel_size`, windows side by side.
        padding: as for `conv2d`; smaller than the extent of the window. It never wins.
        dilation: distance between the taps, int or (vertical, horizontal).
        ceil_mode: round the number of windows up, so that the last one may overhang.
        convention: "torch" or "caffe": which of the overhanging windows are dropped (see the module).

    Returns:
        y, (N, C, Ho, Wo), and the switches, int64 of the same shape, read-only: h·W + w of each maximum in its plane of
        x.

    The two maxima are the pixels 5 and 7 of 0 … 7:

    >>> y, switches = max_pool2d(np.arange(8.0).reshape(1, 1, 2, 4), 2)
    >>> y.data[0, 0], switches[0, 0]
    (array([[5., 7.]]), array([[5, 7]]))
    """
    x = as_tensor("max_pool2d", "x", x)
    check_rank("max_pool2d", "x", x.data, "N, C, H, W")
    kernel_sizes = pair("max_pool2d", "kernel_size", kernel_size, low=1)
    strides = kernel_sizes if stride is None else pair("max_pool2d", "stride", stride, low=1)
    dilations = pair("max_pool2d", "dilation", dilation, low=1)
    pads = padding_pairs(
        "max_pool2d", padding, size=x.shape[2:], kernel_size=kernel_sizes, stride=strides, dilation=dilations
    )
    y, *extras = _max_pool2d.with_extras(
        x,
        kernel_size=kernel_sizes,
        stride=strides,
        padding=pads,
        dilation=dilations,
        ceil_mode=ceil_mode,
        convention=convention,
    )
    return y, read_only(extras[0])

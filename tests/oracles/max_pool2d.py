"""Max pooling, with the place of every maximum (its "switch").

    y[n, c, i, j] = max over a, b of x[n, c, row, column],    row = i sh + a dh - top,  column = j sw + b dw - left
    switches[n, c, i, j] = row * W + column of the winner, in the unpadded plane

over the taps a < kh, b < kw that fall on real pixels: padding never wins. The first maximum in row-major order of the
window wins; a NaN beats every number, and the first NaN wins. A window without a real pixel has y = -inf and switch -1.
The winner takes the whole gradient.

Source: Krizhevsky et al. (2012), section 3.4; the switches are those of Zeiler and Fergus, "Visualizing and
Understanding Convolutional Networks", section 2.1.
"""

import math

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sizes import Padding, Pair, pool_output_size
from tests.oracles._sums import Array, Float64Array, scatter_sum


def forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return (y, switches), both of shape (N, C, Ho, Wo)."""
    n_images, n_channels, height, width = x.shape
    (top, bottom), (left, right) = padding
    any_padding = top + bottom + left + right > 0
    rounding = (ceil_mode, convention, any_padding)
    out_height = pool_output_size(height, kernel_size[0], stride[0], top, bottom, dilation[0], *rounding)
    out_width = pool_output_size(width, kernel_size[1], stride[1], left, right, dilation[1], *rounding)

    y = np.full((n_images, n_channels, out_height, out_width), -math.inf)
    switches = np.full(y.shape, -1, dtype=np.int64)
    for n, c, i, j in np.ndindex(y.shape):
        best, switch = -math.inf, -1
        for a, b in np.ndindex(kernel_size):
            row = i * stride[0] + a * dilation[0] - top
            column = j * stride[1] + b * dilation[1] - left
            if 0 <= row < height and 0 <= column < width:
                value = float(x[n, c, row, column])
                first_nan = math.isnan(value) and not math.isnan(best)
                if switch == -1 or value > best or first_nan:
                    best, switch = value, row * width + column
        y[n, c, i, j] = best
        switches[n, c, i, j] = switch
    return y, switches


def backward(
    x: Array,
    *,
    dy: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    ceil_mode: bool,
    convention: str,
) -> tuple[Float64Array]:
    """Return (dx,); dy belongs to y."""
    _, switches = forward(
        x,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        convention=convention,
    )
    winners = [
        ((n, c, *divmod(int(switches[n, c, i, j]), x.shape[3])), float(dy[n, c, i, j]))
        for n, c, i, j in np.ndindex(dy.shape)
        if switches[n, c, i, j] != -1
    ]
    return (scatter_sum(x.shape, winners),)

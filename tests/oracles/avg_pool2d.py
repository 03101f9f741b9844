"""Average pooling.

    y[n, c, i, j] = (1 / divisor[i, j]) * sum of x[n, c, row, column] over the real pixels of the window

whose positions are row = i sh + a - top, column = j sw + b - left for a < kh, b < kw. The divisor counts positions:
those inside the padded image, -top <= row < H + bottom and -left <= column < W + right, if `count_include_pad`; else
the real pixels. The overhang of a ceil-mode window never counts.

Empty windows: one that lies beyond the padded image (the "caffe" rule can leave one) gives 0. One that holds padding
but no real pixel gives 0 with `count_include_pad`, else 0/0 = NaN.

Source: LeCun et al. (1998), section II.B; Caffe's pooling_layer.cpp for its size rule.
"""

import math
from collections.abc import Iterator

import numpy as np

from tests.oracles._sizes import Padding, Pair, pool_output_size
from tests.oracles._sums import Array, Float64Array, exact_sum, scatter_sum


def forward(
    x: Array,
    *,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,
    count_include_pad: bool,
    convention: str,
) -> Float64Array:
    """Return y, shape (N, C, Ho, Wo)."""
    n_images, n_channels, height, width = x.shape
    (top, bottom), (left, right) = padding
    rounding = (ceil_mode, convention, top + bottom + left + right > 0)
    out_height = pool_output_size(height, kernel_size[0], stride[0], top, bottom, 1, *rounding)
    out_width = pool_output_size(width, kernel_size[1], stride[1], left, right, 1, *rounding)

    y = np.zeros((n_images, n_channels, out_height, out_width))
    for n, c, i, j in np.ndindex(y.shape):
        inside, real = _window(i, j, (height, width), kernel_size, stride, padding)
        divisor = len(inside) if count_include_pad else len(real)
        if divisor > 0:
            y[n, c, i, j] = exact_sum(float(x[n, c, row, column]) for row, column in real) / divisor
        elif inside:
            y[n, c, i, j] = math.nan
    return y


def backward(
    x: Array,
    *,
    dy: Array,
    kernel_size: Pair,
    stride: Pair,
    padding: Padding,
    ceil_mode: bool,  # with the convention, already visible in the shape of dy
    count_include_pad: bool,
    convention: str,
) -> tuple[Float64Array]:
    """Return (dx,): every real pixel of a window receives dy / divisor."""

    def shares() -> Iterator[tuple[tuple[int, ...], float]]:
        for n, c, i, j in np.ndindex(dy.shape):
            inside, real = _window(i, j, x.shape[2:], kernel_size, stride, padding)
            divisor = len(inside) if count_include_pad else len(real)
            for row, column in real:
                yield (n, c, row, column), float(dy[n, c, i, j]) / divisor

    return (scatter_sum(x.shape, shares()),)


def _window(
    i: int, j: int, size: tuple[int, ...], kernel_size: Pair, stride: Pair, padding: Padding
) -> tuple[list[Pair], list[Pair]]:
    """Return the (row, column) of window (i, j) inside the padded image, and those of them that are real pixels."""
    (height, width), ((top, bottom), (left, right)) = size, padding
    positions = [(i * stride[0] + a - top, j * stride[1] + b - left) for a, b in np.ndindex(kernel_size)]
    inside = [(r, c) for r, c in positions if -top <= r < height + bottom and -left <= c < width + right]
    real = [(r, c) for r, c in inside if 0 <= r < height and 0 <= c < width]
    return inside, real

"""2-D transposed convolution: every input pixel stamps its kernel, scaled, onto the output.

    y[n, g Co/G + o, i sh + a dh - top, j sw + b dw - left] += x[n, c, i, j] * weight[c, o, a, b]

for every n, c < Ci, i, j, o < Co/G, a < kh, b < kw, where g = floor(c / (Ci/G)) is the group of input channel c, G the
number of groups, s the stride and d the dilation; then bias is added to every pixel of y. What falls outside y is lost:

    Ho = (H - 1) sh + (kh - 1) dh + 1 - (top + bottom) + output_padding_h        (and so for the width)

The products form one set of index triples (source, tap, output). y sums x * weight by output; the chain rule sums
dy * weight by source into dx, and dy * x by tap into dweight.

Source: the adjoint of cross-correlation (Dumoulin and Visin, "A guide to convolution arithmetic for deep learning",
chapter 4; the deconvolution layer of Long et al., "Fully Convolutional Networks", section 3.3).
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._sizes import Padding, Pair
from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,
    dilation: Pair,
    groups: int,
) -> Float64Array:
    """Return y, shape (N, Co, Ho, Wo)."""
    height, width = (
        (x.shape[2 + axis] - 1) * stride[axis]
        + (weight.shape[2 + axis] - 1) * dilation[axis]
        + 1
        - sum(padding[axis])
        + output_padding[axis]
        for axis in (0, 1)
    )
    y_shape = (x.shape[0], weight.shape[1] * groups, height, width)
    terms = [
        (output, float(x[source]) * float(weight[tap]))
        for source, tap, output in _products(x.shape, weight.shape, y_shape, stride, padding, dilation, groups)
    ]
    if bias is not None:
        terms += [((n, o, i, j), float(bias[o])) for n, o, i, j in np.ndindex(y_shape)]
    return scatter_sum(y_shape, terms)


def backward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    dy: Array,
    stride: Pair,
    padding: Padding,
    output_padding: Pair,  # already visible in the shape of dy
    dilation: Pair,
    groups: int,
) -> tuple[Float64Array, Float64Array, Float64Array | None]:
    """Return (dx, dweight, dbias)."""
    products = list(_products(x.shape, weight.shape, dy.shape, stride, padding, dilation, groups))
    dx_terms = [(source, float(dy[output]) * float(weight[tap])) for source, tap, output in products]
    dweight_terms = [(tap, float(dy[output]) * float(x[source])) for source, tap, output in products]
    dbias_terms = [((o,), float(dy[n, o, i, j])) for n, o, i, j in np.ndindex(dy.shape)]
    return (
        scatter_sum(x.shape, dx_terms),
        scatter_sum(weight.shape, dweight_terms),
        None if bias is None else scatter_sum(bias.shape, dbias_terms),
    )


def _products(
    x_shape: Index, weight_shape: Index, y_shape: Index, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Iterator[tuple[Index, Index, Index]]:
    """Yield (source, tap, output): the indices into x, weight and y of every product in the definition."""
    (top, _), (left, _) = padding
    in_channels, out_channels_per_group = weight_shape[:2]
    for n, c, i, j in np.ndindex(x_shape):
        group = c // (in_channels // groups)
        for o, a, b in np.ndindex(weight_shape[1:]):
            row = i * stride[0] + a * dilation[0] - top
            column = j * stride[1] + b * dilation[1] - left
            if 0 <= row < y_shape[2] and 0 <= column < y_shape[3]:
                yield (n, c, i, j), (c, o, a, b), (n, group * out_channels_per_group + o, row, column)

"""2-D cross-correlation with zero padding, as a scalar sum.

    y[n, o, i, j] = bias[o] + sum_{c, a, b} weight[o, c, a, b] * x[n, g C/G + c, i sh + a dh - top, j sw + b dw - left]

for c < C/G, a < kh, b < kw, where g = floor(o / (O/G)) is the group of output channel o, G the number of groups, s the
stride and d the dilation. The kernel is not flipped. Pixels outside x are zero: their terms are left out.

The products form one set of index triples (output, tap, source). y sums them by output; the chain rule sums
dy * weight by source into dx, and dy * x by tap into dweight.

Source: deck 003, x_ij = sum_a sum_b w_ab y_(i+a)(j+b); stride, padding, dilation and groups as in Dumoulin & Visin
(2016).
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._sizes import Padding, Pair, conv_output_size
from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(
    x: Array,
    weight: Array,
    bias: Array | None,
    *,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Float64Array:
    """Return y, shape (N, O, Ho, Wo)."""
    height, width = (
        conv_output_size(x.shape[2 + axis], weight.shape[2 + axis], stride[axis], *padding[axis], dilation[axis])
        for axis in (0, 1)
    )
    y_shape = (x.shape[0], weight.shape[0], height, width)
    terms = [
        (output, float(weight[tap]) * float(x[source]))
        for output, tap, source in _products(y_shape, weight.shape, x.shape, stride, padding, dilation, groups)
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
    dilation: Pair,
    groups: int,
) -> tuple[Float64Array, Float64Array, Float64Array | None]:
    """Return (dx, dweight, dbias)."""
    products = list(_products(dy.shape, weight.shape, x.shape, stride, padding, dilation, groups))
    dx_terms = [(source, float(dy[output]) * float(weight[tap])) for output, tap, source in products]
    dweight_terms = [(tap, float(dy[output]) * float(x[source])) for output, tap, source in products]
    dbias_terms = [((o,), float(dy[n, o, i, j])) for n, o, i, j in np.ndindex(dy.shape)]
    return (
        scatter_sum(x.shape, dx_terms),
        scatter_sum(weight.shape, dweight_terms),
        None if bias is None else scatter_sum(bias.shape, dbias_terms),
    )


def _products(
    y_shape: Index, weight_shape: Index, x_shape: Index, stride: Pair, padding: Padding, dilation: Pair, groups: int
) -> Iterator[tuple[Index, Index, Index]]:
    """Yield (output, tap, source): the indices into y, weight and x of every product in the definition."""
    (top, _), (left, _) = padding
    out_channels, channels_per_group = weight_shape[:2]
    for n, o, i, j in np.ndindex(y_shape):
        group = o // (out_channels // groups)
        for c, a, b in np.ndindex(weight_shape[1:]):
            row = i * stride[0] + a * dilation[0] - top
            column = j * stride[1] + b * dilation[1] - left
            if 0 <= row < x_shape[2] and 0 <= column < x_shape[3]:
                yield (n, o, i, j), (o, c, a, b), (n, group * channels_per_group + c, row, column)

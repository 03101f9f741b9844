"""Repeat x along its axes of length 1, and along new leading axes, to the given shape.

    y[i] = x[j],    dx[j] = sum of dy[i] over all i that read j

where j keeps the last x.ndim entries of i, with a 0 on every axis of length 1.
"""

import numpy as np

from tests.oracles._elementwise import source_index
from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(x: Array, *, shape: Index) -> Float64Array:
    """Return y, of this shape."""
    y = np.empty(shape)
    for i in np.ndindex(shape):
        y[i] = float(x[source_index(i, x.shape)])
    return y


def backward(x: Array, *, dy: Array, shape: Index) -> tuple[Float64Array]:
    """Return (dx,)."""
    return (scatter_sum(x.shape, ((source_index(i, x.shape), float(dy[i])) for i in np.ndindex(shape))),)

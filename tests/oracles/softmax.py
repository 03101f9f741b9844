"""Softmax along one axis.

    y_i = e^x_i / sum_j e^x_j = e^(x_i - m) / sum_j e^(x_j - m),    m = max_j x_j
    dy_j/dx_i = y_j (delta_ij - y_i)

The common shift m leaves the quotient as it is, and keeps every exponential in 0 ... 1.
"""

import math

import numpy as np

from tests.oracles._axes import groups
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(x: Array, *, axis: int) -> Float64Array:
    """Return y, the shape of x."""
    y = np.empty(x.shape)
    for line in groups(x.shape, axis).values():
        largest = max((float(x[j]) for j in line), default=0.0)
        total = exact_sum(math.exp(float(x[j]) - largest) for j in line)
        for i in line:
            y[i] = math.exp(float(x[i]) - largest) / total
    return y


def backward(x: Array, *, dy: Array, axis: int) -> tuple[Float64Array]:
    """Return (dx,)."""
    y = forward(x, axis=axis)
    dx = np.empty(x.shape)
    for line in groups(x.shape, axis).values():
        for i in line:
            dx[i] = exact_sum(float(dy[j]) * float(y[j]) * ((i == j) - float(y[i])) for j in line)
    return (dx,)

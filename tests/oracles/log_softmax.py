"""Logarithm of the softmax along one axis.

    y_i = x_i - ln sum_j e^x_j = (x_i - m) - ln(1 + r),    m = max_j x_j,    r = sum_j e^(x_j - m) - 1
    dy_j/dx_i = delta_ij - softmax(x)_i

The common shift m changes nothing; r >= 0 is the sum of all exponentials but the largest, so that log1p(r) is accurate
where one logit stands out and y there is close to 0.
"""

import math

import numpy as np

from tests.oracles import softmax
from tests.oracles._axes import groups
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(x: Array, *, axis: int) -> Float64Array:
    """Return y, the shape of x."""
    y = np.empty(x.shape)
    for line in groups(x.shape, axis).values():
        largest = max((float(x[j]) for j in line), default=0.0)
        rest = exact_sum([-1.0, *(math.exp(float(x[j]) - largest) for j in line)])
        for i in line:
            y[i] = (float(x[i]) - largest) - math.log1p(rest)
    return y


def backward(x: Array, *, dy: Array, axis: int) -> tuple[Float64Array]:
    """Return (dx,)."""
    probability = softmax.forward(x, axis=axis)
    dx = np.empty(x.shape)
    for line in groups(x.shape, axis).values():
        for i in line:
            dx[i] = exact_sum(float(dy[j]) * ((i == j) - float(probability[i])) for j in line)
    return (dx,)

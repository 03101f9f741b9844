"""Mean over some axes: y = (1/n) sum_i x_i, dy/dx_i = 1/n. A mean over no elements is 0/0 = NaN."""

import numpy as np

from tests.oracles._axes import Axes, groups, reduced_shape
from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(x: Array, *, axis: Axes, keepdims: bool) -> Float64Array:
    """Return y."""
    y = np.empty(reduced_shape(x.shape, axis, keepdims=True))
    for output, members in groups(x.shape, axis).items():
        y[output] = quotient(exact_sum(float(x[i]) for i in members), len(members))
    return y.reshape(reduced_shape(x.shape, axis, keepdims))


def backward(x: Array, *, dy: Array, axis: Axes, keepdims: bool) -> tuple[Float64Array]:
    """Return (dx,)."""
    dy = np.reshape(dy, reduced_shape(x.shape, axis, keepdims=True))
    dx = np.empty(x.shape)
    for output, members in groups(x.shape, axis).items():
        for i in members:
            dx[i] = float(dy[output]) / len(members)
    return (dx,)

"""Maximum over some axes.

    y = x_w,    dy/dx_i = 1 if i = w, else 0

w is the first maximum in row-major order over the reduced axes, taken in increasing order; a NaN beats every number,
and the first NaN wins. There is no maximum over no elements.
"""

import math

import numpy as np

from tests.oracles._axes import Axes, groups, reduced_shape
from tests.oracles._sums import Array, Float64Array, Index


def forward(x: Array, *, axis: Axes, keepdims: bool) -> Float64Array:
    """Return y."""
    y = np.empty(reduced_shape(x.shape, axis, keepdims=True))
    for output, members in groups(x.shape, axis).items():
        y[output] = float(x[_winner(x, members)])
    return y.reshape(reduced_shape(x.shape, axis, keepdims))


def backward(x: Array, *, dy: Array, axis: Axes, keepdims: bool) -> tuple[Float64Array]:
    """Return (dx,)."""
    dy = np.reshape(dy, reduced_shape(x.shape, axis, keepdims=True))
    dx = np.zeros(x.shape)
    for output, members in groups(x.shape, axis).items():
        dx[_winner(x, members)] = float(dy[output])
    return (dx,)


def _winner(x: Array, members: list[Index]) -> Index:
    if not members:
        raise ValueError("a maximum over no elements is not defined")
    best = members[0]
    for i in members[1:]:
        first_nan = math.isnan(x[i]) and not math.isnan(x[best])
        if x[i] > x[best] or first_nan:
            best = i
    return best

"""Permute the axes: axis k of y is axis axes[k] of x.

y[i[axes[0]], i[axes[1]], ...] = x[i[0], i[1], ...]
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index


def forward(x: Array, *, axes: Index) -> Float64Array:
    """Return y."""
    y = np.empty(tuple(x.shape[axis] for axis in axes))
    for i in np.ndindex(x.shape):
        y[tuple(i[axis] for axis in axes)] = float(x[i])
    return y


def backward(x: Array, *, dy: Array, axes: Index) -> tuple[Float64Array]:
    """Return (dx,)."""
    dx = np.empty(x.shape)
    for i in np.ndindex(x.shape):
        dx[i] = float(dy[tuple(i[axis] for axis in axes)])
    return (dx,)

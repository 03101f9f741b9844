"""Pick elements of x by a NumPy key.

    y[i] = x[j(i)],    dx[j] = sum of dy[i] over all i with j(i) = j

NumPy itself says which element j(i) the key puts at i, by indexing the flat positions 0 ... x.size - 1; an element that
the key does not pick gets 0, one that it picks several times gets the sum.
"""

from typing import Any

import numpy as np

from tests.oracles._sums import Array, Float64Array, scatter_sum


def forward(x: Array, *, key: Any) -> Float64Array:
    """Return y, the shape of x[key]."""
    position = _positions(x, key)
    y = np.empty(position.shape)
    for i in np.ndindex(position.shape):
        y[i] = float(x.flat[int(position[i])])
    return y


def backward(x: Array, *, dy: Array, key: Any) -> tuple[Float64Array]:
    """Return (dx,)."""
    position = _positions(x, key)
    picks = (((int(position[i]),), float(dy[i])) for i in np.ndindex(position.shape))
    return (scatter_sum((x.size,), picks).reshape(x.shape),)


def _positions(x: Array, key: Any) -> Array:
    return np.asarray(np.arange(x.size).reshape(x.shape)[key])

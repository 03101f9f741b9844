"""Join arrays of one shape along a new axis: y[..., m, ...] = x_m[..., ...], with m on the new axis."""

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index


def forward(*xs: Array, axis: int) -> Float64Array:
    """Return y."""
    y = np.empty(_insert(xs[0].shape, axis, len(xs)))
    for m, x in enumerate(xs):
        for i in np.ndindex(x.shape):
            y[_insert(i, axis, m)] = float(x[i])
    return y


def backward(*xs: Array, dy: Array, axis: int) -> tuple[Float64Array, ...]:
    """Return one gradient per array."""
    dxs = tuple(np.empty(x.shape) for x in xs)
    for m, dx in enumerate(dxs):
        for i in np.ndindex(dx.shape):
            dx[i] = float(dy[_insert(i, axis, m)])
    return dxs


def _insert(index: Index, axis: int, entry: int) -> Index:
    """Return the index with this entry on the new axis; a negative axis counts from the end of the result."""
    place = axis % (len(index) + 1)
    return (*index[:place], entry, *index[place:])

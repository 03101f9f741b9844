"""Join arrays along an existing axis: the first comes first, and each begins where the one before it ended.

y[..., offset_m + p, ...] = x_m[..., p, ...],    offset_m = sum of the lengths of x_0 ... x_(m-1) along the axis
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index


def forward(*xs: Array, axis: int) -> Float64Array:
    """Return y."""
    shape = list(xs[0].shape)
    shape[axis] = sum(x.shape[axis] for x in xs)
    y = np.empty(shape)
    for m, source, output in _pairs(xs, axis):
        y[output] = float(xs[m][source])
    return y


def backward(*xs: Array, dy: Array, axis: int) -> tuple[Float64Array, ...]:
    """Return one gradient per array."""
    dxs = tuple(np.empty(x.shape) for x in xs)
    for m, source, output in _pairs(xs, axis):
        dxs[m][source] = float(dy[output])
    return dxs


def _pairs(xs: tuple[Array, ...], axis: int) -> Iterator[tuple[int, Index, Index]]:
    """Yield (m, index into x_m, index into y) of every element."""
    offset = 0
    for m, x in enumerate(xs):
        for source in np.ndindex(x.shape):
            output = list(source)
            output[axis] += offset
            yield m, source, tuple(output)
        offset += x.shape[axis]

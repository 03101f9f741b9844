"""Matrix product, batched and broadcast as in NumPy.

    z[..., i, j] = sum_k x[..., i, k] y[..., k, j]
    dx[..., i, k] = sum_j dz[..., i, j] y[..., k, j],    dy[..., k, j] = sum_i dz[..., i, j] x[..., i, k]

where an operand that broadcasting repeats along a batch axis sums over that axis too. A 1-D x is a row and a 1-D y a
column; the axis of length 1 that this adds is dropped from z.
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles._elementwise import source_index
from tests.oracles._sums import Array, Float64Array, Index, scatter_sum


def forward(x: Array, y: Array) -> Float64Array:
    """Return z."""
    a, b = _as_matrices(x, y)
    z = scatter_sum(
        _product_shape(a, b),
        ((output, float(a[left]) * float(b[right])) for output, left, right in _products(a, b)),
    )
    *batch, n_rows, n_columns = z.shape
    return z.reshape((*batch, *([n_rows] if x.ndim > 1 else []), *([n_columns] if y.ndim > 1 else [])))


def backward(x: Array, y: Array, *, dy: Array) -> tuple[Float64Array, Float64Array]:
    """Return the gradients of x and y; `dy` belongs to z."""
    a, b = _as_matrices(x, y)
    dz = dy.reshape(_product_shape(a, b))
    products = list(_products(a, b))
    da = scatter_sum(a.shape, ((left, float(dz[output]) * float(b[right])) for output, left, right in products))
    db = scatter_sum(b.shape, ((right, float(dz[output]) * float(a[left])) for output, left, right in products))
    return da.reshape(x.shape), db.reshape(y.shape)


def _as_matrices(x: Array, y: Array) -> tuple[Array, Array]:
    """Return x and y with at least two axes."""
    return (x[np.newaxis, :] if x.ndim == 1 else x), (y[:, np.newaxis] if y.ndim == 1 else y)


def _product_shape(a: Array, b: Array) -> Index:
    return (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])


def _products(a: Array, b: Array) -> Iterator[tuple[Index, Index, Index]]:
    """Yield (output, left, right): the indices into z, a and b of every product in the definition."""
    for *batch, i, j in np.ndindex(_product_shape(a, b)):
        a_batch, b_batch = source_index(tuple(batch), a.shape[:-2]), source_index(tuple(batch), b.shape[:-2])
        for k in range(a.shape[-1]):
            yield (*batch, i, j), (*a_batch, i, k), (*b_batch, k, j)

"""Values of points, spread over the lattice vertices around them.

    z[v, c] = sum of weights[i, k] values[i, c] over all i, k with ids[i, k] = v

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum, scatter_sum


def forward(values: Array, weights: Array, ids: Array, *, n_vertices: int) -> Float64Array:
    """Return z, shape (M, V)."""
    return scatter_sum(
        (n_vertices, values.shape[1]),
        (
            ((int(ids[i, k]), c), float(weights[i, k]) * float(values[i, c]))
            for i, k in np.ndindex(ids.shape)
            for c in range(values.shape[1])
        ),
    )


def backward(
    values: Array, weights: Array, ids: Array, *, dy: Array, n_vertices: int
) -> tuple[Float64Array, Float64Array, None]:
    """Return (dvalues, dweights, None)."""
    dvalues, dweights = np.zeros(values.shape), np.zeros(weights.shape)
    for i, c in np.ndindex(values.shape):
        dvalues[i, c] = exact_sum(float(weights[i, k]) * float(dy[ids[i, k], c]) for k in range(ids.shape[1]))
    for i, k in np.ndindex(weights.shape):
        dweights[i, k] = exact_sum(float(values[i, c]) * float(dy[ids[i, k], c]) for c in range(values.shape[1]))
    return dvalues, dweights, None

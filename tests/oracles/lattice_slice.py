"""Values of lattice vertices, read at points.

    y[i, c] = scale * sum_k weights[i, k] z[ids[i, k], c]

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010.
"""

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum, scatter_sum


def forward(z: Array, weights: Array, ids: Array, *, scale: float) -> Float64Array:
    """Return y, shape (N, V)."""
    y = np.zeros((len(ids), z.shape[1]))
    for i, c in np.ndindex(y.shape):
        y[i, c] = scale * exact_sum(float(weights[i, k]) * float(z[ids[i, k], c]) for k in range(ids.shape[1]))
    return y


def backward(
    z: Array, weights: Array, ids: Array, *, dy: Array, scale: float
) -> tuple[Float64Array, Float64Array, None]:
    """Return (dz, dweights, None)."""
    corners, channels = list(np.ndindex(ids.shape)), range(z.shape[1])
    dz = scatter_sum(
        z.shape,
        (((int(ids[i, k]), c), scale * float(weights[i, k]) * float(dy[i, c])) for i, k in corners for c in channels),
    )
    dweights = np.zeros(weights.shape)
    for i, k in corners:
        dweights[i, k] = scale * exact_sum(float(z[ids[i, k], c]) * float(dy[i, c]) for c in channels)
    return dz, dweights, None

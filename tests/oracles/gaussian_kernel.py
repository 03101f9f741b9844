"""The Gaussian kernel between all pairs of points.

    K[i, j] = exp(-1/2 |f_i - f_j|^2), so K[i, i] = 1;    with exclude_self, K[i, i] = 0

    dK[i, j]/df_i = -K[i, j] (f_i - f_j) = -dK[i, j]/df_j

Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", NIPS 2011,
section 2; deck 004.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array, Index, exact_sum, scatter_sum


def forward(features: Array, *, exclude_self: bool) -> Float64Array:
    """Return K, shape (N, N)."""
    n_points, d = features.shape
    K = np.zeros((n_points, n_points))
    for i, j in np.ndindex(K.shape):
        if i != j or not exclude_self:
            squares = ((float(features[i, m]) - float(features[j, m])) ** 2 for m in range(d))
            K[i, j] = math.exp(-0.5 * exact_sum(squares))
    return K


def backward(features: Array, *, dy: Array, exclude_self: bool) -> tuple[Float64Array]:
    """Return (dfeatures,)."""
    K = forward(features, exclude_self=exclude_self)
    terms: list[tuple[Index, float]] = []
    for i, j in np.ndindex(K.shape):
        for m in range(features.shape[1]):
            slope = -float(dy[i, j]) * float(K[i, j]) * (float(features[i, m]) - float(features[j, m]))
            terms += [((i, m), slope), ((j, m), -slope)]
    return (scatter_sum(features.shape, terms),)

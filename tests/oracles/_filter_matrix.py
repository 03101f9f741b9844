"""The filters of the dense CRF as matrices of features that may be complex.

Which cell of the lattice a point lies in, and which vertices there are, is decided by the real parts, once; what is
left is a smooth function of the features. Its derivative along a direction v is the imaginary part of the matrix at
f + i h v, divided by h (Squire and Trapp, "Using Complex Variables to Estimate Derivatives of Real Functions", SIAM
Review 1998): without a difference, and so exact to rounding for a tiny h.
"""

from collections.abc import Callable

import numpy as np

from tests.oracles import lattice_blur, lattice_embed, lattice_index, truncated_gaussian
from tests.oracles._sums import Array

MatrixOf = Callable[[Array], Array]  # features (N, d) near those decided on -> K (N, N), complex


def normalised_filter(
    features: Array, *, kind: str, shape: tuple[int, int] | None, normalisation: str, exclude_self: bool
) -> MatrixOf:
    """Return the filter matrix around these features, with n = K 1 + 1e-20.

    "none": K; "before": K diag(1/n); "after": diag(1/n) K; "symmetric": diag(n^-1/2) K diag(n^-1/2).
    """
    unnormalised = {
        "exact": lambda: _exact(exclude_self),
        "truncated": lambda: _truncated(features, shape),
        "lattice": lambda: _lattice(features),
    }[kind]()
    power_left, power_right = {"none": (0, 0), "before": (0, -1), "after": (-1, 0), "symmetric": (-0.5, -0.5)}[
        normalisation
    ]

    def matrix(near: Array) -> Array:
        K = unnormalised(near)
        n = [sum(row) + 1e-20 for row in K]
        for i, j in np.ndindex(K.shape):
            K[i, j] *= n[i] ** power_left * n[j] ** power_right
        return K

    return matrix


def _exact(exclude_self: bool) -> MatrixOf:
    """K[i, j] = exp(-1/2 |f_i - f_j|^2)."""

    def matrix(near: Array) -> Array:
        K = np.zeros((len(near), len(near)), dtype=complex)
        for i, j in np.ndindex(K.shape):
            if i != j or not exclude_self:
                K[i, j] = np.exp(-0.5 * sum((a - b) ** 2 for a, b in zip(near[i], near[j], strict=True)))
        return K

    return matrix


def _truncated(features: Array, shape: tuple[int, int] | None) -> MatrixOf:
    """Column p is the filtered image of pixel p alone; the features are the grid (x/theta_x, y/theta_y), a constant."""
    assert shape is not None
    height, width = shape
    theta_x = 1 / (float(features[1, 0]) - float(features[0, 0])) if width > 1 else 1.0
    theta_y = 1 / (float(features[width, 1]) - float(features[0, 1])) if height > 1 else 1.0
    pixels = np.eye(height * width).reshape(height, width, height * width)
    columns = truncated_gaussian.forward(pixels, sigma=(theta_y, theta_x), truncate=4.0)
    return lambda near: columns.reshape(height * width, height * width).astype(complex)


def _lattice(features: Array) -> MatrixOf:
    """S B S^T / (1 + 2^-d): row i of S has the weights of point i, B blurs single vertices."""
    d = features.shape[1]
    simplices = [lattice_embed.simplex(lattice_embed.elevate([float(f) for f in point])) for point in features]
    vertices, ids, neighbours = lattice_index.forward(lattice_embed.forward(features)[1])
    blur = lattice_blur.forward(np.eye(len(vertices)), neighbours, reverse=False)

    def matrix(near: Array) -> Array:
        S = np.zeros((len(near), len(vertices)), dtype=complex)
        for i, corners in enumerate(simplices):
            weights = lattice_embed.barycentric(lattice_embed.elevate(list(near[i])), corners)
            for k, weight in enumerate(weights):
                S[i, ids[i, k]] = weight
        K: Array = S @ blur @ S.T / (1 + 2.0**-d)
        return K

    return matrix

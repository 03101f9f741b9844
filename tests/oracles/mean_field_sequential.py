"""Mean-field inference in a fully connected CRF, one point after another, with the exact kernel.

    q = softmax(-unary), and `sweeps` times, for i = 0 ... N - 1,
    q[i] <- softmax(-unary[i] - p),    p[l] = sum_m sum_l' mu_m[l, l'] sum_j K_m[i, j] q[j, l']

with the q of all points as it is by then, that of i itself included unless exclude_self. K_m is the normalised kernel
on the m-th run of feature columns.

Source: Kraehenbuehl and Koltun, NIPS 2011, section 3; Koller and Friedman, "Probabilistic Graphical Models", 2009,
algorithm 11.7.
"""

import numpy as np

from tests.oracles._filter_matrix import normalised_filter
from tests.oracles._sums import Array, Float64Array, exact_sum
from tests.oracles.mean_field import feature_blocks, softmax_row


def forward(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    normalisation: tuple[str, ...],
    exclude_self: bool,
    sweeps: int,
) -> Float64Array:
    """Return q, shape (N, L)."""
    n_points, n_labels = unary.shape
    matrices = []
    for block, norm in zip(feature_blocks(features, dimensions), normalisation, strict=True):
        K = normalised_filter(block, kind="exact", shape=None, normalisation=norm, exclude_self=exclude_self)
        matrices.append(K(block.astype(np.float64)).real)

    q = np.zeros(unary.shape)
    for i in range(n_points):
        q[i] = softmax_row(np.array([-float(u) for u in unary[i]]))
    for _ in range(sweeps):
        for i in range(n_points):
            scores = [-float(u) for u in unary[i]]
            for label in range(n_labels):
                scores[label] -= exact_sum(
                    float(mu[label, other]) * float(K[i, j]) * float(q[j, other])
                    for K, mu in zip(matrices, compatibilities, strict=True)
                    for j in range(n_points)
                    for other in range(n_labels)
                )
            q[i] = softmax_row(np.array(scores))
    return q

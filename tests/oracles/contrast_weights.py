"""The weights of a grid's edges: small where the colour changes.

    weight of (i, j) = w1 exp(-beta |x_i - x_j|^2) + w2,    divided by the edge's length where there are lengths

beta None stands for 1 / (2 mean of |x_i - x_j|^2 over all edges), and for 0 where that mean is 0 or there is no edge.

Source: Shotton et al., "TextonBoost"; Rother et al., "GrabCut", section 2; deck 004.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(
    colours: Array, edges: Array, lengths: Array | None, *, w1: float, w2: float, beta: float | None
) -> Float64Array:
    """Return weights, shape (E,)."""
    contrasts = [
        exact_sum((float(a) - float(b)) ** 2 for a, b in zip(colours[i], colours[j], strict=True)) for i, j in edges
    ]
    if beta is None:
        mean = exact_sum(contrasts) / len(contrasts) if contrasts else 0.0
        beta = 1 / (2 * mean) if mean > 0 else 0.0
    weights = np.empty(len(edges))
    for e, contrast in enumerate(contrasts):
        weights[e] = w1 * math.exp(-beta * contrast) + w2
        if lengths is not None:
            weights[e] /= float(lengths[e])
    return weights

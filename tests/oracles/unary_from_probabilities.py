"""The unary energies of a classifier's probabilities.

    u[i, l] = -ln(min(max(p[i, l], floor), 1))

A NaN stays NaN; with floor 0 a probability of 0 costs inf.

Source: Kraehenbuehl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge Potentials", section 2;
deck 004. The floor is that of pydensecrf's `unary_from_softmax`.
"""

import math

import numpy as np

from tests.oracles._ieee import log
from tests.oracles._sums import Array, Float64Array


def forward(probabilities: Array, *, floor: float) -> Float64Array:
    """Return unary, shape (N, L)."""
    unary = np.empty(probabilities.shape)
    for index in np.ndindex(probabilities.shape):
        p = float(probabilities[index])
        unary[index] = p if math.isnan(p) else -log(min(max(p, floor), 1.0))
    return unary

"""The free energy that mean-field inference lowers.

    F = sum over i, l of q[i, l] (log q[i, l] + unary[i, l] + 1/2 pairwise[i, l]),    0 log 0 = 0

where pairwise[i, l] is the expected pairwise cost of label l at point i; each unordered pair counts once, so 1/2.

Source: Kraehenbuehl and Koltun, NIPS 2011, section 3 (the KL divergence, up to log Z); deck 004.
"""

import math

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(q: Array, unary: Array, pairwise: Array) -> Float64Array:
    """Return F, shape ()."""
    terms = []
    for place in np.ndindex(q.shape):
        probability = float(q[place])
        terms.append(probability * math.log(probability) if probability > 0 else 0.0)
        terms.append(probability * float(unary[place]))
        terms.append(0.5 * probability * float(pairwise[place]))
    return np.array(exact_sum(terms))

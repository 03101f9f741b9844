"""Percentage of correct parts: for each limb, the fraction of the samples in which it is found.

The limb (a, b) of a sample is found if

    |p_a - q_a| <= alpha |q_a - q_b|    and    |p_b - q_b| <= alpha |q_a - q_b|,

p the predicted joints, q the true ones. A sample counts for a limb if both its ends are visible; no such sample: NaN.

Source: Ferrari, Marin-Jimenez and Zisserman, "Progressive search space reduction for human pose estimation" (2008).
"""

import math

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sizes import Pair
from tests.oracles._sums import Array, Float64Array


def forward(
    predictions: Array, truths: Array, visible: Array, *, limbs: tuple[Pair, ...], alpha: float
) -> Float64Array:
    """Return the fractions, of shape (L,)."""
    fractions = np.zeros(len(limbs))
    for limb, (a, b) in enumerate(limbs):
        samples = [n for n in range(len(truths)) if visible[n, a] and visible[n, b]]
        n_found = 0
        for n in samples:
            bar = alpha * math.dist(truths[n, a], truths[n, b])
            n_found += all(math.dist(predictions[n, end], truths[n, end]) <= bar for end in (a, b))
        fractions[limb] = quotient(n_found, len(samples))
    return fractions

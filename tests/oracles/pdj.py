"""Percentage of detected joints: for each joint, the fraction of the samples in which it is found.

Joint j of a sample is found if |p_j - q_j| <= fraction |q_a - q_b|, p the predicted joints, q the true ones, and (a, b)
the two that span the torso. A sample counts for a joint if the joint and both ends of the torso are visible; no such
sample: NaN.

Source: Sapp and Taskar, "MODEC: multimodal decomposable models for human pose estimation" (2013).
"""

import math

import numpy as np

from tests.oracles._ieee import quotient
from tests.oracles._sizes import Pair
from tests.oracles._sums import Array, Float64Array


def forward(predictions: Array, truths: Array, visible: Array, *, torso: Pair, fraction: float) -> Float64Array:
    """Return the fractions, of shape (J,)."""
    a, b = torso
    n_samples, n_joints = visible.shape
    fractions = np.zeros(n_joints)
    for j in range(n_joints):
        samples = [n for n in range(n_samples) if visible[n, j] and visible[n, a] and visible[n, b]]
        n_found = 0
        for n in samples:
            bar = fraction * math.dist(truths[n, a], truths[n, b])
            n_found += math.dist(predictions[n, j], truths[n, j]) <= bar
        fractions[j] = quotient(n_found, len(samples))
    return fractions

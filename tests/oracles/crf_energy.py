"""The energy of a labelling, every edge counted once.

    E = sum over points i of unary[i, l_i]  +  sum over edges (i, j) of weight(i, j) compatibility[l_i, l_j]

The first end of an edge gives the row, the second the column.

Source: deck 004, "Conditional Random Fields", whose sum over neighbours counts an edge twice; its mean-field update and
this sum count it once.
"""

from collections.abc import Sequence

import numpy as np

from tests.oracles._sums import Array, Float64Array, exact_sum


def forward(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array) -> Float64Array:
    """Return energy, shape ()."""
    return np.array(energy(unary, edges, weights, compatibility, [int(label) for label in labels]))


def energy(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Sequence[int]) -> float:
    """Return the energy, rounded once."""
    terms = [float(unary[i, label]) for i, label in enumerate(labels)]
    for (i, j), weight in zip(edges, weights, strict=True):
        terms.append(float(weight) * float(compatibility[labels[i], labels[j]]))
    return exact_sum(terms)

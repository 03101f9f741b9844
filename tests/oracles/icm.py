"""Iterated conditional modes: point after point takes the label that is best for it, given its neighbours' labels.

    local energy of i at l = unary[i, l] + sum over edges (i, j) of weight compatibility[l, l_j]
                                         + sum over edges (j, i) of weight compatibility[l_j, l]

A sweep visits the points in their order; each sees what those before it have become. Of equally good labels the current
one is kept, or else the lowest taken. The sweeps end after one that changes nothing (it counts), or after `sweeps`.

Source: Besag, "On the Statistical Analysis of Dirty Pictures", section 2.5.
"""

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, exact_sum
from tests.oracles.crf_energy import energy


def forward(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, sweeps: int
) -> tuple[NDArray[np.int64], Float64Array]:
    """Return (labels, energies): the energy at the start, and after each sweep done."""
    n_points, n_labels = unary.shape
    now = [int(label) for label in labels]
    energies = [energy(unary, edges, weights, compatibility, now)]
    for _ in range(sweeps):
        before = list(now)
        for i in range(n_points):
            local = [_local_energy(unary, edges, weights, compatibility, now, i, l) for l in range(n_labels)]
            if local[now[i]] != min(local):
                now[i] = local.index(min(local))
        energies.append(energy(unary, edges, weights, compatibility, now))
        if now == before:
            break
    return np.array(now, dtype=np.int64), np.array(energies)


def _local_energy(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: list[int], point: int, label: int
) -> float:
    """Return what depends on the label of one point."""
    terms = [float(unary[point, label])]
    for (i, j), weight in zip(edges, weights, strict=True):
        if i == point:
            terms.append(float(weight) * float(compatibility[label, labels[j]]))
        if j == point:
            terms.append(float(weight) * float(compatibility[labels[i], label]))
    return exact_sum(terms)

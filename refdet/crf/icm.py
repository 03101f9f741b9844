"""Iterated conditional modes: each point in turn takes the label that is best given its neighbours'.

    y_i ← argmin_l  ψ_u(l) + Σ_{j ∈ N(i)} w_ij μ(l, y_j)        i = 0, 1, …, N − 1, again and again

Besag, "On the statistical analysis of dirty pictures", JRSS B 48, 1986. The energy never rises, but for the rounding of
its sums, and the result is a labelling that no change of a single label improves; which one depends on where it starts.

Conventions:

- Points in ascending order (raster order on a grid), each with the newest labels of its neighbours.
- A tie keeps the current label; between other labels the lowest wins.
- Local energies are added in float64: the unary potential first, then the edges in the order in which they are given.
- It stops after a sweep that changes nothing, which counts as a sweep, or after `sweeps`.
- The graph is that of `refdet.crf.crf_energy`; here μ[l, l'] is read as μ[l', l].
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, integer, shape_of
from refdet.core.kernel import kernel
from refdet.crf.crf_energy import (
    cheapest_labels,
    check_graph,
    check_label_values,
    check_labels,
    check_values,
    energy_in_float64,
)


def _check(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, sweeps: int) -> None:
    check_graph("icm", unary, edges, weights, compatibility)
    check_labels("icm", labels, unary)
    integer("icm", "sweeps", sweeps, low=0)


@kernel("icm", check=_check)
def icm_kernel(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array, *, sweeps: int
) -> tuple[Array, Array]:
    """Return the labels, (N,) int64, and the energies before the first sweep and after each, (sweeps done + 1,)."""
    psi, w, mu = (x.astype(np.float64) for x in (unary, weights, compatibility))
    y = labels.astype(np.int64)
    neighbours: list[list[tuple[int, float]]] = [[] for _ in range(len(y))]
    for (i, j), w_ij in zip(edges.tolist(), w.tolist(), strict=True):
        neighbours[i].append((j, w_ij))
        neighbours[j].append((i, w_ij))

    energies = [energy_in_float64(psi, edges, w, mu, y)]
    for _ in range(sweeps):
        changed = False
        for i in range(len(y)):
            local = psi[i].copy()  # (L,)
            for j, w_ij in neighbours[i]:
                local += w_ij * mu[y[j]]
            best = local.argmin()
            if local[best] < local[y[i]]:
                y[i] = best
                changed = True
        energies.append(energy_in_float64(psi, edges, w, mu, y))
        if not changed:
            break
    return y, np.array(energies, np.result_type(unary))


def icm(
    unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array | None = None, *, sweeps: int = 100
) -> tuple[Array, Array]:
    """Lower the energy of a labelling point by point, until no single change lowers it further.

    Args:
        unary: (N, L), float32 or float64, as are weights and compatibility: what each label costs each point.
        edges: (E, 2) integers, the ends of each edge.
        weights: (E,).
        compatibility: (L, L), symmetric: what a pair of labels costs an edge of weight 1.
        labels: (N,) integers in 0 … L − 1 to start from; None for the lowest unary potentials, the first of equals.
        sweeps: how many at most.

    Returns:
        The labels, (N,) int64; and the energies before the first sweep and after each, (sweeps done + 1,).

    The middle one of three points prefers label 1 by 1, but its neighbours, joined by 3/4 each, have label 0:

    >>> unary = np.array([[0.0, 5.0], [1.0, 0.0], [0.0, 5.0]])
    >>> icm(unary, np.array([[0, 1], [1, 2]]), np.array([0.75, 0.75]), np.array([[0.0, 1.0], [1.0, 0.0]]))
    (array([0, 0, 0]), array([1.5, 1. , 1. ]))
    """
    check_graph("icm", unary, edges, weights, compatibility)
    check_values("icm", unary, edges, weights, compatibility)
    if labels is None:
        labels = cheapest_labels(unary)
    check_labels("icm", labels, unary)
    check_label_values("icm", labels, shape_of(unary)[1])
    return icm_kernel(unary, edges, weights, compatibility, labels, sweeps=sweeps)

"""The energy of a labelling of a graph, and the checks of all that lowers it.

    E(y) = Σ_i ψ_u(y_i) + Σ_(i,j) w_ij μ(y_i, y_j)        each edge once

Deck 004, "Adjacency CRFs" and "Conditional Random Fields". Conventions:

- Each unordered pair counts once, as in the deck's Σ_{i<j} and in its mean-field update. Its formulas with
  Σ_i Σ_{j ∈ N(i)} would count every edge twice.
- An unordered pair has no first point, so that μ is symmetric: μ[l, l'] equals μ[l', l] exactly.
- A pair that is given twice, in either direction, is two edges and pays twice. An edge from a point to itself is
  refused. A graph may have no edges, and no points.
- Numbers are finite. Where a label is forbidden, let it cost much.
- Energies are added in float64, whatever the dtype, and rounded once to it. What it cannot hold overflows to ∞, with
  NumPy's warning.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_integer, check_rank, check_shape, shape_of
from refdet.core.kernel import kernel


def check_graph(op: str, unary: Array, edges: Array, weights: Array, compatibility: Array) -> None:
    """Refuse shapes and dtypes that are not those of N points with L labels, E edges, and an L × L compatibility."""
    check_rank(op, "unary", unary, "N, L")
    check_floating(op, unary=unary, weights=weights, compatibility=compatibility)
    check_integer(op, edges=edges)
    check_rank(op, "weights", weights, "E")
    check_shape(op, "edges", edges, (shape_of(weights)[0], 2), "two ends for each of the weights")
    L = shape_of(unary)[1]
    if L < 1:
        raise ValueError(f"{op}: unary must have at least one label, got shape {shape_of(unary)}")
    check_shape(op, "compatibility", compatibility, (L, L), "one row and one column per label")


def check_labels(op: str, labels: Array, unary: Array) -> None:
    """Refuse what is not one integer per point."""
    check_integer(op, labels=labels)
    check_shape(op, "labels", labels, shape_of(unary)[:1], "one per point")


def check_values(op: str, unary: Array, edges: Array, weights: Array, compatibility: Array) -> None:
    """Refuse numbers that are not finite, ends that are not points, and a compatibility that is not symmetric."""
    check_finite(op, unary=unary, weights=weights, compatibility=compatibility)
    check_ends(op, edges, len(unary))
    if (compatibility != compatibility.T).any():
        a, b = (int(i) for i in np.argwhere(compatibility != compatibility.T)[0])
        raise ValueError(
            f"{op}: compatibility must be symmetric, got {compatibility[a, b]:g} for labels {a, b} and "
            f"{compatibility[b, a]:g} for {b, a}"
        )


def check_finite(op: str, **arrays: Array) -> None:
    """Refuse NaN and infinities, naming the first."""
    for name, x in arrays.items():
        bad = ~np.isfinite(x)
        if bad.any():
            place = tuple(int(i) for i in np.argwhere(bad)[0])
            raise ValueError(f"{op}: {name} must be finite, got {x[place]} at {list(place)}")


def check_ends(op: str, edges: Array, n_points: int) -> None:
    """Refuse edges that leave the points, or join one to itself."""
    outside = ((edges < 0) | (edges >= n_points)).any(axis=1)
    if outside.any():
        e = int(np.flatnonzero(outside)[0])
        raise ValueError(f"{op}: edges must join two of {n_points} points, got {edges[e].tolist()} for edge {e}")
    loops = edges[:, 0] == edges[:, 1]
    if loops.any():
        e = int(np.flatnonzero(loops)[0])
        raise ValueError(f"{op}: edges must join different points, got {edges[e].tolist()} for edge {e}")


def check_label_values(op: str, labels: Array, n_labels: int) -> None:
    """Refuse labels outside 0 … L − 1."""
    bad = (labels < 0) | (labels >= n_labels)
    if bad.any():
        point = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{op}: labels must be 0 … {n_labels - 1}, got {labels[point]} at point {point}")


def cheapest_labels(costs: Array) -> Array:
    """Return the label of each point with the lowest of its costs, (N, L), the first of equals; (N,) int64."""
    first: Array = np.argmin(costs, axis=1).astype(np.int64, copy=False)
    return first


def energy_in_float64(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array) -> float:
    """Return E(labels) before it is rounded."""
    own = np.take_along_axis(unary, labels[:, None].astype(np.int64), axis=1)
    pairs = compatibility[labels[edges[:, 0]], labels[edges[:, 1]]]
    return float(np.sum(own, dtype=np.float64) + np.sum(weights.astype(np.float64) * pairs.astype(np.float64)))


def _check(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array) -> None:
    check_graph("crf_energy", unary, edges, weights, compatibility)
    check_labels("crf_energy", labels, unary)


@kernel("crf_energy", check=_check)
def crf_energy_kernel(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array) -> Array:
    """Return the energy, shape ()."""
    return np.array(energy_in_float64(unary, edges, weights, compatibility, labels), np.result_type(unary))


def crf_energy(unary: Array, edges: Array, weights: Array, compatibility: Array, labels: Array) -> float:
    """Return the energy of a labelling.

    Args:
        unary: (N, L), float32 or float64, as are weights and compatibility: ψ_u, what each label costs each point.
        edges: (E, 2) integers, the ends of each edge.
        weights: (E,).
        compatibility: (L, L), symmetric: μ, what a pair of labels costs an edge of weight 1.
        labels: (N,) integers in 0 … L − 1.

    Returns:
        Σ_i unary[i, y_i] + Σ_e weights[e] · compatibility[y_i, y_j].

    Labels that cost 1 and 2, and an edge of weight 5 between them:

    >>> unary, edges, weights = np.array([[1.0, 9.0], [9.0, 2.0]]), np.array([[0, 1]]), np.array([5.0])
    >>> crf_energy(unary, edges, weights, np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1]))
    8.0
    """
    _check(unary, edges, weights, compatibility, labels)
    check_values("crf_energy", unary, edges, weights, compatibility)
    check_label_values("crf_energy", labels, shape_of(unary)[1])
    return float(crf_energy_kernel(unary, edges, weights, compatibility, labels))

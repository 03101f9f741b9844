"""Small graphs for the tests of CRFs, and sums over all their labellings."""

from __future__ import annotations

import itertools

import numpy as np

from refdet.core.check import Array

Graph = tuple[Array, Array, Array, Array]  # unary, edges, weights, compatibility


def random_edges(rng: np.random.Generator, n: int, n_edges: int) -> Array:
    """Return pairs of different points, some of them twice or turned round; none where there are not two points."""
    if n < 2:
        return np.zeros((0, 2), np.int64)
    first = rng.integers(0, n, n_edges)
    return np.stack([first, (first + rng.integers(1, n, n_edges)) % n], axis=1)


def dyadic_graph(rng: np.random.Generator, n: int, L: int, n_edges: int, *, metric: bool = False) -> Graph:
    """Return costs that are multiples of 1/4, so that there are ties, and sums do not depend on their order.

    Weights and compatibilities may be negative, unless they are to be those of a metric.
    """
    edges = random_edges(rng, n, n_edges)
    unary = rng.integers(0, 9, (n, L)) / 4
    if metric:
        l = np.arange(L)
        compatibility = np.minimum(abs(l[:, None] - l), rng.integers(1, 4)).astype(np.float64)
        return unary, edges, rng.integers(0, 5, len(edges)) / 2, compatibility
    half = rng.integers(-2, 3, (L, L)).astype(np.float64)
    return unary, edges, rng.integers(-2, 5, len(edges)) / 2, (half + half.T) / 2


def energy_by_loops(graph: Graph, labels: Array) -> float:
    """Return the energy, written out."""
    unary, edges, weights, compatibility = graph
    energy = 0.0
    for i, label in enumerate(labels):
        energy += float(unary[i, label])
    for (i, j), w in zip(edges, weights, strict=True):
        energy += float(w) * float(compatibility[labels[i], labels[j]])
    return energy


def all_energies(graph: Graph) -> dict[tuple[int, ...], float]:
    """Return the energy of every labelling."""
    n, L = graph[0].shape
    return {y: energy_by_loops(graph, np.array(y, int)) for y in itertools.product(range(L), repeat=n)}

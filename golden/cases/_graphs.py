"""Graphs with costs of labels at their points and edges: what cases of CRFs on a grid are made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.cases._numbers import dyadic, integers

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Edges = Sequence[tuple[int, int]]
Inputs = dict[str, Floats | Integers]


def potts(n_labels: int, weight: float = 1.0) -> Floats:
    """Return what different labels cost."""
    return weight * (1 - np.eye(n_labels))


def truncated_linear(n_labels: int, most: float) -> Floats:
    """Return min(|l − l'|, most), a metric."""
    l = np.arange(n_labels, dtype=np.float64)
    costs: Floats = np.minimum(np.abs(l[:, None] - l), most)
    return costs


def path(n: int) -> list[tuple[int, int]]:
    """Return the edges 0–1, 1–2, …"""
    return [(i, i + 1) for i in range(n - 1)]


def grid(height: int, width: int) -> list[tuple[int, int]]:
    """Return the edges of a grid with 4 neighbours: all to the right, then all down."""
    right = [(y * width + x, y * width + x + 1) for y in range(height) for x in range(width - 1)]
    return right + [(p, p + width) for p in range((height - 1) * width)]


def graph(
    unary: Sequence[Sequence[float]] | Floats,
    edges: Edges,
    weights: ArrayLike,
    compatibility: ArrayLike,
    labels: Sequence[int] | Integers | None = None,
) -> Inputs:
    """Return the inputs of an algorithm, with labels where it takes them."""
    inputs: Inputs = {
        "unary": np.array(unary, np.float64),
        "edges": np.array(edges, np.int64).reshape(-1, 2),
        "weights": np.array(weights, np.float64),
        "compatibility": np.array(compatibility, np.float64),
    }
    return inputs if labels is None else {**inputs, "labels": np.array(labels, np.int64)}


def clutter(seed: str, size: tuple[int, int], compatibility: Floats, *, labels: bool) -> Inputs:
    """Return a grid whose potentials are multiples of 1/8 in [0, 4], and whose weights are in [1/8, 1]."""
    n, edges = size[0] * size[1], grid(*size)
    L = len(compatibility)
    return graph(
        dyadic(f"{seed} unary", (n, L), 0, 32, 1 / 8),
        edges,
        dyadic(f"{seed} weights", (len(edges),), 1, 8, 1 / 8),
        compatibility,
        integers(f"{seed} labels", (n,), 0, L - 1) if labels else None,
    )


def random_graph(rng: np.random.Generator, *, labels: bool) -> Inputs:
    """Return a few points and edges with dyadic costs, so that there are ties and sums are exact in any order."""
    n, L = int(rng.integers(0, 7)), int(rng.integers(1, 4))
    pairs = [(i, j) for i in range(n) for j in range(n) if i != j]
    edges = [pairs[k] for k in rng.integers(0, len(pairs), rng.integers(0, 9))] if pairs else []
    return graph(
        (rng.integers(0, 9, (n, L)) / 4).reshape(n, L),
        edges,
        rng.integers(0, 5, len(edges)) / 2,
        truncated_linear(L, float(rng.integers(1, 3))),
        rng.integers(0, L, n) if labels else None,
    )

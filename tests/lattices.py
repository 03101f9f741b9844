"""Permutohedral lattices for tests: without holes, and points that keep away from the faces of their simplices."""

from __future__ import annotations

import itertools

import numpy as np

from refdet.core.check import Array
from refdet.crf.lattice_embed import elevate_transposed, lattice_embed
from refdet.crf.lattice_index import neighbour_offsets


def full_lattice(d: int, radius: int = 1) -> Array:
    """Return the keys of all vertices Σ_m i_m a_m with −radius ≤ i_m ≤ radius, (M, d): no hole near the origin."""
    steps = np.array(list(itertools.product(range(-radius, radius + 1), repeat=d + 1)))
    return np.unique(steps @ neighbour_offsets(d), axis=0)


def last_coordinate(keys: Array) -> Array:
    """Return the keys with the coordinate that is implied, (..., d + 1)."""
    return np.concatenate([keys, -np.sum(keys, axis=-1, keepdims=True)], axis=-1)


def points_on(keys: Array) -> Array:
    """Return the features that lie on vertices, (M, d): embedding is a rotation that stretches by √(2/3)(d + 1)."""
    d = keys.shape[1]
    points: Array = elevate_transposed(last_coordinate(keys)) / (2 / 3 * (d + 1) ** 2)
    return points


def points_inside(rng: np.random.Generator, n: int, d: int, *, spacing: float = 1.0, margin: float = 0.01) -> Array:
    """Return n random points, (n, d) float64, with weights of at least `margin` on all corners of their simplices."""
    points = np.zeros((0, d))
    while len(points) < n:
        more = spacing * rng.standard_normal((2 * n, d))
        points = np.concatenate([points, more[np.min(lattice_embed(more)[0].data, axis=1) >= margin]])
    return points[:n]

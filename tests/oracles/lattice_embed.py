"""The simplex of the permutohedral lattice around each point, and the point's barycentric weights in it.

A feature f in R^d is rotated into the plane of vectors of d + 1 coordinates whose sum is 0:

    e = (d + 1) sqrt(2/3) sum over j < d of f_j u_j / |u_j|,    u_j = (1, ..., 1, -(j + 1), 0, ..., 0), j + 1 ones

The lattice has the points v = (d + 1) n - (sum of n) (1, ..., 1) for integer vectors n; the colour of v is the residue
modulo d + 1 that its coordinates share. The corners of the simplex are those met by rounding e + t (1, ..., 1) to
n(t) = round((e + t) / (d + 1)) while t grows by one period d + 1: every coordinate is passed once, and n and n +
(1, ..., 1) are the same v. They start from round half to even; coordinates that pass at the same t, those with equal
e - (d + 1) n, go lowest index first. The weights solve

    sum_k b_k v_k = e,    sum_k b_k = 1

Column k holds the corner of colour k; its key is its first d coordinates.

Source: Adams, Baek and Davis, "Fast High-Dimensional Filtering Using the Permutohedral Lattice", Eurographics 2010,
section 3; deck 004.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.oracles._sums import Array, Float64Array, exact_sum

Vertex = tuple[int, ...]  # all d + 1 coordinates


def forward(features: Array) -> tuple[Float64Array, NDArray[np.int64]]:
    """Return (weights, keys), of shapes (N, d + 1) and (N, d + 1, d)."""
    n_points, d = features.shape
    weights = np.zeros((n_points, d + 1))
    keys = np.zeros((n_points, d + 1, d), dtype=np.int64)
    for i in range(n_points):
        elevated = elevate([float(f) for f in features[i]])
        corners = simplex(elevated)
        weights[i] = barycentric(elevated, corners)
        for k, corner in enumerate(corners):
            keys[i, k] = corner[:d]
    return weights, keys


def backward(features: Array, *, dy: Array) -> tuple[Float64Array]:
    """Return (dfeatures,); dy belongs to the weights. Solves for the weights that each unit of a feature adds."""
    n_points, d = features.shape
    dfeatures = np.zeros((n_points, d))
    for i, j in np.ndindex(n_points, d):
        corners = simplex(elevate([float(f) for f in features[i]]))
        step = elevate([float(axis == j) for axis in range(d)])
        added = np.linalg.solve(_system(corners), np.array([*step[:d], 0.0]))
        dfeatures[i, j] = exact_sum(float(dy[i, k]) * float(added[k]) for k in range(d + 1))
    return (dfeatures,)


def elevate(feature: Sequence[Any]) -> list[Any]:
    """Return e, for real or complex coordinates; its sums begin with the last feature, as rounding decides ties."""
    d = len(feature)
    elevated = [0.0 * sum(feature)] * (d + 1)
    for j in reversed(range(d)):
        length = feature[j] * ((d + 1) * math.sqrt(2 / 3) / math.sqrt((j + 1) * (j + 2)))
        for m in range(j + 1):
            elevated[m] += length
        elevated[j + 1] -= (j + 1) * length
    return elevated


def simplex(elevated: Sequence[float]) -> list[Vertex]:
    """Return the d + 1 corners around a point, by colour."""
    size = len(elevated)
    n = [round(e / size) for e in elevated]
    passing = sorted(range(size), key=lambda m: size * n[m] - elevated[m])
    corners: dict[int, Vertex] = {}
    for m in passing:
        corners[-sum(n) % size] = tuple(size * n_m - sum(n) for n_m in n)
        n[m] += 1
    return [corners[colour] for colour in range(size)]


def barycentric(elevated: Sequence[Any], corners: Sequence[Vertex]) -> Array:
    """Return the weights of the corners whose mean is e; e may be complex."""
    difference = [e - origin for e, origin in zip(elevated, corners[0], strict=True)]
    weights: Array = np.linalg.solve(_system(corners), np.array([*difference[:-1], 1.0]))
    return weights


def _system(corners: Sequence[Vertex]) -> Float64Array:
    """Return the matrix that takes weights to their mean, relative to the first corner, and to their sum."""
    d = len(corners) - 1
    offsets = [[float(corner[m] - corners[0][m]) for corner in corners] for m in range(d)]
    return np.array([*offsets, [1.0] * (d + 1)])

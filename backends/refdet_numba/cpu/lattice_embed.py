"""Embedding points in the permutohedral lattice, point by point.

    for each point (in parallel):
        elevate it; round to the nearest multiples of d + 1
        rank: count for every coordinate how many lie farther above their multiple
        move the origin into the hyperplane; sort the differences by their ranks; weights and keys follow

The operations on a point are those of the reference in its order, in float64 and without fused multiply-adds, since
they decide in which simplex a point lies: weights, keys and ranks have the same bits. A rank is counted in d + 1
comparisons per coordinate instead of sorted; of equal differences the first has the lower rank. A point belongs to one
thread, so that nothing depends on their number.

Workspace: 3 (d + 1) float64 per block of 1024 points.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.crf.lattice_embed import LatticeEmbedResidual, axis_lengths
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.compiling import compiled_parallel

BLOCK = 1024  # points


def forward(features: Array, *, keep_residual: bool) -> tuple[tuple[Array, Array], LatticeEmbedResidual | None]:
    """Return the weights, (N, d + 1), and the keys, (N, d + 1, d), as the reference does."""
    n_points, d = features.shape
    weights = np.empty((n_points, d + 1), np.result_type(features))
    keys = np.empty((n_points, d + 1, d), np.int64)
    ranks = np.empty((n_points, d + 1), np.int64)
    work = np.empty((-(-n_points // BLOCK), 3, d + 1), np.float64)
    _forward(native(features), axis_lengths(d), work, weights, keys, ranks)
    return (weights, keys), LatticeEmbedResidual(weights, ranks) if keep_residual else None


def backward(residual: LatticeEmbedResidual, dy: Array, *, needs: tuple[bool]) -> tuple[Array | None, ...]:
    """Return dfeatures, (N, d)."""
    ranks = residual.ranks
    n_points, size = ranks.shape
    if ranks.size and not 0 <= np.min(ranks) <= np.max(ranks) < size:  # compiled code does not look where it reads
        raise IndexError(f"lattice_embed: ranks must lie in [0, {size}), got {np.min(ranks)} to {np.max(ranks)}")
    dfeatures = np.empty((n_points, size - 1), np.result_type(dy))
    work = np.empty((-(-n_points // BLOCK), 2, size), np.float64)
    _backward(native(dy), native(ranks, np.int64), axis_lengths(size - 1), work, dfeatures)
    return (dfeatures,)


@compiled_parallel
def _forward(features: Any, lengths: Any, work: Any, weights: Any, keys: Any, ranks: Any) -> None:
    n_points, d = features.shape
    size = d + 1
    for block in prange(len(work)):
        elevated, steps, ascending = work[block, 0], work[block, 1], work[block, 2]
        for i in range(block * BLOCK, min(n_points, (block + 1) * BLOCK)):
            above = 0.0  # Σ_{j ≥ m} c_j
            for m in range(d, 0, -1):
                c = np.float64(features[i, m - 1]) * lengths[m - 1]
                elevated[m] = above - m * c
                above = above + c if m < d else c
            elevated[0] = above
            excess = np.int64(0)
            for m in range(size):
                steps[m] = np.rint(elevated[m] / size)
                excess += np.int64(steps[m])
                ascending[m] = elevated[m] - size * steps[m]
            for m in range(size):
                rank = np.int64(0)
                for k in range(m):
                    rank += ascending[k] >= ascending[m]
                for k in range(m + 1, size):
                    rank += ascending[k] > ascending[m]
                rank += excess
                turns = -1 if rank < 0 else (1 if rank >= size else 0)
                ranks[i, m] = rank - size * turns
                steps[m] = size * (steps[m] - turns)  # o_m
            for m in range(size):
                ascending[min(max(d - ranks[i, m], 0), d)] = (elevated[m] - steps[m]) / size
            previous = ascending[d]
            for k in range(size):
                weight = ascending[k] - previous
                previous = ascending[k]
                if k == 0:
                    weight += 1.0
                weights[i, k] = 0.0 if weight < 0 else weight
            for k in range(size):
                for m in range(d):
                    keys[i, k, m] = np.int64(steps[m]) + (k - size if ranks[i, m] > d - k else k)


@compiled_parallel
def _backward(dweights: Any, ranks: Any, lengths: Any, work: Any, dfeatures: Any) -> None:
    n_points, size = dweights.shape
    for block in prange(len(work)):
        dascending, delevated = work[block, 0], work[block, 1]
        for i in range(block * BLOCK, min(n_points, (block + 1) * BLOCK)):
            for k in range(size):
                dascending[k] = np.float64(dweights[i, k]) - np.float64(dweights[i, k + 1 if k + 1 < size else 0])
            for m in range(size):
                delevated[m] = dascending[size - 1 - ranks[i, m]] / size
            below = 0.0  # Σ_{m ≤ j} de_m
            for j in range(size - 1):
                below += delevated[j]
                dfeatures[i, j] = (below - (j + 1) * delevated[j + 1]) * lengths[j]

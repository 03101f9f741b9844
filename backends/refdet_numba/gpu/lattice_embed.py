"""Embedding points in the permutohedral lattice: a thread for each point.

    forward, for each point:
        elevate it; round to the nearest multiples of d + 1; count for every coordinate how many lie farther above
        move the origin into the hyperplane; sort the differences by their ranks; weights, keys and ranks follow
    backward, for each point:
        for each coordinate: de_m is the difference of the gradients of two weights; dc_j and df_j follow

The operations on a point are those of the reference in its order, in float64 and each rounded on its own, since they
decide in which simplex a point lies: weights, keys and ranks have the same bits. A rank is counted in d + 1 comparisons
per coordinate instead of sorted; of equal differences the first has the lower rank.

Workspace: 3 (d + 1) N float64, coordinate by coordinate, so that threads side by side touch neighbouring numbers.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import float32, float64, int64

from refdet.crf.lattice_embed import LatticeEmbedResidual, axis_lengths
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, device_function, jit, multiply

THREADS = 8 if IN_SIMULATOR else 128


def forward(features: Any, *, keep_residual: bool) -> tuple[tuple[Any, Any], LatticeEmbedResidual | None]:
    """Return the weights, (N, d + 1), and the keys, (N, d + 1, d), as the reference does."""
    n_points, d = features.shape
    weights = np.empty_like(features, shape=(n_points, d + 1), order="C")
    keys = np.empty_like(features, shape=(n_points, d + 1, d), dtype=np.int64, order="C")
    ranks = np.empty_like(features, shape=(n_points, d + 1), dtype=np.int64, order="C")
    work = np.empty_like(features, shape=(3, d + 1, n_points), dtype=np.float64, order="C")
    arguments = contiguous(features), lengths(d), work, weights, keys, ranks
    launch(_forward, blocks_for(n_points, THREADS), THREADS, *arguments)
    return (weights, keys), LatticeEmbedResidual(weights, ranks) if keep_residual else None


def backward(residual: LatticeEmbedResidual, dy: Any, *, needs: tuple[bool]) -> tuple[Any | None, ...]:
    """Return dfeatures, (N, d)."""
    n_points, size = residual.ranks.shape
    dfeatures = np.empty_like(dy, shape=(n_points, size - 1), order="C")
    ranks = contiguous(residual.ranks.astype(np.int64, copy=False))
    launch(_backward, blocks_for(n_points, THREADS), THREADS, contiguous(dy), ranks, lengths(size - 1), dfeatures)
    return (dfeatures,)


@functools.lru_cache(maxsize=64)
def lengths(d: int) -> Any:
    """Return by how much every coordinate is stretched, (d,) float64, on the device."""
    return to_device(axis_lengths(d))


@jit()
def _forward(features: Any, lengths: Any, work: Any, weights: Any, keys: Any, ranks: Any) -> None:
    n_points, d = features.shape
    size = d + 1
    width = float64(size)
    i = cuda.grid(1)
    if i < n_points:
        elevated, steps, ascending = work[0], work[1], work[2]
        above = float64(0)  # Σ_{j ≥ m} c_j
        for m in range(d, 0, -1):
            c = multiply(float64(features[i, m - 1]), lengths[m - 1])
            elevated[m, i] = above - multiply(float64(m), c)
            above = above + c if m < d else c
        elevated[0, i] = above
        excess = int64(0)
        for m in range(size):
            step = float64(round(elevated[m, i] / width))
            steps[m, i] = step
            excess += int64(step)
            ascending[m, i] = elevated[m, i] - multiply(width, step)
        for m in range(size):
            rank, own = excess, ascending[m, i]
            for k in range(size):
                if ascending[k, i] > own or (k < m and ascending[k, i] == own):
                    rank += 1
            turns = -1 if rank < 0 else (1 if rank >= size else 0)
            ranks[i, m] = min(max(rank - size * turns, 0), d)  # outside only if a coordinate is not finite
            steps[m, i] = multiply(width, steps[m, i] - float64(turns))  # o_m
        for m in range(size):
            ascending[d - ranks[i, m], i] = (elevated[m, i] - steps[m, i]) / width
        previous = ascending[d, i]
        for k in range(size):
            weight = ascending[k, i] - previous
            previous = ascending[k, i]
            if k == 0:
                weight += float64(1)
            weights[i, k] = float64(0) if weight < float64(0) else weight
        for k in range(size):
            for m in range(d):
                keys[i, k, m] = int64(steps[m, i]) + (k - size if ranks[i, m] > d - k else k)


@jit()
def _backward(dweights: Any, ranks: Any, lengths: Any, dfeatures: Any) -> None:
    n_points, d = dfeatures.shape
    i = cuda.grid(1)
    if i < n_points:
        below = float64(0)  # Σ_{m ≤ j} de_m
        pull = _elevated_gradient(dweights, ranks, i, 0, d)
        for j in range(d):
            following = _elevated_gradient(dweights, ranks, i, j + 1, d)
            below += pull
            dfeatures[i, j] = (below - multiply(float64(j + 1), following)) * lengths[j]
            pull = following


@device_function
def _elevated_gradient(dweights: Any, ranks: Any, i: Any, m: Any, d: Any) -> Any:
    """Return de_m of point i: a_k is in b_k and, negated, in the next."""
    k = d - ranks[i, m]
    return (float64(dweights[i, k]) - float64(dweights[i, k + 1 if k < d else 0])) / float64(d + 1)


ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(
            _forward,
            [array(t, 2), array(float64, 1), array(float64, 3), array(t, 2), array(int64, 3), array(int64, 2)],
            registers=70,
            float64=True,
            fused=False,
        ),
        Assembled(
            _backward,
            [array(t, 2), array(int64, 2), array(float64, 1), array(t, 2)],
            registers=58,
            float64=True,
            fused=False,
        ),
    )
]

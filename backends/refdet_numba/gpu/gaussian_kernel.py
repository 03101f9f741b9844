"""The matrix of a Gaussian kernel between points: a thread for each entry; backwards, for each coordinate of a point.

    forward, for each pair (i, j):   K_ij = exp(−½ Σ_c (f_ic − f_jc)²)
    backward, for each c and i:      df_ic = Σ_j (dK_ij + dK_ji) · K_ij · (f_jc − f_ic)

K is symmetric to the last bit, so that backward reads it down a column, as it does dK_ji: threads side by side read
neighbouring numbers. Sums in the dtype of the features, in the order of j. No work space.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import boolean, float32, float64

from refdet.crf.gaussian_kernel import GaussianKernelResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 8 if IN_SIMULATOR else 256


def forward(features: Any, *, exclude_self: bool, keep_residual: bool) -> tuple[Any, GaussianKernelResidual | None]:
    """Return K, (N, N)."""
    matrix = np.empty_like(features, shape=(len(features), len(features)), order="C")
    arguments = contiguous(features), features.dtype.type(-0.5), bool(exclude_self), matrix
    launch(_forward, blocks_for(matrix.size, THREADS), THREADS, *arguments)
    return matrix, GaussianKernelResidual(features, matrix) if keep_residual else None


def backward(
    residual: GaussianKernelResidual, dy: Any, *, needs: tuple[bool], exclude_self: bool
) -> tuple[Any | None, ...]:
    """Return dfeatures, (N, d): every entry pulls its two points towards each other."""
    features, matrix = residual
    dfeatures = np.empty_like(features, shape=features.shape, dtype=matrix.dtype, order="C")
    arguments = contiguous(features), contiguous(matrix), contiguous(dy), dfeatures.dtype.type(0), dfeatures
    launch(_backward, blocks_for(dfeatures.size, THREADS), THREADS, *arguments)
    return (dfeatures,)


@jit()
def _forward(features: Any, minus_half: Any, exclude_self: Any, matrix: Any) -> None:
    n_points = len(features)
    place = cuda.grid(1)
    if place < matrix.size:
        i, j = place // n_points, place % n_points
        squared = minus_half - minus_half
        for c in range(features.shape[1]):
            difference = features[i, c] - features[j, c]
            squared += difference * difference
        entry = math.exp(minus_half * squared)
        matrix[i, j] = minus_half - minus_half if exclude_self and i == j else entry


@jit()
def _backward(features: Any, matrix: Any, dmatrix: Any, zero: Any, dfeatures: Any) -> None:
    n_points = len(features)
    place = cuda.grid(1)
    if place < dfeatures.size:
        c, i = place // n_points, place % n_points
        own, total = features[i, c], zero
        for j in range(n_points):
            total += (dmatrix[i, j] + dmatrix[j, i]) * matrix[j, i] * (features[j, c] - own)
        dfeatures[i, c] = total


ASSEMBLED = [
    assembled
    for t in (float32, float64)
    for assembled in (
        Assembled(_forward, [array(t, 2), t, boolean, array(t, 2)], registers=48, float64=t is float64),
        Assembled(_backward, [*[array(t, 2)] * 3, t, array(t, 2)], registers=70, float64=t is float64),
    )
]

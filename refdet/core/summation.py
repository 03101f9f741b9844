"""Sums whose error does not depend on how an array lies in memory.

NumPy adds pairwise along the axis that is last in memory, and term by term along any other. Added term by term, the
error of a sum of n numbers grows with n; added pairwise, with log n (Higham, "The accuracy of floating point
summation", 1993).
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array, shape_of


def reduced_shape(x: Array, axes: tuple[int, ...], keepdims: bool) -> tuple[int, ...]:
    """Return the shape of `x` without `axes`, or with a length of 1 in their place."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape_of(x)) if keepdims or i not in axes)


def total(x: Array, axes: tuple[int, ...], *, keepdims: bool = False) -> Array:
    """Return Σ x over `axes`, added pairwise in row-major order.

    NumPy adds pairwise along the axis that is last in memory, and term by term along any other: the sum of 2²⁵ ones in
    float32 is then 2²⁴. So the reduced axes are made one, contiguous, last axis first.

    >>> total(np.ones((2**25, 2), np.float32), (0,)) == 2**25
    array([ True,  True])
    """
    kept = tuple(a for a in range(x.ndim) if a not in axes)
    n_terms = math.prod(x.shape[a] for a in axes)
    rows = np.reshape(np.transpose(x, kept + axes), (*(x.shape[a] for a in kept), n_terms))
    sums = np.sum(np.copy(rows, order="C") if kept else np.ravel(rows), axis=-1)
    return np.reshape(sums, reduced_shape(x, axes, keepdims))

"""The matrix of a Gaussian kernel between points: every edge weight of a fully connected CRF, written out.

    K_ij = k(f_i, f_j) = exp(−½ |f_i − f_j|²),     i, j = 0 … N − 1

Krähenbühl & Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials" (2011), eq. (3), and
deck 004, "Gaussian Edge Potentials", both with a precision matrix: (f_i − f_j)ᵀ Q (f_i − f_j). Here the features have
been multiplied by Q^½ already (`refdet.crf.features.whiten`; for a diagonal Q: divided by the standard deviations θ).

Conventions:

- K_ii = 1, the largest entry; or 0 with `exclude_self`, as in the paper's and the deck's sums over j ≠ i.
- Distances are summed over the differences of the features, never as |f_i|² + |f_j|² − 2 f_i·f_j, which would lose the
  small distances between points that lie far from the origin. So K is symmetric to the last bit.
- A NaN makes its row and column NaN, and so does ±∞ (∞ − ∞); its diagonal entry stays 0 with `exclude_self`.
- The matrix has N² entries. The public function refuses more than 5000 points unless told otherwise: the filters of
  `refdet.crf.filters` approximate the product with K without the matrix.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_flag, check_floating, check_gradient, check_rank, integer, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel

MAX_POINTS = 5000  # 200 MB of float64


class GaussianKernelResidual(NamedTuple):
    features: Array
    matrix: Array


def check_points(op: str, n_points: int, itemsize: int, max_points: int = MAX_POINTS) -> None:
    """Refuse a matrix between more than `max_points` points, and say how large it would be."""
    if n_points > max_points:
        raise ValueError(
            f"{op}: the exact filter holds an N × N matrix, which for N = {n_points} takes {n_points**2 * itemsize:,} "
            f"bytes; at most {max_points} points are allowed (the filter 'lattice' needs no matrix)"
        )


def _check(features: Array, *, exclude_self: bool, keep_residual: bool) -> None:
    check_floating("gaussian_kernel", features=features)
    check_rank("gaussian_kernel", "features", features, "N, d")
    check_flag("gaussian_kernel", "exclude_self", exclude_self)


def _check_backward(
    residual: GaussianKernelResidual, dmatrix: Array, *, needs: tuple[bool], exclude_self: bool
) -> None:
    n = shape_of(residual.features)[0]
    check_gradient("gaussian_kernel", dmatrix, (n, n), residual.features)


def gaussian_matrix(features: Array, *, exclude_self: bool) -> Array:
    """Return K, (N, N)."""
    n_points = len(features)
    squared_distance = np.zeros((n_points, n_points), np.result_type(features))
    with np.errstate(over="ignore", invalid="ignore"):  # points too far apart: exp(−∞) = 0; ∞ − ∞ is NaN
        for f in features.T:
            squared_distance += (f[:, None] - f[None, :]) ** 2
        matrix: Array = np.exp(-0.5 * squared_distance)
    if exclude_self:
        np.fill_diagonal(matrix, 0)
    return matrix


def differences_gradient(features: Array, matrix: Array, dmatrix: Array) -> Array:
    """∂K_ij/∂f_i = K_ij (f_j − f_i), and f_i is in row i and column i: df_i = Σ_j (dK_ij + dK_ji) K_ij (f_j − f_i)."""
    pull = (dmatrix + dmatrix.T) * matrix
    dfeatures = np.zeros(features.shape, matrix.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        for c, f in enumerate(features.T):
            dfeatures[:, c] = np.sum(pull * (f[None, :] - f[:, None]), axis=1)
    return dfeatures


@kernel("gaussian_kernel.forward", check=_check)
def gaussian_kernel_forward(
    features: Array, *, exclude_self: bool, keep_residual: bool
) -> tuple[Array, GaussianKernelResidual | None]:
    """Return K, (N, N)."""
    matrix = gaussian_matrix(features, exclude_self=exclude_self)
    return matrix, GaussianKernelResidual(features, matrix) if keep_residual else None


@kernel("gaussian_kernel.backward", check=_check_backward)
def gaussian_kernel_backward(
    residual: GaussianKernelResidual, dmatrix: Array, *, needs: tuple[bool], exclude_self: bool
) -> Gradients:
    """Every entry pulls its two points towards each other."""
    return (differences_gradient(residual.features, residual.matrix, dmatrix),)


_gaussian_kernel = differentiable(gaussian_kernel_forward, gaussian_kernel_backward)


def gaussian_kernel(features: Tensor | Array, *, exclude_self: bool = False, max_points: int = MAX_POINTS) -> Tensor:
    """Return the Gaussian kernel between all pairs of points.

    Args:
        features: (N, d), one point per row, divided by the standard deviations; float32 or float64.
        exclude_self: put 0 on the diagonal instead of 1.
        max_points: refuse more points than this.

    Returns:
        K, (N, N).

    Points at distance 0 have k = 1, and at distance √(2 ln 2) half of it:

    >>> half = np.sqrt(2 * np.log(2))
    >>> gaussian_kernel(np.array([[0.0], [0.0], [half]])).data.round(3)
    array([[1. , 1. , 0.5],
           [1. , 1. , 0.5],
           [0.5, 0.5, 1. ]])
    """
    features = as_tensor("gaussian_kernel", "features", features)
    check_rank("gaussian_kernel", "features", features.data, "N, d")
    max_points = integer("gaussian_kernel", "max_points", max_points, low=0)
    check_points("gaussian_kernel", features.shape[0], features.dtype.itemsize, max_points)
    return _gaussian_kernel(features, exclude_self=exclude_self)

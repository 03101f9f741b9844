"""Splatting: every point hands its values to the vertices around it.

    z[v] = Σ over points i and corners k with ids[i, k] = v of weights[i, k] · values[i]

Adams, Baek & Davis (2010), the first of the three steps splat, blur and slice; deck 004.

Its transpose takes from each vertex by the same weights, and is the third step, slicing (`refdet.crf.lattice_slice`):

    dvalues[i] = Σ_k weights[i, k] · dz[ids[i, k]],      dweights[i, k] = ⟨values[i], dz[ids[i, k]]⟩

Conventions: z is summed in float64, through the points in their order and through the corners of a point in theirs, and
rounded once to the dtype of the values. The gradients, whose sums are as short as K and V, are summed in that dtype. A
vertex that no point has is 0. A value that is not finite reaches every corner of its point; where the weight is 0 the
product is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_floating,
    check_gradient,
    check_integer,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.crf.lattice_index import check_numbers


class LatticeSplatResidual(NamedTuple):
    values: Array
    weights: Array
    ids: Array


def check_corners(op: str, weights: Array, ids: Array) -> None:
    """Refuse what is not one weight and one id for each of K corners of N points."""
    check_integer(op, ids=ids)
    check_rank(op, "weights", weights, "N, K")
    check_shape(op, "ids", ids, shape_of(weights), "one per weight")


def _check(values: Array, weights: Array, ids: Array, *, n_vertices: int, keep_residual: bool) -> None:
    check_floating("lattice_splat", values=values, weights=weights)
    check_corners("lattice_splat", weights, ids)
    check_rank("lattice_splat", "values", values, "N, V")
    if values.shape[0] != weights.shape[0]:
        raise ValueError(
            f"lattice_splat: values and weights must have one row per point, got shapes {shape_of(values)} and "
            f"{shape_of(weights)}"
        )
    integer("lattice_splat", "n_vertices", n_vertices, low=0)


def _check_backward(
    residual: LatticeSplatResidual, dy: Array, *, needs: tuple[bool, bool, bool], n_vertices: int
) -> None:
    values, weights, ids = residual
    check_corners("lattice_splat", weights, ids)
    check_gradient("lattice_splat", dy, (n_vertices, int(values.shape[1])), values)


def spread(values: Array, weights: Array, ids: Array, n_vertices: int) -> Array:
    """Return Σ weights[i, k] · values[i] over all i, k with ids[i, k] = v, for every v: (M, V)."""
    z = np.zeros((n_vertices, values.shape[1]), np.result_type(values))
    precise_weights, flat_ids = weights.astype(np.float64), ids.reshape(-1).astype(np.int64)
    for c in range(values.shape[1]):
        shares = precise_weights * values[:, c, None]  # (N, K)
        z[:, c] = np.bincount(flat_ids, shares.reshape(-1), minlength=n_vertices)
    return z


def interpolate(z: Array, weights: Array, ids: Array) -> Array:
    """Return Σ_k weights[i, k] · z[ids[i, k]] for every i: (N, V)."""
    y = np.zeros((len(ids), z.shape[1]), np.result_type(z))
    for weight, vertex in zip(weights.T, ids.T, strict=True):
        share = np.take(z, vertex, axis=0)  # z[vertex], in less than half the time
        share *= weight[:, None]
        y += share
    return y


def products(values: Array, z: Array, ids: Array) -> Array:
    """Return ⟨values[i], z[ids[i, k]]⟩ for every i and k: (N, K)."""
    result = np.zeros(ids.shape, np.result_type(values))
    for k, vertex in enumerate(ids.T):
        result[:, k] = np.einsum("iv,iv->i", values, z[vertex])
    return result


@kernel("lattice_splat.forward", check=_check)
def lattice_splat_forward(
    values: Array, weights: Array, ids: Array, *, n_vertices: int, keep_residual: bool
) -> tuple[Array, LatticeSplatResidual | None]:
    """Return z, (M, V); ids lie in [0, n_vertices)."""
    z = spread(values, weights, ids, n_vertices)
    return z, LatticeSplatResidual(values, weights, ids) if keep_residual else None


@kernel("lattice_splat.backward", check=_check_backward)
def lattice_splat_backward(
    residual: LatticeSplatResidual, dy: Array, *, needs: tuple[bool, bool, bool], n_vertices: int
) -> Gradients:
    """Every point takes the gradients of its vertices; ids receive none."""
    values, weights, ids = residual
    return (
        interpolate(dy, weights, ids) if needs[0] else None,
        products(values, dy, ids) if needs[1] else None,
        None,
    )


_lattice_splat = differentiable(lattice_splat_forward, lattice_splat_backward)


def lattice_splat(values: Tensor | Array, weights: Tensor | Array, ids: Array, n_vertices: int) -> Tensor:
    """Hand the values of the points to the vertices of the lattice.

    Args:
        values: (N, V), float32 or float64: V values per point.
        weights: (N, K), of the same dtype: what share of them each of K corners receives.
        ids: (N, K) integers in [0, n_vertices): which vertices those are.
        n_vertices: M.

    Returns:
        z, (M, V).

    Points 0 and 1 meet in vertex 1, which receives 1/4 of 8 and 1/2 of 2; vertex 3 receives nothing:

    >>> weights, ids = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([[0, 1], [2, 1]])
    >>> lattice_splat(np.array([[8.0], [2.0]]), weights, ids, 4).data[:, 0]
    array([6., 3., 1., 0.])
    """
    values, weights = as_tensor("lattice_splat", "values", values), as_tensor("lattice_splat", "weights", weights)
    n_vertices = integer("lattice_splat", "n_vertices", n_vertices, low=0)
    _check(values.data, weights.data, ids, n_vertices=n_vertices, keep_residual=False)
    check_numbers("lattice_splat", "ids", ids, n_vertices)
    return _lattice_splat(values, weights, ids, n_vertices=n_vertices)

"""Slicing: every point takes the values of the vertices around it, weighted as it lies among them.

    y[i] = scale · Σ_k weights[i, k] · z[ids[i, k]]

Adams, Baek & Davis (2010), the last of the three steps splat, blur and slice; deck 004. It is `scale` times the
transpose of splatting (`refdet.crf.lattice_splat`), whose sums its gradients use:

    dz[v] = scale · Σ over i and k with ids[i, k] = v of weights[i, k] · dy[i]
    dweights[i, k] = scale · ⟨dy[i], z[ids[i, k]]⟩

Conventions: y is summed in the dtype of z, the corners in their order, then scaled. The gradients begin with the scaled
dy, rounded to that dtype; dz is then summed as splatting does, in float64. A Gaussian filter has the scale of
`refdet.crf.lattice`; Adams et al. instead divide by a filtered channel of ones, which is a normalisation
(`refdet.crf.filters`).
"""

from __future__ import annotations

from typing import NamedTuple

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_gradient, check_number, check_rank
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.crf.lattice_index import check_numbers
from refdet.crf.lattice_splat import check_corners, interpolate, products, spread


class LatticeSliceResidual(NamedTuple):
    z: Array
    weights: Array
    ids: Array


def _check(z: Array, weights: Array, ids: Array, *, scale: float, keep_residual: bool) -> None:
    check_floating("lattice_slice", z=z, weights=weights)
    check_rank("lattice_slice", "z", z, "M, V")
    check_corners("lattice_slice", weights, ids)
    check_number("lattice_slice", "scale", scale)


def _check_backward(residual: LatticeSliceResidual, dy: Array, *, needs: tuple[bool, bool, bool], scale: float) -> None:
    z, weights, ids = residual
    check_corners("lattice_slice", weights, ids)
    check_gradient("lattice_slice", dy, (int(weights.shape[0]), int(z.shape[1])), z)


@kernel("lattice_slice.forward", check=_check)
def lattice_slice_forward(
    z: Array, weights: Array, ids: Array, *, scale: float, keep_residual: bool
) -> tuple[Array, LatticeSliceResidual | None]:
    """Return y, (N, V); ids lie in [0, M)."""
    y = interpolate(z, weights, ids)
    y *= float(scale)
    return y, LatticeSliceResidual(z, weights, ids) if keep_residual else None


@kernel("lattice_slice.backward", check=_check_backward)
def lattice_slice_backward(
    residual: LatticeSliceResidual, dy: Array, *, needs: tuple[bool, bool, bool], scale: float
) -> Gradients:
    """Every point hands its gradient to its vertices; ids receive none."""
    z, weights, ids = residual
    scaled = dy * float(scale)
    return (
        spread(scaled, weights, ids, len(z)) if needs[0] else None,
        products(scaled, z, ids) if needs[1] else None,
        None,
    )


_lattice_slice = differentiable(lattice_slice_forward, lattice_slice_backward)


def lattice_slice(z: Tensor | Array, weights: Tensor | Array, ids: Array, *, scale: float = 1.0) -> Tensor:
    """Read the values of the points off the vertices of the lattice.

    Args:
        z: (M, V), float32 or float64: V values per vertex.
        weights: (N, K), of the same dtype: how much of each of K corners.
        ids: (N, K) integers in [0, M): which vertices those are.
        scale: factor of the result.

    Returns:
        y, (N, V).

    A quarter of the way from vertex 0 to vertex 1, and half-way between vertices 2 and 1:

    >>> weights, ids = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([[0, 1], [2, 1]])
    >>> lattice_slice(np.array([[0.0], [8.0], [4.0]]), weights, ids).data[:, 0]
    array([2., 6.])
    """
    z, weights = as_tensor("lattice_slice", "z", z), as_tensor("lattice_slice", "weights", weights)
    scale = check_number("lattice_slice", "scale", scale)
    _check(z.data, weights.data, ids, scale=scale, keep_residual=False)
    check_numbers("lattice_slice", "ids", ids, len(z))
    return _lattice_slice(z, weights, ids, scale=scale)

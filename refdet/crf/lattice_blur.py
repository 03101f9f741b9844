"""Blurring on the lattice: every vertex mixes with its neighbours, along one axis after the other.

    for j = 0 … J − 1:   z[v] ← z[v] + ½ (z[n⁺] + z[n⁻]),    n⁺, n⁻ = neighbours[j, 0, v], neighbours[j, 1, v]

Adams, Baek & Davis (2010), the second of the three steps splat, blur and slice; deck 004. Their weights are ¼, ½, ¼ per
axis; here the centre is 1, as in the code of Krähenbühl & Koltun (2011), and one factor at the end, in
`refdet.crf.lattice_slice`, takes care of the size.

On a lattice without holes the passes commute, and together they have

    2^{d+1} of mass,   1 + 2^{−d} at the centre,   3^{d+1} − 2^{d+1} vertices of support

for J = d + 1 axes. What is sent once along every axis, one way or the other, is back where it began, as the axes sum to
0: the centre is 1 + 2 · (½)^{d+1}.

Conventions: a pass reads the values from before it (as Jacobi's iteration does). A missing neighbour, −1, counts as 0.
On a lattice with holes the order of the axes matters. Neighbours are mutual: if u is n⁺ of v, then v is n⁻ of u. A
single pass is therefore symmetric, and the transpose of the blur is the blur in the opposite order, j = J − 1 … 0; that
is `reverse`, and the gradient. To leave out the reversal is a different operator. Sums are in the dtype of z.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_flag, check_floating, check_gradient, check_integer, check_rank, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.crf.lattice_index import MISSING, check_numbers


class LatticeBlurResidual(NamedTuple):
    z: Array  # only its shape and dtype are read
    neighbours: Array


def _check(z: Array, neighbours: Array, *, reverse: bool, keep_residual: bool) -> None:
    check_floating("lattice_blur", z=z)
    check_rank("lattice_blur", "z", z, "M, V")
    check_integer("lattice_blur", neighbours=neighbours)
    check_rank("lattice_blur", "neighbours", neighbours, "J, 2, M")
    if shape_of(neighbours)[1:] != (2, int(z.shape[0])):
        raise ValueError(
            f"lattice_blur: neighbours must have shape (J, 2, {int(z.shape[0])}) (two along each axis for every row of "
            f"z), got {shape_of(neighbours)}"
        )
    check_flag("lattice_blur", "reverse", reverse)


def _check_backward(residual: LatticeBlurResidual, dy: Array, *, needs: tuple[bool, bool], reverse: bool) -> None:
    check_gradient("lattice_blur", dy, shape_of(residual.z), residual.z)
    check_integer("lattice_blur", neighbours=residual.neighbours)


def check_mutual(neighbours: Array) -> None:
    """Refuse neighbours of which one does not know of the other: such a pass would not be its own transpose."""
    for j, sides in enumerate(neighbours):
        for side, (there, back) in enumerate((sides, sides[::-1])):
            v = np.flatnonzero(there != MISSING)
            forgotten = v[back[there[v]] != v]
            if len(forgotten):
                v0, u = forgotten[0], there[forgotten[0]]
                raise ValueError(
                    f"lattice_blur: neighbours must be mutual, got neighbours[{j}, {side}, {v0}] = {u} but "
                    f"neighbours[{j}, {1 - side}, {u}] = {back[u]}"
                )


def blur(z: Array, neighbours: Array, *, reverse: bool) -> Array:
    """Return z blurred along all axes, the last one first if `reverse`."""
    M, V = z.shape
    blurred = np.zeros((M + 1, V), np.result_type(z))  # row M, which is also row −1, stays 0 for missing neighbours
    blurred[:M] = z
    for one, other in neighbours[::-1] if reverse else neighbours:
        around = blurred[one]
        around += blurred[other]
        around *= 0.5
        blurred[:M] += around
    return blurred[:M]


@kernel("lattice_blur.forward", check=_check)
def lattice_blur_forward(
    z: Array, neighbours: Array, *, reverse: bool, keep_residual: bool
) -> tuple[Array, LatticeBlurResidual | None]:
    """Return the blurred z, (M, V); neighbours lie in [−1, M)."""
    return blur(z, neighbours, reverse=reverse), LatticeBlurResidual(z, neighbours) if keep_residual else None


@kernel("lattice_blur.backward", check=_check_backward)
def lattice_blur_backward(
    residual: LatticeBlurResidual, dy: Array, *, needs: tuple[bool, bool], reverse: bool
) -> Gradients:
    """Blur in the opposite order."""
    return (blur(dy, residual.neighbours, reverse=not reverse) if needs[0] else None), None


_lattice_blur = differentiable(lattice_blur_forward, lattice_blur_backward)


def lattice_blur(z: Tensor | Array, neighbours: Array, *, reverse: bool = False) -> Tensor:
    """Blur values on the vertices of a lattice, along one axis after the other.

    Args:
        z: (M, V), float32 or float64: V values per vertex.
        neighbours: (J, 2, M) integers in [−1, M): those of every vertex along each of J axes, −1 where missing; mutual,
            as `lattice_index` finds them.
        reverse: begin with the last axis, which makes it the transpose.

    Returns:
        The blurred z, (M, V).

    A row of four vertices, of which the second holds 8, along one axis:

    >>> chain = np.array([[[1, 2, 3, -1], [-1, 0, 1, 2]]])
    >>> lattice_blur(np.array([[0.0], [8.0], [0.0], [0.0]]), chain).data[:, 0]
    array([4., 8., 4., 0.])
    """
    z = as_tensor("lattice_blur", "z", z)
    _check(z.data, neighbours, reverse=reverse, keep_residual=False)
    check_numbers("lattice_blur", "neighbours", neighbours, len(z), low=MISSING)
    check_mutual(neighbours)
    return _lattice_blur(z, neighbours, reverse=bool(reverse))

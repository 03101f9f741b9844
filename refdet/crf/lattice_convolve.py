"""Convolution on the permutohedral lattice: any filter in place of the Gaussian blur, learned for instance.

    y[v, o] = Σ_t Σ_{c < C/g} weight[o, c, t] · z[taps[t, v], g(o)·C/g + c],     g(o) = ⌊o / (O/g)⌋

over the taps t that are there: each output channel of a vertex weighs the channels of the vertices around it
(`refdet.crf.lattice_neighbourhood`), as a convolution does the pixels around a pixel. Kiefel, Jampani & Gehler,
"Permutohedral lattice CNNs" (2015); Jampani, Kiefel & Gehler (2016); deck 004.

Gradients:

    dz[u, c] = Σ_t Σ over v with taps[t, v] = u of Σ_o weight[o, c, t] · dy[v, o]
    dweight[o, c, t] = Σ_v dy[v, o] · z[taps[t, v], c]

Conventions: like `ops.conv2d` a cross-correlation, with groups of channels that do not see each other. A missing tap,
−1, adds nothing, even where its weight is ∞ or NaN. One tap may name a vertex several times, which does not occur in a
lattice. Sums accumulate in the dtype of z, tap by tap, and within a tap in the order of the BLAS in use.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_gradient, check_integer, check_rank, integer, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel
from refdet.crf.lattice_index import MISSING, check_numbers


class LatticeConvolveResidual(NamedTuple):
    z: Array
    weight: Array
    taps: Array


def _check(z: Array, weight: Array, taps: Array, *, groups: int, keep_residual: bool) -> None:
    check_rank("lattice_convolve", "z", z, "M, C")
    check_rank("lattice_convolve", "weight", weight, "O, C/groups, T")
    check_floating("lattice_convolve", z=z, weight=weight)
    check_integer("lattice_convolve", taps=taps)
    check_rank("lattice_convolve", "taps", taps, "T, M")
    integer("lattice_convolve", "groups", groups, low=1)
    (M, C), (O, C_per_group, T) = shape_of(z), shape_of(weight)
    shapes = f"(shapes {shape_of(weight)}, {shape_of(z)})"
    if C % groups or O % groups:
        raise ValueError(
            f"lattice_convolve: groups must divide the {C} channels of z and the {O} of the output, got {groups} "
            f"{shapes}"
        )
    if C_per_group * groups != C:
        each = f" in each of {groups} groups" if groups > 1 else ""
        raise ValueError(f"lattice_convolve: weight has {C_per_group} input channels{each}, z has {C} {shapes}")
    if shape_of(taps) != (T, M):
        raise ValueError(
            f"lattice_convolve: taps must have shape {(T, M)} (taps of weight, rows of z), got {shape_of(taps)}"
        )


def _check_backward(
    residual: LatticeConvolveResidual, dy: Array, *, needs: tuple[bool, bool, bool], groups: int
) -> None:
    z, weight, taps = residual
    check_integer("lattice_convolve", taps=taps)
    check_gradient("lattice_convolve", dy, (int(z.shape[0]), int(weight.shape[0])), z)


def by_group(x: Array, groups: int) -> Array:
    """Return the channels of (M, C) as (g, M, C/g)."""
    M, C = x.shape
    return x.reshape(M, groups, C // groups).swapaxes(0, 1)


def by_tap(weight: Array, groups: int) -> Array:
    """Return the filters of (O, C/g, T) as (T, g, O/g, C/g), one matrix per tap and group."""
    O, C_per_group, T = weight.shape
    return np.ascontiguousarray(np.moveaxis(weight.reshape(groups, O // groups, C_per_group, T), -1, 0))


def present(taps: Array) -> Iterator[tuple[Array, Array]]:
    """Yield, tap by tap, the vertices v that have it, and the vertices taps[t, v]."""
    for tap in taps:
        v = np.flatnonzero(tap >= 0)
        yield v, tap[v]


@kernel("lattice_convolve.forward", check=_check)
def lattice_convolve_forward(
    z: Array, weight: Array, taps: Array, *, groups: int, keep_residual: bool
) -> tuple[Array, LatticeConvolveResidual | None]:
    """Return y, (M, O); taps lie in [−1, M)."""
    M, O = z.shape[0], weight.shape[0]
    grouped = by_group(z, groups)
    y = np.zeros((groups, M, O // groups), np.result_type(z))
    for matrices, (v, u) in zip(by_tap(weight, groups), present(taps), strict=True):
        y[:, v] += np.matmul(grouped[:, u], matrices.swapaxes(1, 2))  # (g, v, C/g) (g, C/g, O/g)
    return y.swapaxes(0, 1).reshape(M, O), LatticeConvolveResidual(z, weight, taps) if keep_residual else None


@kernel("lattice_convolve.backward", check=_check_backward)
def lattice_convolve_backward(
    residual: LatticeConvolveResidual, dy: Array, *, needs: tuple[bool, bool, bool], groups: int
) -> Gradients:
    """Return dz and dweight; taps receive none."""
    z, weight, taps = residual
    return (
        _dz(z, weight, taps, dy, groups) if needs[0] else None,
        _dweight(z, weight, taps, dy, groups) if needs[1] else None,
        None,
    )


def _dz(z: Array, weight: Array, taps: Array, dy: Array, groups: int) -> Array:
    """Hand the gradient of every vertex to those that its taps name."""
    C = z.shape[1]
    dz = np.zeros(z.shape, np.result_type(z))
    flat_dz, grouped = dz.reshape(-1), by_group(dy, groups)
    for matrices, (v, u) in zip(by_tap(weight, groups), present(taps), strict=True):
        shares = np.matmul(grouped[:, v], matrices).swapaxes(0, 1).reshape(len(u), C)  # (g, v, O/g) (g, O/g, C/g)
        np.add.at(flat_dz, (u[:, None] * C + np.arange(C)).reshape(-1), shares.reshape(-1))
    return dz


def _dweight(z: Array, weight: Array, taps: Array, dy: Array, groups: int) -> Array:
    """Correlate the gradients of the vertices with what each tap read."""
    grouped, dgrouped = by_group(z, groups), by_group(dy, groups)
    dweight = np.zeros(by_tap(weight, groups).shape, np.result_type(weight))  # (T, g, O/g, C/g)
    for dmatrices, (v, u) in zip(dweight, present(taps), strict=True):
        np.matmul(dgrouped[:, v].swapaxes(1, 2), grouped[:, u], out=dmatrices)
    return np.moveaxis(dweight, 0, -1).reshape(weight.shape)


_lattice_convolve = differentiable(lattice_convolve_forward, lattice_convolve_backward)


def lattice_convolve(z: Tensor | Array, weight: Tensor | Array, taps: Array, *, groups: int = 1) -> Tensor:
    """Filter values on the vertices of a lattice with weights of one's own.

    Args:
        z: (M, C), float32 or float64: C values per vertex.
        weight: (O, C/groups, T), of the same dtype.
        taps: (T, M) integers in [−1, M): for every tap and vertex the vertex to read, −1 where there is none.
        groups: number of groups of channels that do not see each other.

    Returns:
        y, (M, O).

    Three vertices in a row; the taps are the vertex itself, the one before and the one after it:

    >>> taps = np.array([[0, 1, 2], [-1, 0, 1], [1, 2, -1]])
    >>> lattice_convolve(np.array([[1.0], [10.0], [100.0]]), np.array([[[1.0, 0.0, 2.0]]]), taps).data[:, 0]
    array([ 21., 210., 100.])
    """
    z, weight = as_tensor("lattice_convolve", "z", z), as_tensor("lattice_convolve", "weight", weight)
    n_groups = integer("lattice_convolve", "groups", groups, low=1)
    _check(z.data, weight.data, taps, groups=n_groups, keep_residual=False)
    check_numbers("lattice_convolve", "taps", taps, len(z), low=MISSING)
    return _lattice_convolve(z, weight, taps, groups=n_groups)

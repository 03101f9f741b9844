"""Mean-field inference in a fully connected CRF, one point after the other.

    for every sweep, for i = 0 … N − 1:
        Q_i(l) ← 1/Z_i · exp( − ψ_i(l) − Σ_m Σ_l' μ⁽ᵐ⁾(l, l') Σ_j K⁽ᵐ⁾_ij Q_j(l') )    with the newest Q_j

The classical coordinate descent of the mean-field free energy (Koller & Friedman, "Probabilistic graphical models",
2009, §11.5): as a function of Q_i alone F is convex, and the update is its minimum. So F never rises, whatever the sign
of μ, if K and μ are symmetric and the self term is left out. The parallel updates of Krähenbühl & Koltun (2011), deck
004, give this guarantee away for speed; they can oscillate (`refdet.crf.mean_field`).

Conventions:

- Starts from the softmax of −ψ; `sweeps` = 0 returns it. Points in the order of their index, so that the answer depends
  on how they are numbered.
- Exact kernels only, with the matrices of all kernels: O(N² L) a sweep. Rows are points; compatibilities,
  normalisations and the self term are those of `refdet.crf.mean_field`.
- "before" and "after" make K asymmetric, and then there is no guarantee. With the self term the update minimises a
  linear stand-in for its part of F, and F falls where that part is concave (−w I, Potts).
- No gradient: to differentiate, unroll the parallel updates.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_flag, integer
from refdet.core.kernel import kernel, use_backend
from refdet.crf.filters import make_filter, split_features
from refdet.crf.mean_field import compatibility_transform, initialise, local_update, normalise
from refdet.crf.model import check_crf, check_features, columns_of, each


def _check(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    normalisation: tuple[str, ...],
    exclude_self: bool,
    sweeps: int,
) -> None:
    check_crf("mean_field_sequential", unary, features, compatibilities, dimensions, normalisation)
    check_flag("mean_field_sequential", "exclude_self", exclude_self)
    integer("mean_field_sequential", "sweeps", sweeps, low=0)


@kernel("mean_field_sequential", check=_check)
@use_backend("reference")
def mean_field_sequential_kernel(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    normalisation: tuple[str, ...],
    exclude_self: bool,
    sweeps: int,
) -> Array:
    """Return q after the last sweep, (N, L)."""
    matrices = [
        make_filter("exact", f, normalisation=how, exclude_self=exclude_self, shape=None).matrix()
        for f, how in zip(split_features(features, dimensions), normalisation, strict=True)
    ]
    q = initialise(unary)
    for _ in range(sweeps):
        q = sweep(q, unary, matrices, compatibilities)
    return q


def sweep(q: Array, unary: Array, matrices: Sequence[Array], compatibilities: Sequence[Array] | Array) -> Array:
    """Return q after every point has been updated once, in order, given what the others have become."""
    q = np.copy(q)
    for i in range(len(q)):
        point = slice(i, i + 1)  # one row, (1, ...)
        messages = [matrix[point] @ q for matrix in matrices]
        pairwise = compatibility_transform(messages, compatibilities, like=q[point])
        q[point] = normalise(local_update(unary[point], pairwise))
    return q


def mean_field_sequential(
    unary: Array,
    features: Sequence[Array],
    compatibilities: Sequence[Array],
    *,
    normalisation: str | Sequence[str] = "none",
    exclude_self: bool = True,
    sweeps: int = 10,
) -> Array:
    """Approximate the marginals of a fully connected CRF by updates that never raise its free energy.

    Args:
        unary: (N, L), the energy ψ of every label at every point; float32 or float64.
        features: for each of M kernels (N, d_m), divided by its standard deviations.
        compatibilities: for each of M kernels (L, L), μ(l, l') times the weight of the kernel.
        normalisation: "none", "before", "after" or "symmetric", one for all kernels or one for each.
        exclude_self: leave the point itself out of its messages.
        sweeps: how many times every point is updated.

    Returns:
        q, (N, L), rows sum to 1.

    Two points at the same place that repel each other, and a slight preference of the first: in parallel both would
    change sides for ever; one after the other they part.

    >>> unary, repulsion = np.array([[0.0, 0.1], [0.0, 0.0]]), 4 * np.eye(2)
    >>> mean_field_sequential(unary, [np.zeros((2, 1))], [repulsion], sweeps=20).round(2)
    array([[0.98, 0.02],
           [0.02, 0.98]])
    """
    joined = columns_of("mean_field_sequential", Tensor(unary), features, compatibilities)
    for f in split_features(joined.features.data, joined.dimensions):
        check_features("mean_field_sequential", f, "exact", None)
    return mean_field_sequential_kernel(
        unary,
        joined.features.data,
        joined.compatibilities.data,
        dimensions=joined.dimensions,
        normalisation=each("mean_field_sequential", "normalisation", normalisation, joined.dimensions),
        exclude_self=exclude_self,
        sweeps=sweeps,
    )

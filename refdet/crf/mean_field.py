"""Mean-field inference in a fully connected CRF with Gaussian edge potentials, all points in parallel.

    Q_i(l) ← 1/Z_i · exp( − ψ_i(l) − Σ_l' μ(l, l') Σ_m w_m Σ_j k_m(f_i, f_j) Q_j(l') )

Krähenbühl & Koltun (2011), algorithm 1, and deck 004, "Efficient inference in dense CRFs". In the steps of the paper:

    initialise                Q_i(l) = 1/Z_i exp(−ψ_i(l))
    message passing           Q̃_i⁽ᵐ⁾(l') = Σ_j k_m(f_i, f_j) Q_j(l')
    compatibility transform   p_i(l) = Σ_m Σ_l' μ⁽ᵐ⁾(l, l') Q̃_i⁽ᵐ⁾(l')
    local update              −ψ_i(l) − p_i(l)
    normalise                 Q_i(l) = 1/Z_i exp(−ψ_i(l) − p_i(l))

Gradients go back through the unrolled iterations: Krähenbühl & Koltun (2013), §4. For a loss 𝓛 of the last Q⁽ᵀ⁾, from
t = T down to 0,

    b⁽ᵗ⁾ = ∂𝓛/∂ψ of update t = Q⁽ᵗ⁾ ∘ (Σ_l Q⁽ᵗ⁾ ∂𝓛/∂Q⁽ᵗ⁾) − Q⁽ᵗ⁾ ∘ ∂𝓛/∂Q⁽ᵗ⁾,     ∂𝓛/∂ψ = Σ_t b⁽ᵗ⁾
    ∂𝓛/∂μ⁽ᵐ⁾ += b⁽ᵗ⁾ᵀ (K⁽ᵐ⁾ Q⁽ᵗ⁻¹⁾),   ∂𝓛/∂f⁽ᵐ⁾ += ∂(Σ (b⁽ᵗ⁾ μ⁽ᵐ⁾) ∘ K⁽ᵐ⁾ Q⁽ᵗ⁻¹⁾)/∂f⁽ᵐ⁾
    ∂𝓛/∂Q⁽ᵗ⁻¹⁾ = Σ_m K⁽ᵐ⁾ᵀ b⁽ᵗ⁾ μ⁽ᵐ⁾

with rows as points: the paper has columns, and there the last line is (μ K)ᵀ b. With a damping δ, Q⁽ᵗ⁾ in the first
line is the update before it is mixed, b⁽ᵗ⁾ is (1 − δ) times as much, and δ ∂𝓛/∂Q⁽ᵗ⁾ is added to ∂𝓛/∂Q⁽ᵗ⁻¹⁾.

Conventions:

- Rows are points: q[i, l] = Q_i(l). Every kernel has its own compatibility μ⁽ᵐ⁾, which contains its weight w_m. Potts
  is w (1 − I), or −w I: a constant added to a column of μ raises all labels of a point alike, and changes nothing.
- The paper's and the deck's sum is over j ≠ i; `exclude_self` says whether this is. The function leaves j = i out by
  default if all filters are exact, and refuses to do so with any other: the lattice's response at the point itself is
  not 1, so that subtracting Q_i would not take it out. The authors' code and CRF-as-RNN have it in.
- Pairs are counted once: the update belongs to the energy Σ ψ_p over i < j. The deck's energy, a sum over all j ≠ i,
  counts them twice, and would put a factor 2 before the messages.
- Parallel updates never raise the free energy where K is positive semidefinite, its self term in, and μ symmetric and
  negative semidefinite but for a constant (−w I, Potts). They can oscillate with period 2 where labels repel each
  other, or without the self term. `damping` mixes: q ← damping · q + (1 − damping) · update. Updates of one point after
  the other, without the self term, never raise it if K and μ are symmetric (`refdet.crf.mean_field_sequential`).
- No iteration: the softmax of −ψ. The arithmetic is in the dtype of the inputs. A NaN of ψ makes its point NaN, and by
  the first message every point that the filter connects with it. ψ + p that is too large for the dtype is ±∞, and a
  point of whose labels all are +∞, or one is −∞, is NaN.
- A truncated filter has no gradient of its features: they are the grid of the pixels.
- The kernels of this file run the references of the filters and of the softmax, whatever the backend in use; a backend
  replaces them whole. `refdet.crf.dense.DenseCRF` calls each of those as a kernel.
- Arrays (N, L) are held by label, each column in one piece (Fortran's order): splatting goes through them label by
  label, and a softmax over a few labels is several times as fast. The values do not depend on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import (
    Array,
    check_gradient,
    check_number,
    check_shape,
    integer,
    shape_of,
)
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel, use_backend
from refdet.crf.filters import NormalisedFilter, Shape, make_filter, split_features
from refdet.crf.model import check_crf, check_features, check_filters, columns_of, each, leaves_out_self
from refdet.ops.softmax import softmax_forward


class MeanFieldResidual(NamedTuple):
    unary: Array
    features: Array
    compatibilities: Array
    updates: Array  # (iterations + 1, N, L): the softmax of −ψ, and the outcome of every update before damping


def by_label(x: Array) -> Array:
    """Return a copy of (N, L) with every column in one piece of memory."""
    return np.copy(x, order="F")


def initialise(unary: Array) -> Array:
    """Q_i(l) = 1/Z_i exp(−ψ_i(l))."""
    return normalise(-unary)


def message_passing(filters: Sequence[NormalisedFilter], q: Array) -> list[Array]:
    """Q̃_i⁽ᵐ⁾(l') = Σ_j k_m(f_i, f_j) Q_j(l') for every kernel m."""
    return [k.apply(q) for k in filters]


def compatibility_transform(messages: Sequence[Array], compatibilities: Sequence[Array] | Array, like: Array) -> Array:
    """p_i(l) = Σ_m Σ_l' μ⁽ᵐ⁾(l, l') Q̃_i⁽ᵐ⁾(l'); zeros like `like` without a kernel."""
    pairwise = np.zeros_like(like)
    with np.errstate(over="ignore", invalid="ignore"):  # huge energies
        for message, mu in zip(messages, compatibilities, strict=True):
            pairwise += (mu @ message.T).T  # as message @ mu.T, but by label
    return pairwise


def local_update(unary: Array, pairwise: Array) -> Array:
    """Return −ψ_i(l) − p_i(l), the logarithm of the new Q_i(l) but for log Z_i."""
    with np.errstate(over="ignore", invalid="ignore"):
        logits: Array = -unary - pairwise
    return logits


def normalise(logits: Array) -> Array:
    """1/Z_i exp(·): the softmax of every row."""
    q, _ = softmax_forward(logits, axis=1, keep_residual=False)
    return q


def damp(q: Array, update: Array, damping: float) -> Array:
    """Return damping · q + (1 − damping) · update."""
    return damping * q + (1 - damping) * update if damping else update


def _check(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
    keep_residual: bool,
) -> None:
    check_crf("mean_field", unary, features, compatibilities, dimensions, normalisation)
    check_filters("mean_field", filters, dimensions, shape, exclude_self, shape_of(unary)[0])
    integer("mean_field", "iterations", iterations, low=0)
    check_damping("mean_field", damping)


def check_damping(op: str, damping: float) -> float:
    """Return the damping; refuse 1, with which nothing would ever change."""
    if check_number(op, "damping", damping, low=0, high=1) == 1:
        raise ValueError(f"{op}: damping must be smaller than 1, got {damping!r}")
    return float(damping)


def _check_backward(
    residual: MeanFieldResidual,
    dq: Array,
    *,
    needs: tuple[bool, bool, bool],
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> None:
    check_gradient("mean_field", dq, shape_of(residual.unary), residual.unary)
    expected = (iterations + 1, *shape_of(residual.unary))
    check_shape("mean_field", "updates", residual.updates, expected, "the first q and one per iteration")
    if needs[1] and "truncated" in filters:
        raise ValueError(
            "mean_field: a truncated filter has no gradient of its features, the grid of the pixels; "
            "pass features that require no gradient, or use the filter 'lattice' or 'exact'"
        )


@kernel("mean_field.forward", check=_check)
@use_backend("reference")
def mean_field_forward(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
    keep_residual: bool,
) -> tuple[Array, MeanFieldResidual | None]:
    """Return q after the last iteration, (N, L)."""
    kernels = _filters(features, dimensions, filters, shape, normalisation, exclude_self)
    psi = by_label(unary)
    q = initialise(psi)
    updates = [q]
    for _ in range(iterations):
        messages = message_passing(kernels, q)
        pairwise = compatibility_transform(messages, compatibilities, like=q)
        logits = local_update(psi, pairwise)
        update = normalise(logits)
        q = damp(q, update, float(damping))
        if keep_residual:
            updates.append(update)
    if not keep_residual:
        return q, None
    return q, MeanFieldResidual(unary, features, compatibilities, np.stack(updates))


@kernel("mean_field.backward", check=_check_backward)
@use_backend("reference")
def mean_field_backward(
    residual: MeanFieldResidual,
    dq: Array,
    *,
    needs: tuple[bool, bool, bool],
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> Gradients:
    """Return the gradients of the unaries, the features and the compatibilities."""
    kernels = _filters(residual.features, dimensions, filters, shape, normalisation, exclude_self)
    return gradients_through_iterations(
        residual, dq, kernels, needs=needs, dimensions=dimensions, damping=float(damping)
    )


def gradients_through_iterations(
    residual: MeanFieldResidual,
    dq: Array,
    kernels: Sequence[NormalisedFilter],
    *,
    needs: tuple[bool, bool, bool],
    dimensions: tuple[int, ...],
    damping: float,
) -> Gradients:
    """Run the iterations backwards; b is the gradient of ψ + p, the negated logits of an update."""
    features, compatibilities, updates = residual.features, residual.compatibilities, residual.updates
    qs = [updates[0]]
    for t in range(1, len(updates)):
        qs.append(damp(qs[-1], updates[t], damping))
    dunary = np.zeros_like(updates[0])
    dfeatures = [np.zeros_like(f, dtype=dunary.dtype) for f in split_features(features, dimensions)]
    dcompatibilities = np.zeros_like(compatibilities, dtype=dunary.dtype)
    for t in range(len(updates) - 1, 0, -1):
        b = (1 - damping) * gradient_of_energy(updates[t], dq)
        dq = damping * dq
        dunary += b
        for m, k in enumerate(kernels):
            dmessage = b @ compatibilities[m]
            if needs[1]:
                dfeatures[m] += k.features_gradient(dmessage, qs[t - 1])
            if needs[2]:
                dcompatibilities[m] += b.T @ k.apply(qs[t - 1])
            dq = dq + k.transpose(dmessage)
    dunary += gradient_of_energy(updates[0], dq)
    return (
        dunary if needs[0] else None,
        np.concatenate([dunary[:, :0], *dfeatures], axis=1) if needs[1] else None,
        dcompatibilities if needs[2] else None,
    )


def gradient_of_energy(q: Array, dq: Array) -> Array:
    """b = Q ∘ (Σ_l Q ∂𝓛/∂Q) − Q ∘ ∂𝓛/∂Q, the gradient of an energy ε for Q = 1/Z exp(−ε)."""
    b: Array = q * np.sum(q * dq, axis=1, keepdims=True) - q * dq
    return b


def _filters(
    features: Array,
    dimensions: Sequence[int],
    names: Sequence[str],
    shape: Shape | None,
    normalisation: Sequence[str],
    exclude_self: bool,
) -> list[NormalisedFilter]:
    return [
        make_filter(name, f, normalisation=how, exclude_self=exclude_self, shape=shape)
        for f, name, how in zip(split_features(features, dimensions), names, normalisation, strict=True)
    ]


_mean_field = differentiable(mean_field_forward, mean_field_backward)


def mean_field(
    unary: Tensor | Array,
    features: Sequence[Tensor | Array],
    compatibilities: Sequence[Tensor | Array],
    *,
    filters: str | Sequence[str] = "lattice",
    normalisation: str | Sequence[str] = "symmetric",
    shape: Shape | None = None,
    exclude_self: bool | None = None,
    iterations: int = 10,
    damping: float = 0.0,
) -> Tensor:
    """Approximate the marginals of a fully connected CRF; differentiable in everything it is made of.

    Args:
        unary: (N, L), the energy ψ of every label at every point; float32 or float64.
        features: for each of M kernels (N, d_m), divided by its standard deviations.
        compatibilities: for each of M kernels (L, L), μ(l, l') times the weight of the kernel; Potts is w (1 − I).
        filters: "exact", "truncated" or "lattice", one for all kernels or one for each (`refdet.crf.filters`).
        normalisation: "none", "before", "after" or "symmetric", likewise.
        shape: (H, W) of the image; needed by truncated filters, whose features are (x/θ_x, y/θ_y).
        exclude_self: leave the point itself out of its messages, which only exact filters can; None: if all are exact.
        iterations: how many parallel updates; 0 gives the softmax of −ψ.
        damping: in [0, 1), the share of the old q.

    Returns:
        q, (N, L), rows sum to 1. For the convergence of the updates see `DenseCRF`.

    Point 0 prefers label 0 by an energy of 2, point 1 has no preference. At the same place, with Potts of weight 3, its
    logits after one iteration are −3 (1 − Q_0(l)): the difference is 3 (Q_0(0) − Q_0(1)) = 3 tanh 1.

    >>> unary, same_place = np.array([[0.0, 2.0], [0.0, 0.0]]), np.zeros((2, 1))
    >>> potts = 3 * (1 - np.eye(2))
    >>> q = mean_field(unary, [same_place], [potts], filters="exact", normalisation="none", iterations=1)
    >>> np.log(q.data[1, 0] / q.data[1, 1]).round(6), (3 * np.tanh(1)).round(6)
    (np.float64(2.284782), np.float64(2.284782))
    """
    unary = as_tensor("mean_field", "unary", unary)
    joined = columns_of("mean_field", unary, features, compatibilities)
    names = each("mean_field", "filters", filters, joined.dimensions)
    exclude_self = leaves_out_self(exclude_self, names)
    check_filters("mean_field", names, joined.dimensions, shape, exclude_self, unary.shape[0])
    for name, f in zip(names, split_features(joined.features.data, joined.dimensions), strict=True):
        check_features("mean_field", f, name, shape)
    return _mean_field(
        unary,
        joined.features,
        joined.compatibilities,
        dimensions=joined.dimensions,
        filters=names,
        shape=None if shape is None else (int(shape[0]), int(shape[1])),
        normalisation=each("mean_field", "normalisation", normalisation, joined.dimensions),
        exclude_self=exclude_self,
        iterations=iterations,
        damping=damping,
    )

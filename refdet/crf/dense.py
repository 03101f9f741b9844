"""The fully connected CRF as an object: its filters are made once, and inference shows how it converges.

    E(y) = Σ_i ψ_i(y_i) + Σ_{i<j} Σ_m μ⁽ᵐ⁾(y_i, y_j) k_m(f_i, f_j)

Krähenbühl & Koltun, "Efficient inference in fully connected CRFs with Gaussian edge potentials" (2011); deck 004. The
steps of an iteration are those of `refdet.crf.mean_field` and `refdet.crf.mean_field_sequential`, and so are their
conventions. To differentiate through the inference, use the function `mean_field`.

The parts of an iteration, such as splatting, blurring and slicing, run on the backend in use:
`with refdet.use_backend("numba-cpu"):` around both the making of a DenseCRF and its inference. A backend may also
replace all parallel updates at once: a function in its table by the name of `PARALLEL` takes the place of
`parallel_inference` below.

Conventions:

- The trace holds the free energy before the first iteration and after each, and the largest |Δq| of each iteration. It
  is the free energy of the filters' own K, normalised and approximate as they are; a filter that is not symmetric
  ("before", "after", and to some degree the lattice) is not the gradient of its energy, so that the trace may then rise
  a little where theory has it fall.
- The most probable label of a point is that of the largest q, the first of equal ones.
- Unaries, features and compatibilities have to be finite. A label that cannot be is better given an energy of 1e4 than
  of ∞, of which 0 · ∞ would be left in the free energy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_choice, check_floating, check_rank, check_shape, integer, sequence, shape_of
from refdet.core.kernel import active_backend
from refdet.crf.filters import EXPONENTS, FILTERS, NormalisedFilter, Shape, make_filter
from refdet.crf.free_energy import free_energy
from refdet.crf.mean_field import (
    by_label,
    check_damping,
    compatibility_transform,
    damp,
    initialise,
    local_update,
    message_passing,
    normalise,
)
from refdet.crf.mean_field_sequential import sweep
from refdet.crf.model import check_dtypes, check_features, check_filters, check_rows, leaves_out_self

SCHEDULES = ("parallel", "sequential")
PARALLEL = "DenseCRF.infer"

GoesOn = Callable[[int, Array, Array], bool]  # the number of the iteration, the free energy after it, the largest |Δq|

# q, the free energies before the first iteration and after each, the largest |Δq| of each
Steps = tuple[Array, list[Array], list[Array]]


@dataclass(frozen=True, eq=False)
class GaussianPotential:
    """One kernel of a fully connected CRF.

    Attributes:
        features: (N, d), divided by the standard deviations, as `position_features` and `bilateral_features` are;
            float32 or float64.
        compatibility: (L, L), μ(l, l') times the weight of the kernel, as `potts` returns it; of the same dtype.
        filter: "lattice", fast and approximate; "exact", the N × N matrix; or "truncated", for positions on the grid of
            an image only (`refdet.crf.filters`).
        normalisation: "symmetric", "none", "before" or "after"; with n = K 1 these are n^−½ K n^−½, K, K n⁻¹, n⁻¹ K.
    """

    features: Array
    compatibility: Array
    filter: str = "lattice"
    normalisation: str = "symmetric"

    def __post_init__(self) -> None:
        check_choice("GaussianPotential", "filter", self.filter, FILTERS)
        check_choice("GaussianPotential", "normalisation", self.normalisation, EXPONENTS)


class Progress(NamedTuple):
    """What is known after an iteration.

    Attributes:
        iteration: 1, 2, 3 …, the number of the iteration.
        iterations: how many there will be, unless inference is ended.
        free_energy: after this iteration.
        change: the largest |Δq| of this iteration, in [0, 1].
    """

    iteration: int
    iterations: int
    free_energy: float
    change: float


@dataclass(frozen=True, eq=False)
class Inference:
    """The outcome of mean-field inference, and how it was reached; all arrays have the dtype of the unary.

    Attributes:
        q: (N, L), the approximate marginals, rows sum to 1.
        free_energies: (T + 1,) after T iterations, that of the softmax of −ψ first.
        changes: (T,), the largest |Δq| of each iteration.
    """

    q: Array
    free_energies: Array
    changes: Array

    def labels(self) -> Array:
        """Return the most probable label of every point, (N,) int64; the first of equal ones."""
        labels: Array = np.argmax(self.q, axis=1)
        return labels


class DenseCRF:
    """A fully connected CRF with Gaussian edge potentials.

    Args:
        unary: (N, L), the energy ψ of every label at every point, finite; float32 or float64.
        kernels: a list of any number of `GaussianPotential`s over the same points and labels, of the same dtype.
        shape: (H, W) of the image; needed by truncated filters, whose features are (x/θ_x, y/θ_y).
        exclude_self: leave the point itself out of its messages, which only exact filters can; None: if all are exact.

    Three pixels of a row, the middle one of another opinion, which a smoothness kernel overrules:

    >>> unary = np.array([[0.0, 3.0], [1.0, 0.0], [0.0, 3.0]])
    >>> row = np.array([[0.0], [0.5], [1.0]])
    >>> crf = DenseCRF(unary, [GaussianPotential(row, 2 * (1 - np.eye(2)), filter="exact", normalisation="none")])
    >>> crf.infer(0).labels(), crf.infer(5).labels()
    (array([0, 1, 0]), array([0, 0, 0]))
    """

    def __init__(
        self,
        unary: Array,
        kernels: Sequence[GaussianPotential],
        *,
        shape: Shape | None = None,
        exclude_self: bool | None = None,
    ) -> None:
        check_floating("DenseCRF", unary=unary)
        check_rank("DenseCRF", "unary", unary, "N, L")
        _check_finite("unary", unary, "label {1} at point {0}")
        n_points, n_labels = shape_of(unary)
        if isinstance(kernels, GaussianPotential):
            raise TypeError("DenseCRF: kernels must be a sequence of GaussianPotentials, got a single one; write [...]")
        kernels = sequence("DenseCRF", "kernels", kernels)
        for k in kernels:
            if not isinstance(k, GaussianPotential):
                raise TypeError(f"DenseCRF: kernels must be GaussianPotentials, got {type(k).__name__}")
            check_dtypes("DenseCRF", unary, features=k.features, compatibility=k.compatibility)
            check_rank("DenseCRF", "features", k.features, "N, d")
            check_rows("DenseCRF", unary, k.features)
            check_shape("DenseCRF", "compatibility", k.compatibility, (n_labels, n_labels), "L × L")
            _check_finite("compatibility", k.compatibility, "the labels {0} and {1}")
        dimensions = [k.features.shape[1] for k in kernels]
        names = [k.filter for k in kernels]
        exclude_self = leaves_out_self(exclude_self, names)
        check_filters("DenseCRF", names, dimensions, shape, exclude_self, n_points)
        for k in kernels:
            check_features("DenseCRF", k.features, k.filter, shape)
        self.unary, self.kernels = np.copy(unary), tuple(kernels)
        self._filters = [
            make_filter(k.filter, k.features, normalisation=k.normalisation, exclude_self=exclude_self, shape=shape)
            for k in kernels
        ]

    def infer(
        self,
        iterations: int = 10,
        *,
        schedule: str = "parallel",
        damping: float = 0.0,
        on_iteration: Callable[[Progress], object] | None = None,
    ) -> Inference:
        """Approximate the marginals, beginning from the softmax of −ψ.

        Args:
            iterations: how many updates of all points.
            schedule: "parallel", or "sequential" for one point after the other, with exact filters only.
            damping: in [0, 1), the share of the old q in a parallel update.
            on_iteration: called after every iteration. If it raises StopIteration, inference ends there.
        """
        iterations = integer("DenseCRF.infer", "iterations", iterations, low=0)
        check_choice("DenseCRF.infer", "schedule", schedule, SCHEDULES)
        damping = check_damping("DenseCRF.infer", damping)
        if schedule == "sequential" and damping:
            raise ValueError(f"DenseCRF.infer: damping is for the parallel schedule, got {damping!r} with 'sequential'")

        def goes_on(t: int, energy: Array, change: Array) -> bool:
            try:
                if on_iteration is not None:
                    on_iteration(Progress(t, iterations, float(energy), float(change)))
            except StopIteration:
                return False
            return True

        watch = None if on_iteration is None else goes_on
        problem = self.unary, self._filters, self._compatibilities
        if schedule == "sequential":
            found = inference(*problem, self._sequential(), iterations=iterations, goes_on=watch)
        else:
            infer = active_backend().kernels.get(PARALLEL, parallel_inference)
            found = infer(*problem, iterations=iterations, damping=damping, goes_on=watch)
        q, free_energies, changes = found
        return Inference(q, np.array(free_energies, q.dtype), np.array(changes, q.dtype))

    @property
    def _compatibilities(self) -> list[Array]:
        return [k.compatibility for k in self.kernels]

    def _sequential(self) -> Callable[[Array, Array], Array]:
        """Return the update of one point after the other, for which the pairwise energies at the start are no use."""
        for k in self.kernels:
            if k.filter != "exact":
                raise ValueError(
                    f"DenseCRF.infer: the sequential schedule needs the filter 'exact' throughout, got {k.filter!r}"
                )
        matrices = [f.matrix() for f in self._filters]
        return lambda q, pairwise: sweep(q, self.unary, matrices, self._compatibilities)


def parallel_inference(
    unary: Array,
    filters: Sequence[NormalisedFilter],
    compatibilities: Sequence[Array],
    *,
    iterations: int,
    damping: float,
    goes_on: GoesOn | None,
) -> Steps:
    """Update all points at once, again and again; see `inference`."""

    def update(q: Array, pairwise: Array) -> Array:
        return damp(q, normalise(local_update(psi, pairwise)), damping)

    psi = by_label(unary)
    return inference(psi, filters, compatibilities, update, iterations=iterations, goes_on=goes_on)


def inference(
    unary: Array,
    filters: Sequence[NormalisedFilter],
    compatibilities: Sequence[Array],
    update: Callable[[Array, Array], Array],
    *,
    iterations: int,
    goes_on: GoesOn | None,
) -> Steps:
    """Begin from the softmax of −ψ; an update has q and p, the pairwise energies under q, and returns the next q.

    After each, `goes_on` may say False, with which it ends.
    """

    def pairwise_energies(q: Array) -> Array:
        """Return p_i(l) = Σ_m Σ_l' μ⁽ᵐ⁾(l, l') Σ_j k_m(f_i, f_j) Q_j(l')."""
        return compatibility_transform(message_passing(filters, q), compatibilities, like=q)

    q = initialise(unary)
    pairwise = pairwise_energies(q)
    free_energies, changes = [free_energy(q, unary, pairwise)], []
    for t in range(1, iterations + 1):
        new = update(q, pairwise)
        changes.append(np.max(np.abs(new - q), initial=0))
        q = new
        pairwise = pairwise_energies(q)
        free_energies.append(free_energy(q, unary, pairwise))
        if goes_on is not None and not goes_on(t, free_energies[-1], changes[-1]):
            break
    return q, free_energies, changes


def _check_finite(name: str, x: Array, where: str) -> None:
    finite = np.isfinite(x)
    if not np.all(finite):
        row, column = np.argwhere(~finite)[0].tolist()
        raise ValueError(f"DenseCRF: {name} must be finite, got {x[row, column]} for {where.format(row, column)}")

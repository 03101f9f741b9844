"""A few steps of mean-field inference with learned filters.

    q⁽ᵗ⁾ = softmax(−ψ − Σ_m (F⁽ᵐ⁾ q⁽ᵗ⁻¹⁾) μ⁽ᵐ⁾ᵀ),     q⁽⁰⁾ = softmax(−ψ)

It is the update of `refdet.crf.mean_field` with a learned filter F⁽ᵐ⁾ (`refdet.crf.learned_filters`) in place of each
Gaussian kernel. Jampani, Kiefel & Gehler, "Learning sparse high dimensional filters: image filtering, dense CRFs and
bilateral neural networks" (2016); deck 004, "Learning the filters", whose table compares

    MF-1step           steps=1
    MF-2step           steps=2: both steps have the same parameters
    loose MF-2step     steps=2, tied=False: each step learns its own

on Pascal VOC 2012 and MINC, with Gaussian and with learned filters.

Conventions:

- Rows are points. What is returned is before the last softmax, unnormalised logits, as cross-entropy needs them.
- Each kernel m of each step has a filter, by default one for every label, and a compatibility μ⁽ᵐ⁾ that contains the
  weight of the kernel and starts as Potts.
- New filters are the Gaussian one, so that a new layer is plain mean field with that filter; the self term is in.
- The normalisation is that of the lattices, and stays that of the Gaussian filter as the filters learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet import ops
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_choice, check_flag, check_number, check_rank, integer, sequence
from refdet.crf.compatibility import potts
from refdet.crf.learned_filters import FilterLattice, PermutohedralFilter
from refdet.nn.init import check_dtype
from refdet.nn.module import Module, Parameter
from refdet.nn.sequential import Sequential


class MeanFieldStep(Module):
    """One mean-field update: a filter (L, L/groups, T) for each kernel, and compatibilities (kernels, L, L)."""

    def __init__(self, filters: Sequence[PermutohedralFilter], compatibilities: Array) -> None:
        super().__init__()
        self.filters = Sequential(*filters)
        self.compatibility = Parameter(compatibilities)

    def update(self, q: Tensor, unary: Tensor, lattices: Sequence[FilterLattice]) -> Tensor:
        """Return −ψ − Σ_m μ⁽ᵐ⁾ (F⁽ᵐ⁾ q), (N, L), whose softmax is the new q."""
        filters: Any = self.filters  # called with a lattice each, which a Sequential by itself does not pass on
        logits = -unary
        for m, lattice in enumerate(lattices):
            logits = logits - filters[m](q, lattice) @ self.compatibility[m].T
        return logits


class LearnedMeanField(Module):
    """A few steps of mean-field inference with learned filters: MF-1step, MF-2step, loose MF-2step.

    Args:
        n_labels: L.
        dimensions: number of features of each kernel, (2, 5) for a spatial and a bilateral one.
        steps: how many updates, at least 1.
        tied: whether all steps share their parameters; if not ("loose"), each learns its own.
        neighbourhood: s, one for all kernels.
        weights: of each kernel, which its Potts compatibility starts with; None is 1 for all.
        groups: as for `PermutohedralFilter`; None is n_labels, one filter per label.
        offset: "diagonal" or "none". (Under "full" all labels of a group would get the same messages.)
        dtype: float32 or float64.

    New filters are Gaussian, so that a new layer is plain mean field. The parameters of step t are
    `steps.t.filters.m.weight` for kernel m and `steps.t.compatibility`; if they are tied there is a step 0 only.
    """

    def __init__(
        self,
        n_labels: int,
        dimensions: Sequence[int],
        *,
        steps: int = 1,
        tied: bool = True,
        neighbourhood: int = 1,
        weights: Sequence[float] | None = None,
        groups: int | None = None,
        offset: str = "diagonal",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        L = integer("LearnedMeanField", "n_labels", n_labels, low=1)
        ds = [
            integer("LearnedMeanField", "dimensions", d, low=1)
            for d in sequence("LearnedMeanField", "dimensions", dimensions)
        ]
        kernel_weights = [1.0] * len(ds) if weights is None else sequence("LearnedMeanField", "weights", weights)
        if len(kernel_weights) != len(ds):
            raise ValueError(
                f"LearnedMeanField: weights must be one number for each of {len(ds)} kernels, got {weights!r}"
            )
        kernel_weights = [check_number("LearnedMeanField", "weights", w) for w in kernel_weights]
        check_choice("LearnedMeanField", "offset", offset, ("diagonal", "none"))
        check_flag("LearnedMeanField", "tied", tied)
        dtype = check_dtype("LearnedMeanField", dtype)
        self.n_steps = integer("LearnedMeanField", "steps", steps, low=1)
        self.n_labels, self.n_kernels = L, len(ds)
        G = L if groups is None else integer("LearnedMeanField", "groups", groups, low=1)
        options: dict[str, Any] = {"neighbourhood": neighbourhood, "groups": G, "offset": offset, "dtype": dtype}
        compatibilities = np.array([potts(L, w) for w in kernel_weights], dtype).reshape(len(ds), L, L)
        self.steps = Sequential(
            *(
                MeanFieldStep([PermutohedralFilter(L, L, d, **options) for d in ds], compatibilities.copy())
                for _ in range(1 if tied else self.n_steps)
            )
        )

    def forward(  # type: ignore[override]  # the features of the points come with their unaries
        self,
        unary: Tensor,
        lattices: Sequence[FilterLattice],
        *,
        training: bool,
        rng: np.random.Generator | None,
    ) -> Tensor:
        """Return the unnormalised logits, (N, L), after all steps; their softmax is q."""
        logits = -unary
        for t in range(self.n_steps):
            step: Any = self.steps[min(t, len(self.steps) - 1)]
            logits = step.update(ops.softmax(logits, axis=1), unary, lattices)
        return logits

    def __call__(  # type: ignore[override]
        self,
        unary: Tensor | Array,
        lattices: Sequence[FilterLattice],
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Refine unaries.

        Args:
            unary: (N, L), the energies ψ, of the dtype of the layer: minus the logits of a network, for instance.
            lattices: one for each kernel, all of the N points.

        Returns:
            The unnormalised logits, (N, L), whose softmax over axis 1 is q.
        """
        unary = as_tensor("LearnedMeanField", "unary", unary)
        check_rank("LearnedMeanField", "unary", unary.data, "N, L")
        if unary.shape[1] != self.n_labels:
            raise ValueError(
                f"LearnedMeanField: unary must have a column for each of {self.n_labels} labels, got {unary.shape}"
            )
        if len(lattices) != self.n_kernels:
            raise ValueError(
                f"LearnedMeanField: lattices must be one for each of {self.n_kernels} kernels, got {len(lattices)}"
            )
        for m, lattice in enumerate(lattices):
            if (lattice.n_points, lattice.n_out_points) != (unary.shape[0], unary.shape[0]):
                raise ValueError(
                    f"LearnedMeanField: lattices[{m}] must have the {unary.shape[0]} points of unary, got "
                    f"{lattice.n_points} and {lattice.n_out_points}"
                )
        return self.forward(unary, lattices, training=training, rng=rng)

"""Mean-field inference, every step of an iteration on the device.

    make the filters; sort the corners of every lattice by vertex once
    for each iteration:
        filter q, multiply by the compatibilities      (`lattice_splat`, `lattice_blur`, `lattice_slice`; CuPy)
        for each point (a thread each):   q ← δ q + (1 − δ) · 1/Z exp(−ψ − p)

Filters are the classes of `refdet.crf.filters`, whose steps are kernels; here they run on this backend, and one that it
lacks is an error. A softmax is that of the reference: its largest logit is found, then the sum, then the quotients.
`backward` is the reference's, on these filters. The host waits only while the filters are made.

Workspace for N points, L labels and K kernels: (K + 4) N L numbers at the same time, beside the filters' own; the
residual has T + 1 arrays of N L, and backward as many again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numba import float32, float64, types

from refdet.core.kernel import Backend, use_backend
from refdet.crf.filters import (
    ExactFilter,
    Filter,
    LatticeFilter,
    NormalisedFilter,
    Shape,
    TruncatedFilter,
    split_features,
)
from refdet.crf.mean_field import (
    MeanFieldResidual,
    compatibility_transform,
    gradients_through_iterations,
    message_passing,
)
from refdet_numba.gpu import (
    gaussian_kernel,
    lattice_blur,
    lattice_embed,
    lattice_index,
    lattice_slice,
    lattice_splat,
    truncated_gaussian,
)
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_host
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 8 if IN_SIMULATOR else 128

FILTER_STEPS = Backend(
    "numba-cuda",
    {
        "gaussian_kernel.backward": gaussian_kernel.backward,
        "gaussian_kernel.forward": gaussian_kernel.forward,
        "lattice_embed.backward": lattice_embed.backward,
        "lattice_embed.forward": lattice_embed.forward,
        "lattice_index": lattice_index.lattice_index,
        "lattice_slice.forward": lattice_slice.forward,
        "lattice_splat.backward": lattice_splat.backward,
        "truncated_gaussian.forward": truncated_gaussian.forward,
    },
    "error",
)


class SortedLatticeFilter(LatticeFilter):
    """A lattice filter that sorts the corners by vertex once, for all values that it splats."""

    def __init__(self, features: Any) -> None:
        super().__init__(features)
        self.corners = lattice_splat.by_vertex(self.ids, self.n_vertices)

    def _blurred(self, values: Any, *, reverse: bool) -> Any:
        z = lattice_splat.spread(values, self.weights, self.corners)
        return lattice_blur.blurred(z, self.neighbours, reverse)


@use_backend(FILTER_STEPS)
def forward(
    unary: Any,
    features: Any,
    compatibilities: Any,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
    keep_residual: bool,
) -> tuple[Any, MeanFieldResidual | None]:
    """Return q after the last iteration, (N, L)."""
    kernels = _filters(features, dimensions, filters, shape, normalisation, exclude_self)
    psi, pairwise = contiguous(unary), np.zeros_like(unary, shape=unary.shape, order="C")
    q = np.empty_like(psi, shape=psi.shape)
    update = np.empty_like(q) if damping else q  # which is mixed into q
    updates = np.empty_like(psi, shape=(iterations + 1 if keep_residual else 0, *psi.shape))
    number = psi.dtype.type
    for t in range(iterations + 1):
        share = float(damping) if t else 0.0
        if t:
            pairwise = compatibility_transform(message_passing(kernels, q), compatibilities, like=q)
        scalars = number(share), number(1 - share), number(-np.inf)
        outcome = updates[t] if keep_residual else update
        launch(_update, blocks_for(len(psi), THREADS), THREADS, psi, contiguous(pairwise), scalars, outcome, q)
    return q, MeanFieldResidual(unary, features, compatibilities, updates) if keep_residual else None


@use_backend(FILTER_STEPS)
def backward(
    residual: MeanFieldResidual,
    dy: Any,
    *,
    needs: tuple[bool, bool, bool],
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> tuple[Any | None, ...]:
    """Return the gradients of the unaries, the features and the compatibilities."""
    kernels = _filters(residual.features, dimensions, filters, shape, normalisation, exclude_self)
    return gradients_through_iterations(
        residual, dy, kernels, needs=needs, dimensions=dimensions, damping=float(damping)
    )


def _filters(
    features: Any,
    dimensions: Sequence[int],
    names: Sequence[str],
    shape: Shape | None,
    normalisation: Sequence[str],
    exclude_self: bool,
) -> list[NormalisedFilter]:
    """Return the filters over points with these features, as `refdet.crf.filters.make_filter` does."""

    def made(name: str, f: Any) -> Filter:
        if name == "exact":
            return ExactFilter(f, exclude_self=exclude_self)
        return TruncatedFilter(to_host(f), cast(Shape, shape)) if name == "truncated" else SortedLatticeFilter(f)

    ones = np.ones_like(features, shape=(len(features), 1), order="C")
    return [
        NormalisedFilter(made(name, f), how, ones)
        for f, name, how in zip(split_features(features, dimensions), names, normalisation, strict=True)
    ]


@jit()
def _update(psi: Any, pairwise: Any, scalars: Any, update: Any, q: Any) -> None:
    """q ← δ q + (1 − δ) · update; without damping the two may be one array."""
    old_share, new_share, top = scalars
    n_points, n_labels = psi.shape
    i = cuda.grid(1)
    if i < n_points:
        for label in range(n_labels):
            x = -psi[i, label] - pairwise[i, label]
            if x > top or x != x:
                top = x
        total = old_share - old_share
        for label in range(n_labels):
            e = math.exp(-psi[i, label] - pairwise[i, label] - top)
            update[i, label] = e
            total += e
        for label in range(n_labels):
            share = update[i, label] / total
            update[i, label] = share
            q[i, label] = old_share * q[i, label] + new_share * share if old_share > 0 else share


ASSEMBLED = [
    Assembled(
        _update, [*[array(t, 2)] * 2, types.UniTuple(t, 3), *[array(t, 2)] * 2], registers=54, float64=t is float64
    )
    for t in (float32, float64)
]

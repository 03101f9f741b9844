"""Mean-field inference: the lattices of all kernels in one pass over the points for each iteration.

An iteration is `pass_over_points` (`mean_field_pass`), then `add_up`, `blur`, `transform` (`mean_field_vertices`).

`infer` is what `DenseCRF.infer` calls; `forward` makes the filters itself. Filters that are no lattices are applied to
all of q before the pass, and the energies they cause handed to it. `backward` runs the reference's formula with the
filters on this backend: of its time the filters take the most.

ψ and q are (N, width), the labels padded to a multiple of eight. Each iteration replaces q in place, unless somebody
watches, who may end the inference before that.

Workspace for N points, L labels, M vertices and S slots (`crf_lattices`), in rows of 8 ⌈L/8⌉ numbers of the dtype: 2 N
for ψ and q (N more each for a watched inference, for filters that are no lattices, for damping with a residual), S, for
each thread the slots of one part, 2 M for blurred and transformed vertices, at most 2 (M' + 1) times the number of
lattices for blurring, with M' the vertices of the largest, 256 for each lattice, 1024; and 12 bytes for each corner of
a point (16 where left and right of the normalisation differ), 8 (d + 2) for each vertex.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import get_num_threads

from refdet.core.check import Array
from refdet.core.kernel import Backend, active_backend, use_backend
from refdet.crf.filters import LatticeFilter, NormalisedFilter, Shape, make_filter, split_features
from refdet.crf.mean_field import MeanFieldResidual, gradients_through_iterations
from refdet_numba.cpu import lattice_blur, lattice_embed, lattice_index, lattice_slice, lattice_splat
from refdet_numba.cpu.arrays import aligned
from refdet_numba.cpu.crf_lattices import PARTS, side_by_side
from refdet_numba.cpu.lanes import LANE_BYTES
from refdet_numba.cpu.mean_field_pass import TILE, pass_over_points
from refdet_numba.cpu.mean_field_vertices import BLOCK, add_up, blur, transform

LABELS = 8  # a row holds a multiple of this: some vectors of `lanes`, 4 or 8 numbers each

FILTER_STEPS: dict[str, Callable[..., Any]] = {
    "lattice_blur.forward": lattice_blur.forward,
    "lattice_embed.backward": lattice_embed.backward,
    "lattice_embed.forward": lattice_embed.forward,
    "lattice_index": lattice_index.lattice_index,
    "lattice_slice.forward": lattice_slice.forward,
    "lattice_splat.backward": lattice_splat.backward,
    "lattice_splat.forward": lattice_splat.forward,
}


def infer(
    unary: Array,
    filters: Sequence[NormalisedFilter],
    compatibilities: Sequence[Array],
    *,
    iterations: int,
    damping: float,
    goes_on: Callable[[int, Array, Array], bool] | None,
) -> tuple[Array, list[Array], list[Array]]:
    """Return q, the free energies and the changes, as `refdet.crf.dense.parallel_inference` does."""
    inference = Inference(unary, filters, compatibilities, damping=damping, watched=goes_on is not None)
    number = inference.psi.dtype.type
    energies, changes = [], []
    inference.begin()
    for t in range(iterations + 1):
        change = inference.change
        energy = inference.advance(ends=t == iterations)
        with np.errstate(over="ignore"):  # energies beyond the range of float32 are infinite
            energies.append(number(energy))
        if t:
            changes.append(number(change))
            if goes_on is not None and not goes_on(t, energies[-1], changes[-1]):
                break
    ended_early = len(changes) < iterations  # and the next q has already been computed
    return inference.previous() if ended_early else inference.current(), energies, changes


def forward(
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
    with use_backend(_filter_steps()):
        made = _filters(features, dimensions, filters, shape, normalisation, exclude_self)
        inference = Inference(unary, made, list(compatibilities), damping=float(damping), recorded=keep_residual)
        inference.begin()
        updates = [inference.update()] if keep_residual else []
        for _ in range(iterations):
            inference.advance(ends=False)
            if keep_residual:
                updates.append(inference.update())
    if not keep_residual:
        return inference.current(), None
    return inference.current(), MeanFieldResidual(unary, features, compatibilities, np.stack(updates))


def backward(
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
) -> tuple[Array | None, ...]:
    """Return the gradients of the unaries, the features and the compatibilities."""
    with use_backend(_filter_steps()):
        made = _filters(residual.features, dimensions, filters, shape, normalisation, exclude_self)
        return gradients_through_iterations(
            residual, dq, made, needs=needs, dimensions=dimensions, damping=float(damping)
        )


def _filters(
    features: Array,
    dimensions: tuple[int, ...],
    names: tuple[str, ...],
    shape: Shape | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
) -> list[NormalisedFilter]:
    return [
        make_filter(name, f, normalisation=how, exclude_self=exclude_self, shape=shape)
        for f, name, how in zip(split_features(features, dimensions), names, normalisation, strict=True)
    ]


def _filter_steps() -> Backend:
    """Return what filters are made of here; what is lacking runs its reference, or is refused, as the caller wants."""
    return Backend("numba-cpu", FILTER_STEPS, active_backend().fallback)


class Inference:
    """The state between two passes: q, the lattices blurred from it, and its entropy."""

    def __init__(
        self,
        unary: Array,
        filters: Sequence[NormalisedFilter],
        compatibilities: Sequence[Array],
        *,
        damping: float,
        watched: bool = False,
        recorded: bool = False,
    ) -> None:
        self.n_points, self.n_labels = unary.shape
        dtype = np.dtype(unary.dtype).newbyteorder("=")
        width = -(-self.n_labels // LABELS) * LABELS
        self.damping = damping
        self.psi = self._padded(unary, dtype)
        self.q = aligned((self.n_points, width), dtype)
        self.spare = aligned((self.n_points, width), dtype) if watched else self.q  # where the next q goes
        self.updates = aligned((self.n_points, width), dtype) if recorded and damping else self.psi[:0]
        on_lattices = [m for m, f in enumerate(filters) if isinstance(f.kernel, LatticeFilter)]
        on_lattices.sort(key=lambda m: -filters[m].kernel.neighbours.shape[0])  # type: ignore[attr-defined]
        others = [m for m in range(len(filters)) if m not in on_lattices]
        self.others = [(filters[m], np.asarray(compatibilities[m])) for m in others]
        self.lattices = side_by_side([filters[m] for m in on_lattices], self.n_points, dtype)
        n_axes, sizes = self.lattices.n_axes, np.diff(self.lattices.first_vertex)
        lanes = LANE_BYTES // dtype.itemsize
        tables = len(n_axes) * width // lanes, 2, int(max(sizes, default=0)) + 1
        self.tables = aligned((*tables, lanes), dtype)
        self.blurred = aligned((len(self.lattices.blocks) * BLOCK, width), dtype)
        self.z = aligned((int(self.lattices.first_vertex[-1]), width), dtype)
        self.slots = aligned((len(self.lattices.vertex_of), width), dtype)
        self.most_slots = int(np.max(np.diff(self.lattices.first_slot)))
        self.closed = aligned((1, width), dtype)
        self.closed[0] = np.where(np.arange(width) < self.n_labels, 0, -np.inf)
        self.costs = np.zeros((len(on_lattices), width, width), dtype)
        for cost, m in zip(self.costs, on_lattices, strict=True):
            scale = filters[m].kernel.scale  # type: ignore[attr-defined]
            cost[: self.n_labels, : self.n_labels] = scale * compatibilities[m].T
        self.costs = self.costs.reshape(len(on_lattices) * width, width)
        self.pairwise = aligned((PARTS * TILE, width), dtype)
        self.scalars = aligned((PARTS * TILE, 2), dtype)
        self.entropy, self.change = 0.0, 0.0

    def begin(self) -> None:
        """q ← softmax(−ψ)."""
        self._pass(begins=True, ends=False)

    def advance(self, *, ends: bool) -> float:
        """Return the free energy of q, and unless this is the end replace q by its update."""
        entropy = self.entropy
        return entropy + self._pass(begins=False, ends=ends)

    def current(self) -> Array:
        """Return q, (N, L)."""
        return self._labels(self.q)

    def previous(self) -> Array:
        """Return the q before the last update, if it is watched."""
        return self._labels(self.spare)

    def update(self) -> Array:
        """Return the last update before damping."""
        return self._labels(self.updates) if len(self.updates) else self.current()

    def _pass(self, *, begins: bool, ends: bool) -> float:
        """Go over the points, and make ready for the next time; return the energy without the entropy."""
        x = self.lattices
        results = np.zeros((PARTS, 4))
        given = self.psi[:0] if begins else self._given()
        n_threads, width = get_num_threads(), self.psi.shape[1]
        own_z = aligned((n_threads, self.most_slots, width), self.psi.dtype)
        pass_over_points(
            *(self.psi, self.q, self.spare, self.updates, given),
            *(x.corners, x.out_weights, x.in_weights, x.first_slot, x.vertex_of, self.z, self.slots),
            *(own_z, self.closed, self.pairwise, self.scalars, self.damping, begins, ends, results),
        )
        energies, entropies, changes, are_nan = results.T.tolist()
        if not ends:
            self.q, self.spare = self.spare, self.q
            add_up(self.slots, x.slots_from, x.slots_of, x.n_axes, x.blocks, self.tables)
            blur(x.neighbours, x.first_vertex, x.n_axes, self.tables)
            transform(self.tables, x.n_axes, x.blocks, self.costs, self.blurred, self.z)
            self.entropy = 0.0 if self.damping else sum(entropies)
            self.change = np.nan if any(are_nan) else max(changes)
        return float(sum(energies))

    def _given(self) -> Array:
        """Return the pairwise energies that filters cause which are no lattices."""
        if not self.others:
            return self.psi[:0]
        q = self.current()
        energies = np.zeros_like(q)
        with np.errstate(over="ignore", invalid="ignore"):  # huge energies
            for f, mu in self.others:
                energies += f.apply(q) @ mu.T
        return self._padded(energies, q.dtype)

    def _padded(self, x: Array, dtype: Any) -> Array:
        """Return (N, L) with columns of 0 behind, up to a multiple of eight."""
        padded = aligned((self.n_points, -(-self.n_labels // LABELS) * LABELS), dtype)
        padded[:, self.n_labels :] = 0
        padded[:, : self.n_labels] = x
        return padded

    def _labels(self, x: Array) -> Array:
        """Return the labels that are no padding, (N, L)."""
        return x[:, : self.n_labels].copy()

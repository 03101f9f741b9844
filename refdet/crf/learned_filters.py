"""Learned filters in a high-dimensional feature space: splat, convolve on the permutohedral lattice, slice.

    y = after · S_outᵀ · C(g + w) · S_in · (before · x) + bias

S holds the barycentric weights of the points (`refdet.crf.lattice_embed`), C is the convolution over the vertices
around each vertex (`refdet.crf.lattice_convolve`), g a Gaussian filter, and w what is learned: the difference to it.
Kiefel, Jampani & Gehler, "Permutohedral lattice CNNs" (2015); Jampani, Kiefel & Gehler, "Learning sparse high
dimensional filters: image filtering, dense CRFs and bilateral neural networks" (2016); deck 004, "Learning the
filters".

The Gaussian g is what the blur of `refdet.crf.lattice_blur`, with 1 and ½ along each of the d + 1 axes, makes of a
single 1 within the neighbourhood of size s, divided by what is left at the centre. At the tap i_0 … i_d it is

    1 at the centre;   2^{−#{m: i_m ≠ 1}} · α where some i_m = 2;   else (2^{−k} + 2^{−(d + 1 − k)}) · α with k = Σ i_m

where α = 1/(1 + 2^{−d}). Hence:

- s = 2 holds the whole of it. On a lattice without holes, to convolve with g is to blur and multiply by α, but for
  rounding: it is the filter of `refdet.crf.lattice`.
- s = 1 holds the same values at the nearest 2^{d+1} − 1 vertices, since no path of the blur leaves these and returns,
  and nothing further away: of the sum 2^{d+1} α it keeps (2 (3/2)^{d+1} − 1) α, 72 % for d = 2 and 34 % for d = 5.
- s > 2 adds zeros, for the learning to fill.
- On a lattice with holes they differ. The blur loses what would have to pass a vertex that is not in use; the
  convolution reaches across, so that of values ≥ 0 it returns no less. It is symmetric; the blur is not quite.

Conventions, after the authors' bilateralNN except where it says "there":

- Filters are stored (O, C/groups, T), taps in the order of `refdet.crf.lattice_neighbourhood`.
- What is added to w, the offset: "full", g for every pair of an input and an output channel that meet; "diagonal", g
  where both have the same number within their group, for O = C; "none", nothing. A new w is 0 under the first two.
  Under "none" it is g, on the diagonal if O = C, else for every pair. (There a filler decides.)
- The normalisation divides by what g makes of ones, never by what the learned filter does. "after": after = 1/n, with
  n the response of the output points to ones at the input points. "symmetric": after and before are 1/√n, with the
  responses of the output points, and of the input points, to ones of their own. "none": both are 1.
- 1e-20 is added to n, so that an output point which nothing reaches has y = 0 (plus the bias). n depends on the
  features alone, and their gradient goes through it too. (There features have no gradient.)
- The bias is added last. The factor α is in g, and does not occur a second time.
- Output points may have other features than the input points; all are inserted in one lattice.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet import ops
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_choice, check_flag, check_rank, integer
from refdet.crf.filters import NORM_FLOOR
from refdet.crf.lattice import Lattice
from refdet.crf.lattice_blur import lattice_blur_forward
from refdet.crf.lattice_convolve import lattice_convolve
from refdet.crf.lattice_index import lattice_index
from refdet.crf.lattice_neighbourhood import lattice_neighbourhood, tap_offsets
from refdet.crf.lattice_slice import lattice_slice
from refdet.crf.lattice_splat import lattice_splat
from refdet.nn.init import check_dtype
from refdet.nn.module import Module, Parameter

NORMALISATIONS = ("symmetric", "after", "none")
OFFSETS = ("full", "diagonal", "none")


class Corners(NamedTuple):
    """The corners around some of the points of a lattice."""

    weights: Tensor  # (N, d + 1)
    ids: Array  # (N, d + 1)


def gaussian_taps(d: int, neighbourhood: int = 1) -> Array:
    """Return the Gaussian filter g over the taps of a neighbourhood, (T,) float64, 1 at the centre.

    Args:
        d: number of features, at least 1.
        neighbourhood: s, at least 0.

    In one dimension two passes of (½, 1, ½) are (¼, 1, 3/2, 1, ¼); in the order 00, 01, 02, 10, 20 of the taps, and
    divided by 3/2:

    >>> (gaussian_taps(1, 2) * 6).round(12)
    array([6., 4., 1., 4., 1.])
    """
    d, size = integer("gaussian_taps", "d", d, low=1), integer("gaussian_taps", "neighbourhood", neighbourhood, low=0)
    _, ids, neighbours = lattice_index(tap_offsets(d, size)[:, None])
    impulse = np.zeros((len(ids), 1))
    impulse[ids[0, 0]] = 1  # tap 0 is the centre
    blurred, _ = lattice_blur_forward(impulse, neighbours, reverse=False, keep_residual=False)
    gaussian: Array = blurred[ids[:, 0], 0] / blurred[ids[0, 0], 0]
    return gaussian


class FilterLattice:
    """The lattice around the points of a learned filter, its neighbourhoods, and its normalisation.

    Args:
        features: (N, d), float32 or float64, finite, divided by their standard deviations: of the input points.
        out_features: (N', d), of the same dtype: of the output points; None if they are the input points.
        neighbourhood: s, the size of the neighbourhoods.
        traversal: "exact" or "walk", of `lattice_neighbourhood`.
        normalisation: "symmetric", "after" or "none".

    Attributes:
        taps: (T, M) int64. n_points, n_out_points, n_vertices, d, neighbourhood: N, N', M, d and s.
        before, after: (N, 1) and (N', 1), tensors, what values are multiplied by; None for 1.

    Make it once to filter the same points several times (but anew for each backward pass, if features require a
    gradient). Two points in one place receive their sum, and under "after" their mean:

    >>> lattice = FilterLattice(np.zeros((2, 1)), normalisation="after")
    >>> lattice.filter(np.array([[1.0], [3.0]]), gaussian_taps(1).reshape(1, 1, 3)).data.round(12)
    array([[2.],
           [2.]])
    """

    def __init__(
        self,
        features: Tensor | Array,
        out_features: Tensor | Array | None = None,
        *,
        neighbourhood: int = 1,
        traversal: str = "exact",
        normalisation: str = "symmetric",
    ) -> None:
        check_choice("FilterLattice", "normalisation", normalisation, NORMALISATIONS)
        self.neighbourhood = integer("FilterLattice", "neighbourhood", neighbourhood, low=0)
        points = [as_tensor("FilterLattice", "features", features)]
        if out_features is not None:
            points.append(as_tensor("FilterLattice", "out_features", out_features))
        for name, f in zip(("features", "out_features"), points, strict=False):
            check_rank("FilterLattice", name, f.data, "N, d")
        if points[0].shape[1] != points[-1].shape[1]:
            raise ValueError(
                f"FilterLattice: features and out_features must have the same number of columns, got shapes "
                f"{points[0].shape} and {points[1].shape}"
            )
        lattice = Lattice(points[0] if len(points) == 1 else ops.concat(points, axis=0))
        self.d, self.n_vertices = lattice.d, lattice.n_vertices
        self.n_points, self.n_out_points = points[0].shape[0], points[-1].shape[0]
        self._in = self._out = Corners(lattice.weights, lattice.ids)
        if len(points) == 2:
            self._in = Corners(lattice.weights[: self.n_points], lattice.ids[: self.n_points])
            self._out = Corners(lattice.weights[self.n_points :], lattice.ids[self.n_points :])
        self.taps = lattice_neighbourhood(lattice.vertices, size=self.neighbourhood, traversal=traversal)
        self.before, self.after = self._normalisation(normalisation)

    def _normalisation(self, normalisation: str) -> tuple[Tensor | None, Tensor | None]:
        """Return by what values are multiplied before and after."""
        if normalisation == "none":
            return None, None
        if normalisation == "after":
            return None, 1 / (self._response(self._in, self._out) + NORM_FLOOR)
        after = 1 / (self._response(self._out, self._out) + NORM_FLOOR).sqrt()
        if self._in is self._out:
            return after, after
        return 1 / (self._response(self._in, self._in) + NORM_FLOOR).sqrt(), after

    def _response(self, sources: Corners, receivers: Corners) -> Tensor:
        """Return what g makes at the receivers of ones at the sources, (receivers, 1)."""
        dtype = sources.weights.dtype
        ones, gaussian = np.ones((len(sources.ids), 1), dtype), gaussian_taps(self.d, self.neighbourhood).astype(dtype)
        return self._pass(ones, gaussian[None, None], sources, receivers, groups=1)

    def _pass(
        self,
        values: Tensor | Array,
        weight: Tensor | Array,
        sources: Corners,
        receivers: Corners,
        *,
        groups: int,
    ) -> Tensor:
        """Splat, convolve, slice."""
        z = lattice_splat(values, *sources, self.n_vertices)
        return lattice_slice(lattice_convolve(z, weight, self.taps, groups=groups), *receivers)

    def filter(self, values: Tensor | Array, weight: Tensor | Array, *, groups: int = 1) -> Tensor:
        """Return the values (N, C) filtered with the weights (O, C/groups, T), normalised: (N', O)."""
        values, weight = as_tensor("FilterLattice", "values", values), as_tensor("FilterLattice", "weight", weight)
        check_rank("FilterLattice", "values", values.data, "N, C")
        check_rank("FilterLattice", "weight", weight.data, "O, C/groups, T")
        if values.shape[0] != self.n_points:
            raise ValueError(
                f"FilterLattice: values must have one row for each of {self.n_points} points, got shape {values.shape}"
            )
        if weight.shape[2] != len(self.taps):
            raise ValueError(
                f"FilterLattice: weight must have {len(self.taps)} taps, as d = {self.d} and neighbourhood = "
                f"{self.neighbourhood} have, got shape {weight.shape}"
            )
        y = self._pass(
            values if self.before is None else values * self.before, weight, self._in, self._out, groups=groups
        )
        return y if self.after is None else y * self.after


class PermutohedralFilter(Module):
    """A layer with a learned filter: weight (O, C/groups, T), the difference to a Gaussian, and bias (O,).

    Args:
        in_channels, out_channels: C and O.
        d: number of features.
        neighbourhood: s; the lattices it is called with must have the same, and the same d.
        groups: number of groups of channels that do not see each other; groups = C = O filters each channel by itself.
        offset: "full", "diagonal" or "none": what the weight is a difference to (see the module).
        bias: whether there is one; it starts at 0.
        dtype: float32 or float64.

    A new layer is the Gaussian filter. A point by itself is its own mean:

    >>> layer = PermutohedralFilter(1, 1, 2, dtype="float64")
    >>> layer(np.array([[5.0]]), FilterLattice(np.zeros((1, 2)), normalisation="after")).data.round(12)
    array([[5.]])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        d: int,
        *,
        neighbourhood: int = 1,
        groups: int = 1,
        offset: str = "full",
        bias: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        C, O, G = (
            integer("PermutohedralFilter", name, value, low=1)
            for name, value in (("in_channels", in_channels), ("out_channels", out_channels), ("groups", groups))
        )
        if C % G or O % G:
            raise ValueError(f"PermutohedralFilter: groups must divide in_channels {C} and out_channels {O}, got {G}")
        check_choice("PermutohedralFilter", "offset", offset, OFFSETS)
        if offset == "diagonal" and C != O:
            raise ValueError(
                f"PermutohedralFilter: the diagonal offset needs as many input as output channels, got {C} and {O}"
            )
        check_flag("PermutohedralFilter", "bias", bias)
        dtype = check_dtype("PermutohedralFilter", dtype)
        diagonal = offset == "diagonal" or (offset == "none" and C == O)
        pairs = np.tile(np.eye(C // G), (G, 1)) if diagonal else np.ones((O, C // G))
        gaussian = pairs[:, :, None] * gaussian_taps(d, neighbourhood)  # (O, C/G, T)
        self.groups, self.d, self.neighbourhood = G, d, neighbourhood
        self.offset = None if offset == "none" else gaussian
        self.weight = Parameter((gaussian if offset == "none" else np.zeros_like(gaussian)).astype(dtype))
        self.bias = Parameter(np.zeros(O, dtype)) if bias else None

    def filter_weight(self) -> Tensor:
        """Return the filter itself, (O, C/groups, T): the weight and the Gaussian it is a difference to."""
        return self.weight if self.offset is None else self.weight + self.offset.astype(self.weight.dtype)

    def forward(  # type: ignore[override]  # values belong to points, which come with them
        self, values: Tensor, lattice: FilterLattice, *, training: bool, rng: np.random.Generator | None
    ) -> Tensor:
        """Filter the values, (N, C), of the points of the lattice: (N', O)."""
        y = lattice.filter(values, self.filter_weight(), groups=self.groups)
        return y if self.bias is None else y + self.bias

    def __call__(  # type: ignore[override]
        self,
        values: Tensor | Array,
        lattice: FilterLattice,
        *,
        training: bool = False,
        rng: np.random.Generator | None = None,
    ) -> Tensor:
        """Filter the values, (N, C), a tensor or an array, of the points of the lattice: (N', O)."""
        if not isinstance(lattice, FilterLattice):
            raise TypeError(f"PermutohedralFilter: lattice must be a FilterLattice, got {type(lattice).__name__}")
        if (lattice.d, lattice.neighbourhood) != (self.d, self.neighbourhood):
            raise ValueError(
                f"PermutohedralFilter: lattice must have d = {self.d} and neighbourhood = {self.neighbourhood} as the "
                f"filter has, got {lattice.d} and {lattice.neighbourhood}"
            )
        return self.forward(as_tensor("PermutohedralFilter", "values", values), lattice, training=training, rng=rng)

"""Where points lie in the permutohedral lattice: the simplex around each, and its weights on the d + 1 corners.

The lattice lives in the hyperplane Σ_m e_m = 0 of R^{d+1}. Its vertices are the integer points whose coordinates leave
one remainder modulo d + 1; that remainder, 0 … d, is the vertex's colour. They cut the hyperplane into simplices, each
with one corner of every colour. For a feature vector f of d coordinates:

    elevate      c_j = √(2/3) (d + 1) · f_j / √((j + 1)(j + 2)),     e_m = Σ_{j ≥ m} c_j − m · c_{m−1},  e_0 = Σ_j c_j
    nearest      the closest point o of colour 0: multiples of d + 1 that sum to 0
    rank         rank_m = how many coordinates of e − o are larger than its m-th
    barycentric  a = (e − o)/(d + 1) in ascending order;   b_k = a_k − a_{k−1},   b_0 = 1 + a_0 − a_d
    keys         the corner of colour k:   o_m + k where rank_m ≤ d − k, else o_m + k − (d + 1)

so that Σ_k b_k = 1, b_k ≥ 0 and Σ_k b_k · corner_k = e. The corner of colour k is the column k of `weights` and `keys`.

Adams, Baek & Davis, "Fast high-dimensional filtering using the permutohedral lattice" (2010), what they do before and
while splatting; deck 004. The factor √(2/3)(d + 1) is theirs. In the hyperplane the blur has the variance (d + 1)²/2 in
every direction, splatting and slicing have (d + 1)²/12 each, averaged over where a point may lie. The sum, ⅔(d + 1)²,
is what the variance 1 of the features becomes.

Conventions:

- Coordinates, ranks and keys are computed in float64 whatever the dtype of the features, as they decide in which
  simplex a point lies; Σ_{j ≥ m} c_j is added from the last j down, as in the authors' code. The weights are rounded
  once, to that dtype, and so is the gradient of the features. A weight that rounding leaves below 0 is 0.
- o begins as the nearest multiple of d + 1 to each coordinate of e, the even multiple (0, ±2(d + 1) …) of two that are
  as near. Of coordinates that are equally far above theirs, the first has the lower rank. Only then is o moved into the
  hyperplane. On a face this chooses between simplices: the corner beyond the face has weight 0, and becomes a vertex
  all the same. (Krähenbühl's vectorised code rounds as here; his scalar code and Adams's round down.)
- A key holds the first d coordinates; the last is minus their sum. `lattice_embed` refuses |e_m| > MAX_COORDINATE,
  where less than 12 bits of a float64 are left for the fraction, of which the weights are made. (The 16-bit keys of the
  authors' code wrap around at 2¹⁵ without a word.)
- pydensecrf finds the simplex in float32. Positions and colours are integers over a θ, so that points do lie on faces,
  and rounding may then put one into another simplex than here. The weights agree, but not the set of vertices in use:
  in small images a probability of the CRF differed by up to 0.01 after a few iterations.
- The gradient of the weights is that of the simplex in which the point lies. It jumps at its faces.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from refdet.autograd.differentiable import differentiable
from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_gradient, check_integer, check_rank, check_shape, shape_of
from refdet.core.elementwise import Gradients
from refdet.core.kernel import kernel

MAX_COORDINATE = 2.0**40  # from here on neighbouring float64 are 2⁻¹² apart


class LatticeEmbedResidual(NamedTuple):
    weights: Array
    ranks: Array  # (N, d + 1)


def _check(features: Array, *, keep_residual: bool) -> None:
    check_features("lattice_embed", features)


def check_features(op: str, features: Array) -> None:
    """Refuse what is not N points of at least one coordinate."""
    check_floating(op, features=features)
    check_rank(op, "features", features, "N, d")
    if features.shape[1] == 0:
        raise ValueError(f"{op}: features must have at least one column, got shape {shape_of(features)}")


def _check_backward(residual: LatticeEmbedResidual, dy: Array, *, needs: tuple[bool]) -> None:
    check_gradient("lattice_embed", dy, shape_of(residual.weights), residual.weights)
    check_integer("lattice_embed", ranks=residual.ranks)
    check_shape("lattice_embed", "ranks", residual.ranks, shape_of(residual.weights), "one per weight")


@kernel("lattice_embed.forward", check=_check)
def lattice_embed_forward(
    features: Array, *, keep_residual: bool
) -> tuple[tuple[Array, Array], LatticeEmbedResidual | None]:
    """Return the weights, (N, d + 1), and the keys, (N, d + 1, d); features are finite and not too large."""
    weights, corners, ranks = embed(features)
    return (weights, corners), LatticeEmbedResidual(weights, ranks) if keep_residual else None


def embed(features: Array) -> tuple[Array, Array, Array]:
    """Return the weights, the keys of the corners, and the ranks by which the gradient goes back."""
    elevated = elevate(features)
    origin, ranks = nearest_zero_coloured(elevated)
    weights = barycentric(elevated - origin, ranks)
    return weights.astype(np.result_type(features)), keys(origin, ranks), ranks


def axis_lengths(d: int) -> Array:
    """Return √(2/3) (d + 1) / √((j + 1)(j + 2)) for j = 0 … d − 1: by how much c_j is f_j stretched."""
    j = np.arange(d)
    lengths: Array = math.sqrt(2 / 3) * (d + 1) / np.sqrt((j + 1.0) * (j + 2.0))
    return lengths


def elevate(features: Array) -> Array:
    """Return the points in the hyperplane Σ_m e_m = 0, (N, d + 1) float64.

    It is a rotation that stretches by √(2/3)(d + 1). The feature (0, 1) has c = (0, 1):

    >>> elevate(np.array([[0.0, 1.0]])).round(12)
    array([[ 1.,  1., -2.]])
    """
    N, d = features.shape
    c = features * axis_lengths(d)  # (N, d), float64
    elevated = np.zeros((N, d + 1))
    elevated[:, :d] = np.cumsum(c[:, ::-1], axis=1)[:, ::-1]  # Σ_{j ≥ m} c_j
    elevated[:, 1:] -= np.arange(1, d + 1) * c
    return elevated


def nearest_zero_coloured(elevated: Array) -> tuple[Array, Array]:
    """Return the nearest point of colour 0, and the ranks of the coordinates of e − o.

    Each coordinate rounded by itself misses the hyperplane by a number of steps of d + 1, the excess. As many
    coordinates step back, those that were rounded furthest: the last in rank if o is too high, the first if too low.
    In stepping back they pass to the other end of the ranking, and the others move up or down by the excess:

        rank_m += excess;   where then rank_m < 0:  rank_m += d + 1,  o_m += d + 1
                                       rank_m > d:  rank_m −= d + 1,  o_m −= d + 1
    """
    size = elevated.shape[1]  # d + 1
    steps = np.rint(elevated / size)
    excess = np.sum(steps, axis=1, keepdims=True).astype(np.int64)
    ranks = rank(elevated - size * steps) + excess
    turns = ranks // size  # −1 where rank_m < 0, 1 where rank_m > d, else 0
    return size * (steps - turns), ranks - size * turns


def rank(difference: Array) -> Array:
    """Return how many coordinates of its row come before each in descending order; of equal ones the first does.

    >>> rank(np.array([[0.5, 2.0, 0.5]]))
    array([[1, 0, 2]])
    """
    order = np.argsort(-difference, axis=1, kind="stable")
    ranks: Array = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    return ranks


def barycentric(difference: Array, ranks: Array) -> Array:
    """Return the weights of the corners from e − o and the ranks of its coordinates, (N, d + 1)."""
    d = ranks.shape[1] - 1
    ascending = np.empty_like(difference)
    np.put_along_axis(ascending, d - ranks, difference / (d + 1), axis=1)
    weights: Array = ascending - np.roll(ascending, 1, axis=1)
    weights[:, 0] += 1
    weights[weights < 0] = 0
    return weights


def keys(origin: Array, ranks: Array) -> Array:
    """Return the first d coordinates of the corners, (N, d + 1, d), in the order of their colours."""
    d = ranks.shape[1] - 1
    colour, i_rank = np.ogrid[: d + 1, : d + 1]
    canonical_simplex = colour - (d + 1) * (i_rank > d - colour)  # row k is the corner of colour k
    corners: Array = canonical_simplex.T[ranks[:, :d]].swapaxes(1, 2)  # (N, d + 1, d)
    corners += origin[:, None, :d].astype(np.int64)
    return corners


@kernel("lattice_embed.backward", check=_check_backward)
def lattice_embed_backward(residual: LatticeEmbedResidual, dy: Array, *, needs: tuple[bool]) -> Gradients:
    """Take the steps back; origin and ranks are constant within a simplex."""
    return (embed_transposed(dy, residual.ranks),)


def embed_transposed(dweights: Array, ranks: Array) -> Array:
    """Return dfeatures, in the dtype of dweights: a_k is in b_k and, negated, in the next."""
    d = ranks.shape[1] - 1
    precise = dweights.astype(np.float64)
    dascending = precise - np.roll(precise, -1, axis=1)
    delevated = np.take_along_axis(dascending, d - ranks, axis=1) / (d + 1)
    dfeatures: Array = elevate_transposed(delevated).astype(np.result_type(dweights))
    return dfeatures


def elevate_transposed(delevated: Array) -> Array:
    """Return df from de: dc_j = Σ_{m ≤ j} de_m − (j + 1) · de_{j+1}, stretched as c_j is."""
    d = delevated.shape[1] - 1
    dc = np.cumsum(delevated[:, :d], axis=1) - np.arange(1, d + 1) * delevated[:, 1:]
    dfeatures: Array = dc * axis_lengths(d)
    return dfeatures


_lattice_embed = differentiable(lattice_embed_forward, lattice_embed_backward)


def lattice_embed(features: Tensor | Array) -> tuple[Tensor, Array]:
    """Find the simplex around every point, and its weights on the corners.

    Args:
        features: (N, d), float32 or float64, finite, d ≥ 1; already divided by the standard deviations of the filter.

    Returns:
        The weights, (N, d + 1), differentiable, and the keys of the corners, (N, d + 1, d) int64, by colour.

    In one dimension the vertices of colour 0 have the keys 0, ±2, ±4 …, those of colour 1 the odd ones, and key 1 is at
    √3/2. A quarter of the way from 0 to there:

    >>> weights, keys = lattice_embed(np.array([[math.sqrt(3) / 8]]))
    >>> weights.data.round(12), keys[0].tolist()
    (array([[0.75, 0.25]]), [[0], [1]])
    """
    features = as_tensor("lattice_embed", "features", features)
    check_features("lattice_embed", features.data)
    check_embeddable("lattice_embed", features.data)
    weights, *extras = _lattice_embed.with_extras(features)
    return weights, extras[0]


def check_embeddable(op: str, features: Array) -> None:
    """Refuse points whose coordinates are not finite, or have too little fraction left in the lattice."""
    d = features.shape[1]  # |e_m| ≤ Σ |c_j| + d |c_{m−1}|, so that most need not be elevated
    if np.max(np.abs(features), initial=0) <= MAX_COORDINATE / (4 * d * np.max(axis_lengths(d))):  # False for NaN
        return
    finite = np.all(np.isfinite(features), axis=1)
    if not np.all(finite):
        i = int(np.argmin(finite))
        raise ValueError(f"{op}: features must be finite, got {features[i].tolist()} in row {i}")
    with np.errstate(over="ignore", invalid="ignore"):
        within = np.all(np.abs(elevate(features)) <= MAX_COORDINATE, axis=1)  # False for NaN, which is ∞ − ∞
    if not np.all(within):
        i = int(np.argmin(within))
        raise ValueError(
            f"{op}: lattice keys overflow: features reach {np.max(np.abs(features[i])):.3g} in row {i}, whose "
            f"coordinates in the lattice pass 2^40; divide features by larger standard deviations"
        )

"""Are these two pictures of the same person? How often a threshold on their distance lets friends and strangers pass.

A pair is accepted, taken for the same person, if distance < threshold. With `same` what is true of each pair:

    TAR(t) = |{i : d_i < t, same_i}| / |{i : same_i}|              true accept rate, FaceNet's VAL
    FAR(t) = |{i : d_i < t, not same_i}| / |{i : not same_i}|      false accept rate

and the ROC curve, of a receiver's operating characteristic, is TAR against FAR. Schroff et al., "FaceNet" (2015), §4.
`refdet.metrics.verification_folds` chooses a threshold on some pairs and measures it on others.

Conventions:

- Distances must be finite, and are compared in float64. They may be squared or not: it matters only to where a midpoint
  lies.
- The acceptance is strict, d < t, as in the usual code, davidsandberg/facenet. The paper has ≤.
- Candidates for a threshold, in ascending order. "midpoints": the smallest distance, which accepts nothing; the
  midpoints between distinct neighbours; and +∞, which accepts everything. "observed": the distinct distances, and +∞.
  Both accept the same sets of these pairs; of other pairs "observed" accepts no fewer.
- Rates are float64, as quotients of counts; far is compared with them as it is: 1/1000 is ≤ 0.001.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_floating,
    check_number,
    check_rank,
    check_shape,
    shape_of,
)

CANDIDATES = ("midpoints", "observed")


def check_distances(op: str, distances: Array) -> Array:
    """Return the distances in float64; refuse any that is not finite."""
    check_floating(op, distances=distances)
    check_rank(op, "distances", distances, "N")
    strange = np.flatnonzero(~np.isfinite(distances))
    if strange.size:
        raise ValueError(f"{op}: distances must be finite, got {distances[strange[0]]} at row {strange[0]}")
    return distances.astype(np.float64)


def check_pairs(op: str, distances: Array, same: Array) -> Array:
    """Return the distances in float64; refuse `same` unless it has a flag for each of them."""
    found = check_distances(op, distances)
    check_booleans(op, same=same)
    check_shape(op, "same", same, shape_of(distances), "one flag per pair")
    return found


def threshold_candidates(distances: Array, convention: str = "midpoints") -> Array:
    """Return thresholds that accept, by d < t, every set of pairs that some threshold accepts; ascending.

    Args:
        distances: (N,), float32 or float64, finite.
        convention: "midpoints" or "observed" (see the module).

    >>> threshold_candidates(np.array([3.0, 1, 2, 1]))
    array([1. , 1.5, 2.5, inf])
    >>> threshold_candidates(np.array([3.0, 1, 2, 1]), "observed")
    array([ 1.,  2.,  3., inf])
    """
    check_choice("threshold_candidates", "convention", convention, CANDIDATES)
    thresholds = np.unique(check_distances("threshold_candidates", distances))
    if convention == "midpoints":
        lower, upper = thresholds[:-1], thresholds[1:]
        between = np.maximum(lower / 2 + upper / 2, np.nextafter(lower, upper))  # d < t needs t above the lower one
        thresholds = np.concatenate([thresholds[:1], between])
    return np.append(thresholds, np.inf)


def roc_curve(distances: Array, same: Array) -> tuple[Array, Array, Array]:
    """Return FAR, TAR and their thresholds, ascending: every distinct distance, and +∞.

    Args:
        distances: (N,), float32 or float64, one per pair.
        same: (N,), booleans; both kinds must occur.

    Returns:
        far, tar and thresholds, each (M,) float64; the first rates are 0, the last 1.

    >>> far, tar, thresholds = roc_curve(np.array([1.0, 2, 3, 4]), np.array([True, False, True, False]))
    >>> far, tar, thresholds
    (array([0. , 0. , 0.5, 0.5, 1. ]), array([0. , 0.5, 0.5, 1. , 1. ]), array([ 1.,  2.,  3.,  4., inf]))
    """
    return _curve("roc_curve", distances, same)


def true_accept_rate(distances: Array, same: Array, *, far: float) -> float:
    """Return the largest TAR among the points of the ROC curve with FAR ≤ far.

    Args:
        distances: (N,), float32 or float64, one per pair.
        same: (N,), booleans; both kinds must occur.
        far: in [0, 1].

    One stranger of two may be accepted, and with him come both friends:

    >>> true_accept_rate(np.array([1.0, 2, 3, 4]), np.array([True, False, True, False]), far=0.5)
    1.0
    """
    limit = check_number("true_accept_rate", "far", far, low=0, high=1)
    false_rates, true_rates, _ = _curve("true_accept_rate", distances, same)
    return float(true_rates[n_within(false_rates, limit) - 1])  # at least one: the first rate is 0


def _curve(op: str, distances: Array, same: Array) -> tuple[Array, Array, Array]:
    distances = check_pairs(op, distances, same)
    if same.all() or not same.any():
        raise ValueError(
            f"{op}: there must be pairs of the same and of different persons, got {same.sum()} same of {same.size}"
        )
    thresholds = threshold_candidates(distances, "observed")
    return accept_rate(distances[~same], thresholds), accept_rate(distances[same], thresholds), thresholds


def n_accepted(distances: Array, thresholds: Array) -> Array:
    """Return how many distances are < each threshold."""
    return np.searchsorted(np.sort(distances), thresholds, side="left")


def accept_rate(distances: Array, thresholds: Array) -> Array:
    """Return the share of distances that are < each threshold."""
    return n_accepted(distances, thresholds) / len(distances)


def n_within(rates: Array, limit: float) -> int:
    """Return how many of the rates, which ascend, are ≤ limit."""
    return int(np.searchsorted(rates, limit, side="right"))

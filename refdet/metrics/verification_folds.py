"""Labeled Faces in the Wild: how often a threshold on a distance, chosen on nine folds of pairs, is right on the tenth.

A pair is accepted, taken for the same person, if distance < threshold. With `same` what is true of each pair:

    accuracy(t) = |{i : (d_i < t) = same_i}| / N

For each fold the threshold is the one of highest accuracy on the others, and the accuracy is measured on the fold. The
result is the mean over the folds with its standard error (Huang et al., 2007; Huang & Learned-Miller, 2014). Deck 004
prints such means, 93.10 to 99.63 per cent. Likewise for the rates of FaceNet (Schroff et al., 2015, §4), which are in
`refdet.metrics.roc`: the threshold is chosen for a false accept rate, and the true accept rate is measured.

Conventions:

- Folds are consecutive blocks of pairs, as in LFW's list of 6000; if they cannot be equal the first ones have one pair
  more, as scikit-learn's KFold. Or each pair's fold is given.
- Thresholds are chosen among "midpoints" (the default) or "observed" distances of the other folds, see
  `refdet.metrics.roc`; or from any ascending array, e.g. the grid `np.arange(0, 4, 0.01)` of the usual code,
  davidsandberg/facenet ("the code" below), whose distances are squared.
- Of thresholds with equal accuracy the smallest is chosen.
- The threshold for a given FAR is the largest candidate whose FAR is ≤ far. The code interpolates between thresholds
  instead, and takes 0 where its grid never reaches the FAR. If even the smallest candidate exceeds it, which happens
  only on a grid, −∞ is taken, and nothing accepted.
- The standard error is s/√F of F folds with the sample variance, s² = Σ(a − mean)²/(F − 1), as LFW asks. The code
  prints the population's √(Σ(a − mean)²/F): `standard_deviation`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refdet.core.check import (
    Array,
    check_choice,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    check_shape,
    integer,
)
from refdet.metrics.roc import CANDIDATES, accept_rate, check_pairs, n_accepted, n_within, threshold_candidates


@dataclass(frozen=True, eq=False)
class FoldResults:
    """One number per fold, and the threshold that the other folds chose for it; it prints as the mean ± its error.

    Attributes:
        values: (F,) float64, in [0, 1], in ascending order of folds.
        thresholds: (F,) float64, in the unit of the distances.
    """

    values: Array
    thresholds: Array

    def __repr__(self) -> str:
        error = self.standard_error if len(self.values) > 1 else math.nan
        return f"FoldResults(mean={self.mean:.4f}, standard_error={error:.4f}, {len(self.values)} folds)"

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.values))

    @property
    def standard_deviation(self) -> float:
        """The deviation of the folds themselves, not estimated: divided by F. What facenet's code prints after ±."""
        return float(np.std(self.values))

    @property
    def standard_error(self) -> float:
        """The estimated deviation of the mean. What LFW asks for after ±."""
        return float(np.std(self.values, ddof=1) / math.sqrt(len(self.values)))


def verification_accuracy(
    distances: Array,
    same: Array,
    *,
    n_folds: int = 10,
    folds: Array | None = None,
    candidates: str | Array = "midpoints",
) -> FoldResults:
    """Measure how often a threshold, chosen on the other folds, is right.

    Args:
        distances: (N,), float32 or float64, one per pair.
        same: (N,), booleans: whether the pair shows one person.
        n_folds: from 2 to N; the folds are blocks.
        folds: (N,), integers: the fold of each pair; None for blocks, else `n_folds` is not read.
        candidates: "midpoints", "observed" or an ascending array of thresholds (see the module).

    Returns:
        The accuracy on each fold, in ascending order of folds, with `mean` and `standard_error`.

    In either fold same pairs are nearer than different ones, but 3 is near in the one and far in the other:

    >>> same = np.array([True, False, True, False])
    >>> results = verification_accuracy(np.array([1.0, 3, 3, 5]), same, n_folds=2)
    >>> results
    FoldResults(mean=0.5000, standard_error=0.0000, 2 folds)
    >>> results.values, results.thresholds
    (array([0.5, 0.5]), array([4., 2.]))
    """
    op = "verification_accuracy"
    distances = check_pairs(op, distances, same)

    def most_accurate(d: Array, s: Array, thresholds: Array) -> float:
        accepted_same, accepted_different = n_accepted(d[s], thresholds), n_accepted(d[~s], thresholds)
        return float(thresholds[np.argmax(accepted_same - accepted_different)])  # the first maximum

    def accuracy(d: Array, s: Array, threshold: float) -> float:
        return float(np.mean((d < threshold) == s))

    masks = _fold_masks(op, len(distances), n_folds, folds)
    return _by_folds(op, distances, same, masks, candidates, most_accurate, accuracy)


def true_accept_rate_by_folds(
    distances: Array,
    same: Array,
    *,
    far: float,
    n_folds: int = 10,
    folds: Array | None = None,
    candidates: str | Array = "midpoints",
) -> FoldResults:
    """Measure FaceNet's VAL: how many same pairs are accepted at the threshold where the other folds have this FAR.

    Args:
        distances: (N,), float32 or float64, one per pair.
        same: (N,), booleans: whether the pair shows one person; both kinds must occur in every fold.
        far: in [0, 1], the false accept rate that must not be exceeded on the other folds.
        n_folds: from 2 to N; the folds are blocks.
        folds: (N,), integers: the fold of each pair; None for blocks, else `n_folds` is not read.
        candidates: "midpoints", "observed" or an ascending array of thresholds (see the module).

    Returns:
        The TAR on each fold, in ascending order of folds, with `mean` and `standard_error`.

    Nobody else may be accepted: the first fold's only stranger, at 3, sets the threshold of the second.

    >>> same = np.array([True, False, True, False])
    >>> true_accept_rate_by_folds(np.array([1.0, 3, 4, 5]), same, far=0.0, n_folds=2).values
    array([1., 0.])
    """
    op = "true_accept_rate_by_folds"
    distances = check_pairs(op, distances, same)
    limit = check_number(op, "far", far, low=0, high=1)
    masks = _fold_masks(op, len(distances), n_folds, folds)
    if any(same[in_fold].all() or not same[in_fold].any() for in_fold in masks):
        raise ValueError(f"{op}: every fold must have pairs of the same and of different persons")

    def at_far(d: Array, s: Array, thresholds: Array) -> float:
        n = n_within(accept_rate(d[~s], thresholds), limit)
        return float(thresholds[n - 1]) if n else -math.inf

    def tar(d: Array, s: Array, threshold: float) -> float:
        return float(np.mean(d[s] < threshold))

    return _by_folds(op, distances, same, masks, candidates, at_far, tar)


def _fold_masks(op: str, n_pairs: int, n_folds: int, folds: Array | None) -> list[Array]:
    """Return which pairs are in each fold, (N,) booleans."""
    if folds is None:
        n = integer(op, "n_folds", n_folds, low=2)
        if n > n_pairs:
            raise ValueError(f"{op}: n_folds must be at most the number of pairs, {n_pairs}, got {n}")
        folds = np.repeat(np.arange(n), [len(block) for block in np.array_split(np.arange(n_pairs), n)])
    check_integer(op, folds=folds)
    check_shape(op, "folds", folds, (n_pairs,), "one per pair")
    names = np.unique(folds)
    if len(names) < 2:
        raise ValueError(f"{op}: there must be at least 2 folds, got {len(names)}")
    return [folds == name for name in names]


def _by_folds(
    op: str,
    distances: Array,
    same: Array,
    masks: list[Array],
    candidates: str | Array,
    choose: Callable[[Array, Array, Array], float],
    measure: Callable[[Array, Array, float], float],
) -> FoldResults:
    """Choose a threshold on all folds but one, measure on that one; for each."""
    if isinstance(candidates, str):
        check_choice(op, "candidates", candidates, CANDIDATES)
    else:
        check_floating(op, candidates=candidates)
        check_rank(op, "candidates", candidates, "T")
        if not candidates.size or np.isnan(candidates).any() or np.any(candidates[1:] <= candidates[:-1]):
            raise ValueError(f"{op}: candidates must ascend, at least one of them, got {candidates!r}")
    values, chosen = [], []
    for held_out in masks:
        d, s = distances[~held_out], same[~held_out]
        thresholds = (
            threshold_candidates(d, candidates) if isinstance(candidates, str) else candidates.astype(np.float64)
        )
        chosen.append(choose(d, s, thresholds))
        values.append(measure(distances[held_out], same[held_out], chosen[-1]))
    return FoldResults(np.array(values), np.array(chosen))

"""Unary potentials ψ_u(y_i): what each label costs a point by itself, from probabilities or from labels.

    from probabilities   ψ_u(l) = −log p_i(l),   p_i(l) clipped to [floor, 1]
    from labels          ψ_u(l) = −log p                     where l is the given label
                                  −log((1 − p) / (L − 1))    where it is another of the L labels
                                  −log(1 / L)                at every l, if the label is `unsure`

Deck 004, "Unary models": without pairwise potentials p(y|x) = exp(−Σ ψ_u)/Z, so that exp(−ψ_u) are the probabilities
of a network such as an FCN. Labels that somebody drew are right with probability p; the rest is shared evenly.

Conventions:

- Rows are points: (N, L). (pydensecrf has (L, N).)
- The floor keeps potentials finite: 10⁻⁵ costs 11.5. What lies outside [floor, 1] is clipped. The public function
  allows for rounding, 10⁻³ on either side of [0, 1]; it refuses what lies beyond, and NaN. The kernel clips whatever it
  gets, and passes NaN on.
- p lies strictly between 0 and 1. With a single label there is no other one, and it costs −log p, or 0 where unsure.
- `unsure` may be any integer, one of the labels 0 … L − 1 or none of them (255 in VOC); None: every label is sure.
- Potentials from labels are computed in float64 and rounded once.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import (
    Array,
    as_index,
    check_floating,
    check_integer,
    check_number,
    check_rank,
    integer,
)
from refdet.core.kernel import kernel
from refdet.crf.float_dtype import DTypeName, float_dtype
from refdet.ops.number import check_number_in_dtype

FAR_FROM_A_PROBABILITY = 1e-3  # beyond [0, 1] by more than this is no rounding error


def _check_probabilities(probabilities: Array, *, floor: float) -> None:
    op = "unary_from_probabilities"
    check_rank(op, "probabilities", probabilities, "N, L")
    check_floating(op, probabilities=probabilities)
    check_number(op, "floor", floor, low=0, high=1, open_low=True)
    check_number_in_dtype(op, "floor", floor, probabilities)


def _check_labels(labels: Array, *, n_labels: int, gt_probability: float, unsure: int | None, dtype: str) -> None:
    op = "unary_from_labels"
    check_rank(op, "labels", labels, "N")
    check_integer(op, labels=labels)
    integer(op, "n_labels", n_labels, low=1)
    if not 0 < check_number(op, "gt_probability", gt_probability) < 1:
        raise ValueError(f"{op}: gt_probability must lie in (0, 1), got {gt_probability!r}")
    if unsure is not None and as_index(unsure) is None:
        raise TypeError(f"{op}: unsure must be an integer or None, got {unsure!r}")
    float_dtype(op, dtype)


@kernel("unary_from_probabilities", check=_check_probabilities, portable=True)
def unary_from_probabilities_kernel(probabilities: Array, *, floor: float) -> Array:
    """Return ψ_u, (N, L), in the dtype of the probabilities."""
    clipped = np.minimum(np.maximum(probabilities, float(floor)), 1.0)
    potentials: Array = 0.0 - np.log(clipped)  # −log 1 would be −0
    return potentials


@kernel("unary_from_labels", check=_check_labels)
def unary_from_labels_kernel(
    labels: Array, *, n_labels: int, gt_probability: float, unsure: int | None, dtype: str
) -> Array:
    """Return ψ_u, (N, L); at a label outside 0 … L − 1 every label is another one."""
    p = float(gt_probability)
    cost_of_others = 0.0 - math.log((1 - p) / (n_labels - 1)) if n_labels > 1 else 0.0
    given = labels[:, None] == np.arange(n_labels)  # (N, L)
    potentials = np.where(given, -math.log(p), cost_of_others)
    if unsure is not None:
        potentials[labels == unsure] = math.log(n_labels)
    return potentials.astype(dtype)


def unary_from_probabilities(probabilities: Array, *, floor: float = 1e-5) -> Array:
    """Turn the probabilities of labels into unary potentials.

    Args:
        probabilities: (N, L), float32 or float64, in [0, 1], such as a softmax. Rows need not add up to 1.
        floor: in (0, 1]; smaller probabilities count as this one.

    Returns:
        −log of the clipped probabilities, (N, L), of the same dtype.

    A point that is certain, and one that is not:

    >>> unary_from_probabilities(np.array([[1.0, 0.0], [0.5, 0.5]]), floor=0.125) / np.log(2)
    array([[0., 3.],
           [1., 1.]])
    """
    _check_probabilities(probabilities, floor=floor)
    low, high = -FAR_FROM_A_PROBABILITY, 1 + FAR_FROM_A_PROBABILITY
    bad = ~((probabilities >= low) & (probabilities <= high))  # so that NaN is bad
    if bad.any():
        point, label = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"unary_from_probabilities: probabilities must lie in [0, 1], got {probabilities[point, label]:g} for "
            f"label {label} of point {point}; apply softmax to scores first"
        )
    return unary_from_probabilities_kernel(probabilities, floor=floor)


def unary_from_labels(
    labels: Array,
    n_labels: int,
    *,
    gt_probability: float = 0.7,
    unsure: int | None = None,
    dtype: DTypeName = "float64",
) -> Array:
    """Turn given labels, right with some probability, into unary potentials.

    Args:
        labels: (N,) integers, each in 0 … n_labels − 1 or `unsure`.
        n_labels: L ≥ 1.
        gt_probability: in (0, 1): how likely a given label is right.
        unsure: the label that says nothing, say 255; None if there is none.
        dtype: of what is returned, float32 or float64, such as "float32" or the dtype of the features.

    Returns:
        ψ_u, (N, L).

    Sure by 1/2, so that each of the two other labels has 1/4; and unsure between four:

    >>> unary_from_labels(np.array([1, 0]), 3, gt_probability=0.5) / np.log(2)
    array([[2., 1., 2.],
           [1., 2., 2.]])
    >>> unary_from_labels(np.array([255]), 4, unsure=255) / np.log(2)
    array([[2., 2., 2., 2.]])
    """
    name = float_dtype("unary_from_labels", dtype).name
    _check_labels(labels, n_labels=n_labels, gt_probability=gt_probability, unsure=unsure, dtype=name)
    bad = (labels < 0) | (labels >= n_labels)
    if unsure is not None:
        bad &= labels != unsure
    if bad.any():
        point = int(np.flatnonzero(bad)[0])
        allowed = f"0 … {n_labels - 1}" + ("" if unsure is None else f" or {unsure} (unsure)")
        raise ValueError(f"unary_from_labels: labels must be {allowed}, got {labels[point]} at point {point}")
    return unary_from_labels_kernel(labels, n_labels=n_labels, gt_probability=gt_probability, unsure=unsure, dtype=name)

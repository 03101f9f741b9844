"""How good the marginals of a CRF are against the truth: what its parameters are learned for, to be maximised.

With the P labelled points i, their true labels y_i, and n_l of them of label l,

    log_likelihood   1/P Σ_i log(Q_i(y_i) + robust)
    hamming          Σ_i w(y_i) Q_i(y_i),                    w(l) ∝ (n_l / P)^−power,   Σ_l n_l w(l) = 1
    expected_iou     1/L Σ_l I_l / U_l,    I_l = Σ_{y_i = l} Q_i(l),    U_l = n_l + Σ_{y_i ≠ l} Q_i(l)

Krähenbühl & Koltun, "Parameter learning and convergent inference for dense random fields" (2013), and their code.

Conventions:

- A label outside 0 … L − 1, such as 255 or −1, says nothing: its point does not count, and its row of Q has gradient 0.
  P counts labelled points; the authors' log-likelihood divides by all of them. Without a labelled point: refused.
- Several images are one: their points are joined before anything is divided, as in `refdet.metrics.segmentation`.
- Q that is 0 or 1 throughout, a segmentation, has scores of that module: hamming of power 0 is the pixel accuracy, that
  of power 1 the mean accuracy, and expected_iou the mean IU if every label occurs. Of other Q, expected_iou is a
  quotient of expectations, not the expectation of the quotient.
- A label without labelled points adds 0 to the sum of expected_iou and still counts in L, whereas the mean IU leaves it
  out if it is not predicted. Its weight in hamming is 0. (The authors' code raises 0 to the power: ∞ · 0, and all
  weights become NaN if some label between others is missing.)
- Q_i(y_i) + robust below 1e-20 counts as 1e-20, and has no gradient; so that a crisp mistake costs 46 and not ∞.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.core.check import Array, check_floating, check_integer, check_number, check_rank, check_shape, integer

Objective = Callable[[Tensor, Array], Tensor]

LEAST_PROBABILITY = 1e-20  # of the authors' code


class Labelled(NamedTuple):
    """Which points are labelled, and how."""

    points: Array  # (P,) int64, ascending
    labels: Array  # (P,) int64 in 0 … L − 1


def labelled_points(op: str, labels: Array, n_labels: int) -> Labelled:
    """Return the points whose label is one of 0 … L − 1; refuse to go on without any."""
    check_integer(op, labels=labels)
    check_rank(op, "labels", labels, "N")
    labels = np.asarray(labels).astype(np.int64)  # what does not fit becomes negative, which is no label either
    points = np.flatnonzero((labels >= 0) & (labels < n_labels))
    if not len(points):
        seen = f", all in {labels.min()} … {labels.max()}" if len(labels) else ""
        raise ValueError(f"{op}: no point is labelled: none of the {len(labels)} labels is in 0 … {n_labels - 1}{seen}")
    return Labelled(points, labels[points])


def _checked(op: str, q: Tensor | Array, labels: Array) -> tuple[Tensor, Labelled]:
    q = as_tensor(op, "q", q)
    check_rank(op, "q", q.data, "N, L")
    check_floating(op, q=q.data)
    check_integer(op, labels=labels)
    check_shape(op, "labels", labels, q.shape[:1], "one per point of q")
    return q, labelled_points(op, labels, q.shape[1])


def log_likelihood(q: Tensor | Array, labels: Array, *, robust: float = 0.0) -> Tensor:
    """Return the mean logarithm of the probabilities of the true labels.

    Args:
        q: (N, L), float32 or float64.
        labels: (N,) integers; one outside 0 … L − 1 is ignored.
        robust: ≥ 0, added to a probability, so that a point that is quite wrong does not outweigh all others.

    Returns:
        A single number, at most log(1 + robust).

    >>> q = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    >>> log_likelihood(q, np.array([0, 1, 255])).data / np.log(2)  # −1 and −2; the third point is not labelled
    np.float64(-1.5)
    """
    q, true = _checked("log_likelihood", q, labels)
    robust = check_number("log_likelihood", "robust", robust, low=0)
    return (q[true.points, true.labels] + robust).maximum(LEAST_PROBABILITY).log().mean()


def hamming(q: Tensor | Array, labels: Array, *, power: float = 0.0) -> Tensor:
    """Return the expected share of points that are right, where points of rare labels may weigh more.

    Args:
        q: (N, L), float32 or float64.
        labels: (N,) integers; one outside 0 … L − 1 is ignored.
        power: ≥ 0; 0 if every point weighs the same, 1 if every label does.

    Returns:
        A single number in [0, 1].

    Three points of label 0 have weight 1/6 each, the one of label 1 has 1/2:

    >>> q = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.5, 0.5]])
    >>> hamming(q, np.array([0, 0, 0, 1]), power=1).item()
    0.75
    """
    q, true = _checked("hamming", q, labels)
    power = check_number("hamming", "power", power, low=0)
    weights = class_weights(true.labels, q.shape[1], power=power).astype(q.dtype)
    return (q[true.points, true.labels] * weights[true.labels]).sum()


def class_weights(labels: Array, n_labels: int, *, power: float) -> Array:
    """Return w(l) ∝ frequency^−power, (L,) float64, such that the weights of all labelled points add up to 1.

    >>> class_weights(np.array([0, 0, 0, 1, 255]), 3, power=1) * 6
    array([1., 3., 0.])
    """
    n_labels = integer("class_weights", "n_labels", n_labels, low=1)
    power = check_number("class_weights", "power", power, low=0)
    counts = np.bincount(labelled_points("class_weights", labels, n_labels).labels, minlength=n_labels)
    occurs = counts > 0
    weights = np.zeros(n_labels)
    weights[occurs] = (counts[occurs] / counts[occurs].min()) ** -power  # of the rarest label 1: nothing overflows
    normalised: Array = weights / np.sum(counts * weights)
    return normalised


def expected_iou(q: Tensor | Array, labels: Array) -> Tensor:
    """Return the mean over the labels of the expected intersection over the expected union.

    Args:
        q: (N, L), float32 or float64.
        labels: (N,) integers; one outside 0 … L − 1 is ignored.

    Returns:
        A single number in [0, 1].

    Of label 0, 1/2 of 1 + 1; of label 1, 0 of 1 + 1/2.

    >>> expected_iou(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([0, 1])).item()
    0.125
    """
    q, true = _checked("expected_iou", q, labels)
    is_true: Array = (true.labels[:, None] == np.arange(q.shape[1])).astype(q.dtype)  # (P, L), 1 or 0
    is_false: Array = 1 - is_true
    q = q[true.points]
    intersection = (q * is_true).sum(axis=0)
    union = (q * is_false + is_true).sum(axis=0)
    return (intersection / union.maximum(LEAST_PROBABILITY)).mean()


OBJECTIVES: dict[str, Objective] = {
    "log_likelihood": log_likelihood,
    "hamming": hamming,
    "expected_iou": expected_iou,
}

"""The objectives of learning: by hand, gradients, the scores of segmentations, labels that do not count, bad input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.crf.objectives import OBJECTIVES, class_weights, expected_iou, hamming, log_likelihood
from refdet.metrics.segmentation import confusion_matrix, segmentation_scores
from tests.agreement import seeds

EVERY = [
    log_likelihood,
    partial(log_likelihood, robust=0.1),
    hamming,
    partial(hamming, power=0.5),
    partial(hamming, power=1),
    expected_iou,
]
every_objective = pytest.mark.parametrize("objective", EVERY)
Q = np.array([[0.5, 0.25, 0.25], [0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.0, 0.0, 1.0]])
LABELS = np.array([0, 0, 1, 255])


def gradient_of(objective: Callable[[Tensor, Array], Tensor], q: Array, labels: Array) -> Array:
    tensor = Tensor(q, requires_grad=True)
    objective(tensor, labels).backward()
    assert tensor.grad is not None
    return tensor.grad


def test_log_likelihood_by_hand() -> None:
    assert log_likelihood(Q, LABELS).item() == pytest.approx((np.log(1 / 2) + np.log(3 / 4) + np.log(1 / 2)) / 3)
    expected = (np.log(3 / 4) + np.log(1) + np.log(3 / 4)) / 3
    assert log_likelihood(Q, LABELS, robust=0.25).item() == pytest.approx(expected)
    gradient = np.array([[1 / 0.5, 0, 0], [1 / 0.75, 0, 0], [0, 1 / 0.5, 0], [0, 0, 0]]) / 3
    np.testing.assert_allclose(gradient_of(log_likelihood, Q, LABELS), gradient)


def test_hamming_by_hand() -> None:
    """Frequencies 2/3 and 1/3; with power 1 the weights are 1/4, 1/4 and 1/2; with power 2 they are 1/6, 1/6, 4/6."""
    assert hamming(Q, LABELS).item() == pytest.approx((1 / 2 + 3 / 4 + 1 / 2) / 3)
    assert hamming(Q, LABELS, power=1).item() == pytest.approx((1 / 2 + 3 / 4) / 4 + (1 / 2) / 2)
    assert hamming(Q, LABELS, power=2).item() == pytest.approx((1 / 2 + 3 / 4) / 6 + (1 / 2) * 4 / 6)
    gradient = np.array([[1, 0, 0], [1, 0, 0], [0, 2, 0], [0, 0, 0]]) / 4
    np.testing.assert_allclose(gradient_of(partial(hamming, power=1), Q, LABELS), gradient)


def test_expected_iou_by_hand() -> None:
    """Label 0 has 5/4 of 2 + 1/4, label 1 1/2 of 1 + 1/2, label 2 nothing of 1/2."""
    assert expected_iou(Q, LABELS).item() == pytest.approx((5 / 9 + 1 / 3 + 0) / 3)
    d0 = 1 / (9 / 4), -(5 / 4) / (9 / 4) ** 2  # of I/U with respect to Q of a point with this label, and of another
    d1 = 1 / (3 / 2), -(1 / 2) / (3 / 2) ** 2
    gradient = np.array([[d0[0], d1[1], 0], [d0[0], d1[1], 0], [d0[1], d1[0], 0], [0, 0, 0]]) / 3
    np.testing.assert_allclose(gradient_of(expected_iou, Q, LABELS), gradient)


@every_objective
@given(seed=seeds, n=st.integers(1, 6), n_labels=st.integers(1, 4))
def test_gradients(objective: Callable[[Tensor, Array], Tensor], seed: int, n: int, n_labels: int) -> None:
    rng = np.random.default_rng(seed)
    q = rng.dirichlet(np.ones(n_labels), n) * 0.9 + 0.1 / n_labels
    labels = rng.integers(-1, n_labels + 1, n)
    labels[rng.integers(n)] = rng.integers(n_labels)
    gradcheck(lambda q: objective(q, labels), [q], rng=rng)


@given(seed=seeds)
def test_a_segmentation_has_its_scores(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels, predictions = rng.integers(0, 3, (2, 20))
    labels[:4] = [0, 1, 2, 255]  # every label occurs
    scores = segmentation_scores(confusion_matrix(labels, predictions, n_classes=3))
    q = np.eye(3)[predictions]
    assert hamming(q, labels).item() == pytest.approx(scores.pixel_accuracy)
    assert hamming(q, labels, power=1).item() == pytest.approx(scores.mean_accuracy)
    assert expected_iou(q, labels).item() == pytest.approx(scores.mean_iu)


def test_a_label_that_does_not_occur() -> None:
    """It is 1 of L labels, whereas the mean IU leaves it out; and it has no weight."""
    q, labels = np.eye(3)[[0, 0, 2]], np.array([0, 0, 2])
    assert expected_iou(q, labels).item() == pytest.approx(2 / 3)
    assert hamming(q, labels, power=1).item() == pytest.approx(1)
    np.testing.assert_allclose(class_weights(labels, 3, power=1), [1 / 4, 0, 1 / 2])


@every_objective
def test_other_labels_do_not_count(objective: Callable[[Tensor, Array], Tensor]) -> None:
    """Leaving the points out is the same; labels may be of any integer dtype."""
    rng = np.random.default_rng(0)
    q = rng.dirichlet(np.ones(3), 6)
    for dtype, others in (("int8", [-1, 3, -128]), ("uint8", [255, 3, 4]), ("uint64", [2**64 - 1, 2**63, 2**32])):
        labels = np.array([2, others[0], 0, others[1], 0, others[2]], dtype)
        kept = objective(Tensor(q[[0, 2, 4]]), np.array([2, 0, 0])).item()
        assert objective(Tensor(q), labels).item() == pytest.approx(kept)
        assert not gradient_of(objective, q, labels)[[1, 3, 5]].any()


@every_objective
def test_float32(objective: Callable[[Tensor, Array], Tensor]) -> None:
    q = np.random.default_rng(0).dirichlet(np.ones(3), 6)
    labels = np.array([0, 1, 2, 0, 1, 9])
    narrow = objective(Tensor(q.astype(np.float32)), labels)
    assert narrow.dtype == np.float32
    assert narrow.item() == pytest.approx(objective(Tensor(q), labels).item(), rel=1e-6)


def test_a_crisp_mistake_has_a_finite_cost() -> None:
    for dtype in (np.float32, np.float64):
        q = np.eye(2, dtype=dtype)
        assert log_likelihood(q, np.array([1, 1])).item() == pytest.approx(np.log(1e-20) / 2)
        np.testing.assert_array_equal(gradient_of(log_likelihood, q, np.array([1, 1])), [[0, 0], [0, 0.5]])


def test_class_weights() -> None:
    """They add up to 1 over the points, and a large power overflows nowhere."""
    labels = np.array([0] * 12 + [1] * 6 + [2] * 2)
    for power in (0, 0.5, 1, 3):
        weights = class_weights(labels, 3, power=power)
        assert weights[labels].sum() == pytest.approx(1)
        np.testing.assert_allclose(weights / weights[2], np.array([6.0, 3, 1]) ** -power)
    np.testing.assert_allclose(class_weights(labels, 3, power=10000), [0, 0, 1 / 2])


def test_names() -> None:
    assert list(OBJECTIVES) == ["log_likelihood", "hamming", "expected_iou"]
    assert all(function.__name__ == name for name, function in OBJECTIVES.items())


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize(
    ("q", "labels", "error", "message"),
    [
        (Q[0], LABELS, ValueError, r"q must have rank 2 \(N, L\)"),
        (Q.astype(int), LABELS, TypeError, "q must be float32 or float64"),
        (Q, LABELS[:3], ValueError, r"labels must have shape \(4,\) \(one per point of q\), got \(3,\)"),
        (Q, LABELS * 1.0, TypeError, "labels must be an integer array"),
        (Q, LABELS * 0 + 255, ValueError, r"no point is labelled: none of the 4 labels is in 0 … 2, all in 255 … 255"),
        (Q, np.array([-7, -1, 3, 9]), ValueError, r"no point is labelled: .* all in -7 … 9"),
        (Q[:0], LABELS[:0], ValueError, r"no point is labelled: none of the 0 labels is in 0 … 2$"),
    ],
)
def test_bad_input(name: str, q: Any, labels: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"{name}: {message}"):
        OBJECTIVES[name](q, labels)


def test_bad_options() -> None:
    with pytest.raises(ValueError, match="log_likelihood: robust must lie in"):
        log_likelihood(Q, LABELS, robust=-0.1)
    with pytest.raises(ValueError, match="hamming: power must be a finite number, got nan"):
        hamming(Q, LABELS, power=float("nan"))
    with pytest.raises(ValueError, match="class_weights: power must lie in"):
        class_weights(LABELS, 3, power=-1)

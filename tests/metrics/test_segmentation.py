"""confusion_matrix and segmentation_scores: by hand, the definition, scikit-learn, many images, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.segmentation import accumulate_confusion, class_iu, confusion_matrix, segmentation_scores
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.oracles import confusion_matrix as confusion_matrix_oracle
from tests.oracles import segmentation_scores as segmentation_scores_oracle

NAN = np.nan
integer_dtypes = st.sampled_from(["uint8", "int16", "int64", "uint64"])


def test_hand_example() -> None:
    """Two of three pixels of class 0 are found, the third is taken for class 2; the border is not looked at."""
    labels, predictions = np.array([[0, 0, 0, 255], [1, 2, 2, 255]]), np.array([[0, 2, 0, 0], [1, 2, 1, 99]])
    counts = confusion_matrix(labels, predictions, n_classes=3)
    np.testing.assert_array_equal(counts, [[2, 0, 1], [0, 1, 0], [0, 1, 1]])
    assert counts.dtype == np.int64
    scores = segmentation_scores(counts)
    assert scores.pixel_accuracy == pytest.approx(4 / 6)
    assert scores.mean_accuracy == pytest.approx((2 / 3 + 1 / 1 + 1 / 2) / 3)
    assert scores.mean_iu == pytest.approx((2 / 3 + 1 / 2 + 1 / 3) / 3)
    assert scores.frequency_weighted_iu == pytest.approx((3 * 2 / 3 + 1 * 1 / 2 + 2 * 1 / 3) / 6)
    np.testing.assert_allclose(class_iu(counts), [2 / 3, 1 / 2, 1 / 3])


@given(data=st.data(), seed=seeds, layout=layouts, dtypes=st.tuples(integer_dtypes, integer_dtypes))
def test_counts_against_the_definition(data: st.DataObject, seed: int, layout: str, dtypes: tuple[str, str]) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(data.draw(st.lists(st.integers(0, 4), min_size=0, max_size=3)))
    n_classes, ignore_label = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([None, 0, 255]))
    labels, predictions = (np.asarray(rng.integers(0, n_classes, shape)) for _ in range(2))
    if ignore_label is not None:
        labels = np.where(rng.random(shape) < 0.3, ignore_label, labels)
    inputs = [in_layout(np.asarray(x).astype(d), layout) for x, d in zip((labels, predictions), dtypes, strict=True)]
    params: dict[str, Any] = {"n_classes": n_classes, "ignore_label": ignore_label}
    assert_agrees("confusion_matrix", confusion_matrix_oracle, inputs, rng=rng, params=params)
    counts = confusion_matrix(*inputs, **params)
    assert counts.sum() == (labels.size if ignore_label is None else np.count_nonzero(labels != ignore_label))


@given(n=st.integers(0, 6), seed=seeds, layout=layouts, dtype=integer_dtypes, absent=st.integers(0, 5))
def test_scores_against_the_definition(n: int, seed: int, layout: str, dtype: str, absent: int) -> None:
    """Small counts, with classes that do not occur, or are never predicted."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 4, (n, n))
    counts[absent:] = 0
    counts[:, absent + 1 :] = 0
    inputs = [in_layout(counts.astype(dtype), layout)]
    assert_agrees("segmentation_scores", segmentation_scores_oracle, inputs, rng=rng, params={})


def test_many_classes_in_eight_bits() -> None:
    """21 · 20 does not fit into eight bits."""
    labels = np.arange(21, dtype=np.uint8)
    np.testing.assert_array_equal(confusion_matrix(labels, labels, n_classes=21), np.eye(21))


def test_absent_classes() -> None:
    """A class that is only predicted has IU 0 and no accuracy; one that does not occur at all has neither."""
    scores = segmentation_scores(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]]))
    assert scores == (0.75, 0.75, 0.375, 0.75)
    np.testing.assert_array_equal(class_iu(np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])), [0.75, 0, NAN])


def test_nothing_at_all() -> None:
    for counts in (np.zeros((2, 2), np.int64), np.zeros((0, 0), np.int64)):
        np.testing.assert_array_equal(segmentation_scores(counts), [NAN] * 4)


def test_scores_are_those_of_the_data_set() -> None:
    """A large image all right, and a small one all wrong: 9 of 10 pixels, not one half."""
    large, small = np.zeros((3, 3), np.int64), np.ones((1, 1), np.int64)
    counts = accumulate_confusion([(large, large), (small, 1 - small)], n_classes=2)
    np.testing.assert_array_equal(counts, [[9, 0], [1, 0]])
    assert segmentation_scores(counts).pixel_accuracy == 0.9
    np.testing.assert_array_equal(accumulate_confusion(iter([]), n_classes=2), np.zeros((2, 2)))


@pytest.mark.oracle
@given(seed=seeds)
def test_scikit_learn(seed: int) -> None:
    """Its table; and of its scores the balanced accuracy and the Jaccard index."""
    metrics: Any = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    labels, predictions = rng.integers(0, 3, (2, 40))
    labels[:3] = [0, 1, 2]  # every class occurs
    counts = confusion_matrix(labels, predictions, n_classes=3)
    np.testing.assert_array_equal(counts, metrics.confusion_matrix(labels, predictions, labels=[0, 1, 2]))
    scores = segmentation_scores(counts)
    assert scores.pixel_accuracy == pytest.approx(metrics.accuracy_score(labels, predictions))
    assert scores.mean_accuracy == pytest.approx(metrics.balanced_accuracy_score(labels, predictions))
    assert scores.mean_iu == pytest.approx(metrics.jaccard_score(labels, predictions, average="macro"))
    weighted = metrics.jaccard_score(labels, predictions, average="weighted")
    assert scores.frequency_weighted_iu == pytest.approx(weighted)


MAP = np.array([[0, 1], [1, 255]])


@pytest.mark.parametrize(
    ("labels", "predictions", "options", "error", "message"),
    [
        (
            np.array([[0, 1], [2, 255]]),
            MAP,
            {},
            ValueError,
            "labels must lie in [0, 2) where the label is not 255, got 2 at position (1, 0)",
        ),
        (np.array(7), np.array(0), {}, ValueError, "labels must lie in [0, 2) where the label is not 255, got 7 at"),
        (np.array([[0, -1], [0, 0]]), MAP, {}, ValueError, "got -1 at position (0, 1)"),
        (
            np.zeros((2, 2), int),
            MAP,
            {},
            ValueError,
            "predictions must lie in [0, 2) where the label is not 255, got 255",
        ),
        (
            MAP,
            MAP,
            {"ignore_label": None},
            ValueError,
            "labels must lie in [0, 2) where the label is not None, got 255",
        ),
        (MAP, MAP[0], {}, ValueError, "predictions must have shape (2, 2) (one per label), got (2,)"),
        (MAP * 1.0, MAP, {}, TypeError, "labels must be an integer array, got float64"),
        (None, MAP, {}, TypeError, "labels must be an array, got NoneType"),
        (MAP, None, {}, TypeError, "predictions must be an array, got NoneType"),
        (MAP, MAP > 0, {}, TypeError, "predictions must be an integer array, got bool"),
        (MAP, MAP, {"n_classes": 0}, ValueError, "n_classes must be at least 1, got 0"),
        (MAP, MAP, {"ignore_label": 2.5}, TypeError, "ignore_label must be an integer or None, got 2.5"),
    ],
)
def test_bad_counts(labels: Any, predictions: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        confusion_matrix(labels, predictions, **({"n_classes": 2} | options))
    assert message in str(raised.value)
    assert str(raised.value).startswith("confusion_matrix: ")


def test_a_bad_image_is_named() -> None:
    with pytest.raises(ValueError, match=r"accumulate_confusion: image 1: confusion_matrix: .* position \(1,\)"):
        accumulate_confusion([(MAP, MAP), (np.array([0, 7]), np.array([0, 0]))], n_classes=2)


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        (np.eye(2), TypeError, "confusion must be an integer array, got float64"),
        (np.ones(4, int), ValueError, "confusion must have rank 2 (C, C), got rank 1"),
        (np.ones((2, 3), int), ValueError, "confusion must have shape (2, 2) (one row and one"),
        (np.array([[1, 0], [-2, 3]]), ValueError, "confusion must hold counts, at least 0, got -2 at position (1, 0)"),
    ],
)
def test_bad_tables(counts: Any, error: type[Exception], message: str) -> None:
    for function in (segmentation_scores, class_iu):
        with pytest.raises(error) as raised:
            function(counts)
        assert str(raised.value).startswith(f"{function.__name__}: {message}")

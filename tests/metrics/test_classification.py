"""top_k_error and ilsvrc_error: by hand, the definition, scikit-learn, what counts and what does not, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.classification import ilsvrc_error, top_k_error
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import top_k_error as oracle


def test_hand_example() -> None:
    """Of four examples with the ranking 2, 0, 1: classes 2, 2, 0, 1."""
    scores, labels = np.array([[0.3, 0.1, 0.6]] * 4), np.array([2, 2, 0, 1])
    assert [top_k_error(scores, labels, k=k) for k in (1, 2, 3, 5)] == [0.5, 0.25, 0, 0]


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, c = data.draw(st.integers(0, 8)), data.draw(st.integers(1, 6))
    scores = rng.choice([-np.inf, -1.0, -0.0, 0.0, 1.0, np.inf, np.nan], (n, c)).astype(dtype)
    inputs = [in_layout(scores, layout), in_layout(rng.integers(0, c, n), layout)]
    assert_agrees("top_k_error", oracle, inputs, rng=rng, params={"k": data.draw(st.integers(1, 7))})


def test_ties_and_nan() -> None:
    """Equal scores: the lowest class first. NaN behind −∞."""
    assert [top_k_error(np.full((1, 3), 0.5), np.array([label]), k=1) for label in range(3)] == [0, 1, 1]
    assert top_k_error(np.array([[np.nan, -np.inf]]), np.array([1]), k=1) == 0


def test_a_mean_over_nothing() -> None:
    assert np.isnan(top_k_error(np.zeros((0, 3)), np.zeros(0, np.int64)))


@pytest.mark.oracle
@given(seed=seeds, k=st.integers(1, 4))
def test_scikit_learn(seed: int, k: int) -> None:
    """Its accuracy, for distinct scores: it puts the highest of tied classes first."""
    metrics: Any = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    scores, labels = rng.permuted(np.tile(np.arange(5.0), (12, 1)), axis=1), rng.integers(0, 5, 12)
    accuracy = metrics.top_k_accuracy_score(labels, scores, k=k, labels=np.arange(5))
    assert top_k_error(scores, labels, k=k) == pytest.approx(1 - accuracy)


@pytest.mark.parametrize(
    ("scores", "labels", "k", "error", "message"),
    [
        (np.zeros((2, 3), int), np.zeros(2, int), 1, TypeError, "scores must be float32 or float64, got int64"),
        (np.zeros(3), np.zeros(2, int), 1, ValueError, "scores must have rank 2 (N, C), got rank 1"),
        (np.zeros((2, 3)), np.zeros(2), 1, TypeError, "labels must be an integer array, got float64"),
        (np.zeros((2, 3)), np.zeros(3, int), 1, ValueError, "labels must have shape (2,) (one per row of scores)"),
        (np.zeros((2, 3)), np.array([0, 3]), 1, ValueError, "labels must lie in [0, 3), the classes of scores, got 3"),
        (np.zeros((2, 3)), np.array([-1, 0]), 1, ValueError, "got -1 at position 0"),
        (np.zeros((2, 3)), np.zeros(2, int), [1, 2], TypeError, "k must be an integer, got [1, 2]"),
        (np.zeros((2, 3)), np.zeros(2, int), 0, ValueError, "k must be at least 1, got 0"),
    ],
)
def test_bad_input(scores: Any, labels: Any, k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        top_k_error(scores, labels, k=k)
    assert message in str(raised.value)
    assert str(raised.value).startswith("top_k_error: ")


HERE, THERE = [0.0, 0, 4, 4], [10.0, 10, 14, 14]


def errors(
    guesses: list[list[tuple[int, list[float]]]], truths: list[tuple[int, int, list[float]]], **options: Any
) -> tuple[float, float]:
    """Return the two errors of guesses (class, box) per image; truths are (image, class, box)."""
    classes = np.array([[c for c, _ in image] for image in guesses])
    boxes = np.array([[box for _, box in image] for image in guesses])
    images, truth_classes, truth_boxes = (np.array(column) for column in zip(*truths, strict=True))
    return ilsvrc_error(classes, boxes, images, truth_classes, truth_boxes, **options)


def test_both_the_label_and_the_box_must_be_right() -> None:
    """One image each: right; wrong box; wrong label; the label of one guess with the box of the other."""
    for guesses, expected in (
        ([(3, HERE), (1, THERE)], (0, 0)),
        ([(3, THERE), (1, THERE)], (1, 0)),
        ([(2, HERE), (1, THERE)], (1, 1)),
        ([(3, THERE), (1, HERE)], (1, 0)),
    ):
        assert errors([guesses], [(0, 3, HERE)]) == expected


def test_any_object_of_the_class_will_do() -> None:
    truths = [(0, 3, THERE), (0, 3, HERE), (0, 3, [50.0, 50, 60, 60])]
    assert errors([[(3, HERE)]], truths) == (0, 0)


def test_an_object_of_another_class_will_not() -> None:
    """Class 3 is elsewhere; where the guess looks is class 4."""
    assert errors([[(3, HERE), (4, THERE)]], [(0, 3, THERE), (0, 4, HERE)]) == (1, 0)


def test_classes_of_an_image_count_once_each_and_images_alike() -> None:
    """Image 0 shows two classes, the first by three objects, and one is found; image 1 shows one, found."""
    truths = [(0, 3, HERE), (0, 3, THERE), (0, 3, THERE), (0, 4, THERE), (1, 5, HERE)]
    assert errors([[(3, HERE)], [(5, HERE)]], truths) == ((1 / 2 + 0) / 2, (1 / 2 + 0) / 2)


def test_one_half_is_enough() -> None:
    """16/32; with the legacy widths, which are the kit's, 5 · 5 of 5 · 9: more."""
    for offset in (0, 1):
        assert errors([[(3, HERE)]], [(0, 3, [0.0, 0, 4, 8])], offset=offset) == (0, 0)
    assert errors([[(3, HERE)]], [(0, 3, [0.0, 0, 4, 8.125])]) == (1, 0)
    assert errors([[(3, HERE)]], [(0, 3, [0.0, 0, 4, 8.125])], threshold=0.25) == (0, 0)
    assert errors([[(3, [0.0, 0, 4, np.nan])]], [(0, 3, HERE)]) == (1, 0)


def test_only_five_guesses_are_read() -> None:
    guesses = [[(9, HERE)] * 5 + [(3, HERE)]]
    assert errors(guesses, [(0, 3, HERE)]) == (1, 1)
    assert errors(guesses, [(0, 3, HERE)], n_guesses=6) == (0, 0)


def test_excluded_images_do_not_count() -> None:
    """The second is wrong, the third has no objects."""
    guesses = [[(3, HERE)], [(0, HERE)], [(0, HERE)]]
    truths = [(0, 3, HERE), (1, 4, HERE)]
    assert errors(guesses, truths, excluded=np.array([False, True, True])) == (0, 0)
    assert errors(guesses, truths, excluded=np.array([False, False, True])) == (0.5, 0.5)
    assert np.isnan(errors(guesses, truths, excluded=np.ones(3, bool))).all()


def test_dropping_the_boxes_gives_the_top_five_error() -> None:
    """With one class per image the classification error is that of the five best scores."""
    rng = np.random.default_rng(0)
    scores, labels = rng.standard_normal((30, 12)), rng.integers(0, 12, 30)
    guesses: Array = np.argsort(-scores, axis=1, kind="stable")
    boxes = np.zeros((30, 12, 4))
    found = ilsvrc_error(guesses, boxes, np.arange(30), labels, np.ones((30, 4)))
    assert found.localisation == 1
    assert found.classification == pytest.approx(top_k_error(scores, labels))


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"guesses": np.zeros((2, 3))}, TypeError, "guesses must be an integer array, got float64"),
        ({"boxes": np.zeros((2, 4))}, ValueError, "boxes must have shape (2, 3, 4) (one box per guess), got (2, 4)"),
        ({"boxes": np.zeros((2, 3, 4), "f")}, TypeError, "boxes is float32 but truths is float64"),
        ({"truths": np.zeros((1, 4))}, ValueError, "truths must have shape (2, 4) (one box per object), got (1, 4)"),
        ({"truth_classes": np.zeros(3, int)}, ValueError, "truth_classes must have shape (2,) (one per object)"),
        (
            {"truth_images": np.array([0, 2])},
            ValueError,
            "truth_images must lie in [0, 2), the rows of guesses, got 2 at row 1",
        ),
        ({"truth_images": np.array([0, 0])}, ValueError, "image 1 has no ground truth and is not excluded"),
        ({"excluded": np.zeros(2, int)}, TypeError, "excluded must be a boolean array, got int64"),
        ({"excluded": [True, False]}, TypeError, "excluded must be an array, got list"),
        ({"excluded": np.zeros(3, bool)}, ValueError, "excluded must have shape (2,) (one flag per image), got (3,)"),
        ({"n_guesses": 0}, ValueError, "n_guesses must be at least 1, got 0"),
        ({"threshold": 2}, ValueError, "threshold must lie in [0, 1], got 2"),
        ({"offset": 3}, ValueError, "offset must be 0"),
    ],
)
def test_bad_input_with_boxes(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
        "guesses": np.zeros((2, 3), int),
        "boxes": np.zeros((2, 3, 4)),
        "truth_images": np.array([0, 1]),
        "truth_classes": np.zeros(2, int),
        "truths": np.zeros((2, 4)),
    } | changed
    with pytest.raises(error) as raised:
        ilsvrc_error(**arguments)
    assert message in str(raised.value)
    assert str(raised.value).startswith("ilsvrc_error: ")

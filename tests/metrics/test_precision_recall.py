"""precision_recall: the deck's points, the definition, what is ignored, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.precision_recall import precision_recall
from tests.agreement import assert_agrees, in_layout, layouts
from tests.oracles import precision_recall as oracle


def test_the_deck_s_points() -> None:
    """Three objects; detections right, right, wrong, wrong, right."""
    precision, recall = precision_recall(np.array([1, 1, 0, 0, 1]), n_positive=3)
    np.testing.assert_array_equal(precision, [1 / 1, 2 / 2, 2 / 3, 2 / 4, 3 / 5])
    np.testing.assert_array_equal(recall, [1 / 3, 2 / 3, 2 / 3, 2 / 3, 3 / 3])
    assert precision.dtype == recall.dtype == np.float64


@given(
    verdicts=st.lists(st.integers(-1, 1), max_size=20),
    n_positive=st.integers(0, 30),
    layout=layouts,
    dtype=st.sampled_from(["int64", "int32", "int8"]),
)
def test_against_the_definition(verdicts: list[int], n_positive: int, layout: str, dtype: str) -> None:
    inputs = [in_layout(np.array(verdicts, dtype), layout)]
    params = {"n_positive": n_positive}
    assert_agrees("precision_recall", oracle, inputs, rng=np.random.default_rng(0), params=params)


def test_a_first_detection_on_a_difficult_object() -> None:
    """It has no point: no 0/0, as the devkit would have."""
    precision, recall = precision_recall(np.array([-1, 0, -1, 1]), n_positive=2)
    np.testing.assert_array_equal(precision, [0, 1 / 2])
    np.testing.assert_array_equal(recall, [0, 1 / 2])


def test_nothing_to_find_and_nothing_found() -> None:
    precision, recall = precision_recall(np.array([0, 0]), n_positive=0)
    np.testing.assert_array_equal(precision, [0, 0])
    np.testing.assert_array_equal(recall, [np.nan, np.nan])
    for verdicts in (np.zeros(0, np.int64), np.array([-1, -1])):
        assert [x.tolist() for x in precision_recall(verdicts, n_positive=4)] == [[], []]


@pytest.mark.parametrize(
    ("verdicts", "n_positive", "error", "message"),
    [
        (np.array([1.0]), 1, TypeError, "verdicts must be an integer array, got float64"),
        (np.array([True]), 1, TypeError, "verdicts must be an integer array, got bool"),
        (np.array([[1]]), 1, ValueError, "verdicts must have rank 1 (D), got rank 2"),
        (np.array([1, 2, 0]), 3, ValueError, "verdicts must be 1, 0 or -1, got 2 at 1"),
        (np.array([1, 1]), 1, ValueError, "n_positive must be at least the number of true positives, 2, got 1"),
        (np.array([0]), -1, ValueError, "n_positive must be at least 0, got -1"),
        (np.array([0]), [1, 2], TypeError, "n_positive must be an integer, got [1, 2]"),
        (np.array([0]), True, TypeError, "n_positive must be an integer, got True"),
        (None, 1, TypeError, "verdicts must be an array, got NoneType"),
        (np.array([0]), 1.5, TypeError, "n_positive must be an integer, got 1.5"),
    ],
)
def test_bad_input(verdicts: Any, n_positive: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        precision_recall(verdicts, n_positive=n_positive)
    assert message in str(raised.value)
    assert str(raised.value).startswith("precision_recall: ")

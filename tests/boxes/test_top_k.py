"""top_k: the order of scores, its ties and NaN, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.top_k import descending, top_k
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import top_k as oracle

NAN, INF = np.nan, np.inf


def test_hand_example() -> None:
    np.testing.assert_array_equal(top_k(np.array([0.25, 0.75, 0.5]), 2), [1, 2])
    assert top_k(np.array([0.25, 0.75]), 1).dtype == np.int64


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    values = np.array([-0.0, 0.0, 0.25, 0.5, INF, -INF, NAN])
    scores = in_layout(rng.choice(values, data.draw(st.integers(0, 12))).astype(dtype), layout)
    assert_agrees("top_k", oracle, [scores], rng=rng, params={"k": data.draw(st.integers(0, 15))})


def test_ties_keep_the_lowest_index_first() -> None:
    """Many more than the lengths at which sorts change their method."""
    np.testing.assert_array_equal(top_k(np.full(5000, 0.5), 3000), np.arange(3000))


def test_nan_comes_after_minus_infinity() -> None:
    np.testing.assert_array_equal(descending(np.array([NAN, -INF, NAN, 0.5])), [3, 1, 0, 2])


def test_fewer_than_k() -> None:
    """Deck 001 takes the top 300 of a 5 × 6 map with 6 anchors: there are 180."""
    scores = np.random.default_rng(0).random(5 * 6 * 6)
    kept = top_k(scores, 300)
    np.testing.assert_array_equal(np.sort(kept), np.arange(180))
    assert np.all(np.diff(scores[kept]) <= 0)


@pytest.mark.parametrize(
    ("scores", "k", "error", "message"),
    [
        (np.zeros(3), -1, ValueError, "top_k: k must be at least 0, got -1"),
        (np.zeros(3), 2.0, TypeError, "top_k: k must be an integer, got 2.0"),
        (np.zeros(3), True, TypeError, "top_k: k must be an integer, got True"),
        (np.zeros((3, 1)), 2, ValueError, r"top_k: scores must have rank 1 \(N\), got rank 2"),
        (np.zeros(3, int), 2, TypeError, "top_k: scores must be float32 or float64, got int64"),
        ([0.5], 1, TypeError, "top_k: scores must be an array, got list"),
    ],
)
def test_bad_input(scores: Any, k: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        top_k(scores, k)

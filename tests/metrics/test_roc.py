"""The curve of true against false accept rates: by hand, thresholds between floats, scikit-learn, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.roc import roc_curve, threshold_candidates, true_accept_rate
from tests.agreement import in_layout, layouts, seeds

INF = np.inf
FOUR, KINDS = np.arange(4.0), np.array([True, False, True, False])


def test_midpoints_of_neighbouring_floats_part_them() -> None:
    """Where no float lies between two distances the upper one is the threshold: d < t accepts the lower one only."""
    for low in (1.0, 1.0 + 2**-52, 3.0):
        high = np.nextafter(low, INF)
        np.testing.assert_array_equal(threshold_candidates(np.array([high, low])), [low, high, INF])


def test_observed_and_midpoints_accept_the_same_sets() -> None:
    rng = np.random.default_rng(0)
    distances = rng.integers(0, 50, 40) / 8
    accepted = [
        [(distances < t).tolist() for t in threshold_candidates(distances, convention)]
        for convention in ("midpoints", "observed")
    ]
    assert accepted[0] == accepted[1]
    assert len(accepted[0]) == len(np.unique(distances)) + 1


def test_true_accept_rate_by_hand() -> None:
    """Strangers at 2, 4 and 6, friends at 1, 3 and 5."""
    distances, same = np.arange(1.0, 7), np.tile([True, False], 3)
    rates = [true_accept_rate(distances, same, far=far) for far in (0, 0.3, 1 / 3, 0.5, 2 / 3, 1)]
    np.testing.assert_allclose(rates, [1 / 3, 1 / 3, 2 / 3, 2 / 3, 1, 1])


def test_roc_curve_by_hand() -> None:
    far, tar, thresholds = roc_curve(np.array([1.0, 2, 2, 4]), np.array([True, False, True, False]))
    np.testing.assert_array_equal(thresholds, [1, 2, 4, INF])
    np.testing.assert_array_equal(far, [0, 0, 0.5, 1])
    np.testing.assert_array_equal(tar, [0, 0.5, 1, 1])


@pytest.mark.oracle
@given(seed=seeds, n=st.integers(2, 40), layout=layouts, dtype=st.sampled_from(["float32", "float64"]))
def test_scikit_learn_s_curve(seed: int, n: int, layout: str, dtype: str) -> None:
    """It accepts score ≥ threshold, so that with score = −distance its points are the same, but for the order."""
    metrics: Any = pytest.importorskip("sklearn.metrics")
    distances, same = np.random.default_rng(seed).integers(0, 12, n) / 8, np.arange(n) % 2 == 0  # eighths, with ties
    far, tar, _ = roc_curve(in_layout(distances.astype(dtype), layout), in_layout(same, layout))
    expected = metrics.roc_curve(same, -distances, drop_intermediate=False)
    np.testing.assert_allclose([far, tar], expected[:2])


def test_a_rate_that_is_met_exactly() -> None:
    """The nearest of a thousand strangers may pass at 0.001, the second may not."""
    distances, same = np.arange(1003.0), np.zeros(1003, bool)
    same[[1, 3, 500]] = True  # strangers at 0, 2, 4, 5, ...
    assert true_accept_rate(distances, same, far=0.001) == pytest.approx(1 / 3)
    assert true_accept_rate(distances, same, far=0.00099) == 0


def test_no_distances_leave_one_threshold() -> None:
    np.testing.assert_array_equal(threshold_candidates(np.zeros(0)), [INF])


@pytest.mark.parametrize("convention", ["midpoints", "observed"])
def test_midpoints_of_the_largest_and_the_smallest_floats(convention: str) -> None:
    """Neither overflows, nor falls on the lower of its two distances."""
    distances = np.array([-1.7e308, 0.0, 5e-324, 1.7e308])
    accepted = [int(np.count_nonzero(distances < t)) for t in threshold_candidates(distances, convention)]
    assert accepted == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("distances", "same", "far", "error", "message"),
    [
        (np.arange(4), KINDS, 0.5, TypeError, "distances must be float32 or float64, got int64"),
        (np.zeros((4, 1)), KINDS, 0.5, ValueError, "distances must have rank 1 (N), got rank 2"),
        (np.array([0, 1, np.nan, 2]), KINDS, 0.5, ValueError, "distances must be finite, got nan at row 2"),
        (FOUR, None, 0.5, TypeError, "same must be an array, got NoneType"),
        (FOUR, KINDS.astype(int), 0.5, TypeError, "same must be a boolean array, got int64"),
        (FOUR, KINDS[:3], 0.5, ValueError, "same must have shape (4,) (one flag per pair), got (3,)"),
        (FOUR, np.ones(4, bool), 0.5, ValueError, "of the same and of different persons, got 4 same of 4"),
        (np.zeros(0), np.zeros(0, bool), 0.5, ValueError, "of the same and of different persons, got 0 same of 0"),
        (FOUR, KINDS, 2, ValueError, "far must lie in [0, 1], got 2"),
        (FOUR, KINDS, np.nan, ValueError, "far must be a finite number, got nan"),
    ],
)
def test_bad_input(distances: Any, same: Any, far: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as raised:
        true_accept_rate(distances, same, far=far)
    assert str(raised.value).startswith("true_accept_rate: ")
    assert message in str(raised.value)
    if not message.startswith("far"):
        with pytest.raises(error) as raised:
            roc_curve(distances, same)
        assert str(raised.value).startswith("roc_curve: ")
        assert message in str(raised.value)


def test_bad_candidates() -> None:
    with pytest.raises(ValueError, match="threshold_candidates: convention must be one of 'midpoints', 'observed'"):
        threshold_candidates(FOUR, "grid")
    with pytest.raises(ValueError, match="threshold_candidates: distances must be finite, got nan at row 0"):
        threshold_candidates(np.array([np.nan]))

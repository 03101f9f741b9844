"""Verification by folds: by hand, the definition in loops, FaceNet's grid, scikit-learn's folds, bad input."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.roc import true_accept_rate
from refdet.metrics.verification_folds import FoldResults, true_accept_rate_by_folds, verification_accuracy
from tests.agreement import Array, in_layout, layouts, seeds

INF = np.inf


def pairs(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Return distances in eighths, with ties, and same, every other pair, which have the smaller ones."""
    same = np.arange(n) % 2 == 0
    return rng.integers(0, 12, n) / 8 + np.where(same, 0, 0.5), same


def test_hand_example() -> None:
    """Two folds of two pairs. The midpoint of the one is 2, of the other 4: each wrong about one pair of the other."""
    distances, same = np.array([1.0, 3, 3, 5]), np.array([True, False, True, False])
    results = verification_accuracy(distances, same, n_folds=2)
    np.testing.assert_array_equal(results.thresholds, [4, 2])
    np.testing.assert_array_equal(results.values, [0.5, 0.5])


def test_the_numbers_that_are_printed() -> None:
    """Accuracies 1, 1/2, 3/4: the mean, LFW's standard error of it, and the deviation that facenet's code prints."""
    results = FoldResults(np.array([1, 0.5, 0.75]), np.zeros(3))
    assert repr(results) == "FoldResults(mean=0.7500, standard_error=0.1443, 3 folds)"
    assert results.mean == 0.75
    assert results.standard_deviation == pytest.approx(math.sqrt((0.0625 + 0.0625) / 3))
    assert results.standard_error == pytest.approx(math.sqrt((0.0625 + 0.0625) / 2) / math.sqrt(3))


def test_lfw_s_ten_folds() -> None:
    """Consecutive blocks: a fold of strangers nearer than all friends is all wrong, and costs no other anything."""
    same = np.tile(np.repeat([True, False], 5), 10)
    distances = np.where(same, 0.5, 1.5)
    distances[20:30] = 2 - distances[20:30]
    results = verification_accuracy(distances, same)
    np.testing.assert_array_equal(results.values, [1, 1, 0, 1, 1, 1, 1, 1, 1, 1])
    np.testing.assert_array_equal(results.thresholds, [1.0] * 10)
    assert results.mean == 0.9
    assert results.standard_error == pytest.approx(0.1)


def accuracy_in_loops(distances: Array, same: Array, folds: list[int], thresholds: Any) -> list[tuple[float, float]]:
    """Return (accuracy, threshold) of each fold."""
    found = []
    for fold in sorted(set(folds)):
        train = [i for i in range(len(folds)) if folds[i] != fold]
        test = [i for i in range(len(folds)) if folds[i] == fold]
        grid = thresholds([float(distances[i]) for i in train])
        n_right = [sum((distances[i] < t) == same[i] for i in train) for t in grid]
        best = grid[n_right.index(max(n_right))]
        found.append((sum(bool((distances[i] < best) == same[i]) for i in test) / len(test), best))
    return found


def midpoints(distances: list[float]) -> list[float]:
    d = sorted(set(distances))
    return [d[0], *((a + b) / 2 for a, b in itertools.pairwise(d)), INF]


def observed(distances: list[float]) -> list[float]:
    return [*sorted(set(distances)), INF]


@given(data=st.data(), seed=seeds, layout=layouts, dtype=st.sampled_from(["float32", "float64"]))
def test_against_the_definition(data: st.DataObject, seed: int, layout: str, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(2, 24))
    n_folds = data.draw(st.integers(2, min(n, 10)))
    distances, same = pairs(rng, n)
    same = same ^ (rng.random(n) < 0.2)
    blocks = [i for i, rows in enumerate(np.array_split(np.arange(n), n_folds)) for _ in rows]
    inputs = in_layout(distances.astype(dtype), layout), in_layout(same, layout)
    for candidates, rule in (("midpoints", midpoints), ("observed", observed)):
        results = verification_accuracy(*inputs, n_folds=n_folds, candidates=candidates)
        expected = accuracy_in_loops(distances, same, blocks, rule)
        np.testing.assert_allclose(np.stack([results.values, results.thresholds], axis=1), expected, rtol=1e-15)


def test_folds_may_be_given() -> None:
    """Pairs in any order, with the fold of each: the same as blocks, once they are sorted."""
    rng = np.random.default_rng(0)
    distances, same = pairs(rng, 60)
    blocks = np.repeat(np.arange(10), 6)
    order = rng.permutation(60)
    expected = verification_accuracy(distances, same)
    results = verification_accuracy(distances[order], same[order], folds=blocks[order] * 7 - 3)
    np.testing.assert_array_equal(results.values, expected.values)
    np.testing.assert_array_equal(results.thresholds, expected.thresholds)


def test_folds_that_cannot_be_equal() -> None:
    """Seven pairs in three folds: 3, 2, 2. The third pair, a stranger at 0, is in the first."""
    distances = np.array([0.0, 2, 0, 0, 2, 0, 2])
    same = np.array([True, False, False, True, False, True, False])
    np.testing.assert_allclose(verification_accuracy(distances, same, n_folds=3).values, [2 / 3, 1, 1])


def test_the_smallest_of_equally_good_thresholds() -> None:
    """On a grid, from 1.1 to 2, all are right about distances 1 and 2: the first maximum is 1.1."""
    distances, same = np.array([1.0, 2, 1, 2]), np.array([True, False, True, False])
    grid = np.arange(0, 41) / 10
    results = verification_accuracy(distances, same, n_folds=2, candidates=grid)
    np.testing.assert_array_equal(results.thresholds, [1.1, 1.1])
    np.testing.assert_array_equal(results.values, [1, 1])


def test_acceptance_is_strict() -> None:
    """A distance equal to the only threshold is not accepted."""
    distances, same = np.array([1.0, 1, 1, 1]), np.array([True, False, True, True])
    results = verification_accuracy(distances, same, n_folds=2, candidates=np.array([1.0]))
    np.testing.assert_array_equal(results.values, [0.5, 0])


def test_all_alike() -> None:
    """Only friends: +∞ accepts them all. Only strangers: the smallest distance, 3 or 1, accepts none of its folds."""
    distances = np.array([1.0, 2, 3, 4])
    assert verification_accuracy(distances, np.ones(4, bool), n_folds=2).thresholds.tolist() == [INF, INF]
    assert verification_accuracy(distances, np.zeros(4, bool), n_folds=2).thresholds.tolist() == [3, 1]


def test_only_the_order_of_distances_matters() -> None:
    """Squared or not, the accuracy with observed thresholds is the same."""
    distances, same = pairs(np.random.default_rng(3), 100)
    plain = verification_accuracy(distances, same, candidates="observed")
    squared = verification_accuracy(distances**2, same, candidates="observed")
    np.testing.assert_array_equal(plain.values, squared.values)


def test_true_accept_rate_by_folds_by_hand() -> None:
    """Thresholds at FAR 0: the other fold's nearest stranger, or half way to it, exclusively."""
    distances = np.array([1.0, 4, 6, 2, 3, 8])
    same = np.array([True, True, False, True, False, False])
    midpoint = true_accept_rate_by_folds(distances, same, far=0.0, n_folds=2)
    np.testing.assert_array_equal(midpoint.thresholds, [2.5, 5])
    np.testing.assert_array_equal(midpoint.values, [1 / 2, 1])
    exact = true_accept_rate_by_folds(distances, same, far=0.0, n_folds=2, candidates="observed")
    np.testing.assert_array_equal(exact.thresholds, [3, 6])
    half = true_accept_rate_by_folds(distances, same, far=0.5, n_folds=2)
    np.testing.assert_array_equal(half.thresholds, [5.5, 5])  # 3 of {3, 8} may pass; {6} may not
    np.testing.assert_array_equal(half.values, [1, 1])


def test_a_grid_that_never_comes_down_to_the_rate() -> None:
    distances, same = np.array([1.0, 0.5, 1, 0.5]), np.array([True, False, True, False])
    results = true_accept_rate_by_folds(distances, same, far=0.0, n_folds=2, candidates=np.array([2.0, 3.0]))
    np.testing.assert_array_equal(results.thresholds, [-INF, -INF])
    np.testing.assert_array_equal(results.values, [0, 0])


def test_rates_with_all_folds_alike() -> None:
    """Ten times the same fold: the rate by folds is that of any of them."""
    distances, same = pairs(np.random.default_rng(5), 30)
    for far in (0.0, 0.1, 0.4, 1.0):
        results = true_accept_rate_by_folds(np.tile(distances, 10), np.tile(same, 10), far=far)
        np.testing.assert_allclose(results.values, true_accept_rate(distances, same, far=far))
        assert results.standard_error == pytest.approx(0)


@pytest.mark.oracle
def test_scikit_learn_s_folds() -> None:
    selection: Any = pytest.importorskip("sklearn.model_selection")
    distances, same = pairs(np.random.default_rng(1), 47)
    folds = np.empty(47, np.int64)
    for i, (_, held_out) in enumerate(selection.KFold(10).split(distances)):
        folds[held_out] = i
    blocks, given_folds = (verification_accuracy(distances, same, **o) for o in ({"n_folds": 10}, {"folds": folds}))
    np.testing.assert_array_equal(blocks.values, given_folds.values)


FOUR, KINDS = np.arange(4.0), np.array([True, False, True, False])


@pytest.mark.parametrize(
    ("distances", "same", "options", "error", "message"),
    [
        (np.arange(4), KINDS, {}, TypeError, "distances must be float32 or float64, got int64"),
        (np.zeros((4, 1)), KINDS, {}, ValueError, "distances must have rank 1 (N), got rank 2"),
        (np.array([0, 1, np.nan, 2]), KINDS, {}, ValueError, "distances must be finite, got nan at row 2"),
        (np.array([0, INF, 1, 2]), KINDS, {}, ValueError, "distances must be finite, got inf at row 1"),
        (FOUR, np.ones(4, int), {}, TypeError, "same must be a boolean array, got int64"),
        (FOUR, [True] * 4, {}, TypeError, "same must be an array, got list"),
        (FOUR, KINDS[:3], {}, ValueError, "same must have shape (4,) (one flag per pair), got (3,)"),
        (FOUR, KINDS, {"n_folds": 1}, ValueError, "n_folds must be at least 2, got 1"),
        (FOUR, KINDS, {"n_folds": 5}, ValueError, "n_folds must be at most the number of pairs, 4, got 5"),
        (FOUR, KINDS, {"folds": np.zeros(4, int)}, ValueError, "there must be at least 2 folds, got 1"),
        (FOUR, KINDS, {"folds": np.arange(3)}, ValueError, "folds must have shape (4,) (one per pair), got (3,)"),
        (FOUR, KINDS, {"folds": np.arange(4.0)}, TypeError, "folds must be an integer array, got float64"),
        (
            FOUR,
            KINDS,
            {"candidates": "grid"},
            ValueError,
            "candidates must be one of 'midpoints', 'observed', got 'grid'",
        ),
        (FOUR, KINDS, {"candidates": np.array([2.0, 1])}, ValueError, "candidates must ascend, at least one of them"),
        (FOUR, KINDS, {"candidates": np.array([np.nan])}, ValueError, "candidates must ascend"),
        (FOUR, KINDS, {"candidates": np.zeros(0)}, ValueError, "candidates must ascend"),
    ],
)
def test_bad_input(distances: Any, same: Any, options: Any, error: type[Exception], message: str) -> None:
    chosen: dict[str, Any] = {"n_folds": 2} | options
    functions: list[tuple[Any, dict[str, float]]] = [
        (verification_accuracy, {}),
        (true_accept_rate_by_folds, {"far": 0.5}),
    ]
    for function, more in functions:
        with pytest.raises(error) as raised:
            function(distances, same, **chosen, **more)
        assert message in str(raised.value)
        assert str(raised.value).startswith(f"{function.__name__}: ")


def test_rates_need_both_kinds_in_every_fold() -> None:
    with pytest.raises(ValueError, match="every fold must have pairs of the same and of different persons"):
        true_accept_rate_by_folds(FOUR, np.array([True, False, True, True]), far=0.5, n_folds=2)
    with pytest.raises(ValueError, match=r"true_accept_rate_by_folds: far must lie in \[0, 1\], got -1"):
        true_accept_rate_by_folds(FOUR, KINDS, far=-1, n_folds=2)

"""The samplers: how many, which, by whose chance; hard negatives: their ranking and their number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.sampling import hard_negatives, sample_balanced, sample_rois, sample_rpn
from tests.agreement import in_layout, layouts, seeds


def rng_of(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_hand_example() -> None:
    """Two of four may be positive; one is there, so that three of four negatives join it."""
    labels = np.array([-1, 0, 0, 1, -1, 0, 0])
    positives, negatives = sample_balanced(labels, n=4, positive_fraction=0.5, rng=rng_of())
    np.testing.assert_array_equal(positives, [3])
    assert len(negatives) == 3
    assert set(negatives) < {1, 2, 5, 6}


@given(data=st.data(), seed=seeds, layout=layouts)
def test_numbers_and_labels(data: st.DataObject, seed: int, layout: str) -> None:
    labels = in_layout(rng_of(seed).integers(-1, 3, data.draw(st.integers(0, 30))), layout)
    n, fraction = data.draw(st.integers(0, 12)), data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    before = labels.copy()
    positives, negatives = sample_balanced(labels, n=n, positive_fraction=fraction, rng=rng_of(seed))
    n_positives = min(round(fraction * n), np.count_nonzero(labels > 0))
    assert len(positives) == n_positives
    assert len(negatives) == min(n - n_positives, np.count_nonzero(labels == 0))
    assert np.all(labels[positives] > 0)
    assert np.all(labels[negatives] == 0)
    for indices in (positives, negatives):
        assert indices.dtype == np.int64
        assert np.all(np.diff(indices) > 0)  # ascending, none twice
    np.testing.assert_array_equal(labels, before)


def test_missing_negatives_are_not_made_up_for() -> None:
    positives, negatives = sample_balanced(np.array([1] * 9 + [0]), n=8, positive_fraction=0.5, rng=rng_of())
    assert (len(positives), len(negatives)) == (4, 1)


@pytest.mark.parametrize(
    ("n", "fraction", "by_rounding", "by_floor"),
    [(64, 0.25, 16, 16), (10, 0.25, 2, 2), (6, 0.25, 2, 1), (7, 0.25, 2, 1), (14, 0.25, 4, 3)],
)
def test_rounding(n: int, fraction: float, by_rounding: int, by_floor: int) -> None:
    """2.5 and 1.5 both round to 2, the even number; 1.75 to 2; 3.5 to 4."""
    labels = np.repeat([1, 0], 50)
    for rounding, expected in (("round", by_rounding), ("floor", by_floor)):
        positives, negatives = sample_balanced(labels, n=n, positive_fraction=fraction, rng=rng_of(), rounding=rounding)
        assert (len(positives), len(negatives)) == (expected, n - expected)


def test_the_generator_decides() -> None:
    """Equal generators draw equal samples, and the next draw of the same one differs."""
    labels, rng = np.repeat([1, 0], 200), rng_of(5)
    first, second, again = sample_rpn(labels, rng=rng), sample_rpn(labels, rng=rng), sample_rpn(labels, rng=rng_of(5))
    for a, b, c in zip(first, second, again, strict=True):
        np.testing.assert_array_equal(a, c)
        assert not np.array_equal(a, b)


def test_every_candidate_has_the_same_chance() -> None:
    """3 of 6 negatives, 4000 times: each is drawn 2000 ± 5σ times, σ = √(4000/4) = 32."""
    rng, counts = rng_of(), np.zeros(6)
    for _ in range(4000):
        counts[sample_balanced(np.zeros(6, int), n=3, positive_fraction=0.5, rng=rng)[1]] += 1
    assert np.all(np.abs(counts - 2000) < 160)


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "drawn"),
    [(500, 5000, (128, 128)), (3, 5000, (3, 253)), (500, 50, (128, 50)), (0, 5000, (0, 256)), (0, 0, (0, 0))],
)
def test_rpn(n_positive: int, n_negative: int, drawn: tuple[int, int]) -> None:
    """256 anchors, at most half of them positive, negatives in place of missing positives."""
    labels = rng_of().permutation(np.repeat([1, 0, -1], [n_positive, n_negative, 1000]))
    positives, negatives = sample_rpn(labels, rng=rng_of())
    assert (len(positives), len(negatives)) == drawn


@pytest.mark.parametrize(
    ("n_positive", "n_negative", "drawn"),
    [(100, 1900, (16, 48)), (5, 1900, (5, 59)), (100, 10, (16, 10)), (0, 30, (0, 30))],
)
def test_rois(n_positive: int, n_negative: int, drawn: tuple[int, int]) -> None:
    """64 RoIs of an image, at most a quarter foreground; labels may be classes."""
    labels = rng_of().permutation(np.repeat([7, 0, -1], [n_positive, n_negative, 20]))
    foreground, background = sample_rois(labels, rng=rng_of())
    assert (len(foreground), len(background)) == drawn


def test_hard_negatives_by_hand() -> None:
    """Two positives and ratio 1.5: three of four negatives, the greatest loss first; −1 is no candidate."""
    losses = np.array([9.0, 0.3, 8.0, 0.7, 0.1, 0.5, 7.0])
    labels = np.array([1, 0, -1, 0, 0, 0, 1])
    np.testing.assert_array_equal(hard_negatives(losses, labels, ratio=1.5), [3, 5, 1])
    assert hard_negatives(losses, labels).dtype == np.int64


@given(seed=seeds, layout=layouts)
def test_hard_negatives_are_the_hardest(seed: int, layout: str) -> None:
    rng = rng_of(seed)
    losses, labels = in_layout(rng.integers(0, 8, 40) / 8, layout), in_layout(rng.integers(-1, 2, 40), layout)
    chosen = hard_negatives(losses, labels, ratio=0.5)
    candidates = np.flatnonzero(labels == 0)
    assert len(chosen) == min(np.count_nonzero(labels == 1) // 2, len(candidates))
    expected = sorted(candidates, key=lambda i: (-losses[i], i))[: len(chosen)]
    np.testing.assert_array_equal(chosen, expected)


@pytest.mark.parametrize(("n_positive", "n_chosen"), [(0, 0), (1, 3), (4, 12), (5, 14), (50, 14)])
def test_number_of_hard_negatives(n_positive: int, n_chosen: int) -> None:
    """min(3 · positives, available): none without positives."""
    labels = np.repeat([1, 0], [n_positive, 14])
    assert len(hard_negatives(np.arange(float(len(labels))), labels)) == n_chosen


def test_a_ratio_that_is_more_than_there_are() -> None:
    np.testing.assert_array_equal(hard_negatives(np.arange(4.0), np.array([1, 1, 0, 0]), ratio=1e308), [3, 2])


def test_ties_and_nan_of_losses() -> None:
    losses, labels = np.array([0.5, np.nan, 0.5, 0.25, 0.0]), np.array([0, 0, 0, 0, 2])
    np.testing.assert_array_equal(hard_negatives(losses, labels, ratio=4), [0, 2, 3, 1])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"labels": np.zeros(3)}, TypeError, "sample_balanced: labels must be an integer array, got float64"),
        ({"labels": np.zeros((3, 1), int)}, ValueError, r"sample_balanced: labels must have rank 1 \(N\)"),
        ({"n": -1}, ValueError, "sample_balanced: n must be an integer of at least 0, got -1"),
        ({"n": 10**400}, ValueError, "sample_balanced: n must fit into int64, got one of 1329 bits"),
        ({"n": 2.5}, ValueError, "sample_balanced: n must be an integer of at least 0, got 2.5"),
        ({"positive_fraction": 1.5}, ValueError, r"positive_fraction must lie in \[0, 1\], got 1.5"),
        ({"rounding": "ceil"}, ValueError, "rounding must be one of 'round', 'floor', got 'ceil'"),
        ({"rng": 0}, TypeError, "sample_balanced: rng must be a numpy.random.Generator such as .*, got int"),
    ],
)
def test_bad_samples(options: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
        "labels": np.zeros(3, int),
        "n": 2,
        "positive_fraction": 0.5,
        "rng": rng_of(),
    } | options
    with pytest.raises(error, match=message):
        sample_balanced(**arguments)


@pytest.mark.parametrize(
    ("losses", "options", "error", "message"),
    [
        (np.zeros(2), {}, ValueError, r"hard_negatives: losses must have shape \(3,\) \(one per label\), got \(2,\)"),
        (np.zeros(3, int), {}, TypeError, "hard_negatives: losses must be float32 or float64, got int64"),
        (np.zeros(3), {"ratio": -1}, ValueError, r"hard_negatives: ratio must lie in \[0, inf\), got -1"),
    ],
)
def test_bad_hard_negatives(losses: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        hard_negatives(losses, np.zeros(3, int), **options)

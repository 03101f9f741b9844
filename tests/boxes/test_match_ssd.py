"""match_ssd: the two rules side by side, the definition, ties, thresholds, nothing to match, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.match_ssd import CONVENTIONS, match_ssd
from tests.agreement import assert_agrees, dtypes, layouts, seeds
from tests.oracles import match_ssd as oracle
from tests.overlap_tables import draw_iou, draw_tenth


def test_rivals() -> None:
    """Both ground truths overlap prior 0 most; the rules differ in who gets it, and in what the other is left with."""
    iou = np.array([[0.8, 0.6], [0.1, 0.2], [0.5, 0.0]])
    np.testing.assert_array_equal(match_ssd(iou), [0, 1, 0])
    np.testing.assert_array_equal(match_ssd(iou, convention="torchvision"), [1, -1, 0])
    # without prior 2 the first ground truth goes away empty-handed
    np.testing.assert_array_equal(match_ssd(iou[:2], convention="torchvision"), [1, -1])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    params: dict[str, Any] = {
        "threshold": draw_tenth(data, dtype),
        "min_overlap": data.draw(st.sampled_from([0.0, 1e-6, draw_tenth(data, dtype)])),
        "convention": data.draw(st.sampled_from(CONVENTIONS)),
    }
    assert_agrees("match_ssd", oracle, [draw_iou(data, rng, dtype, layout)], rng=rng, params=params)


@pytest.mark.parametrize("n_priors", [30, 8])
def test_every_ground_truth_gets_a_prior(n_priors: int) -> None:
    """Bipartite, with overlaps above 0: as many as there are priors, each once at least; by overwriting not."""
    iou = np.random.default_rng(0).uniform(0.01, 0.4, (n_priors, 10))
    matched = match_ssd(iou)[match_ssd(iou) >= 0]
    assert len(matched) == len(set(matched)) == min(n_priors, 10)
    assert len(set(match_ssd(iou, convention="torchvision"))) - 1 < min(n_priors, 10)


def test_the_rules_agree_where_nobody_competes() -> None:
    """Each ground truth overlaps priors that no other one touches."""
    rng = np.random.default_rng(1)
    owner = np.arange(40) % 5
    iou = np.where(owner[:, None] == np.arange(5), rng.uniform(0.1, 0.9, (40, 5)), 0)
    np.testing.assert_array_equal(match_ssd(iou), match_ssd(iou, convention="torchvision"))


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_iou_equal_to_the_threshold_matches(convention: str, dtype: str) -> None:
    iou = np.array([[0.9], [0.6], [0.59]], dtype)
    np.testing.assert_array_equal(match_ssd(iou, threshold=0.6, convention=convention), [0, 0, -1])


def test_the_least_overlap_is_excluded() -> None:
    iou = np.array([[0.0, 1e-6], [0.2, 0.0]])
    np.testing.assert_array_equal(match_ssd(iou), [-1, 0])
    np.testing.assert_array_equal(match_ssd(iou, min_overlap=0.0), [1, 0])


def test_a_ground_truth_that_nothing_touches() -> None:
    """It gets nothing, or takes prior 0, the first of equals, even from the one that fits it."""
    iou = np.array([[0.9, 0.0], [0.2, 0.0]])
    np.testing.assert_array_equal(match_ssd(iou), [0, -1])
    np.testing.assert_array_equal(match_ssd(iou, convention="torchvision"), [1, -1])


def test_ties() -> None:
    """Four equal pairs: (0, 0) is the first, and leaves (1, 1)."""
    np.testing.assert_array_equal(match_ssd(np.full((3, 2), 0.25)), [0, 1, -1])
    np.testing.assert_array_equal(match_ssd(np.full((3, 2), 0.75)), [0, 1, 0])


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nothing_to_match(convention: str) -> None:
    np.testing.assert_array_equal(match_ssd(np.zeros((3, 0)), convention=convention), [-1, -1, -1])
    assert match_ssd(np.zeros((0, 3)), convention=convention).shape == (0,)


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_nan_counts_as_zero(convention: str) -> None:
    """Ground truth 0 touches nothing that is a number."""
    iou = np.array([[np.nan, 0.0], [np.nan, 0.8]])
    np.testing.assert_array_equal(
        match_ssd(iou, convention=convention), match_ssd(np.nan_to_num(iou), convention=convention)
    )
    np.testing.assert_array_equal(match_ssd(iou)[1], 1)


@pytest.mark.parametrize(
    ("iou", "error", "message"),
    [
        (np.zeros(3), ValueError, r"match_ssd: iou must have rank 2 \(P, G\), got rank 1"),
        (np.zeros((3, 2), int), TypeError, "match_ssd: iou must be float32 or float64, got int64"),
        ([[0.5]], TypeError, "match_ssd: iou must be an array, got list"),
    ],
)
def test_bad_overlaps(iou: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_ssd(iou)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"min_overlap": -1}, ValueError, "match_ssd: min_overlap must lie in"),
        ({"threshold": np.nan}, ValueError, "match_ssd: threshold must be a finite number"),
        ({"convention": "ssd"}, ValueError, "convention must be one of 'caffe', 'torchvision', got 'ssd'"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_ssd(np.zeros((3, 2)), **options)

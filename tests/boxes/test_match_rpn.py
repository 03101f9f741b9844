"""match_rpn: deck 001's example, the definition, forcing, the image's border, nothing to match, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.match_rpn import match_rpn
from refdet.boxes.overlaps import COMPARISONS
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import match_rpn as oracle
from tests.overlap_tables import draw_iou, draw_tenth

comparisons = st.sampled_from(sorted(COMPARISONS))


def test_hand_example() -> None:
    """Positive from 0.7, negative below 0.3, neither between; deck 001."""
    iou = np.array([[0.9, 0.0], [0.0, 0.8], [0.5, 0.6], [0.1, 0.2], [0.3, 0.0]])
    labels, matches = match_rpn(iou)
    np.testing.assert_array_equal(labels, [1, 1, -1, 0, -1])
    np.testing.assert_array_equal(matches, [0, 1, 1, 1, 0])
    assert labels.dtype == matches.dtype == np.int64


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    iou = draw_iou(data, rng, dtype, layout)
    inside = in_layout(rng.random(len(iou)) < 0.7, layout) if data.draw(st.booleans()) else None
    params: dict[str, Any] = {
        "positive": draw_tenth(data, dtype),
        "negative": draw_tenth(data, dtype),
        "comparison": data.draw(comparisons),
        "force_best": data.draw(st.booleans()),
        "guard_zero": data.draw(st.booleans()),
    }
    assert_agrees("match_rpn", oracle, [iou, inside], rng=rng, params=params)


def test_thresholds_themselves() -> None:
    """Deck 001 has ≥ 0.7, deck 000 > 0.7; an IoU of 0.3 is not below 0.3. Also in float32."""
    for dtype in (np.float32, np.float64):
        iou = np.array([[0.9], [0.7], [0.3]], dtype)
        np.testing.assert_array_equal(match_rpn(iou)[0], [1, 1, -1])
        np.testing.assert_array_equal(match_rpn(iou, comparison=">")[0], [1, -1, -1])
        np.testing.assert_array_equal(match_rpn(iou, positive=np.float64(0.7), negative=np.float64(0.3))[0], [1, 1, -1])


def test_all_ties_for_the_best_are_positive() -> None:
    iou = np.array([[0.5], [0.4], [0.5], [0.5]])
    np.testing.assert_array_equal(match_rpn(iou)[0], [1, -1, 1, 1])
    np.testing.assert_array_equal(match_rpn(iou, force_best=False)[0], [-1, -1, -1, -1])


def test_a_ground_truth_that_nothing_touches() -> None:
    """By plain equality all of 100 anchors would attain its best IoU, which is 0."""
    iou = np.zeros((100, 2))
    iou[0, 0] = 0.8
    np.testing.assert_array_equal(match_rpn(iou)[0], [1] + [0] * 99)
    np.testing.assert_array_equal(match_rpn(iou, guard_zero=False)[0], [1] * 100)


def test_positives_override_negatives() -> None:
    """0.2 is below the negative threshold and the best of ground truth 1; so is 0.1 where the thresholds overlap."""
    np.testing.assert_array_equal(match_rpn(np.array([[0.8, 0.0], [0.0, 0.2], [0.0, 0.1]]))[0], [1, 1, 0])
    swapped = match_rpn(np.array([[0.9], [0.1], [0.0]]), positive=0.1, negative=0.5)[0]
    np.testing.assert_array_equal(swapped, [1, 1, 0])


def test_forced_positives_keep_their_own_ground_truth() -> None:
    """Anchor 0 is the best of both ground truths; it is forced by 0 and matched to 1."""
    labels, matches = match_rpn(np.array([[0.5, 0.6], [0.2, 0.0]]))
    np.testing.assert_array_equal(labels, [1, 0])
    np.testing.assert_array_equal(matches, [1, 0])


def test_anchors_outside() -> None:
    """Anchor 0 is ignored in spite of 0.9, and anchor 1 takes its place as the best."""
    iou, inside = np.array([[0.9], [0.5], [0.2], [0.0]]), np.array([False, True, True, False])
    labels, matches = match_rpn(iou, inside)
    np.testing.assert_array_equal(labels, [-1, 1, 0, -1])
    np.testing.assert_array_equal(matches, [0, 0, 0, 0])
    np.testing.assert_array_equal(match_rpn(iou)[0], [1, -1, 0, 0])


@pytest.mark.parametrize("guard_zero", [True, False])
def test_no_anchor_inside(guard_zero: bool) -> None:
    labels, _ = match_rpn(np.array([[0.9], [0.0]]), np.array([False, False]), guard_zero=guard_zero)
    np.testing.assert_array_equal(labels, [-1, -1])


def test_nothing_to_match() -> None:
    labels, matches = match_rpn(np.zeros((2, 0)), np.array([True, False]))
    np.testing.assert_array_equal(labels, [0, -1])
    np.testing.assert_array_equal(matches, [-1, -1])
    np.testing.assert_array_equal(match_rpn(np.zeros((2, 0)), positive=0.0, negative=0.0)[0], [0, 0])
    assert [x.shape for x in match_rpn(np.zeros((0, 3)))] == [(0,), (0,)]


def test_nan_counts_as_zero() -> None:
    labels, matches = match_rpn(np.array([[np.nan, np.nan], [np.nan, 0.8]]))
    np.testing.assert_array_equal(labels, [0, 1])
    np.testing.assert_array_equal(matches, [0, 1])


@pytest.mark.parametrize(
    ("iou", "error", "message"),
    [
        (np.zeros(3), ValueError, r"match_rpn: iou must have rank 2 \(A, G\), got rank 1"),
        (np.zeros((3, 2), int), TypeError, "match_rpn: iou must be float32 or float64, got int64"),
        ([[0.5]], TypeError, "match_rpn: iou must be an array, got list"),
    ],
)
def test_bad_overlaps(iou: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_rpn(iou)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"positive": np.nan}, ValueError, "match_rpn: positive must be a finite number, got nan"),
        ({"negative": -0.1}, ValueError, r"match_rpn: negative must lie in \[0, inf\), got -0.1"),
        ({"comparison": "<"}, ValueError, "match_rpn: comparison must be one of '>=', '>', got '<'"),
        ({"force_best": 1}, TypeError, "match_rpn: force_best must be True or False, got 1"),
        ({"guard_zero": None}, TypeError, "match_rpn: guard_zero must be True or False, got None"),
        ({"inside": np.ones(2, bool)}, ValueError, r"inside must have shape \(3,\) \(one per anchor\), got"),
        ({"inside": np.ones(3)}, TypeError, "match_rpn: inside must be a boolean array, got float64"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_rpn(np.zeros((3, 2)), **options)

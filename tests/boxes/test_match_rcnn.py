"""match_rcnn: the bands of R-CNN, Fast R-CNN, Faster R-CNN and deck 001, the definition, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.match_rcnn import match_rcnn
from refdet.boxes.overlaps import COMPARISONS
from tests.agreement import assert_agrees, dtypes, layouts, seeds
from tests.oracles import match_rcnn as oracle
from tests.overlap_tables import draw_iou, draw_tenth

comparisons = st.sampled_from(sorted(COMPARISONS))


BANDS = np.array([[0.05], [0.1], [0.3], [0.4], [0.5], [0.6]])


@pytest.mark.parametrize(
    ("rule", "options", "labels"),
    [
        ("Fast R-CNN", {}, [-1, 0, 0, 0, 1, 1]),
        ("Faster R-CNN", {"negative_low": 0}, [0, 0, 0, 0, 1, 1]),
        ("deck 001", {"negative_low": 0, "negative_high": 0.3, "comparison": ">"}, [0, 0, -1, -1, -1, 1]),
        ("overlapping bands", {"positive": 0.3, "negative_low": 0}, [0, 0, 1, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bands(rule: str, options: dict[str, Any], labels: list[int], dtype: str) -> None:
    np.testing.assert_array_equal(match_rcnn(BANDS.astype(dtype), **options)[0], labels, err_msg=rule)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    params: dict[str, Any] = {
        "positive": draw_tenth(data, dtype),
        "negative_low": draw_tenth(data, dtype),
        "negative_high": draw_tenth(data, dtype),
        "comparison": data.draw(comparisons),
    }
    assert_agrees("match_rcnn", oracle, [draw_iou(data, rng, dtype, layout)], rng=rng, params=params)


def test_own_ground_truth() -> None:
    """The first of equals; given whatever the label."""
    _, matches = match_rcnn(np.array([[0.2, 0.7, 0.5], [0.5, 0.2, 0.5], [0.0, 0.0, 0.0], [np.nan, 0.0, 0.01]]))
    np.testing.assert_array_equal(matches, [1, 0, 0, 2])


def test_without_ground_truth() -> None:
    """A best IoU of 0: ignored by Fast R-CNN, background for Faster R-CNN."""
    labels, matches = match_rcnn(np.zeros((2, 0)))
    np.testing.assert_array_equal(labels, [-1, -1])
    np.testing.assert_array_equal(matches, [-1, -1])
    np.testing.assert_array_equal(match_rcnn(np.zeros((2, 0)), negative_low=0)[0], [0, 0])


def test_nan_counts_as_zero() -> None:
    labels, matches = match_rcnn(np.array([[np.nan, np.nan], [np.nan, 0.8]]), negative_low=0)
    np.testing.assert_array_equal(labels, [0, 1])
    np.testing.assert_array_equal(matches, [0, 1])


@pytest.mark.parametrize(
    ("iou", "error", "message"),
    [
        (np.zeros(3), ValueError, r"match_rcnn: iou must have rank 2 \(R, G\), got rank 1"),
        (np.zeros((3, 2), int), TypeError, "match_rcnn: iou must be float32 or float64, got int64"),
        ([[0.5]], TypeError, "match_rcnn: iou must be an array, got list"),
    ],
)
def test_bad_overlaps(iou: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_rcnn(iou)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"negative_low": "0"}, ValueError, "match_rcnn: negative_low must be a finite number"),
        ({"comparison": "≥"}, ValueError, "match_rcnn: comparison must be one of"),
    ],
)
def test_bad_options(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        match_rcnn(np.zeros((3, 2)), **options)

"""match_detections: the crowd in which the conventions part, the definition, each convention, bad input, speed."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.metrics.match_detections import match_detections
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import match_detections as oracle

HERE = np.zeros(9, np.int64)


def rows(*boxes: list[float]) -> Array:
    return np.array(boxes, np.float64).reshape(-1, 4)


def verdicts(boxes: Array, truths: Array, difficult: list[int] | None = None, **options: Any) -> list[int]:
    """Return the verdicts where everything is in one image."""
    flags = None if difficult is None else np.array(difficult, bool)
    found = match_detections(boxes, HERE[: len(boxes)], truths, HERE[: len(truths)], difficult=flags, **options)
    assert found.dtype == np.int64
    return [int(v) for v in found]


def test_a_second_look_in_a_crowd() -> None:
    """IoU 0.818 with the object that is taken, 0.667 with the other: a true positive for the deck, false for VOC."""
    truths, boxes = rows([0, 0, 100, 100], [30, 0, 130, 100]), rows([0, 0, 100, 100], [10, 0, 110, 100])
    assert verdicts(boxes, truths) == [1, 1]
    assert verdicts(boxes, truths, candidates="all") == [1, 0]
    assert verdicts(boxes, truths, candidates="all", comparison=">=", offset=1) == [1, 0]


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Small boxes in few images, many of them equal: ties with each other and with the threshold; some empty."""
    rng = np.random.default_rng(seed)

    def heap(n: int, nans: float) -> Array:
        corners = rng.integers(0, 3, (n, 2))
        boxes = np.concatenate([corners, corners + rng.integers(0, 4, (n, 2))], axis=1).astype(dtype)
        boxes[rng.random(boxes.shape) < nans] = np.nan
        return boxes

    n, m = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 8))
    nans = data.draw(st.sampled_from([0, 0, 0.05]))
    inputs = [heap(n, nans), rng.integers(-1, 2, n), heap(m, nans), rng.integers(-1, 2, m), rng.random(m) < 0.3]
    params = {
        "threshold": data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0])),
        "comparison": data.draw(st.sampled_from([">", ">="])),
        "candidates": data.draw(st.sampled_from(["unmatched", "all"])),
        "offset": data.draw(st.integers(0, 1)),
    }
    laid_out = [in_layout(x, layout) for x in inputs]
    assert_agrees("match_detections", oracle, laid_out, rng=rng, params=params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("number", [float, np.float64], ids=["python", "numpy"])
def test_an_iou_equal_to_the_threshold(dtype: str, number: type[float]) -> None:
    """3/10, which is more than 0.3 in float32 unless the threshold is rounded as well; 7/10 is less."""
    for overlap in (3, 7):
        box, truth = rows([0, 0, overlap, 1]).astype(dtype), rows([0, 0, 10, 1]).astype(dtype)
        threshold = number(overlap / 10)
        assert verdicts(box, truth, threshold=threshold) == [0]
        assert verdicts(box, truth, threshold=threshold, comparison=">=") == [1]


@pytest.mark.parametrize("offset", [0, np.int64(0)], ids=["python", "numpy"])
def test_an_offset_of_numpy_s_does_not_widen_the_boxes(offset: int) -> None:
    """3/10 in float32 is ≥ 3/10 rounded to float32; 3/10 in float64 would be less."""
    box, truth = rows([0, 0, 3, 1]).astype("f"), rows([0, 0, 10, 1]).astype("f")
    assert verdicts(box, truth, threshold=float(np.float32(0.3)), comparison=">=", offset=offset) == [1]


def test_widths() -> None:
    """36/81, or 50/100 with the legacy widths."""
    box, truth = rows([0, 0, 9, 4]), rows([0, 0, 9, 9])
    assert verdicts(box, truth, comparison=">=") == [0]
    assert verdicts(box, truth, comparison=">=", offset=1) == [1]


def test_difficult_objects_excuse_and_are_never_taken() -> None:
    box = rows([0, 0, 4, 4])
    for candidates in ("unmatched", "all"):
        assert verdicts(np.repeat(box, 3, 0), box, [1], candidates=candidates) == [-1, -1, -1]


def test_a_repetition_may_fall_back_on_a_difficult_object() -> None:
    """The object is taken; a difficult one has IoU 3/4."""
    boxes, truths = rows([0, 0, 4, 4], [0, 0, 4, 4]), rows([0, 0, 4, 4], [0, 0, 4, 3])
    assert verdicts(boxes, truths, [0, 1]) == [1, -1]
    assert verdicts(boxes, truths, [0, 1], candidates="all") == [1, 0]


def test_a_miss_does_not_take() -> None:
    """The first detection has IoU 1/2, not more, with the object that the second one hits."""
    assert verdicts(rows([0, 0, 2, 4], [0, 0, 4, 4]), rows([0, 0, 4, 4])) == [0, 1]


def test_of_equal_overlaps_the_first() -> None:
    """IoU 2/3 with both; then the second object is left, for "unmatched"."""
    boxes, truths = rows([1, 0, 6, 1], [1, 0, 6, 1]), rows([0, 0, 5, 1], [2, 0, 7, 1])
    assert verdicts(boxes, truths, [1, 0]) == [-1, -1]
    assert verdicts(boxes, truths) == [1, 1]
    assert verdicts(boxes, truths, candidates="all") == [1, 0]


def test_images_do_not_meet() -> None:
    box = rows([0, 0, 4, 4])
    found = match_detections(np.repeat(box, 4, 0), np.array([9, 7, 9, 7]), box, np.array([7]))
    np.testing.assert_array_equal(found, [0, 1, 0, 0])


def test_nan_matches_nothing_and_is_passed_over() -> None:
    truths = rows([0, np.nan, 4, 4], [0, 0, 4, 4])
    for options in ({}, {"candidates": "all"}, {"comparison": ">=", "threshold": 0.0}):
        assert verdicts(rows([0, 0, np.nan, 4], [0, 0, 4, 4]), truths, **options) == [0, 1]


def test_threshold_zero() -> None:
    """Boxes that only touch have IoU 0, which is ≥ 0 and not > 0."""
    boxes, truths = rows([4, 0, 8, 4]), rows([0, 0, 4, 4])
    assert verdicts(boxes, truths, threshold=0.0) == [0]
    assert verdicts(boxes, truths, threshold=0.0, comparison=">=") == [1]


def test_empties() -> None:
    none = np.zeros((0, 4))
    assert verdicts(none, none) == []
    assert verdicts(none, rows([0, 0, 1, 1])) == []
    assert verdicts(rows([0, 0, 1, 1]), none) == [0]


@given(seed=seeds, candidates=st.sampled_from(["unmatched", "all"]))
def test_each_object_is_found_once(seed: int, candidates: str) -> None:
    """As many true positives as objects at most; and images together give what each gives alone."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 3, (40, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 4, (40, 2))], axis=1).astype(np.float64)
    images, truths = rng.integers(0, 3, 30), boxes[30:]
    truth_images = rng.integers(0, 3, 10)
    found = match_detections(boxes[:30], images, truths, truth_images, candidates=candidates)
    for image in range(3):
        here, there = images == image, truth_images == image
        alone = match_detections(
            boxes[:30][here], images[here], truths[there], truth_images[there], candidates=candidates
        )
        np.testing.assert_array_equal(found[here], alone)
        assert alone.sum() <= there.sum()


def test_a_class_of_ten_thousand_detections_takes_a_second_or_two() -> None:
    rng = np.random.default_rng(0)
    corners = rng.random((17_500, 2)) * 300
    boxes = np.concatenate([corners, corners + 50 + rng.random((17_500, 2)) * 200], axis=1)
    images = rng.integers(0, 5000, 17_500)
    start = time.perf_counter()
    found = match_detections(boxes[:10_000], images[:10_000], boxes[10_000:], images[10_000:], threshold=0.3)
    assert time.perf_counter() - start < 5  # 0.4 on an idle machine
    assert 500 < found.sum() < 5000


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"boxes": np.zeros((2, 5))}, ValueError, "boxes must have shape (N, 4)"),
        ({"boxes": np.zeros((2, 4), int)}, TypeError, "boxes must be float32 or float64, got int64"),
        ({"truths": np.zeros((3, 4), "f")}, TypeError, "boxes is float64 but truths is float32"),
        ({"image_ids": np.zeros(3, int)}, ValueError, "image_ids must have shape (2,) (one per detection), got (3,)"),
        ({"image_ids": np.zeros(2)}, TypeError, "image_ids must be an integer array, got float64"),
        (
            {"truth_image_ids": np.zeros(2, int)},
            ValueError,
            "truth_image_ids must have shape (3,) (one per ground truth)",
        ),
        ({"difficult": np.zeros(3, int)}, TypeError, "difficult must be a boolean array, got int64"),
        ({"difficult": [False] * 3}, TypeError, "difficult must be an array, got list"),
        ({"difficult": np.zeros(2, bool)}, ValueError, "difficult must have shape (3,) (one flag per ground truth)"),
        ({"difficult": np.zeros(3, "u1")}, TypeError, "difficult must be a boolean array, got uint8"),
        ({"image_ids": np.zeros((2, 1), int)}, ValueError, "image_ids must have shape (2,) (one per detection)"),
        ({"threshold": 1.5}, ValueError, "threshold must lie in [0, 1], got 1.5"),
        ({"threshold": np.nan}, ValueError, "threshold must be a finite number, got nan"),
        ({"comparison": "<"}, ValueError, "comparison must be one of '>=', '>', got '<'"),
        ({"candidates": "best"}, ValueError, "candidates must be one of 'unmatched', 'all', got 'best'"),
        ({"offset": 2}, ValueError, "offset must be 0"),
    ],
)
def test_bad_input(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    arguments: dict[str, Any] = {
        "boxes": np.zeros((2, 4)),
        "image_ids": np.zeros(2, int),
        "truths": np.zeros((3, 4)),
        "truth_image_ids": np.zeros(3, int),
    } | changed
    with pytest.raises(error) as raised:
        match_detections(**arguments)
    assert message in str(raised.value)
    assert str(raised.value).startswith("match_detections: ")

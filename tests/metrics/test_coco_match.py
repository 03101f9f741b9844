"""coco_match: the definition, every convention by hand, batches, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.metrics.coco_match import COCO_THRESHOLDS, coco_match, coco_match_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import coco_match as oracle


def match(
    iou: Any, ignored: tuple[int, ...] = (), crowd: tuple[int, ...] = (), threshold: float = 0.5
) -> tuple[list[int], list[int]]:
    """Match at one threshold; `ignored` and `crowd` list columns."""
    overlaps = np.array(iou, np.float64)
    columns = np.arange(overlaps.shape[1])
    matches, taken = coco_match(overlaps, np.isin(columns, ignored), np.isin(columns, crowd), thresholds=[threshold])
    return matches[0].tolist(), taken[0].tolist()


def test_hand_example() -> None:
    """Both prefer column 0, which the first takes; at 0.7 nothing is left for the second."""
    no = np.zeros(2, bool)
    matches, taken = coco_match(np.array([[0.9, 0.0], [0.8, 0.6]]), no, no, thresholds=(0.5, 0.7))
    np.testing.assert_array_equal(matches, [[0, 1], [0, -1]])
    np.testing.assert_array_equal(taken, [[0, 1], [0, -1]])
    assert matches.dtype == taken.dtype == np.int64


def test_the_threshold_is_enough() -> None:
    assert match([[0.5]]) == ([0], [0])
    assert match([[np.nextafter(0.5, 0)]]) == ([-1], [-1])
    assert match([[0.0]], threshold=0.0) == ([0], [0])


def test_threshold_one_is_lowered() -> None:
    assert match([[1 - 1e-10]], threshold=1.0) == ([0], [0])
    assert match([[1 - 1.1e-10]], threshold=1.0) == ([-1], [-1])


def test_the_last_of_equals_wins() -> None:
    assert match([[0.7, 0.7, 0.6]] * 3) == ([1, 0, 2], [1, 0, 2])


def test_ignored_only_where_nothing_else_is_left() -> None:
    assert match([[0.5, 1.0], [0.5, 1.0], [0.5, 1.0]], ignored=(1,)) == ([0, 1, -1], [0, 1])
    assert match([[0.4, 0.6]], ignored=(1,)) == ([1], [-1, 0])


def test_a_crowd_is_matched_again_and_again() -> None:
    assert match([[0.9], [0.8], [0.1], [0.7]], ignored=(0,), crowd=(0,)) == ([0, 0, -1, 0], [3])
    assert match([[0.9], [0.8]], ignored=(0,)) == ([0, -1], [0])
    assert match([[0.9, 0.6], [0.9, 0.6]], crowd=(0,)) == ([0, 0], [1, -1])


def test_nan_is_never_enough() -> None:
    assert match([[np.nan, 0.6], [np.nan, np.nan]]) == ([1, -1], [-1, 0])
    assert match([[np.nan]], threshold=0.0) == ([-1], [-1])


def test_nothing_to_match() -> None:
    for d, g in ((0, 2), (2, 0), (0, 0)):
        matches, taken = coco_match(np.zeros((d, g)), np.zeros(g, bool), np.zeros(g, bool))
        np.testing.assert_array_equal(matches, np.full((10, d), -1))
        np.testing.assert_array_equal(taken, np.full((10, g), -1))
    matches, taken = coco_match(np.ones((2, 1)), np.zeros(1, bool), np.zeros(1, bool), thresholds=())
    assert (matches.shape, taken.shape) == ((0, 2), (0, 1))


def test_thresholds_are_those_of_linspace() -> None:
    assert len(COCO_THRESHOLDS) == 10
    assert COCO_THRESHOLDS[0] == 0.5
    assert COCO_THRESHOLDS[5] == 0.75
    assert tuple(np.linspace(0.5, 0.95, 10)) == COCO_THRESHOLDS


def random_problem(rng: np.random.Generator, n: int, m: int, dtype: str = "float64") -> tuple[Array, Array, Array]:
    """Return overlaps with many ties, the flags in any order."""
    iou = rng.integers(0, 9, (n, m)) / 8
    iou[rng.random((n, m)) < 0.05] = np.nan
    return iou.astype(dtype), rng.random(m) < 0.4, rng.random(m) < 0.3


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    iou, ignored, crowd = random_problem(rng, data.draw(st.integers(0, 7)), data.draw(st.integers(0, 5)), dtype)
    thresholds = tuple(data.draw(st.lists(st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.75, 1.0]), max_size=3)))
    arrays: list[Array | None] = [in_layout(x, layout) for x in (iou, np.sort(ignored), crowd)]
    assert_agrees("coco_match", oracle, arrays, rng=rng, params={"thresholds": thresholds})


@given(seed=seeds)
def test_ignored_columns_may_come_anywhere(seed: int) -> None:
    """Sorted to the end, stably, they give the same matches."""
    rng = np.random.default_rng(seed)
    iou, ignored, crowd = random_problem(rng, 7, 6)
    order = np.argsort(ignored, kind="stable")
    matches, taken = coco_match(iou, ignored, crowd)
    sorted_matches, sorted_taken = oracle.forward(
        iou[:, order], ignored[order], crowd[order], thresholds=COCO_THRESHOLDS
    )
    np.testing.assert_array_equal(matches, np.where(sorted_matches < 0, -1, order[sorted_matches]))
    np.testing.assert_array_equal(taken[:, order], sorted_taken)


@given(seed=seeds)
def test_batches(seed: int) -> None:
    """One set of overlaps for two of ignored ground truths; rows and columns of −1 that fill it up."""
    rng = np.random.default_rng(seed)
    problems = [random_problem(rng, 5, 4) for _ in range(3)]
    iou, _, crowd = (np.stack(x) for x in zip(*problems, strict=True))
    ignored = rng.random((2, 3, 4)) < 0.4
    iou[1, 3:], iou[2, :, 2:] = -1, -1
    matches, taken = coco_match(iou, ignored, crowd, thresholds=(0.0, 0.5, 0.75))
    assert (matches.shape, taken.shape) == ((2, 3, 3, 5), (2, 3, 3, 4))
    sizes = [(5, 4), (3, 4), (5, 2)]
    for a, (b, (d, g)) in ((a, x) for a in range(2) for x in enumerate(sizes)):
        expected = coco_match(iou[b, :d, :g], ignored[a, b, :g], crowd[b, :g], thresholds=(0.0, 0.5, 0.75))
        np.testing.assert_array_equal(matches[a, b, :, :d], expected[0])
        np.testing.assert_array_equal(taken[a, b, :, :g], expected[1])
        assert (matches[a, b, :, d:] == -1).all()
        assert (taken[a, b, :, g:] == -1).all()


@pytest.mark.parametrize(
    ("thresholds", "error", "message"),
    [
        (0.5, TypeError, r"coco_match: thresholds must be a sequence, got 0.5"),
        (["0.5"], ValueError, r"coco_match: thresholds must be a finite number, got '0.5'"),
        ([True], ValueError, r"coco_match: thresholds must be a finite number, got True"),
    ],
)
def test_bad_thresholds(thresholds: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        coco_match(np.ones((1, 1)), np.zeros(1, bool), np.zeros(1, bool), thresholds=thresholds)


NO = np.zeros(3, bool)


@pytest.mark.parametrize(
    ("iou", "ignored", "crowd", "threshold", "error", "message"),
    [
        (np.zeros((2, 3), int), NO, NO, 0.5, TypeError, r"coco_match: iou must be float32 or float64, got int64"),
        (np.zeros(3), NO, NO, 0.5, ValueError, r"coco_match: iou must have shape \(\.\.\., D, G\), got \(3,\)"),
        (np.zeros((2, 3)), NO[:2], NO, 0.5, ValueError, r"coco_match: ignored must have one flag per column of iou"),
        (np.zeros((2, 3)), NO, NO.astype(int), 0.5, TypeError, r"coco_match: crowd must be a boolean array, got int64"),
        (np.zeros((2, 3)), NO, [False] * 3, 0.5, TypeError, r"coco_match: crowd must be an array, got list"),
        (np.zeros((2, 3)), None, NO, 0.5, TypeError, r"coco_match: ignored must be an array, got NoneType"),
        (np.zeros((2, 3)), NO, NO, 1.5, ValueError, r"coco_match: thresholds must lie in \[0, 1\], got 1.5"),
        (np.zeros((2, 3)), NO, NO, np.nan, ValueError, r"coco_match: thresholds must be a finite number, got nan"),
        (
            np.zeros((2, 2, 3)),
            np.zeros((3, 3), bool),
            NO,
            0.5,
            ValueError,
            r"coco_match: the batch axes .* do not broad",
        ),
    ],
)
def test_bad_input(
    iou: Array, ignored: Array, crowd: Array, threshold: float, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        coco_match_kernel(iou, ignored, crowd, thresholds=(threshold,))

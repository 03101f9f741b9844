"""soft_nms: the definition, the three decays, its conventions, OpenCV."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.nms import nms
from refdet.boxes.soft_nms import METHODS, soft_nms
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import soft_nms as oracle

NAN = np.nan
QUARTERS = np.array([[0.0, 0, 4, 1], [0, 0, 3, 1], [5, 0, 6, 1]])  # IoU 3/4 of the first two


def heap(rng: np.random.Generator, n: int) -> Array:
    """Return boxes with small integer corners, none empty."""
    corners = rng.integers(0, 10, (n, 2))
    return np.concatenate([corners, corners + rng.integers(1, 7, (n, 2))], axis=1).astype(np.float64)


def test_hand_example() -> None:
    """0.8 · (1 − 3/4) = 0.2: the second box falls behind the third."""
    indices, decayed = soft_nms(QUARTERS, np.array([1.0, 0.8, 0.5]))
    np.testing.assert_array_equal(indices, [0, 2, 1])
    np.testing.assert_allclose(decayed, [1, 0.5, 0.2], rtol=1e-15)


def test_gaussian_by_hand() -> None:
    """0.8 · exp(−(3/4)² / σ) with σ = 3/4; no threshold. (With σ = 1/2 it would equal exp(−(3/4)² / 2σ²).)"""
    indices, decayed = soft_nms(QUARTERS, np.array([1.0, 0.8, 0.5]), method="gaussian", threshold=1.0, sigma=0.75)
    np.testing.assert_array_equal(indices, [0, 2, 1])
    np.testing.assert_allclose(decayed, [1, 0.5, 0.8 * math.exp(-3 / 4)], rtol=1e-15)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Some boxes come twice, with equal scores: they stay equal, and the first goes first."""
    rng = np.random.default_rng(seed)
    n = data.draw(st.integers(0, 10))
    boxes, scores = heap(rng, n), rng.random(n)
    for values, hole in ((boxes, data.draw(st.booleans())), (scores, data.draw(st.booleans()))):
        values[: n // 4][rng.random(values[: n // 4].shape) < 0.2] = NAN if hole else 1.0
    twice = rng.permutation(np.concatenate([np.arange(n), np.arange(n // 3)]))
    params: dict[str, Any] = {
        "method": data.draw(st.sampled_from(METHODS)),
        "threshold": data.draw(st.sampled_from([0.0, 0.3, 0.5, 1.0])),
        "sigma": data.draw(st.sampled_from([0.1, 0.5])),
        "min_score": data.draw(st.sampled_from([0.0, 0.01, 0.3])),
        "offset": data.draw(st.integers(0, 1)),
    }
    inputs = [in_layout(x[twice].astype(dtype), layout) for x in (boxes, scores)]
    assert_agrees("soft_nms", oracle, inputs, rng=rng, params=params)


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_hard_is_greedy_suppression(threshold: float) -> None:
    rng = np.random.default_rng(0)
    boxes, scores = heap(rng, 100), rng.integers(1, 30, 100) / 32
    indices, decayed = soft_nms(boxes, scores, method="hard", threshold=threshold)
    np.testing.assert_array_equal(indices, nms(boxes, scores, threshold))
    np.testing.assert_array_equal(decayed, scores[indices])


@pytest.mark.parametrize("method", METHODS)
def test_scores_descend_and_never_grow(method: str) -> None:
    rng = np.random.default_rng(1)
    boxes, scores = heap(rng, 80), rng.random(80)
    indices, decayed = soft_nms(boxes, scores, method=method, min_score=0.0)
    np.testing.assert_array_equal(np.sort(indices), np.arange(80))  # 0 discards nothing
    assert np.all(np.diff(decayed) <= 0)
    assert np.all(decayed <= scores[indices])


def test_an_iou_equal_to_the_threshold_is_untouched() -> None:
    scores = np.array([1.0, 0.75, 0.5])
    np.testing.assert_array_equal(soft_nms(QUARTERS, scores, threshold=0.75)[1], scores)
    np.testing.assert_array_equal(soft_nms(QUARTERS, scores, threshold=0.7)[1], [1, 0.5, 0.1875])


def test_the_least_score() -> None:
    """Discarded at the start (box 2) and after a decay (box 1, 0.1875); an equal score stays (box 3)."""
    boxes = np.concatenate([QUARTERS, [[7.0, 0, 8, 1]]])
    indices, decayed = soft_nms(boxes, np.array([1.0, 0.75, 0.1875, 0.25]), min_score=0.25)
    np.testing.assert_array_equal(indices, [0, 3])
    np.testing.assert_array_equal(decayed, [1, 0.25])
    assert len(soft_nms(QUARTERS, np.array([0.2, 0.1, 0.1]), min_score=0.25)[0]) == 0  # not even the best


def test_an_eliminated_box_without_a_least_score() -> None:
    indices, decayed = soft_nms(QUARTERS, np.array([1.0, 0.75, 0.5]), method="hard", min_score=0.0)
    np.testing.assert_array_equal(indices, [0, 2, 1])
    np.testing.assert_array_equal(decayed, [1, 0.5, 0])


def test_ties_that_arise_by_decay() -> None:
    """0.75 · 1/4 = 0.1875: the box of lower index goes first, wherever its score comes from."""
    boxes = QUARTERS[[2, 0, 1, 2]] + np.array([[0, 0, 0, 0]] * 3 + [[4, 0, 4, 0]])
    indices, decayed = soft_nms(boxes, np.array([0.1875, 0.75, 0.75, 0.1875]))
    np.testing.assert_array_equal(indices, [1, 0, 2, 3])
    np.testing.assert_array_equal(decayed, [0.75, 0.1875, 0.1875, 0.1875])


@pytest.mark.parametrize("method", METHODS)
def test_nan(method: str) -> None:
    """A NaN coordinate decays nothing; a NaN score comes last, and is not below the least score."""
    boxes = np.array([[NAN, 0, 2, 1], [0, 0, 2, 1], [5, 0, 6, 1]])
    indices, decayed = soft_nms(boxes, np.array([0.75, 0.5, NAN]), method=method, min_score=0.25)
    np.testing.assert_array_equal(indices, [0, 1, 2])
    np.testing.assert_array_equal(decayed, [0.75, 0.5, NAN])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dtypes_are_kept_also_of_nothing(dtype: str) -> None:
    for n in (0, 3):
        boxes, scores = QUARTERS[:n].astype(dtype), np.full(n, 0.5, dtype)
        indices, decayed = soft_nms(boxes.astype(boxes.dtype.newbyteorder(">")), scores)
        assert (indices.dtype, decayed.dtype) == (np.dtype(np.int64), np.dtype(dtype))
        assert len(indices) == len(decayed) == n


def test_the_threshold_is_rounded_to_the_dtype() -> None:
    """In float32, 3/10 = 0.300000012, which is > 0.3 in float64."""
    boxes, scores = np.array([[0, 0, 10, 1], [0, 0, 3, 1]], np.float32), np.array([0.75, 0.5], np.float32)
    for threshold in (0.3, np.float64(0.3)):
        np.testing.assert_array_equal(soft_nms(boxes, scores, threshold=threshold)[1], scores)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sigma_next_to_zero_eliminates_what_overlaps(dtype: str) -> None:
    """It rounds to 0 in float32; a box that does not overlap keeps its score all the same."""
    scores = np.array([1.0, 0.75, 0.5], dtype)
    indices, decayed = soft_nms(QUARTERS.astype(dtype), scores, method="gaussian", sigma=1e-300)
    np.testing.assert_array_equal(indices, [0, 2])
    np.testing.assert_array_equal(decayed, [1, 0.5])


@pytest.mark.oracle
@pytest.mark.parametrize(("method", "number"), [("linear", 1), ("gaussian", 2)])
def test_against_opencv(method: str, number: int) -> None:
    """Boxes (x, y, width, height), of integers and none empty; no quotient of areas comes near the threshold."""
    cv2 = pytest.importorskip("cv2", reason="opencv, which is compared with, is not installed")
    rng = np.random.default_rng(2)
    for _ in range(20):
        corners, sizes = rng.integers(0, 16, (40, 2)), rng.integers(1, 9, (40, 2))
        scores = rng.random(40).astype(np.float32)
        rectangles = np.concatenate([corners, sizes], axis=1).tolist()
        expected, expected_indices = cv2.dnn.softNMSBoxes(
            rectangles, scores.tolist(), 0.05, 0.3137, top_k=0, sigma=0.4, method=number
        )
        boxes = np.concatenate([corners, corners + sizes], axis=1).astype(np.float32)
        indices, decayed = soft_nms(boxes, scores, method=method, threshold=0.3137, sigma=0.4, min_score=0.05)
        np.testing.assert_array_equal(indices, np.ravel(expected_indices))
        np.testing.assert_allclose(decayed, np.ravel(expected), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "cubic"}, "soft_nms: method must be one of 'linear', 'gaussian', 'hard', got 'cubic'"),
        ({"threshold": -0.1}, r"soft_nms: threshold must lie in \[0, 1\]"),
        ({"sigma": 0.0}, r"soft_nms: sigma must lie in \(0, inf\), got 0.0"),
        ({"min_score": NAN}, "soft_nms: min_score must be a finite number"),
        ({"offset": -1}, "soft_nms: offset must be 0 .* or 1"),
        ({"scores": np.zeros(2)}, r"soft_nms: scores must have shape \(3,\) \(one per box\), got \(2,\)"),
        ({"boxes": np.zeros((3, 3))}, r"soft_nms: boxes must have shape \(N, 4\)"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        soft_nms(**({"boxes": QUARTERS, "scores": np.zeros(3)} | options))

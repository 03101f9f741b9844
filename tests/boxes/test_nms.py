"""nms, nms_from_iou and class_nms: the decks' walk-through, the definition, every convention, other libraries."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.iou import box_iou
from refdet.boxes.nms import class_nms, nms, nms_from_iou
from refdet.boxes.top_k import descending
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.onnx_node import run_in_onnxruntime
from tests.oracles import class_nms as class_nms_oracle
from tests.oracles import nms as nms_oracle
from tests.oracles import nms_from_iou as nms_from_iou_oracle

module = sys.modules[nms.__module__]  # refdet.boxes.nms is the function
NAN, INF = np.nan, np.inf
THRESHOLDS = st.sampled_from([0.0, 0.2, 0.3, 0.5, 2 / 3, 0.7, 1.0])


def boxes_of(*rows: list[float]) -> Array:
    return np.array(rows, np.float64).reshape(-1, 4)


def heap(rng: np.random.Generator, n: int, extent: int = 6) -> Array:
    """Return boxes with small integer corners, some empty, some with their corners swapped, many of them equal."""
    corners = rng.integers(-extent // 2, extent // 2, (n, 2))
    return np.concatenate([corners, corners + rng.integers(-1, 5, (n, 2))], axis=1).astype(np.float64)


def with_nan(rng: np.random.Generator, x: Array, share: float) -> Array:
    return np.where(rng.random(x.shape) < share, NAN, x)


def test_hand_example() -> None:
    """IoU is 3/5 between neighbours and 1/3 between the ends: the victim of the first box suppresses nobody."""
    boxes = boxes_of([2, 0, 6, 1], [0, 0, 4, 1], [1, 0, 5, 1])
    scores = np.array([0.7, 0.9, 0.8])
    np.testing.assert_array_equal(nms(boxes, scores, 0.5), [1, 0])
    assert nms(boxes, scores, 0.5).dtype == np.int64


def test_deck_001_walk_through() -> None:
    """Four boxes: 0.9 eliminates 0.8 (IoU 0.8), spares 0.03 and 0.05; then 0.75 eliminates 0.7 (IoU 0.85)."""
    iou = np.eye(4)
    for i, j, overlap in ((0, 1, 0.8), (0, 2, 0.03), (0, 3, 0.05), (2, 3, 0.85)):
        iou[i, j] = iou[j, i] = overlap
    np.testing.assert_array_equal(nms_from_iou(iou, np.array([0.9, 0.8, 0.75, 0.7]), 0.7), [0, 2])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Quotients of small integers: in float32 as in float64 they equal the thresholds 0.2, 0.3, 2/3 exactly."""
    rng = np.random.default_rng(seed)
    n, nans = data.draw(st.integers(0, 12)), data.draw(st.sampled_from([0, 0, 0.1]))
    boxes, scores = with_nan(rng, heap(rng, n), nans), with_nan(rng, rng.integers(0, 6, n) / 8, nans)
    inputs = [in_layout(x.astype(dtype), layout) for x in (boxes, scores)]
    params = {"threshold": data.draw(THRESHOLDS), "offset": data.draw(st.integers(0, 1))}
    assert_agrees("nms", nms_oracle, inputs, rng=rng, params=params)
    classes = in_layout(rng.integers(-1, 2, n), layout)
    assert_agrees("class_nms", class_nms_oracle, [*inputs, classes], rng=rng, params=params)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_from_iou_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Overlaps in eighths, not symmetric, so that it matters which of the two is read."""
    rng = np.random.default_rng(seed)
    n, nans = data.draw(st.integers(0, 8)), data.draw(st.sampled_from([0, 0.1]))
    iou, scores = with_nan(rng, rng.integers(0, 9, (n, n)) / 8, nans), with_nan(rng, rng.integers(0, 6, n) / 8, nans)
    inputs = [in_layout(x.astype(dtype), layout) for x in (iou, scores)]
    params = {"threshold": data.draw(st.integers(0, 8)) / 8}
    assert_agrees("nms_from_iou", nms_from_iou_oracle, inputs, rng=rng, params=params)


@pytest.mark.parametrize("max_pairs", [1, 50, 1000])
def test_blocks_do_not_show(max_pairs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One candidate at a time, a few, many: the same boxes are kept."""
    rng = np.random.default_rng(0)
    boxes, scores, classes = heap(rng, 200, 20), rng.integers(0, 50, 200) / 64, rng.integers(0, 3, 200)
    whole = nms(boxes, scores, 0.4), class_nms(boxes, scores, classes, 0.4)
    monkeypatch.setattr(module, "MAX_PAIRS", max_pairs)
    np.testing.assert_array_equal(nms(boxes, scores, 0.4), whole[0])
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, 0.4), whole[1])


def test_never_more_pairs_than_fit_into_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """1000 candidates of which all survive, 5000 pairs at a time: about 100 blocks, each of two matrices."""
    sizes: list[int] = []

    def nothing_overlaps(i: Array, j: Array) -> Array:
        sizes.append(len(i) * len(j))
        return np.zeros((len(i), len(j)))

    monkeypatch.setattr(module, "MAX_PAIRS", 5000)
    np.testing.assert_array_equal(module.suppress(np.arange(1000), nothing_overlaps, 0.5), np.arange(1000))
    assert max(sizes) <= 5000
    assert len(sizes) < 250


@pytest.mark.parametrize("threshold", [0.3, 0.5, 0.7])
def test_what_is_kept_and_what_is_not(threshold: float) -> None:
    """No two kept boxes overlap; every other one overlaps a kept one before it; suppressing again changes nothing."""
    rng = np.random.default_rng(1)
    boxes, scores = heap(rng, 150, 16), rng.integers(0, 40, 150) / 64
    kept, rank = nms(boxes, scores, threshold), np.argsort(descending(scores))
    iou = box_iou(boxes, boxes)
    assert not np.any(np.triu(iou[np.ix_(kept, kept)], 1) > threshold)
    for i in np.setdiff1d(np.arange(150), kept):
        assert np.any((iou[kept, i] > threshold) & (rank[kept] < rank[i]))
    np.testing.assert_array_equal(nms(boxes[kept], scores[kept], threshold), np.arange(len(kept)))
    np.testing.assert_array_equal(nms_from_iou(iou, scores, threshold), kept)


def test_an_iou_equal_to_the_threshold_survives() -> None:
    boxes, scores = boxes_of([0, 0, 2, 1], [0, 0, 1, 1]), np.array([0.9, 0.8])
    np.testing.assert_array_equal(nms(boxes, scores, 0.5), [0, 1])
    np.testing.assert_array_equal(nms(boxes, scores, np.nextafter(0.5, 0)), [0])


@pytest.mark.parametrize("threshold", [0.3, np.float64(0.3)], ids=["python", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_three_tenths_equal_the_threshold_in_either_dtype(dtype: str, threshold: float) -> None:
    """In float32, 3/10 = 0.300000012, which is > 0.3 in float64: the threshold is rounded too."""
    boxes, scores = boxes_of([0, 0, 10, 1], [0, 0, 3, 1]).astype(dtype), np.array([0.9, 0.8], dtype)
    np.testing.assert_array_equal(nms(boxes, scores, threshold), [0, 1])
    iou = np.array([[1, 3], [3, 10]], dtype) / np.array(10, dtype)
    np.testing.assert_array_equal(nms_from_iou(iou, scores, threshold), [0, 1])


def test_threshold_one_keeps_duplicates() -> None:
    np.testing.assert_array_equal(nms(boxes_of([0, 0, 3, 3], [0, 0, 3, 3]), np.array([0.8, 0.9]), 1.0), [1, 0])


def test_threshold_zero_keeps_what_only_touches() -> None:
    """Box 1 shares an edge with box 0, box 2 a corner with both, box 3 a sliver with box 1."""
    boxes = boxes_of([0, 0, 2, 2], [2, 0, 4, 2], [2, 2, 3, 3], [3.875, 0, 6, 2])
    np.testing.assert_array_equal(nms(boxes, np.array([0.9, 0.8, 0.7, 0.6]), 0.0), [0, 1, 2])


def test_offsets() -> None:
    """[0, 0, 9, 9] and [5, 5, 14, 14]: 16/146 = 0.11, or 25/175 = 0.14 with the legacy widths."""
    boxes, scores = boxes_of([0, 0, 9, 9], [5, 5, 14, 14]), np.array([0.9, 0.8])
    np.testing.assert_array_equal(nms(boxes, scores, 0.125), [0, 1])
    np.testing.assert_array_equal(nms(boxes, scores, 0.125, offset=1), [0])
    classes = np.zeros(2, int)
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, 0.125), [0, 1])
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, 0.125, offset=1), [0])


def test_ties() -> None:
    """Ten copies of one box and of another: the first of each is kept, the lower index first."""
    boxes = np.tile(boxes_of([0, 0, 1, 1], [5, 5, 6, 6]), (10, 1))
    np.testing.assert_array_equal(nms(boxes, np.full(20, 0.5), 0.5), [0, 1])


def test_nan_coordinates_suppress_nothing() -> None:
    boxes = boxes_of([NAN, 0, 2, 2], [0, 0, 2, 2], [0, NAN, 2, 2], [0, 0, 2, 2])
    np.testing.assert_array_equal(nms(boxes, np.array([0.9, 0.8, 0.7, 0.6]), 0.0), [0, 1, 2])
    np.testing.assert_array_equal(nms_from_iou(np.full((2, 2), NAN), np.array([0.1, 0.2]), 0.0), [1, 0])


def test_nan_scores_come_last() -> None:
    """The first box is a copy of the third, which now comes before it; the second overlaps nothing."""
    boxes = boxes_of([0, 0, 2, 2], [5, 5, 6, 6], [0, 0, 2, 2])
    np.testing.assert_array_equal(nms(boxes, np.array([NAN, NAN, -INF]), 0.5), [2, 1])
    np.testing.assert_array_equal(nms(boxes, np.full(3, NAN), 0.5), [0, 1])


def test_empty_boxes_suppress_nothing() -> None:
    boxes = boxes_of([1, 1, 1, 1], [1, 1, 1, 1], [3, 3, 0, 0], [3, 3, 0, 0])
    np.testing.assert_array_equal(nms(boxes, np.arange(4.0), 0.0), [3, 2, 1, 0])


def test_nothing() -> None:
    assert nms(np.zeros((0, 4)), np.zeros(0), 0.5).shape == (0,)
    assert nms_from_iou(np.zeros((0, 0)), np.zeros(0), 0.5).shape == (0,)
    kept = class_nms(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, int), 0.5)
    assert kept.shape == (0,)
    assert kept.dtype == np.int64


def test_classes_do_not_meet_where_the_offset_trick_lets_them() -> None:
    """[0, 0, 10, 10] of class 0 and [−11, −11, −1, −1] of class 1, moved by 1 · (10 + 1), coincide."""
    boxes, scores, classes = boxes_of([0, 0, 10, 10], [-11, -11, -1, -1]), np.array([0.9, 0.8]), np.array([0, 1])
    moved = boxes + classes[:, None] * (boxes.max() + 1)
    np.testing.assert_array_equal(nms(moved, scores, 0.5), [0])
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, 0.5), [0, 1])


def test_class_by_class_is_each_class_alone_merged_by_score() -> None:
    rng = np.random.default_rng(2)
    boxes, scores, classes = heap(rng, 120, 12), rng.integers(0, 30, 120) / 32, rng.integers(-3, 3, 120)
    apart = []
    for c in range(-3, 3):
        of_class = np.flatnonzero(classes == c)
        apart.append(of_class[nms(boxes[of_class], scores[of_class], 0.3)])
    together = np.sort(np.concatenate(apart))
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, 0.3), together[descending(scores[together])])
    np.testing.assert_array_equal(class_nms(boxes, scores, np.zeros(120, int), 0.3), nms(boxes, scores, 0.3))


@pytest.mark.oracle
@pytest.mark.parametrize("threshold", [0.25, 0.5, 0.7])
def test_against_onnxruntime(threshold: float) -> None:
    """Boxes (y1, x1, y2, x2), with ties of scores, and IoU of 1/4 and 1/2 exactly; class by class, its order apart."""
    rng = np.random.default_rng(3)
    n_classes, n = 3, 120
    corners = rng.integers(0, 12, (n, 2))
    boxes = np.concatenate([corners, corners + rng.integers(1, 7, (n, 2))], axis=1).astype(np.float32)
    scores, classes = rng.integers(1, 16, n).astype(np.float32) / 16, rng.integers(0, n_classes, n)
    of_class = np.where(np.arange(n_classes)[:, None] == classes, scores, 0)  # (C, N)

    def suppressed(scores_by_class: Array) -> Array:
        inputs = (boxes[None][..., [1, 0, 3, 2]], scores_by_class[None], np.int64(n), np.float32(threshold), 0)
        arrays = [np.asarray(x, np.float32 if i == 4 else None) for i, x in enumerate(inputs)]
        return run_in_onnxruntime("NonMaxSuppression", *arrays, opset=11)[0]  # rows of (image, class, box)

    np.testing.assert_array_equal(nms(boxes, scores, threshold), suppressed(scores[None])[:, 2])
    expected = np.sort(suppressed(of_class.astype(np.float32))[:, 2])
    np.testing.assert_array_equal(class_nms(boxes, scores, classes, threshold), expected[descending(scores[expected])])


@pytest.mark.oracle
@pytest.mark.parametrize("threshold", [0.2718, 0.4142, 0.7321])
def test_against_opencv(threshold: float) -> None:
    """Boxes (x, y, width, height), none empty; no quotient of areas comes near these thresholds."""
    cv2 = pytest.importorskip("cv2", reason="opencv, which is compared with, is not installed")
    rng = np.random.default_rng(4)
    corners, sizes = rng.integers(0, 12, (120, 2)), rng.integers(1, 7, (120, 2))
    scores = rng.integers(1, 16, 120) / 16
    expected = cv2.dnn.NMSBoxes(np.concatenate([corners, sizes], axis=1).tolist(), scores.tolist(), 0.0, threshold)
    boxes = np.concatenate([corners, corners + sizes], axis=1).astype(np.float64)
    np.testing.assert_array_equal(nms(boxes, scores, threshold), np.ravel(expected))


@pytest.mark.parametrize(
    ("boxes", "scores", "options", "error", "message"),
    [
        (np.zeros((2, 5)), np.zeros(2), {}, ValueError, r"nms: boxes must have shape \(N, 4\).*got \(2, 5\)"),
        (np.zeros(4), np.zeros(1), {}, ValueError, r"nms: boxes must have shape \(N, 4\)"),
        (np.zeros((2, 4)), np.zeros(3), {}, ValueError, r"nms: scores must have shape \(2,\) \(one per box\), got"),
        (np.zeros((2, 4)), np.zeros(2, np.float32), {}, TypeError, "nms: boxes is float64 but scores is float32"),
        (np.zeros((2, 4), int), np.zeros(2), {}, TypeError, "nms: boxes must be float32 or float64, got int64"),
        (np.zeros((2, 4)), [0.5, 0.5], {}, TypeError, "nms: scores must be an array, got list"),
        (np.zeros((2, 4)), np.zeros(2), {"threshold": 1.5}, ValueError, r"threshold must lie in \[0, 1\], got 1.5"),
        (np.zeros((2, 4)), np.zeros(2), {"threshold": NAN}, ValueError, "threshold must be a finite number, got nan"),
        (np.zeros((2, 4)), np.zeros(2), {"offset": 2}, ValueError, "nms: offset must be 0 .* or 1"),
    ],
)
def test_bad_input(boxes: Any, scores: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    params = {"threshold": 0.5} | options
    with pytest.raises(error, match=message):
        nms(boxes, scores, **params)
    with pytest.raises(error, match=message.replace("nms:", "class_nms:")):
        class_nms(boxes, scores, np.zeros(2, int), **params)


def test_bad_classes_and_overlaps() -> None:
    boxes, scores = np.zeros((2, 4)), np.zeros(2)
    with pytest.raises(TypeError, match="class_nms: classes must be an integer array, got float64"):
        class_nms(boxes, scores, np.zeros(2), 0.5)
    with pytest.raises(ValueError, match=r"class_nms: classes must have shape \(2,\) \(one per box\), got \(3,\)"):
        class_nms(boxes, scores, np.zeros(3, int), 0.5)
    with pytest.raises(ValueError, match=r"nms_from_iou: iou must have shape \(2, 2\) \(one row and one column per"):
        nms_from_iou(np.zeros((2, 3)), scores, 0.5)
    with pytest.raises(ValueError, match=r"nms_from_iou: scores must have rank 1 \(N\)"):
        nms_from_iou(np.zeros((2, 2)), np.zeros((2, 1)), 0.5)
    with pytest.raises(ValueError, match="nms_from_iou: threshold must lie in"):
        nms_from_iou(np.zeros((2, 2)), scores, -0.1)

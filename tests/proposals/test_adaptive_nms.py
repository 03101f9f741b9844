"""adaptive_nms: the definition, and the ordinary suppression as its special case."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.iou import box_iou
from refdet.boxes.nms import nms
from refdet.core.check import Array
from refdet.proposals.adaptive_nms import adaptive_nms
from tests.agreement import dtypes, in_layout, layouts, seeds


def heap(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Return boxes with small integer corners, some empty, and tied scores."""
    corners = rng.integers(0, 8, (n, 2))
    boxes = np.concatenate([corners, corners + rng.integers(0, 9, (n, 2))], axis=1)
    return boxes.astype(np.float64), rng.integers(0, 6, n) / 8


def by_definition(boxes: Array, scores: Array, threshold: float, eta: float, max_boxes: int) -> list[int]:
    """Return the boxes that are kept, one candidate after another."""
    iou = box_iou(boxes, boxes)
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda k: (-scores[k], k)):
        if len(kept) < max_boxes and all(iou[i, j] <= threshold for j in kept):
            kept.append(i)
            threshold *= eta if threshold > 0.5 else 1
    return kept


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    boxes, scores = heap(np.random.default_rng(seed), data.draw(st.integers(0, 20)))
    threshold, eta = data.draw(st.sampled_from([0.0, 0.3, 0.75, 1.0])), data.draw(st.sampled_from([1.0, 0.9, 0.5]))
    limit = data.draw(st.integers(0, 25))
    inputs = [in_layout(x.astype(dtype), layout) for x in (boxes, scores)]
    before = [x.copy() for x in inputs]
    kept = adaptive_nms(inputs[0], inputs[1], threshold=threshold, eta=eta, max_boxes=limit)
    assert kept.tolist() == by_definition(boxes, scores, threshold, eta, limit)
    assert kept.dtype == np.int64
    for x, x_before in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, x_before)


@given(seed=seeds, threshold=st.sampled_from([0.0, 0.4, 0.75, 1.0]))
def test_without_adaptation_it_is_nms(seed: int, threshold: float) -> None:
    boxes, scores = heap(np.random.default_rng(seed), 30)
    kept = adaptive_nms(boxes, scores, threshold=threshold, eta=1, max_boxes=99)
    np.testing.assert_array_equal(kept, nms(boxes, scores, threshold))


def test_the_threshold_falls_until_a_half() -> None:
    """η = 0.6: 0.75, then 0.45 once the first is kept, and no further."""
    boxes = np.array([[0, 0, 20, 1], [0, 0, 11, 1], [0, 0, 4, 1], [0, 0, 3, 1.0]])
    scores = np.array([0.9, 0.8, 0.7, 0.6])  # IoU 11/20 with the first, 4/20, then 3/4 with the third
    assert adaptive_nms(boxes, scores, threshold=0.75, eta=0.6, max_boxes=9).tolist() == [0, 2]
    assert adaptive_nms(boxes, scores, threshold=0.75, eta=1.0, max_boxes=9).tolist() == [0, 1, 2, 3]


def test_the_limit_keeps_the_best() -> None:
    boxes = np.arange(5.0)[:, None] * 10 + np.array([0, 0, 1, 1])
    assert adaptive_nms(boxes, np.array([1, 5, 3, 4, 2.0]), threshold=0.5, eta=1, max_boxes=2).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, r"adaptive_nms: threshold must lie in \[0, 1\], got 1.5"),
        ({"eta": 0.0}, r"adaptive_nms: eta must lie in \(0, 1\], got 0"),
        ({"max_boxes": -1}, "adaptive_nms: max_boxes must be at least 0, got -1"),
        ({"scores": np.zeros(3)}, r"adaptive_nms: scores must have shape \(2,\)"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "boxes": np.zeros((2, 4)),
        "scores": np.zeros(2),
        "threshold": 0.5,
        "eta": 1.0,
        "max_boxes": 9,
    }
    with pytest.raises(ValueError, match=message):
        adaptive_nms(**(good | options))

"""Suppression of thousands of boxes, with ties, NaN and infinities, decides exactly as the reference does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.boxes.iou import box_iou_kernel
from refdet.boxes.nms import class_nms_kernel, nms_from_iou_kernel, nms_kernel
from refdet.boxes.soft_nms import soft_nms_kernel
from refdet.boxes.top_k import descending as reference_order
from refdet.core.check import Array
from tests.backends.cpu.difficult_boxes import assert_identical, difficult_boxes, difficult_scores

pytest.importorskip("numba")

from refdet_numba.cpu.box_iou import box_iou
from refdet_numba.cpu.descending import descending
from refdet_numba.cpu.nms import ALONE, BLOCK, class_nms, nms, nms_from_iou
from refdet_numba.cpu.soft_nms import soft_nms

SEVERAL_BLOCKS = ALONE + 2 * BLOCK + 37


def boxes_and_scores(n: int, dtype: str) -> tuple[Array, Array]:
    rng = np.random.default_rng(n)
    return difficult_boxes(rng, n, dtype), difficult_scores(rng, n, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [0, 1, ALONE, ALONE + 1, SEVERAL_BLOCKS])
def test_nms_keeps_the_same_boxes(n: int, dtype: str) -> None:
    boxes, scores = boxes_and_scores(n, dtype)
    for threshold in (0.0, 0.3, 0.5, 0.7, 1.0):
        for offset in (0, 1):
            params: dict[str, Any] = {"threshold": threshold, "offset": offset}
            assert_identical(nms(boxes, scores, **params), nms_kernel.reference(boxes, scores, **params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_class_nms_with_a_large_class_and_many_small_ones(dtype: str) -> None:
    boxes, scores = boxes_and_scores(SEVERAL_BLOCKS, dtype)
    classes = np.random.default_rng(0).integers(-900, 300, len(boxes)).clip(0)  # three quarters are of class 0
    for threshold in (0.0, 0.5):
        params: dict[str, Any] = {"threshold": threshold, "offset": 1}
        expected = class_nms_kernel.reference(boxes, scores, classes, **params)
        assert_identical(class_nms(boxes, scores, classes, **params), expected)


def test_nms_from_a_table_that_is_not_symmetric() -> None:
    rng = np.random.default_rng(0)
    iou = (rng.integers(0, 11, (1500, 1500)) / 10).astype(np.float32) * (rng.random((1500, 1500)) < 0.01)
    iou[rng.random(iou.shape) < 0.01] = np.nan
    scores = difficult_scores(rng, 1500, "float32")
    for threshold in (0.3, 0.5, np.float64(0.7)):
        expected = nms_from_iou_kernel.reference(iou, scores, threshold=threshold)
        assert_identical(nms_from_iou(iou, scores, threshold=threshold), expected)


def test_whoever_is_suppressed_by_the_last_survivor_before_a_block_is_gone() -> None:
    boxes = np.zeros((ALONE + BLOCK, 4), np.float32)
    boxes[:, 0] = 10 * np.arange(len(boxes))
    boxes[:, 2:] = boxes[:, :2] + 5
    boxes[BLOCK] = boxes[BLOCK - 1]  # the first of the second block, by the last of the first
    boxes[-1] = boxes[ALONE - 1]
    scores = np.linspace(1, 0, len(boxes), dtype=np.float32)
    kept = nms(boxes, scores, threshold=0.5, offset=0)
    assert_identical(kept, np.setdiff1d(np.arange(len(boxes)), [BLOCK, len(boxes) - 1]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("method", ["linear", "gaussian", "hard"])
def test_soft_nms_selects_the_same_boxes_with_the_same_scores(method: str, dtype: str) -> None:
    boxes, scores = boxes_and_scores(700, dtype)
    for min_score, sigma in ((0.001, 0.5), (0.0, 0.1), (0.3, 1e-300)):
        params: dict[str, Any] = {
            "method": method, "threshold": 0.3, "sigma": sigma, "min_score": min_score, "offset": 1
        }  # fmt: skip
        assert_identical(soft_nms(boxes, scores, **params), soft_nms_kernel.reference(boxes, scores, **params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_iou_has_the_same_bits(dtype: str) -> None:
    rng = np.random.default_rng(0)
    boxes, others, crowd = difficult_boxes(rng, 700, dtype), difficult_boxes(rng, 301, dtype), rng.random(301) < 0.3
    for flags in (None, crowd):
        for offset in (0, 1):
            for empty in ("zero", "nan"):
                params: dict[str, Any] = {"offset": offset, "empty": empty}
                expected = box_iou_kernel.reference(boxes, others, flags, **params)
                assert_identical(box_iou(boxes, others, flags, **params), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_order_of_scores(dtype: str) -> None:
    rng = np.random.default_rng(0)
    scores = np.concatenate([difficult_scores(rng, 3000, dtype), -difficult_scores(rng, 3000, dtype)])
    scores = np.concatenate([scores, rng.standard_normal(3000).astype(dtype), np.array([-0.0, 0.0, -0.0], dtype)])
    for some in (scores, scores[:1], scores[:0], np.full(5, np.nan, dtype)):
        assert_identical(descending(some), reference_order(some))

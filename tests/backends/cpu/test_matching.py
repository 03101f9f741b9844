"""Matching of thousands of boxes, with ties and NaN, decides exactly as the reference does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.boxes.match_rcnn import match_rcnn_kernel
from refdet.boxes.match_rpn import match_rpn_kernel
from refdet.boxes.match_ssd import match_ssd_kernel
from refdet.core.check import Array
from refdet.metrics.match_detections import match_detections_kernel
from tests.backends.cpu.difficult_boxes import assert_identical, difficult_boxes

pytest.importorskip("numba")

from refdet_numba.cpu.match_detections import match_detections
from refdet_numba.cpu.match_rcnn import match_rcnn
from refdet_numba.cpu.match_rpn import match_rpn
from refdet_numba.cpu.match_ssd import match_ssd


def table(dtype: str) -> Array:
    """Return overlaps of several chunks of boxes with many equal ones; a column of 0, one of NaN, some very small."""
    rng = np.random.default_rng(0)
    iou = (rng.integers(0, 12, (2500, 23)) / 11).astype(dtype)
    iou[rng.random(iou.shape) < 0.05] = np.nan
    iou[:, 5], iou[:, 6] = 0, np.nan
    iou[:, 7] *= 0.05
    iou[:, 8] *= 1e-7
    return iou


def parts(iou: Array) -> list[Array]:
    return [iou, iou[:1024], iou[:3], iou[:0], iou[:, :0], iou[:0, :0]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_proposals(dtype: str) -> None:
    for iou in parts(table(dtype)):
        for comparison in (">", ">="):
            params: dict[str, Any] = {"positive": 6 / 11, "negative_low": 0.1, "negative_high": 6 / 11}
            params["comparison"] = comparison
            assert_identical(match_rcnn(iou, **params), match_rcnn_kernel.reference(iou, **params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("guard_zero", [False, True])
@pytest.mark.parametrize("force_best", [False, True])
def test_anchors(force_best: bool, guard_zero: bool, dtype: str) -> None:
    rng = np.random.default_rng(0)
    params: dict[str, Any] = {"positive": 0.7, "negative": 0.3, "comparison": ">="}
    params |= {"force_best": force_best, "guard_zero": guard_zero}
    for iou in parts(table(dtype)):
        for inside in (None, rng.random(len(iou)) < 0.5, np.zeros(len(iou), bool)):
            assert_identical(match_rpn(iou, inside, **params), match_rpn_kernel.reference(iou, inside, **params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("convention", ["caffe", "torchvision"])
def test_default_boxes(convention: str, dtype: str) -> None:
    for iou in parts(table(dtype)):
        for min_overlap in (1e-6, 0.0, 0.9):
            params: dict[str, Any] = {"threshold": 0.5, "min_overlap": min_overlap, "convention": convention}
            assert_identical(match_ssd(iou, **params), match_ssd_kernel.reference(iou, **params))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("candidates", ["unmatched", "all"])
def test_detections(candidates: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    boxes, truths = difficult_boxes(rng, 2000, dtype), difficult_boxes(rng, 500, dtype)
    image_ids, truth_image_ids = rng.integers(-3, 60, 2000).astype(np.int16), rng.integers(0, 65, 500)
    difficult = rng.random(500) < 0.1
    for ids in (image_ids, image_ids.astype(np.uint64)):  # −3 and 2⁶⁴ − 3 are different images
        for comparison in (">", ">="):
            for threshold in (0.0, 0.5, 1.0):
                arrays = boxes, ids, truths, truth_image_ids, difficult
                params: dict[str, Any] = {"threshold": threshold, "comparison": comparison}
                params |= {"candidates": candidates, "offset": int(threshold == 0.5)}
                expected = match_detections_kernel.reference(*arrays, **params)
                assert_identical(match_detections(*arrays, **params), expected)

"""The overlaps and the matching of the COCO evaluation in batches, exactly as the reference has them."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from refdet.metrics.coco_box_iou import coco_box_iou_kernel
from refdet.metrics.coco_match import COCO_THRESHOLDS, coco_match_kernel
from tests.backends.cpu.difficult_boxes import assert_identical, difficult_boxes

pytest.importorskip("numba")

from refdet_numba.cpu.coco_box_iou import coco_box_iou
from refdet_numba.cpu.coco_match import coco_match

ON_ONE_THREAD, ON_SEVERAL = 2**62, 0  # less is done on one thread


@pytest.mark.parametrize("few", [ON_ONE_THREAD, ON_SEVERAL])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_overlaps_of_a_batch(dtype: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("refdet_numba.cpu.coco_box_iou"), "FEW_PAIRS", few)
    rng = np.random.default_rng(0)
    d, g = (
        difficult_boxes(rng, 2400, dtype).reshape(3, 4, 200, 4),
        difficult_boxes(rng, 600, dtype).reshape(3, 4, 50, 4),
    )
    crowd = rng.random(g.shape[:-1]) < 0.2
    for some in ((d, g, crowd), (d[0, 0], g[0, 0], crowd[0, 0]), (d[:0], g[:0], crowd[:0]), (d[:, :, :0], g, crowd)):
        assert_identical(coco_box_iou(*some), coco_box_iou_kernel.reference(*some))


@pytest.mark.parametrize("few", [ON_ONE_THREAD, ON_SEVERAL])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matching_of_problems_that_share_overlaps(dtype: str, few: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.import_module("refdet_numba.cpu.coco_match"), "FEW_COMPARISONS", few)
    rng = np.random.default_rng(0)
    iou = (rng.integers(0, 20, (40, 30, 9)) / 20).astype(dtype)
    iou[rng.random(iou.shape) < 0.03] = np.nan
    iou[rng.random(iou.shape) < 0.2] = -1
    ignored, crowd = rng.random((4, 40, 9)) < 0.3, rng.random((40, 9)) < 0.2
    for thresholds in ((*COCO_THRESHOLDS, 1.0, 0.0), ()):
        for some in (
            (iou, ignored, crowd),
            (iou[0], ignored, crowd[:1]),
            (iou[0], ignored[0, 0], crowd[0]),
            (iou[:, :0], ignored, crowd),
            (iou[:0], ignored[:, :0], crowd[:0]),
            (iou[..., :0], ignored[..., :0], crowd[..., :0]),
        ):
            expected = coco_match_kernel.reference(*some, thresholds=thresholds)
            assert_identical(coco_match(*some, thresholds=thresholds), expected)

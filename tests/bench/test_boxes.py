"""Boxes as a workload: heaps of boxes in one order, of which a tenth is left."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.bench.boxes import GRID, IOU, NMS, THRESHOLD, draw_scored_boxes
from refdet.boxes import nms


@pytest.mark.parametrize("n", [1_000, 3_000])
def test_boxes_are_what_they_are_said_to_be(n: int) -> None:
    boxes, scores = (np.asarray(x) for x in draw_scored_boxes(np.random.default_rng(0), n).values())
    assert boxes.shape == (n, 4)
    assert [boxes.dtype, scores.dtype] == [np.float32, np.float32]
    assert len(np.unique(scores)) == n
    assert (scores > 0).all()
    assert (scores < 1).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    np.testing.assert_array_equal(boxes * GRID, np.rint(boxes * GRID))
    assert 0.05 < len(nms(boxes, scores, THRESHOLD)) / n < 0.15


def test_inputs_come_from_the_seed() -> None:
    workload = NMS.workload("nms/1k")
    first, again, other = (np.asarray(workload.inputs(seed)["boxes"]) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_work_of_overlaps() -> None:
    """12 operations for each of 10,000 · 1,000 overlaps; 11,000 boxes are read, 10⁷ floats written."""
    (workload,) = IOU.workloads
    assert workload.work is not None
    assert workload.work(workload.inputs(0)) == (120_000_000, 4 * (4 * 11_000 + 10**7))
    assert all(workload.work is None for workload in NMS.workloads)

"""A detector's forward pass as a workload: its proposals, and that two programs find the same."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from refdet.bench.detectors import SIZE, STRIDE, draw_proposals
from refdet.bench.runner import Settings, run_group
from refdet.bench.sides import RefdetSide
from tests.bench.small import ADDRESS, DETECTOR
from tests.torchvision_process import PYTHON, need_torchvision


def test_proposals_have_whole_bins_inside_the_map() -> None:
    boxes = draw_proposals(np.random.default_rng(0), SIZE, 500) / STRIDE
    np.testing.assert_array_equal(boxes, np.rint(boxes))
    sides = boxes[:, 2:] - boxes[:, :2] + 1
    assert sorted(set(sides[:, 0])) == [7, 14, 21, 28, 35, 42, 49, 56]
    assert sorted(set(sides[:, 1])) == [7, 14, 21, 28, 35]
    assert boxes.min() == 0
    assert (boxes[:, 2:].max(axis=0) == (61, 36)).all()  # 1000 and 600 pixels, halved four times


def test_the_answers_are_those_of_anchors_and_proposals() -> None:
    (workload,) = DETECTOR.workloads
    runnable = RefdetSide("reference").prepare(workload, workload.inputs(0))
    shapes = [x.shape for x in runnable.outputs(runnable.call())]
    n_anchors = 9 * (150 // 16) * (214 // 16)
    assert shapes == [(1, n_anchors), (1, n_anchors, 4), (9, 21), (9, 84)]


@pytest.mark.oracle
def test_refdet_and_torch_agree() -> None:
    """In this interpreter, or with Debian's torch."""
    interpreters = {}
    if importlib.util.find_spec("torch") is None:
        need_torchvision()  # which brings torch
        interpreters = {"torch": PYTHON}
    settings = Settings(threads=1, repeats=1, pause=0.0, time_limit=60.0, interpreters=interpreters)
    result = run_group(DETECTOR, ADDRESS + "DETECTOR", "reference", "torch", settings)
    assert [(row.status, row.note) for row in result.rows] == [("ok", "")]

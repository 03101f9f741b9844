"""The evaluation of COCO as a workload: both sides compute the same, on data of the kind that is described."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

from refdet.bench.agreement import compare
from refdet.bench.evaluation import COCO, N_DETECTIONS, inputs
from refdet.bench.sides import RefdetSide, Unsupported, open_side
from refdet.core.check import Array


def test_the_data_are_what_they_are_said_to_be() -> None:
    drawn: dict[str, Array] = {
        name: x for name, x in inputs(np.random.default_rng(0), n_images=200, n_objects=1440).items() if x is not None
    }
    assert (len(drawn["boxes"]), len(drawn["truth_boxes"])) == (200 * N_DETECTIONS, 1440)
    assert (np.bincount(drawn["images"])[1:] == N_DETECTIONS).all()
    areas = drawn["truth_boxes"][:, 2] * drawn["truth_boxes"][:, 3]
    assert 0.35 < (areas < 32**2).mean() < 0.45
    assert 0 < drawn["is_crowd"].mean() < 0.03
    first, tenth = (np.count_nonzero(drawn["truth_categories"] == k) for k in (1, 10))
    assert first > 5 * tenth > 0
    assert len(np.unique(drawn["scores"])) < 1001  # ties


@pytest.mark.oracle
def test_both_sides_agree() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools, which is compared with, is not installed")
    workload = dataclasses.replace(COCO.workloads[0], make_inputs=functools.partial(inputs, n_images=30, n_objects=216))
    ours, theirs = (
        (runnable := side.prepare(workload, workload.inputs(0))).outputs(runnable.call())
        for side in (RefdetSide("reference"), open_side("pycocotools", 1))
    )
    assert compare(ours, theirs, workload.tolerance).problem is None
    assert (ours[0] > 0.1).any()
    assert compare([1.001 * y for y in ours], theirs, workload.tolerance).problem is not None


@pytest.mark.oracle
def test_pycocotools_says_what_it_cannot_do() -> None:
    pytest.importorskip("pycocotools", reason="pycocotools, which is compared with, is not installed")
    workload = dataclasses.replace(COCO.workloads[0], kernel="conv2d.forward")
    with pytest.raises(Unsupported, match=r"pycocotools has no conv2d\.forward"):
        open_side("pycocotools", 1).prepare(workload, {})

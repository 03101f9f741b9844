"""Region proposals as a workload: a drawn picture with as much to find as a photograph has, and targets in seconds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from refdet.bench.dead_leaves import draw_leaves
from refdet.bench.proposals import PROPOSALS, SIZE
from refdet.bench.results import Row, Timing, judge
from refdet.bench.sides import RefdetSide
from refdet.bench.wording import describe_target, outcome
from refdet.bench.workloads import Group, Target
from refdet.proposals import graph_segmentation


def test_the_picture_has_about_as_many_regions_as_a_photograph() -> None:
    picture = np.asarray(PROPOSALS.workloads[0].inputs(0)["image"])
    assert picture.shape == (*SIZE, 3)
    assert picture.dtype == np.uint8
    assert picture.max() - picture.min() > 200
    n_regions = len(np.unique(graph_segmentation(picture, k=100, min_size=100, sigma=0.8)))
    assert 170 < n_regions < 400
    np.testing.assert_array_equal(picture, draw_leaves(np.random.default_rng(0), SIZE))
    assert not np.array_equal(picture, draw_leaves(np.random.default_rng(1), SIZE))


def test_both_procedures_propose_boxes() -> None:
    for workload in PROPOSALS.workloads:  # Selective Search makes every picture 500 pixels wide
        small = dataclasses.replace(workload, make_inputs=lambda rng: {"image": draw_leaves(rng, (30, 120))})
        runnable = RefdetSide("reference").prepare(small, small.inputs(0))
        boxes, *_ = runnable.outputs(runnable.call())
        assert boxes.shape[1] == 4
        assert len(boxes) > 1


def test_a_target_in_seconds_is_about_one_workload_and_one_side() -> None:
    first, second = PROPOSALS.workloads
    (target,) = PROPOSALS.targets
    rows = [
        Row(first, "ok", "", 0.0, (Timing((1.5, 1.5), 1, None), Timing((9.0, 9.0), 1, None))),
        Row(second, "ok", "", 0.0, (Timing((0.75, 0.75), 1, None), Timing((9.0, 9.0), 1, None))),
    ]
    assert [(v.what, v.unit, v.value, v.verdict) for v in judge(target, rows)] == [
        (first.name, "seconds", 1.5, "met"),
        (second.name, "seconds", 0.75, "missed"),
    ]
    assert [v.verdict for v in judge(target, [rows[0], Row(second, "failed", "why")])] == ["met", "not measured"]
    assert outcome(judge(target, rows)[1]) == "proposals/edge-boxes at most 0.50 s: 0.75 s"
    assert describe_target(target) == (
        "numba-cpu against reference: proposals/selective-search at most 2.00 s; proposals/edge-boxes at most 0.50 s"
    )


def test_a_target_names_workloads_of_its_group() -> None:
    with pytest.raises(ValueError, match=r"a target names \['nowhere'\]"):
        Group("g", "", PROPOSALS.workloads, (Target("a", "b", seconds=(("nowhere", 1.0),)),))

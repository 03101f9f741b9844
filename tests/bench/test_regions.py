"""Cropping by regions as a workload: the data, the work that it takes, and that both sides do the same."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.bench.agreement import compare
from refdet.bench.onnxruntime_side import NODES
from refdet.bench.regions import BINS, GRID, MAP_SIZE, ROI, STRIDE, draw_rois
from refdet.bench.runner import Settings, run_group
from refdet.bench.sides import RefdetSide, Unsupported, open_side
from tests.bench.small import ADDRESS, BOXES, CONVOLUTIONS, CROPS_AND_BOXES, REGIONS
from tests.torchvision_process import PYTHON, need_torchvision


def test_regions_lie_in_the_picture_on_a_grid_that_float32_holds() -> None:
    rois = draw_rois(np.random.default_rng(0))
    assert rois.shape == (1000, 5)
    assert rois.dtype == np.float32
    assert not rois[:, 0].any()
    low, high = rois[:, 1:3], rois[:, 3:]
    assert (low >= 0).all()
    assert (high <= np.array([MAP_SIZE[1], MAP_SIZE[0]]) * STRIDE).all()
    assert ((high - low) >= 15).all()
    np.testing.assert_array_equal(rois[:, 1:] * GRID, np.rint(rois[:, 1:] * GRID))
    sides = (high - low).mean(axis=1)
    assert sides.max() > 8 * sides.min()


def test_inputs_come_from_the_seed() -> None:
    for workload in REGIONS.workloads:
        first, again, other = (workload.inputs(seed) for seed in (3, 3, 4))
        assert list(first) == ["x", "rois", "dy"][: len(first)]
        for name in first:
            np.testing.assert_array_equal(np.asarray(first[name]), np.asarray(again[name]))
            assert not np.array_equal(np.asarray(first[name]), np.asarray(other[name]))


def test_work_is_that_of_the_definition() -> None:
    """40 regions of 3 channels, 49 bins: 4 points of 8 operations each; the map of 50 × 68 is read or written once."""
    for workload in REGIONS.workloads[:2]:
        assert workload.work is not None
        work = workload.work(workload.inputs(0))
        assert work.flops == 40 * 3 * BINS**2 * 4 * 8
        assert work.bytes == 4 * (3 * 50 * 68 + 40 * 5 + 40 * 3 * BINS**2)


def test_work_of_adaptive_sampling_and_of_pooling_follows_the_regions() -> None:
    """One region of 112 × 224 pixels is 7 × 14 on the map: a point a pixel, and a comparison a pixel, about."""
    adaptive, pool, pool_backward = (
        ROI.workload(f"roi/{n}") for n in ("adaptive-forward", "pool-forward", "pool-backward")
    )
    inputs = {"x": np.zeros((1, 1, 50, 68), np.float32), "rois": np.array([[0, 0, 0, 224, 112]], np.float32)}
    for workload, flops in ((adaptive, 8 * 7 * 14), (pool, 8 * 15), (pool_backward, 49)):
        assert workload.work is not None
        assert workload.work(inputs).flops == flops


@pytest.mark.oracle
def test_reference_and_torchvision_agree_in_another_interpreter() -> None:
    need_torchvision()
    settings = Settings(threads=1, repeats=1, pause=0.0, time_limit=60.0, interpreters={"torchvision": PYTHON})
    result = run_group(CROPS_AND_BOXES, ADDRESS + "CROPS_AND_BOXES", "reference", "torchvision", settings)
    assert [(row.status, row.note) for row in result.rows] == [("ok", "")] * len(result.rows)
    assert "torchvision" in result.greetings[1]["versions"]


@pytest.mark.oracle
def test_reference_and_onnxruntime_agree() -> None:
    for name in ("onnxruntime", "onnx"):
        pytest.importorskip(name, reason=f"{name}, which is compared with, is not installed")
    ours, theirs = RefdetSide("reference"), open_side("onnxruntime", 1)
    n_compared = 0
    for workload in (*REGIONS.workloads, *BOXES.workloads, *CONVOLUTIONS.workloads):
        if workload.kernel not in NODES:
            with pytest.raises(Unsupported, match=f"no operator of ONNX for {workload.kernel}"):
                theirs.prepare(workload, workload.inputs(0))
            continue
        runnable = theirs.prepare(workload, workload.inputs(0))
        found = runnable.outputs(runnable.call())
        runnable = ours.prepare(workload, workload.inputs(0))
        expected = runnable.outputs(runnable.call())
        assert compare(expected, found, workload.tolerance).problem is None, workload.name
        n_compared += 1
    assert n_compared == 2 + 1 + 2  # RoIAlign forwards, suppression, convolutions

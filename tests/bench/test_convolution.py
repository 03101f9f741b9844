"""The convolution workloads: what they are, that both libraries agree on them, and the memory of the reference."""

from __future__ import annotations

import dataclasses
import gc
import math
import sys
import tracemalloc
from types import FrameType
from typing import Any

import numpy as np
import pytest

from refdet.bench.agreement import compare
from refdet.bench.convolution import BACKWARD, OTHER, VGG16, Layer
from refdet.bench.sides import RefdetSide, Side, open_side
from refdet.bench.workloads import Workload
from refdet.core.kernel import KERNELS

LARGEST_BUFFER = 64 * 10**6
NUMPY_DOMAIN = np.lib.tracemalloc_domain


def test_vgg16_has_thirteen_convolutions_and_15_gigamacs() -> None:
    """Simonyan & Zisserman's network at 224²: 15,346,630,656 multiplications in its convolutions."""
    macs = 0
    for workload in VGG16.workloads:
        arrays = workload.inputs(0)
        x, weight = arrays["x"], arrays["weight"]
        assert x is not None
        assert weight is not None
        macs += workload.count * weight.size * math.prod(x.shape[2:])
    assert sum(workload.count for workload in VGG16.workloads) == 13
    assert macs == 15_346_630_656


def test_inputs_come_from_the_seed() -> None:
    workload = BACKWARD.workloads[-1]
    first, again, other = workload.inputs(3), workload.inputs(3), workload.inputs(4)
    assert list(first) == ["x", "weight", "bias", "dy"]
    for name in ("x", "weight", "dy"):
        np.testing.assert_array_equal(np.asarray(first[name]), np.asarray(again[name]))
        assert not np.array_equal(np.asarray(first[name]), np.asarray(other[name]))


def _outputs(side: Side, workload: Workload) -> list[Any]:
    runnable = side.prepare(workload, workload.inputs(0))
    return runnable.outputs(runnable.call())


@pytest.mark.oracle
def test_reference_and_torch_agree_on_small_layers() -> None:
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    layers = [
        Layer("plain", (3, 4), 3, 7, padding=1),
        Layer("strided", (4, 6), 5, 11, stride=2, dilation=2, groups=2, bias=False),
        Layer("depthwise", (4, 4), 3, 6, padding=1, groups=4),
    ]
    try:
        ours, theirs = RefdetSide("reference"), open_side("torch", threads)
        for workload in [w for layer in layers for w in (layer.forward(), layer.backward())]:
            expected, actual = _outputs(ours, workload), _outputs(theirs, workload)
            n_outputs = 1 if workload.kernel == "conv2d.forward" else 3 if workload.params["needs"][2] else 2
            assert len(expected) == n_outputs
            assert compare(expected, actual, workload.tolerance).problem is None
            assert compare([1.001 * y for y in expected], actual, workload.tolerance).problem is not None
    finally:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


@pytest.mark.oracle
def test_torch_says_what_it_cannot_do() -> None:
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    workload = Layer("plain", (1, 1), 3, 5).forward()
    lopsided = dataclasses.replace(workload, params={**workload.params, "padding": ((0, 1), (0, 1))})
    try:
        side = open_side("torch", threads)
        with pytest.raises(Exception, match="pads both ends alike"):
            side.prepare(lopsided, lopsided.inputs(0))
        with pytest.raises(Exception, match=r"no call of torch for nowhere\.forward"):
            side.prepare(dataclasses.replace(workload, kernel="nowhere.forward"), {})
    finally:
        torch.set_num_threads(threads)
        torch.set_grad_enabled(gradients)


def _largest_block() -> int:
    """Return the size of the largest NumPy buffer alive now."""
    traces = tracemalloc.take_snapshot().traces
    return max((trace.size for trace in traces if trace.domain == NUMPY_DOMAIN), default=0)


@pytest.mark.parametrize("workload", [*VGG16.workloads, *OTHER.workloads], ids=lambda workload: workload.name)
def test_no_buffer_of_columns_exceeds_64_megabytes(workload: Workload) -> None:
    """Every block alive when a function of refdet returns is measured, the columns on the way out of theirs among them.

    The peak of the whole call is below the limit too, so that nothing inside a call of NumPy can exceed it either.
    """
    arrays = list(workload.inputs(0).values())
    largest: dict[str, int] = {}

    def look(frame: FrameType, event: str, result: Any) -> None:
        if event == "return" and "refdet" in frame.f_code.co_filename:
            name = frame.f_code.co_name
            largest[name] = max(largest.get(name, 0), _largest_block())

    gc.collect()
    previous = sys.getprofile()
    tracemalloc.start()
    try:
        KERNELS[workload.kernel](*arrays, **workload.params, keep_residual=False)
        _, peak = tracemalloc.get_traced_memory()
        sys.setprofile(look)
        KERNELS[workload.kernel](*arrays, **workload.params, keep_residual=False)
    finally:
        sys.setprofile(previous)
        tracemalloc.stop()
    assert 0 < largest["_columns"] <= LARGEST_BUFFER
    assert max(largest.values()) <= LARGEST_BUFFER
    assert peak <= LARGEST_BUFFER

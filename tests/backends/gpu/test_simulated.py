"""Kernels for the GPU in Numba's simulator: a process of its own, in which kernels are Python and threads are threads.

NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/backends/gpu/test_simulated.py
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.core.kernel import KERNELS
from refdet.verify.case import Case
from refdet.verify.catalogue import load_all
from tests.backends.parity import assert_parity, cases_of

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported; `make test` runs it so", allow_module_level=True
    )

from refdet_numba.gpu.backend import KERNELS as TABLE

REQUIRED = {
    "anchor_grid",
    "array.synchronize",
    "array.to_device",
    "array.to_host",
    "avg_pool2d.backward",
    "avg_pool2d.forward",
    "base_anchors",
    "box_iou",
    "class_nms",
    "conv2d.backward",
    "conv2d.forward",
    "conv_transpose2d.backward",
    "conv_transpose2d.forward",
    "gather.backward",
    "gather.forward",
    "gaussian_kernel.backward",
    "gaussian_kernel.forward",
    "lattice_blur.backward",
    "lattice_blur.forward",
    "lattice_embed.backward",
    "lattice_embed.forward",
    "lattice_index",
    "lattice_neighbourhood",
    "lattice_slice.backward",
    "lattice_slice.forward",
    "lattice_splat.backward",
    "lattice_splat.forward",
    "max_pool2d.backward",
    "max_pool2d.forward",
    "max_unpool2d.backward",
    "max_unpool2d.forward",
    "mean_field.backward",
    "mean_field.forward",
    "nms",
    "nms_from_iou",
    "resize_bilinear.backward",
    "resize_bilinear.forward",
    "roi_align.backward",
    "roi_align.forward",
    "roi_pool.backward",
    "roi_pool.forward",
    "soft_nms",
    "spatial_pyramid_pool.backward",
    "spatial_pyramid_pool.forward",
    "truncated_gaussian.backward",
    "truncated_gaussian.forward",
}

LARGEST = 4096  # elements of an input: a thread of the simulator takes 0.1 ms to start

load_all()
REPLACED = sorted(set(TABLE) & set(KERNELS))


def test_required_kernels_are_there() -> None:
    assert set(TABLE) >= REQUIRED
    assert not {name for name in set(TABLE) - set(KERNELS) if not name.startswith("array.")}


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")  # 0 · ∞; a GPU does not warn
@pytest.mark.parametrize("kernel", REPLACED)
def test_same_answers_and_residuals(kernel: str) -> None:
    """Every golden case of moderate size."""
    module = cases_of(kernel)

    def largest_input(case: Case) -> int:
        return max((x.size for x in case.arguments(module.ALGORITHM).values() if x is not None), default=0)

    cases = [case for case in module.cases() if largest_input(case) <= LARGEST]
    assert_parity(TABLE[kernel], kernel, cases, dtype="float32")


@pytest.mark.filterwarnings("ignore:(invalid value|overflow) encountered:RuntimeWarning")
@pytest.mark.parametrize("kernel", REPLACED)
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=2)
def test_same_answers_on_whatever_the_generator_draws(kernel: str, seed: int) -> None:
    case = cases_of(kernel).random_case(np.random.default_rng(seed))
    for dtype in ("float32", "float64"):
        assert_parity(TABLE[kernel], kernel, [case], dtype=dtype)

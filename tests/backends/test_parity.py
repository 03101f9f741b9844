"""Every kernel of every installed backend gives what the reference gives, on every golden case and on random input.

The loop goes over the backend's own table and calls both sides by name, so the reference is never compared with itself;
and the kernels that a backend must have are listed here, so an empty table cannot pass.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.core.kernel import KERNELS
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.verify.catalogue import backends, load_all
from tests.backends.parity import assert_parity, cases_of

REQUIRED = {
    "numba-cpu": {
        "avg_pool2d.backward",
        "avg_pool2d.forward",
        "batch_norm.backward",
        "batch_norm.forward",
        "box_iou",
        "class_nms",
        "coco_box_iou",
        "coco_match",
        "conv2d.backward",
        "conv2d.forward",
        "conv_transpose2d.backward",
        "conv_transpose2d.forward",
        "edge_affinities",
        "gather.backward",
        "group_edges",
        "group_regions",
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
        "match_detections",
        "match_rcnn",
        "match_rpn",
        "match_ssd",
        "max_pool2d.backward",
        "max_pool2d.forward",
        "max_unpool2d.backward",
        "max_unpool2d.forward",
        "mean_field.backward",
        "mean_field.forward",
        "merge_graph",
        "nms",
        "nms_from_iou",
        "relu.backward",
        "relu.forward",
        "resize_bicubic.backward",
        "resize_bicubic.forward",
        "resize_bilinear.backward",
        "resize_bilinear.forward",
        "resize_nearest.backward",
        "resize_nearest.forward",
        "rle_decode",
        "rle_encode",
        "rle_iou",
        "roi_align.backward",
        "roi_align.forward",
        "roi_pool.backward",
        "roi_pool.forward",
        "score_edge_boxes",
        "soft_nms",
        "spatial_pyramid_pool.backward",
        "spatial_pyramid_pool.forward",
        "top_k",
    }
}

load_all()
TABLES = {name: table for name, table in backends().items() if not isinstance(table, str)}
REPLACED = [(name, kernel) for name, table in TABLES.items() for kernel in sorted(table) if kernel in KERNELS]


def body_of(backend: str, kernel: str) -> Callable[..., Any]:
    """Return the function, with the way to the device and back if the backend has arrays of its own."""
    table = TABLES[backend]
    body: Callable[..., Any] = table[kernel]
    if "array.to_device" not in table:
        return body
    to_device, to_host = table["array.to_device"], table["array.to_host"]
    return lambda *arguments, **params: to_host(body(*to_device(arguments), **to_device(params)))


@pytest.mark.parametrize("backend", sorted(REQUIRED))
def test_required_kernels_are_there(backend: str) -> None:
    table = backends()[backend]
    assert not isinstance(table, str), f"{backend} does not load: {table}"
    assert REQUIRED[backend] <= set(table)


@pytest.mark.parametrize("backend", sorted(TABLES))
def test_a_backend_replaces_kernels_that_exist(backend: str) -> None:
    unknown = set(TABLES[backend]) - set(KERNELS) - {"DenseCRF.infer"}
    assert not {name for name in unknown if not name.startswith("array.")}


@pytest.mark.parametrize("layout", ["contiguous", "strided", "big-endian", "read-only"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("backend", "kernel"), REPLACED)
def test_same_answers_and_residuals(backend: str, kernel: str, dtype: str, layout: str) -> None:
    module, rng = cases_of(kernel), np.random.default_rng(0)
    cases = [*module.cases(), *(module.random_case(rng) for _ in range(5))]
    assert_parity(body_of(backend, kernel), kernel, cases, dtype=dtype, layout=layout)


@pytest.mark.parametrize(("backend", "kernel"), REPLACED)
@given(seed=st.integers(0, 2**32 - 1), dtype=st.sampled_from(["float32", "float64"]))
@settings(max_examples=10)
def test_same_answers_on_whatever_the_generator_draws(backend: str, kernel: str, seed: int, dtype: str) -> None:
    case = cases_of(kernel).random_case(np.random.default_rng(seed))
    assert_parity(body_of(backend, kernel), kernel, [case], dtype=dtype)


def test_a_switch_outside_its_plane_is_refused_before_compiled_code_writes_there() -> None:
    residual = MaxPool2dResidual(np.zeros((1, 1, 2, 2)), np.array([[[[10**9]]]]))
    params = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    with pytest.raises(IndexError, match="max_pool2d: a switch of 1000000000 lies outside a plane of 4 pixels"):
        TABLES["numba-cpu"]["max_pool2d.backward"](
            residual, np.ones((1, 1, 1, 1)), needs=(True,), ceil_mode=False, convention="torch", **params
        )

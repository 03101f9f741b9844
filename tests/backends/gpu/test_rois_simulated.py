"""What golden cases do not say of the GPU's pooling and cropping: bits of tables, layouts, odd channels, bad data.

NUMBA_ENABLE_CUDASIM=1 python -m pytest tests/backends/gpu/test_rois_simulated.py
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.core.kernel import KERNELS
from refdet.ops.roi_sampling import Sampling, bin_weights
from refdet.ops.roi_sampling import point_taps as reference_taps
from refdet.verify.catalogue import load_all
from tests.agreement import in_layout
from tests.backends.parity import assert_same

if os.environ.get("NUMBA_ENABLE_CUDASIM") != "1":
    pytest.skip(
        "needs NUMBA_ENABLE_CUDASIM=1 before Numba is imported; `make test` runs it so", allow_module_level=True
    )

from refdet_numba.gpu.backend import KERNELS as TABLE
from refdet_numba.gpu.roi_align_tables import grids_of, mean_weights, point_taps

load_all()
SIZE = (6, 5)
ROIS = np.array(
    [
        [0.0, 3.0, 5.0, 37.0, 41.0],
        [1.0, -13.0, -9.0, 52.0, 60.0],  # beyond the map on all sides
        [1.0, 30.0, 44.0, 4.0, 6.0],  # backwards
        [0.0, 8.0, 8.0, 8.0, 8.0],  # without area
        [1.0, 200.0, 10.0, 260.0, 30.0],  # outside
    ]
)
POOLING = {"kernel_size": (3, 2), "stride": (2, 1), "padding": ((1, 2), (0, 1)), "ceil_mode": True}
CASES: list[tuple[str, dict[str, Any]]] = [
    *(
        (
            "roi_align",
            {
                "output_size": (2, 3),
                "scale": 0.1,
                "sampling_ratio": ratio,
                "aligned": True,
                "border": border,
                "reduction": reduction,
            },
        )
        for ratio, border, reduction in ((2, "kernel", "mean"), (0, "zero_decay", "mean"), (0, "kernel", "max"))
    ),
    ("roi_pool", {"output_size": (2, 3), "scale": 0.1, "convention": "exact"}),
    ("roi_pool", {"output_size": (3, 2), "scale": 0.1, "convention": "float32-bins"}),
    ("spatial_pyramid_pool", {"levels": (2, 1, 7)}),
    ("avg_pool2d", {**POOLING, "count_include_pad": True, "convention": "torch"}),
    ("max_unpool2d", {"output_size": (4, 5), "overlap": "add"}),
    ("max_unpool2d", {"output_size": (4, 5), "overlap": "last"}),
    ("resize_bilinear", {"size": (4, 9), "ratio": (1.5, 5 / 9), "coordinates": "half_pixel"}),
]


def inputs_of(op: str, rng: np.random.Generator, dtype: str) -> tuple[Array, ...]:
    """Return five channels, which no power of two divides, and what the op takes beside them."""
    x = rng.integers(-4, 5, (2, 5, *SIZE)).astype(dtype)
    if op.startswith("roi"):
        return x, ROIS.astype(dtype)
    return (x, rng.integers(-1, 20, x.shape)) if op == "max_unpool2d" else (x,)


@pytest.mark.parametrize(("op", "params"), CASES, ids=[f"{i}-{op}" for i, (op, _) in enumerate(CASES)])
@pytest.mark.parametrize("layout", ["contiguous", "fortran", "strided", "reversed"])
def test_same_answers_in_any_layout(op: str, params: dict[str, Any], layout: str) -> None:
    rng = np.random.default_rng(1)
    inputs = tuple(in_layout(x, layout) for x in inputs_of(op, rng, "float32"))
    expected = KERNELS[f"{op}.forward"].reference(*inputs, keep_residual=True, **params)
    assert_same(TABLE[f"{op}.forward"](*inputs, keep_residual=True, **params), expected, op)
    y, residual = expected
    dy = in_layout(rng.integers(-8, 9, (y[0] if isinstance(y, tuple) else y).shape).astype("float32"), layout)
    options = {"needs": (True, False)[: len(inputs)], **params}
    gradients = KERNELS[f"{op}.backward"].reference(residual, dy, **options)
    assert_same(TABLE[f"{op}.backward"](residual, dy, **options), gradients, op)


@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
@pytest.mark.parametrize("ratio", [0, 1, 3])
@pytest.mark.parametrize("aligned", [True, False])
def test_tables_have_the_bits_of_the_reference(border: str, ratio: int, aligned: bool) -> None:
    sampling = Sampling((2, 3), 0.1, ratio, aligned)
    grids = grids_of(ROIS, SIZE, sampling, border)
    tables = (*mean_weights(ROIS, grids, np.dtype("float64")), *point_taps(ROIS, grids))
    for box, pixels, weights, tap_pixels, tap_weights in zip(ROIS[:, 1:].tolist(), *tables, strict=True):
        axes = [reference_taps(p, n, border=border) for p, n in zip(sampling.points(box), SIZE, strict=True)]
        for b, expected in enumerate(row for taps in axes for row in bin_weights(taps, np.dtype("float64"))):
            order = np.argsort(pixels[b][: expected.pixels.size])
            np.testing.assert_array_equal(pixels[b][order], expected.pixels)
            np.testing.assert_array_equal(weights[b][order], expected.weights)
            assert np.all(pixels[b][expected.pixels.size :] == -1)
        for b, (found, found_weights, exist) in enumerate(
            point for taps in axes for point in zip(*(a.reshape(len(a), -1) for a in taps), strict=True)
        ):
            np.testing.assert_array_equal(tap_pixels[b][: exist.size], np.where(exist, found, -1))
            np.testing.assert_array_equal(tap_weights[b][: exist.size][exist], found_weights[exist])
            assert np.all(tap_pixels[b][exist.size :] == -1)


@pytest.mark.parametrize(("op", "params"), [case for case in CASES if case[0].startswith("roi")])
def test_a_region_of_no_image_reads_nothing(op: str, params: dict[str, Any]) -> None:
    x, rois = inputs_of(op, np.random.default_rng(2), "float32")
    rois[0, 0], rois[1, 0] = 2, -1
    answer, residual = TABLE[f"{op}.forward"](x, rois, keep_residual=True, **params)
    y = answer[0] if isinstance(answer, tuple) else answer
    assert not np.any(y[:2])
    dy = np.zeros_like(y)
    dy[:2] = 1
    assert not np.any(TABLE[f"{op}.backward"](residual, dy, needs=(True, False), **params)[0])


@pytest.mark.parametrize("switch", [20, -2])
@pytest.mark.parametrize("overlap", ["add", "last"])
def test_a_switch_outside_the_plane(switch: int, overlap: str) -> None:
    """The forward pass refuses it, in the words of the reference; the backward pass does not follow it."""
    x, switches = np.ones((1, 2, 1, 2)), np.array([[[[3, 3]], [[switch, 19]]]])
    params = {"output_size": (4, 5), "overlap": overlap}
    with pytest.raises(ValueError, match=f"must be −1 or lie in .0, 20. for an output of 4 × 5, got {switch}"):
        TABLE["max_unpool2d.forward"](x, switches, keep_residual=True, **params)
    residual = KERNELS["max_unpool2d.forward"].reference(x, np.maximum(switches, -1) % 20, keep_residual=True, **params)
    dx, _ = TABLE["max_unpool2d.backward"](
        residual[1]._replace(switches=switches), np.ones((1, 2, 4, 5)), needs=(True, False), **params
    )
    np.testing.assert_array_equal(dx[0, 1, 0], [0, 1])


@pytest.mark.parametrize(("op", "params"), [case for case in CASES if case[0] in ("roi_pool", "spatial_pyramid_pool")])
def test_a_map_without_rows(op: str, params: dict[str, Any]) -> None:
    inputs = (np.zeros((2, 5, 0, 5)), *inputs_of(op, np.random.default_rng(3), "float64")[1:])
    expected = KERNELS[f"{op}.forward"].reference(*inputs, keep_residual=True, **params)
    assert_same(TABLE[f"{op}.forward"](*inputs, keep_residual=True, **params), expected, op)


@pytest.mark.parametrize("reduction", ["mean", "max"])
@pytest.mark.parametrize("size", [(0, 5), (0, 0)])
def test_roi_align_of_a_map_without_pixels(reduction: str, size: tuple[int, int]) -> None:
    inputs, params = (np.zeros((2, 5, *size)), ROIS), {**CASES[0][1], "reduction": reduction}
    expected = KERNELS["roi_align.forward"].reference(*inputs, keep_residual=True, **params)
    assert_same(TABLE["roi_align.forward"](*inputs, keep_residual=True, **params), expected, "roi_align")

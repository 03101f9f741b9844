"""Region ops on maps of several blocks of channels and more regions than one task takes, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from refdet_numba.cpu import KERNELS as COMPILED
from refdet_numba.cpu import roi_align_weights
from refdet_numba.cpu.channel_blocks import WIDTH, channel_blocks
from refdet_numba.cpu.roi_pool import GROUP

from refdet.core.kernel import KERNELS
from refdet.ops.roi_align import RoiAlignResidual
from refdet.ops.roi_pool import RoiPoolResidual
from refdet.ops.roi_sampling import Sampling, bin_weights, point_taps
from tests.backends.parity import assert_same

Array = NDArray[Any]

N_IMAGES, N_CHANNELS, N_REGIONS = 2, WIDTH + 3, 37
ALIGN = {"output_size": (3, 5), "scale": 0.25, "sampling_ratio": 2, "aligned": True, "border": "kernel"}


def features_and_regions(rng: np.random.Generator, dtype: str, n_regions: int = N_REGIONS) -> tuple[Array, Array]:
    """Return a map (2, WIDTH + 3, 13, 17) at scale ¼, and regions that lie in it, across its borders, and outside."""
    x = rng.standard_normal((N_IMAGES, N_CHANNELS, 13, 17)).astype(dtype)
    corners = rng.uniform(-20, 80, (n_regions, 2, 2))
    corners[: n_regions - n_regions // 8].sort(axis=1)  # the rest may run backwards
    images = rng.integers(0, N_IMAGES, (n_regions, 1))
    return x, np.concatenate([images, corners.reshape(n_regions, 4)], axis=1).astype(dtype)


def assert_like_reference(algorithm: str, x: Array, rois: Array, rng: np.random.Generator, **params: Any) -> None:
    forward, backward = f"{algorithm}.forward", f"{algorithm}.backward"
    outputs, residual = KERNELS[forward].reference(x, rois, keep_residual=True, **params)
    assert_same(COMPILED[forward](x, rois, keep_residual=True, **params), (outputs, residual), forward)
    y = outputs[0] if isinstance(outputs, tuple) else outputs
    dy, needs = rng.standard_normal(y.shape).astype(y.dtype), (True, False)
    expected = KERNELS[backward].reference(residual, dy, needs=needs, **params)
    assert_same(COMPILED[backward](residual, dy, needs=needs, **params), expected, backward)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["mean", "max"])
@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
@pytest.mark.parametrize(("sampling_ratio", "aligned"), [(2, True), (0, False), (5, True)])
def test_roi_align(dtype: str, reduction: str, border: str, sampling_ratio: int, aligned: bool) -> None:
    rng = np.random.default_rng(0)
    x, rois = features_and_regions(rng, dtype)
    params = ALIGN | {"sampling_ratio": sampling_ratio, "aligned": aligned, "border": border, "reduction": reduction}
    assert_like_reference("roi_align", x, rois, rng, **params)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("convention", ["exact", "float32-bins"])
def test_roi_pool(dtype: str, convention: str) -> None:
    rng = np.random.default_rng(1)
    x, rois = features_and_regions(rng, dtype)
    x = np.round(2 * x)  # many ties
    x[rng.random(x.shape) < 0.01] = np.nan
    x[0, :, 4:9, 4:9] = -np.inf
    assert_like_reference("roi_pool", x, rois, rng, output_size=(3, 5), scale=0.25, convention=convention)


def test_roi_pool_of_many_channels() -> None:
    """A gradient in three groups of planes, which do not divide the channels evenly."""
    rng = np.random.default_rng(3)
    _, rois = features_and_regions(rng, "float32")
    x = rng.standard_normal((N_IMAGES, 2 * GROUP + 1, 13, 17), dtype=np.float32)
    assert_like_reference("roi_pool", x, rois[:6], rng, output_size=(2, 3), scale=0.25, convention="exact")


def test_no_regions_no_channels_no_images() -> None:
    rng = np.random.default_rng(2)
    x, rois = features_and_regions(rng, "float32")
    for features, regions in ((x, rois[:0]), (x[:, :0], rois), (x[:0], rois[:0])):
        assert_like_reference("roi_align", features, regions, rng, reduction="mean", **ALIGN)
        assert_like_reference("roi_align", features, regions, rng, reduction="max", **ALIGN)
        assert_like_reference("roi_pool", features, regions, rng, output_size=(2, 2), scale=0.25, convention="exact")


@pytest.mark.parametrize("border", ["kernel", "zero_decay"])
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("ratio", [0, 3])
def test_weights_have_the_bits_of_the_reference(ratio: int, aligned: bool, border: str) -> None:
    sampling = Sampling((3, 5), 0.3, ratio, aligned)
    rng = np.random.default_rng(3)
    boxes = features_and_regions(rng, "float64", 200)[1][:, 1:]
    boxes[:50] = np.round(boxes[:50] * 0.3) / 0.3  # borders on pixels, or next to them
    found = roi_align_weights.bin_weights(boxes, (13, 17), sampling, border, np.float32)
    for r, box in enumerate(boxes.tolist()):
        for axis, points, n in zip(found, sampling.points(box), (13, 17), strict=True):
            for p, expected in enumerate(bin_weights(point_taps(points, n, border=border), np.dtype(np.float32))):
                count = axis.counts[r, p]
                np.testing.assert_array_equal(axis.pixels[r, p, :count], expected.pixels)
                np.testing.assert_array_equal(axis.weights[r, p, :count], expected.weights)


def test_pixels_that_no_bin_reads_do_not_matter() -> None:
    """One point per bin of a region that is many pixels wide: the pixels between points are skipped."""
    x, roi = np.full((1, 1, 20, 20), np.nan, np.float32), np.array([[0, 0, 0, 20, 20]], np.float32)
    for h in (4, 5, 14, 15):
        x[0, 0, h, [4, 5, 14, 15]] = 1  # points at 4½ and 14½
    params = ALIGN | {"output_size": (2, 2), "scale": 1.0, "sampling_ratio": 1, "reduction": "mean"}
    y, _ = COMPILED["roi_align.forward"](x, roi, keep_residual=False, **params)
    np.testing.assert_array_equal(y, np.ones((1, 1, 2, 2), np.float32))


def test_channel_blocks() -> None:
    x = np.arange(2 * (WIDTH + 1) * 6, dtype=np.float32).reshape(2, WIDTH + 1, 2, 3)
    blocks = channel_blocks(x)
    assert blocks.shape == (2, 2, 6, WIDTH)
    np.testing.assert_array_equal(blocks[1, 0, 4, :], x[1, :WIDTH, 1, 1])
    np.testing.assert_array_equal(blocks[1, 1, 4, :], [x[1, WIDTH, 1, 1]] + [0] * (WIDTH - 1))


@pytest.mark.parametrize("row", [(2, 0, 0, 1, 1), (-1, 0, 0, 1, 1), (0, 0, np.nan, 1, 1), (0, 0, 0, np.inf, 1)])
def test_regions_that_do_not_exist_are_refused_before_compiled_code_reads_them(row: tuple[float, ...]) -> None:
    x, rois = np.zeros((2, 1, 4, 4)), np.array([row])
    with pytest.raises(ValueError, match="roi_align: rois must be finite, and their images among the 2 of x"):
        COMPILED["roi_align.forward"](x, rois, keep_residual=False, reduction="mean", **ALIGN)
    with pytest.raises(ValueError, match="roi_pool: rois must be finite, and their images among the 2 of x"):
        COMPILED["roi_pool.forward"](x, rois, keep_residual=False, output_size=(1, 1), scale=1.0, convention="exact")


def test_winners_that_do_not_exist_are_refused() -> None:
    x, rois, dy = np.zeros((1, 1, 4, 4)), np.array([[0.0, 0, 0, 4, 4]]), np.ones((1, 1, 1, 1))
    params = ALIGN | {"output_size": (1, 1), "reduction": "max"}
    pool = {"output_size": (1, 1), "scale": 1.0, "convention": "exact"}
    aligned, pooled = RoiAlignResidual(x, rois, np.full(dy.shape, 4)), RoiPoolResidual(x, rois, np.full(dy.shape, 16))
    with pytest.raises(IndexError, match="roi_align: a winner of 4 is not one of the points of its bin"):
        COMPILED["roi_align.backward"](aligned, dy, needs=(True, False), **params)
    with pytest.raises(IndexError, match="roi_pool: a switch of 16 lies outside a plane of 16 pixels"):
        COMPILED["roi_pool.backward"](pooled, dy, needs=(True, False), **pool)

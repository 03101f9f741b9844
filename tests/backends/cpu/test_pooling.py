"""Pooling, unpooling and resizing of planes that take several pieces, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from refdet_numba.cpu import KERNELS as COMPILED
from refdet_numba.cpu.channel_blocks import WIDTH

from refdet.core.kernel import KERNELS
from refdet.ops.max_pool2d import MaxPool2dResidual
from refdet.ops.max_unpool2d import MaxUnpool2dResidual
from refdet.ops.spatial_pyramid_pool import SpatialPyramidPoolResidual
from tests.backends.parity import assert_same

Array = NDArray[Any]

POOLS = {  # kernel size, stride, padding, dilation, ceil mode
    "vgg": ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), False),
    "vgg, rounded up": ((2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), True),
    "resnet": ((3, 3), (2, 2), ((1, 1), (1, 1)), (1, 1), True),
    "inception": ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), False),
    "dilated": ((2, 3), (1, 3), ((2, 1), (3, 4)), (4, 2), True),
    "far-apart": ((1, 2), (9, 11), ((0, 0), (0, 1)), (1, 1), True),
    "whole": ((61, 97), (1, 1), ((0, 0), (0, 0)), (1, 1), False),
}


def assert_like_reference(algorithm: str, *inputs: Array, **params: Any) -> None:
    forward, backward = f"{algorithm}.forward", f"{algorithm}.backward"
    outputs, residual = KERNELS[forward].reference(*inputs, keep_residual=True, **params)
    assert_same(COMPILED[forward](*inputs, keep_residual=True, **params), (outputs, residual), forward)
    y = outputs[0] if isinstance(outputs, tuple) else outputs
    dy = np.random.default_rng(9).standard_normal(y.shape).astype(y.dtype)
    needs = tuple(x.dtype.kind == "f" for x in inputs)
    expected = KERNELS[backward].reference(residual, dy, needs=needs, **params)
    assert_same(COMPILED[backward](residual, dy, needs=needs, **params), expected, backward)


def pool_params(name: str) -> dict[str, Any]:
    kernel_size, stride, padding, _, ceil_mode = POOLS[name]
    plain = {"kernel_size": kernel_size, "stride": stride, "padding": padding}
    return {**plain, "ceil_mode": ceil_mode, "convention": "torch"}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", POOLS)
def test_max_pool2d(name: str, dtype: str) -> None:
    """Planes of several work spaces (61 rows of about 100), with ties, infinities and NaN."""
    rng = np.random.default_rng(0)
    x = np.round(2 * rng.standard_normal((1, 3, 61, 97))).astype(dtype)
    x[0, 1, 20:40, 20:40] = -np.inf
    x[0, 2][rng.random((61, 97)) < 0.1] = np.nan
    assert_like_reference("max_pool2d", x, dilation=POOLS[name][3], **pool_params(name))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count_include_pad", [True, False])
@pytest.mark.parametrize("name", [name for name in POOLS if name != "dilated"])
def test_avg_pool2d(name: str, count_include_pad: bool, dtype: str) -> None:
    x = np.random.default_rng(1).standard_normal((1, 3, 61, 97)).astype(dtype)
    x[0, 1, 30, 30], x[0, 2, 30, 30] = np.inf, np.nan
    assert_like_reference("avg_pool2d", x, count_include_pad=count_include_pad, **pool_params(name))


def test_a_row_wider_than_a_work_space() -> None:
    x = np.random.default_rng(2).standard_normal((1, 1, 4, 5000)).astype(np.float32)
    assert_like_reference("max_pool2d", x, dilation=(1, 1), **pool_params("resnet"))
    assert_like_reference("avg_pool2d", x, count_include_pad=True, **pool_params("resnet"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_spatial_pyramid_pool(dtype: str) -> None:
    rng = np.random.default_rng(3)
    x = np.round(2 * rng.standard_normal((3, WIDTH + 5, 11, 14))).astype(dtype)
    x[rng.random(x.shape) < 0.01] = np.nan
    assert_like_reference("spatial_pyramid_pool", x, levels=(3, 1, 6, 20))


@pytest.mark.parametrize("overlap", ["add", "last"])
@pytest.mark.parametrize("kind", ["int64", "int32", "uint8"])
def test_max_unpool2d(kind: str, overlap: str) -> None:
    rng = np.random.default_rng(4)
    x = rng.standard_normal((2, 3, 9, 8))
    switches = rng.integers(0 if kind == "uint8" else -1, 100, x.shape).astype(kind)
    assert_like_reference("max_unpool2d", x, switches, output_size=(10, 10), overlap=overlap)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [(150, 23), (9, 200), (67, 71)])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_resize(coordinates: str, size: tuple[int, int], dtype: str) -> None:
    """Up and down, and more rows than one task takes."""
    x = np.random.default_rng(5).standard_normal((2, 2, 33, 41)).astype(dtype)
    place = {"size": size, "ratio": (33 / size[0], 41 / size[1]), "coordinates": coordinates}
    assert_like_reference("resize_bilinear", x, **place)
    assert_like_reference("resize_bicubic", x, a=-0.5, **place)
    for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil"):
        assert_like_reference("resize_nearest", x, rounding=rounding, **place)


def test_switches_outside_their_plane_are_refused() -> None:
    x, dy = np.zeros((1, 2, 2, 2)), np.ones((1, 2, 1, 1))
    switches = np.array([3, 4]).reshape(1, 2, 1, 1)
    pool = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    residual, pyramid = MaxPool2dResidual(x, switches), SpatialPyramidPoolResidual(x, switches.reshape(1, 2))
    unpool = MaxUnpool2dResidual(dy, switches)
    with pytest.raises(IndexError, match="max_pool2d: a switch of 4 lies outside a plane of 4 pixels"):
        COMPILED["max_pool2d.backward"](residual, dy, needs=(True,), ceil_mode=False, convention="torch", **pool)
    with pytest.raises(IndexError, match="spatial_pyramid_pool: a switch of 4 lies outside a plane of 4 pixels"):
        COMPILED["spatial_pyramid_pool.backward"](pyramid, dy.reshape(1, 2), needs=(True,), levels=(1,))
    with pytest.raises(ValueError, match=r"max_unpool2d: switches must be −1 or lie in \[0, 4\) .* got 4"):
        COMPILED["max_unpool2d.forward"](dy, switches, output_size=(2, 2), overlap="add", keep_residual=False)
    for overlap in ("add", "last"):
        with pytest.raises(IndexError, match="max_unpool2d: a switch of 4 lies outside a plane of 4 pixels"):
            COMPILED["max_unpool2d.backward"](unpool, x, needs=(True, False), output_size=(2, 2), overlap=overlap)

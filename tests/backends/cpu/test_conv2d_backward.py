"""The gradients of convolution on the CPU: every algorithm, at the borders of its blocks, against float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.ops.conv2d import Conv2dResidual, conv2d_backward, conv2d_forward

pytest.importorskip("numba")

from refdet_numba.cpu import input_adjoint_by_gemm, weight_adjoint_by_gemm, weight_adjoint_by_winograd, winograd_5x5
from refdet_numba.cpu import weight_adjoint_by_winograd_5x5 as weights_5x5
from refdet_numba.cpu import weight_adjoint_directly as directly
from refdet_numba.cpu.channel_sums import RUN, channel_sums
from refdet_numba.cpu.conv2d_backward import backward

ROUNDING = {"float32": 2.0**-24, "float64": 2.0**-53}


class Shape(NamedTuple):
    """A convolution: images, channels in and out of each group, map, kernel; groups."""

    N: int
    C: int
    O: int
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Any = ((0, 0), (0, 0))
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def params(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


SHAPES = {
    "1 × 1": Shape(2, 70, 33, (9, 15), (1, 1)),
    "1 × 1, stride 2": Shape(1, 30, 20, (11, 14), (1, 1), (2, 2)),
    "1 × 1, padding, groups": Shape(2, 5, 3, (6, 7), (1, 1), padding=((1, 0), (2, 1)), groups=2),
    "3 × 3, stride 2": Shape(2, 40, 50, (23, 18), (3, 3), (2, 2), ((1, 1), (1, 1))),
    "7 × 7, stride 2": Shape(1, 3, 24, (61, 40), (7, 7), (2, 2), ((3, 3), (3, 3))),
    "11 × 11, stride 4": Shape(1, 3, 32, (63, 67), (11, 11), (4, 4)),
    "wide": Shape(1, 2, 3, (4, 9000), (2, 3), (1, 2)),
    "stride larger than the kernel": Shape(1, 6, 7, (14, 15), (2, 1), (3, 4)),
    "Winograd": Shape(2, 17, 70, (13, 38), (3, 3), padding=((1, 1), (1, 1))),
    "Winograd, groups, sides": Shape(1, 66, 16, (9, 8), (3, 3), padding=((0, 2), (1, 0)), groups=2),
    "Winograd, dilation": Shape(2, 16, 20, (17, 16), (3, 3), padding=((2, 2), (3, 1)), dilation=(2, 3)),
    "Winograd, more padding than kernel": Shape(1, 16, 16, (6, 7), (3, 3), padding=((3, 4), (5, 0))),
    "5 × 5": Shape(1, 18, 36, (14, 23), (5, 5), padding=((2, 2), (2, 2)), groups=2),
    "5 × 5, blocks of tiles, sides": Shape(3, 17, 33, (21, 30), (5, 5), padding=((0, 3), (1, 4))),
    "5 × 5, more padding than kernel": Shape(1, 24, 24, (24, 21), (5, 5), padding=((5, 5), (6, 4))),
    "5 × 5, small": Shape(2, 3, 2, (6, 5), (5, 5), padding=((2, 2), (2, 2))),
    "5 × 5, dilation": Shape(1, 18, 20, (14, 23), (5, 5), padding=((2, 4), (4, 2)), dilation=(2, 1)),
    "depthwise": Shape(2, 1, 1, (13, 14), (3, 3), padding=((1, 1), (1, 1)), groups=9),
    "depthwise, stride 2, dilation": Shape(1, 1, 2, (15, 14), (3, 2), (2, 3), ((1, 2), (0, 1)), (1, 2), 5),
    "small maps": Shape(83, 17, 33, (6, 7), (3, 3), padding=((1, 1), (1, 1))),
    "small maps, sides": Shape(17, 8, 9, (5, 16), (2, 5), padding=((0, 2), (3, 1))),
    "small maps, more padding than kernel": Shape(16, 9, 8, (2, 3), (3, 3), padding=((3, 4), (5, 2))),
    "grouped, long": Shape(1, 4, 4, (150, 90), (3, 3), padding=((1, 1), (1, 1)), groups=4),
}


def arrays(shape: Shape, dtype: str = "float32", seed: int = 0) -> tuple[Array, Array, Array]:
    """Draw x, weight and dy."""
    rng = np.random.default_rng(seed)
    C, O = shape.C * shape.groups, shape.O * shape.groups
    x = rng.standard_normal((shape.N, C, *shape.size)).astype(dtype)
    weight = rng.standard_normal((O, shape.C, *shape.kernel)).astype(dtype)
    y, _ = conv2d_forward.reference(x, weight, None, keep_residual=False, **shape.params)
    return x, weight, rng.standard_normal(y.shape).astype(dtype)


def assert_gradients(shape: Shape, dtype: str = "float32") -> None:
    """Compare with the reference in float64: at most 4 γ_n · Σ |products| off, with room for Winograd's."""
    x, weight, dy = arrays(shape, dtype)
    needs = (True, True, True)
    found = backward(Conv2dResidual(x, weight, None), dy, needs=needs, **shape.params)
    wide = [a.astype(np.float64) for a in (x, weight, dy)]
    expected = conv2d_backward.reference(Conv2dResidual(wide[0], wide[1], None), wide[2], needs=needs, **shape.params)
    sums = [np.abs(a) for a in wide]
    bounds = conv2d_backward.reference(Conv2dResidual(sums[0], sums[1], None), sums[2], needs=needs, **shape.params)
    terms = (dy.shape[1] * weight[0, 0].size, dy[:, 0].size, dy[:, 0].size)
    for name, actual, exact, bound, n in zip(("dx", "dw", "db"), found, expected, bounds, terms, strict=True):
        assert actual is not None, name
        assert exact is not None, name
        assert bound is not None, name
        assert (actual.dtype, actual.shape) == (np.dtype(dtype), exact.shape), name
        gamma = 4 * (n + 16) * ROUNDING[dtype]
        assert np.all(np.abs(actual - exact) <= gamma * bound + gamma * np.max(bound, initial=0) / 64), name


@pytest.mark.parametrize("name", SHAPES)
def test_every_algorithm_within_the_bound_of_a_sum(name: str) -> None:
    assert_gradients(SHAPES[name])


@pytest.mark.parametrize(
    "name", ["3 × 3, stride 2", "Winograd, dilation", "depthwise, stride 2, dilation", "5 × 5", "small maps"]
)
def test_in_float64(name: str) -> None:
    assert_gradients(SHAPES[name], "float64")


def test_small_blocks_give_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Work spaces too small for one row of a block: everything is cut as finely as it can be."""
    monkeypatch.setattr(input_adjoint_by_gemm, "WORK", 1)
    monkeypatch.setattr(weight_adjoint_by_gemm, "WORK", 1)
    monkeypatch.setattr(weight_adjoint_by_winograd, "NEAR", 1)
    monkeypatch.setattr(weight_adjoint_by_winograd, "TRANSFORMED", 1)
    monkeypatch.setattr(directly, "WORK", 1)
    monkeypatch.setattr(winograd_5x5, "LARGE", 1)
    monkeypatch.setattr(weights_5x5, "LARGE", 1)
    for name in ("3 × 3, stride 2", "7 × 7, stride 2", "Winograd, groups, sides", "Winograd, dilation", "depthwise"):
        assert_gradients(SHAPES[name])
    assert_gradients(SHAPES["5 × 5, blocks of tiles, sides"])


def test_only_what_is_needed() -> None:
    x, weight, dy = arrays(SHAPES["3 × 3, stride 2"])
    residual, params = Conv2dResidual(x, weight, None), SHAPES["3 × 3, stride 2"].params
    every = backward(residual, dy, needs=(True, True, True), **params)
    for i in range(3):
        needs = (i == 0, i == 1, i == 2)
        alone = backward(residual, dy, needs=needs, **params)
        assert [g is not None for g in alone] == list(needs)
        np.testing.assert_array_equal(alone[i], every[i])


@pytest.mark.parametrize(
    "name", ["1 × 1", "3 × 3, stride 2", "Winograd", "Winograd, dilation", "5 × 5", "depthwise", "small maps, sides"]
)
@pytest.mark.parametrize("which", ["x", "weight", "dy"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_reaches_what_the_reference_says(name: str, which: str, value: float) -> None:
    """Fast algorithms bring values together that the definition keeps apart; they must not spread a NaN."""
    given = dict(zip(("x", "weight", "dy"), arrays(SHAPES[name]), strict=True))
    given[which].flat[given[which].size // 2 + 1] = value
    residual, params = Conv2dResidual(given["x"], given["weight"], None), SHAPES[name].params
    with np.errstate(invalid="ignore"):
        expected = conv2d_backward.reference(residual, given["dy"], needs=(True, True, True), **params)
        found = backward(residual, given["dy"], needs=(True, True, True), **params)
    for actual, exact in zip(found, expected, strict=True):
        assert actual is not None
        assert exact is not None
        np.testing.assert_array_equal(np.isnan(actual), np.isnan(exact))
        np.testing.assert_array_equal(np.isposinf(actual), np.isposinf(exact))
        np.testing.assert_array_equal(np.isneginf(actual), np.isneginf(exact))


def test_weights_of_multiples_of_576_are_exact_in_winograds_transforms() -> None:
    """1/6 and 1/24 do not round them, so the gradient of small integers is exact."""
    rng = np.random.default_rng(0)
    x = rng.integers(-4, 5, (1, 16, 9, 10)).astype(np.float32)
    weight = np.zeros((16, 16, 3, 3), np.float32)
    dy = rng.integers(-3, 4, (1, 16, 9, 10)).astype(np.float32) * 576
    params = SHAPES["Winograd"].params
    needs, residual = (False, True, False), Conv2dResidual(x, weight, None)
    found = backward(residual, dy, needs=needs, **params)[1]
    np.testing.assert_array_equal(found, conv2d_backward.reference(residual, dy, needs=needs, **params)[1])


def test_sums_of_channels_are_pairwise() -> None:
    """Term by term, 2²⁵ ones in float32 would be 2²⁴."""
    dy = np.ones((2, 1, 1 << 12, 1 << 12), np.float32)
    np.testing.assert_array_equal(channel_sums(dy), [2.0**25])
    odd = np.arange(3 * 2 * (RUN + 1), dtype=np.float64).reshape(3, 2, 1, RUN + 1)
    np.testing.assert_array_equal(channel_sums(odd), odd.sum((0, 2, 3)))
    np.testing.assert_array_equal(channel_sums(np.empty((0, 2, 3, 3))), [0, 0])

"""Depthwise convolution on the CPU: every border of its blocks, rows and vectors, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.ops.conv2d import conv2d_forward
from refdet.ops.correlation import Geometry

pytest.importorskip("numba")

from refdet_numba.cpu import depthwise
from refdet_numba.cpu.conv2d import forward
from refdet_numba.cpu.depthwise import ROWS, correlate_depthwise, is_depthwise

# images, channels, size, kernel, padding; 8 lanes of float32, 4 of float64
CASES = {
    "whole vectors and rows": (1, 3, (16, 16), (3, 3), ((1, 1), (1, 1))),
    "last vector and rows moved back": (2, 5, (11, 13), (3, 3), ((1, 1), (1, 1))),
    "as small as can be": (1, 2, (ROWS, 8), (3, 3), ((1, 1), (1, 1))),
    "no padding": (1, 2, (12, 19), (3, 3), ((0, 0), (0, 0))),
    "padding on each side": (1, 2, (9, 10), (2, 4), ((3, 0), (1, 5))),
    "more padding than kernel": (1, 2, (4, 5), (3, 2), ((4, 5), (6, 3))),
    "1 by 1": (2, 3, (9, 9), (1, 1), ((0, 0), (0, 0))),
    "7 by 5": (1, 2, (17, 23), (7, 5), ((3, 3), (2, 2))),
    "one channel": (1, 1, (20, 21), (3, 3), ((1, 1), (1, 1))),
}
BLOCKS = [depthwise.PLANE_BYTES, 1200, 1]


def arguments(case: Any, dtype: str) -> tuple[Any, Any, Any, Geometry, dict[str, Any]]:
    N, C, size, kernel, padding = case
    rng = np.random.default_rng(0)
    arrays = (rng.standard_normal(shape).astype(dtype) for shape in ((N, C, *size), (C, 1, *kernel), (C,)))
    params = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": C}
    return *arrays, Geometry(kernel, (1, 1), padding, (1, 1), C), params  # type: ignore[return-value]


@pytest.mark.parametrize("plane_bytes", BLOCKS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_within_the_bound_of_a_sum(case: Any, dtype: str, plane_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(depthwise, "PLANE_BYTES", plane_bytes)
    x, weight, bias, geometry, params = arguments(case, dtype)
    wide = [a.astype("f8") for a in (x, weight, bias)]
    y, _ = conv2d_forward.reference(*wide, keep_residual=False, **params)
    magnitude, _ = conv2d_forward.reference(*map(np.abs, wide), keep_residual=False, **params)
    assert is_depthwise(x, weight, y.shape[2:], geometry)
    actual = correlate_depthwise(x, weight, bias, y.shape[2:], geometry)
    assert actual.dtype == dtype
    assert np.all(np.abs(actual - y) <= (weight[0].size + 2) * np.finfo(dtype).eps / 2 * magnitude)


@pytest.mark.parametrize("where", ["weight", "x", "bias"])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_meets_the_zeros_of_the_padding(where: str, value: float) -> None:
    """An infinite weight gives NaN where it falls on the padding, an infinite pixel no more than what reads it."""
    x, weight, bias, _, params = arguments(CASES["last vector and rows moved back"], "float32")
    {"weight": weight[1, 0], "x": x[0, 1], "bias": bias[1:]}[where].flat[-1] = value
    with np.errstate(invalid="ignore"):
        expected, _ = conv2d_forward.reference(x, weight, bias, keep_residual=False, **params)
    actual, _ = forward(x, weight, bias, keep_residual=False, **params)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_array_equal(actual[np.isinf(actual)], expected[np.isinf(actual)])
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(expected))


@pytest.mark.parametrize(
    ("x", "weight", "size", "stride", "dilation", "groups"),
    [
        ((1, 2, 9, 9), (4, 1, 3, 3), (9, 9), (1, 1), (1, 1), 2),
        ((1, 2, 9, 9), (2, 2, 3, 3), (9, 9), (1, 1), (1, 1), 1),
        ((1, 2, 18, 18), (2, 1, 3, 3), (9, 9), (2, 2), (1, 1), 2),
        ((1, 2, 9, 9), (2, 1, 3, 3), (9, 9), (1, 1), (2, 2), 2),
        ((1, 2, ROWS - 1, 9), (2, 1, 3, 3), (ROWS - 1, 9), (1, 1), (1, 1), 2),
        ((1, 2, 9, 7), (2, 1, 3, 3), (9, 7), (1, 1), (1, 1), 2),
        ((0, 2, 9, 9), (2, 1, 3, 3), (9, 9), (1, 1), (1, 1), 2),
    ],
)
def test_others_are_left_to_the_general_sums(
    x: Any, weight: Any, size: Any, stride: Any, dilation: Any, groups: int
) -> None:
    geometry = Geometry(weight[2:], stride, ((1, 1), (1, 1)), dilation, groups)
    assert not is_depthwise(np.zeros(x, "f4"), np.zeros(weight, "f4"), size, geometry)

"""Winograd's F(4×4, 5×5) at the borders of its tiles and blocks, against the reference in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.ops.conv2d import conv2d_forward

pytest.importorskip("numba")

from refdet_numba.cpu.winograd_5x5 import correlate_5x5


@pytest.mark.parametrize(("dtype", "error"), [("float32", 1e-4), ("float64", 1e-12)])
@pytest.mark.parametrize(
    ("images", "channels", "outputs", "size", "groups"),
    [(1, 1, 1, (4, 5), 1), (2, 5, 7, (13, 30), 2), (1, 9, 37, (41, 70), 1), (3, 65, 2, (9, 8), 3)],
)
def test_against_the_reference(
    dtype: str, error: float, images: int, channels: int, outputs: int, size: tuple[int, int], groups: int
) -> None:
    """Outputs have a variance near 1, so errors are relative to it."""
    rng, padding = np.random.default_rng(0), ((1, 3), (2, 0))
    x = rng.standard_normal((images, channels * groups, *size)).astype(dtype)
    weight = (rng.standard_normal((outputs * groups, channels, 5, 5)) / np.sqrt(25 * channels)).astype(dtype)
    bias = rng.standard_normal(outputs * groups).astype(dtype)
    found = correlate_5x5(x, weight, bias, padding, groups)
    wide = [a.astype(np.float64) for a in (x, weight, bias)]
    params: dict[str, Any] = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": groups}
    expected, _ = conv2d_forward.reference(*wide, keep_residual=False, **params)
    assert found is not None
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=error)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_no_answer_where_it_would_not_be_finite(value: float) -> None:
    x, weight = np.ones((1, 2, 9, 9), np.float32), np.ones((3, 2, 5, 5), np.float32)
    x[0, 1, 8, 8] = value
    assert correlate_5x5(x, weight, None, ((2, 2), (2, 2)), 1) is None

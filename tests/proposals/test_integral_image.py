"""Sums over boxes, and the order in which they round."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.proposals.integral_image import integral_image, sums_within
from tests.agreement import dtypes, in_layout, layouts, seeds


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_rounded_pixel_after_pixel(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """As one pixel after another would be, to the last bit."""
    rng = np.random.default_rng(seed)
    H, W = data.draw(st.integers(0, 9)), data.draw(st.integers(0, 9))
    field = rng.random((H, W)).astype(dtype)
    expected = np.zeros((H + 1, W + 1), dtype)
    for y in range(H):
        for x in range(W):
            expected[y + 1, x + 1] = field[y, x] + expected[y + 1, x] + expected[y, x + 1] - expected[y, x]
    np.testing.assert_array_equal(integral_image(in_layout(field, layout)), expected)


@pytest.mark.parametrize("size", [(5, 7), (1, 6), (6, 1)])
def test_sums_over_every_box(size: tuple[int, int]) -> None:
    """Integers, so that sums are exact. A box that ends before it begins has 0."""
    field = np.random.default_rng(0).integers(0, 9, size).astype(np.float64)
    H, W = size
    integral = integral_image(field)
    for y0, x0, y1, x1 in np.ndindex(H, W, H, W):
        expected = field[y0 : y1 + 1, x0 : x1 + 1].sum() if y1 >= y0 and x1 >= x0 else 0
        assert sums_within(integral, np.array([[x0, y0, x1, y1]])) == expected

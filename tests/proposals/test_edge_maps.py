"""The scan order of edge maps, and what is computed in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.proposals.edge_maps import check_edge_values, in_scan_order, rounded


def test_columns_come_first() -> None:
    field = np.array([[0, 1, 2], [3, 4, 5]], ">i4")
    flat = in_scan_order(field)
    assert flat.tolist() == [0, 3, 1, 4, 2, 5]
    assert flat.dtype.isnative
    flat[0] = 9
    assert field[0, 0] == 0


def test_rounded_once() -> None:
    """float32(cos 1) of the cosine in float64, whatever a cosine in float32 gives."""
    x = np.array([1.0, 2.0], np.float32)
    np.testing.assert_array_equal(rounded(np.cos, x), np.array([math.cos(1), math.cos(2)], np.float32))
    assert rounded(np.cos, x).dtype == np.float32


def test_the_ends_of_the_ranges_belong_to_them() -> None:
    for dtype in (np.float32, np.float64):
        check_edge_values("doctest", np.array([[0, 1]], dtype), np.array([[0, math.pi]], dtype))
        with pytest.raises(ValueError, match=r"orientation must lie in \[0, π\]"):
            check_edge_values("doctest", np.zeros((1, 1), dtype), np.nextafter(np.array([[math.pi]], dtype), dtype(4)))

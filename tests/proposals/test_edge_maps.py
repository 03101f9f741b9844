"""The scan order of edge maps, and what is computed in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.proposals.edge_maps import check_edge_values, check_group_numbers, count_groups, in_scan_order, rounded
from tests.agreement import LAYOUTS, in_layout


@pytest.mark.parametrize("layout", LAYOUTS)
def test_columns_come_first(layout: str) -> None:
    """In a copy, even of an array that has its columns first already."""
    field = in_layout(np.array([[0, 1, 2], [3, 4, 5]]), layout)
    flat = in_scan_order(field)
    assert flat.tolist() == [0, 3, 1, 4, 2, 5]
    assert flat.dtype == np.int64
    flat[0] = 9
    assert field[0, 0] == 0


def test_groups_are_counted_by_the_largest_number() -> None:
    for numbers, expected in (([[-1, 2], [0, -1]], 3), ([[-1, -7]], 0), ([[0]], 1), ([[]], 0)):
        assert count_groups(np.array(numbers, np.int64)) == expected
    assert count_groups(np.full((1, 1), 255, np.uint8)) == 256


def test_numbers_that_no_counting_reaches() -> None:
    check_group_numbers("doctest", np.array([[0, 3], [1, 2]]))
    check_group_numbers("doctest", np.zeros((0, 4), np.int64))
    with pytest.raises(ValueError, match=r"doctest: groups must be numbered 0, 1, …, so that 4 pixels have .* got 4"):
        check_group_numbers("doctest", np.array([[0, 4], [1, 2]]))


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

"""Sliding windows: their order and number, those that do not fit, their centres, too many."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.counting import count_windows
from refdet.proposals.windows import MAX_WINDOWS, sliding_windows, window_centres


def test_hand_example() -> None:
    """2 × 2 windows over 3 × 4 pixels, row-major, then the two of 3 × 3."""
    expected = [
        [0, 0, 2, 2],
        [1, 0, 3, 2],
        [2, 0, 4, 2],
        [0, 1, 2, 3],
        [1, 1, 3, 3],
        [2, 1, 4, 3],
        [0, 0, 3, 3],
        [1, 0, 4, 3],
    ]
    windows = sliding_windows((3, 4), [2, (3, 3)])
    np.testing.assert_array_equal(windows, expected)
    assert windows.dtype == np.float64


def test_strides() -> None:
    """2 down and 3 across: the windows at 0 and 2, and at 0, 3; what is left over is not covered."""
    windows = sliding_windows((5, 6), [(2, 1)], stride=(2, 3))
    np.testing.assert_array_equal(windows[:, [1, 0]], [[0, 0], [0, 3], [2, 0], [2, 3]])
    np.testing.assert_array_equal(windows[:, 2:] - windows[:, :2], [[1, 2]] * 4)


sides = st.integers(1, 5)


@given(size=st.tuples(st.integers(0, 9), st.integers(0, 9)), sizes=st.lists(st.tuples(sides, sides)), stride=sides)
def test_against_the_definition(size: tuple[int, int], sizes: list[tuple[int, int]], stride: int) -> None:
    H, W = size
    expected = [
        (x, y, x + w, y + h)
        for h, w in sizes
        for y in range(0, H, stride)
        for x in range(0, W, stride)
        if y + h <= H and x + w <= W
    ]
    windows = sliding_windows(size, sizes, stride=stride)
    np.testing.assert_array_equal(windows, np.array(expected, float).reshape(-1, 4))
    assert len(windows) == sum(count_windows(size, window, stride=stride) for window in sizes)


def test_deck_002() -> None:
    """224 × 224 crops of an image of 1000 × 2000; the first has its centre in pixel (112, 112)."""
    windows = sliding_windows((1000, 2000), [224])
    assert len(windows) == 777 * 1777 == 1_380_729
    np.testing.assert_array_equal(windows[[0, 1777, -1]], [[0, 0, 224, 224], [0, 1, 224, 225], [1776, 776, 2000, 1000]])
    centres = window_centres(windows[[0, -1]])
    np.testing.assert_array_equal(centres, [[112, 112], [888, 1888]])


def test_windows_that_do_not_fit() -> None:
    assert sliding_windows((3, 4), [(4, 1), (1, 5)]).shape == (0, 4)
    assert sliding_windows((0, 7), [1]).shape == (0, 4)
    assert sliding_windows((3, 4), []).shape == (0, 4)
    np.testing.assert_array_equal(sliding_windows((3, 4), [(4, 1), (3, 4)]), [[0, 0, 4, 3]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_centres(dtype: str) -> None:
    """Of 1, 2, 3 and 4 pixels the central one is 0, 1, 1, 2; (row, column); also left of the image, and for halves."""
    windows = np.array([[0, 5, 1, 7], [0, 5, 3, 9], [-3, -4, 0, 0], [0.5, 0, 1.0, 3.25]], dtype)
    centres = window_centres(windows)
    np.testing.assert_array_equal(centres, [[6, 0], [7, 1], [-2, -2], [1, 0]])
    assert centres.dtype == np.int64
    assert window_centres(windows[:0]).shape == (0, 2)


def test_every_pixel_is_the_centre_of_one_window_of_odd_size_inside() -> None:
    """3 × 3 over 5 × 6: the pixels that are not on the border, in row-major order."""
    centres = window_centres(sliding_windows((5, 6), [3]))
    np.testing.assert_array_equal(centres, [(i, j) for i in range(1, 4) for j in range(1, 5)])


def test_too_many() -> None:
    """5901 · 7901 of them."""
    with pytest.raises(ValueError, match=rf"sliding_windows: 46623801 windows of .* are more than {MAX_WINDOWS}"):
        sliding_windows((6000, 8000), [100])


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (((3, 4, 5), [1]), {}, ValueError, "sliding_windows: size must be an integer or 2 of them"),
        (((3, -4), [1]), {}, ValueError, "sliding_windows: size must be at least 0"),
        (((3, 4), [0]), {}, ValueError, "sliding_windows: windows must be at least 1, got 0"),
        (((3, 4), [(1.5, 1)]), {}, TypeError, "sliding_windows: windows must hold integers"),
        (((3, 4), 2), {}, TypeError, "sliding_windows: windows must be a sequence, got 2"),
        (((3, 4), [1]), {"stride": 0}, ValueError, "sliding_windows: stride must be at least 1"),
    ],
)
def test_bad_input(arguments: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sliding_windows(*arguments, **options)


def test_bad_windows() -> None:
    with pytest.raises(ValueError, match=r"window_centres: windows must have shape \(N, 4\)"):
        window_centres(np.zeros((3, 2)))
    for somewhere in (np.nan, np.inf, 1e300):
        with pytest.raises(ValueError, match="window_centres: row 1 of windows must have a centre that int64 can hold"):
            window_centres(np.array([[0.0, 0, 1, 1], [0, 0, somewhere, 1]]))
    with pytest.raises(TypeError, match="window_centres: windows must be float32 or float64, got int64"):
        window_centres(np.zeros((3, 4), int))

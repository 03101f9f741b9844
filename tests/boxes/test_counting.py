"""Counting boxes and windows: the decks' numbers, brute force, large images, errors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.boxes.counting import count_boxes, count_pixels, count_windows

small = st.integers(0, 6)


def test_deck_001_says_58_million_where_its_formula_gives_58_billion() -> None:
    """The slide: an 800 × 600 image has "~58M boxes". Summing its own (H − h + 1)(W − w + 1) gives a thousand times as
    many, 57,768,120,000."""
    assert count_boxes(600, 800) == 57_768_120_000
    assert count_boxes(600, 800) == sum(600 - h + 1 for h in range(1, 601)) * sum(800 - w + 1 for w in range(1, 801))
    assert round(count_boxes(600, 800) / 1e9) == 58  # billion, not million


def test_deck_002_windows() -> None:
    """224 × 224 in 1000 × 2000 pixels: 777 · 1777."""
    assert count_windows((1000, 2000), 224) == 1_380_729


def test_deck_000_complexity() -> None:
    """R-CNN convolves 2000 crops of 224 × 224, Fast R-CNN one image of 600 × 1000: 167.25 times less, "~160×"."""
    ratio = count_pixels(224, n_images=2000) / count_pixels((600, 1000))
    assert round(ratio, 2) == 167.25


def test_integers_have_no_end() -> None:
    assert count_windows(10**30, 1) == count_pixels(10**30) == 10**60


@given(H=small, W=small)
def test_boxes_by_brute_force(H: int, W: int) -> None:
    boxes = [
        (x1, y1, x2, y2)
        for x1 in range(W)
        for x2 in range(x1 + 1, W + 1)
        for y1 in range(H)
        for y2 in range(y1 + 1, H + 1)
    ]
    assert count_boxes(H, W) == len(boxes)


@given(H=small, W=small)
def test_all_boxes_are_the_windows_of_all_sizes(H: int, W: int) -> None:
    assert count_boxes(H, W) == sum(count_windows((H, W), (h, w)) for h in range(1, H + 1) for w in range(1, W + 1))


@given(size=st.tuples(small, small), window=st.tuples(st.integers(1, 4), st.integers(1, 4)), stride=st.integers(1, 4))
def test_windows_by_brute_force(size: tuple[int, int], window: tuple[int, int], stride: int) -> None:
    starts = [
        (y, x)
        for y in range(0, size[0], stride)
        for x in range(0, size[1], stride)
        if y + window[0] <= size[0] and x + window[1] <= size[1]
    ]
    assert count_windows(size, window, stride=stride) == len(starts)


def test_sizes_are_height_first() -> None:
    assert count_windows((3, 10), (1, 10)) == 3
    assert count_windows((3, 10), (10, 1)) == 0
    assert count_windows((5, 9), 1, stride=(4, 2)) == 2 * 5


def test_no_size_overflows() -> None:
    """65536 · 65537/2 squared exceeds 2⁶²; a million squared, 2⁶⁴ by far."""
    assert count_boxes(2**16, 2**16) == (2**15 * (2**16 + 1)) ** 2
    assert count_boxes(10**6, 10**6) == (10**6 * (10**6 + 1) // 2) ** 2


def test_without_pixels() -> None:
    assert count_boxes(0, 5) == count_boxes(5, 0) == count_windows((0, 5), 1) == count_pixels(0) == 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: count_boxes(-1, 5), ValueError, "count_boxes: height must be at least 0, got -1"),
        (lambda: count_boxes(5, -1), ValueError, "count_boxes: width must be at least 0, got -1"),
        (lambda: count_boxes(5.0, 5), TypeError, "count_boxes: height must be an integer, got 5.0"),  # type: ignore[arg-type]
        (lambda: count_windows((5, -5), 2), ValueError, r"count_windows: size must be at least 0, got \(5, -5\)"),
        (lambda: count_windows(5, 0), ValueError, "count_windows: window must be at least 1, got 0"),
        (lambda: count_windows(5, 2, stride=0), ValueError, "count_windows: stride must be at least 1, got 0"),
        (lambda: count_windows((5, 5, 3), 2), ValueError, "size must be an integer or 2 of them"),  # type: ignore[arg-type]
        (lambda: count_pixels(5, n_images=-1), ValueError, "count_pixels: n_images must be at least 0, got -1"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

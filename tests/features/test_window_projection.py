"""SPP-net's windows: the examples of its released code, and what the paper's rule means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.features.receptive_field import Window, beta
from refdet.features.window_projection import choose_scales, project_windows
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import project_windows as oracle

ZF5 = [Window(7, 2, 1), Window(3, 2), Window(5, 2), Window(3, 2), *[Window(3, padding=1)] * 3]


def span(first: float, last: float, **params: Any) -> tuple[int, int]:
    """Return the first and last response of the pixels `first` to `last`, all counted from 1."""
    box = np.array([[first - 1, 0.0, last, 1.0]])
    x1, _, x2, _ = project_windows(box, stride=16, size=(1, 100), **params)[0]
    return int(x1) + 1, int(x2)


def test_the_released_code() -> None:
    """1 … 224 gives 0 … 13 before it is clamped."""
    assert span(1, 224, convention="released") == (1, 13)
    assert span(100, 200, convention="released") == (6, 12)
    assert span(33, 48, convention="released") == (2, 2)


def test_its_first_centre_is_that_of_the_network() -> None:
    assert beta(ZF5) == 21


def test_the_paper() -> None:
    """Responses centred at 16·i that lie strictly between the first pixel and the last."""
    assert span(1, 224, convention="paper") == (2, 14)  # pixels 0 … 223: 16 … 208
    assert span(17, 33, convention="paper") == (2, 2)  # pixels 16 … 32: neither end, and nothing between
    for first, last in [(0, 100), (1, 63), (16, 81), (5, 250)]:
        inside = [i for i in range(100) if first < 16 * i < last]
        assert span(first + 1, last + 1) == (inside[0] + 1, inside[-1] + 1)


def test_a_window_between_two_responses_becomes_one() -> None:
    """Pixels 33 … 46: left 3 > right 2, so both are ⌊2.5⌋, counted from 0."""
    assert span(34, 47, convention="paper") == (3, 3)


@given(seeds, dtypes, layouts, st.sampled_from(["paper", "released"]), st.integers(1, 20))
def test_oracle(seed: int, dtype: str, layout: str, convention: str, stride: int) -> None:
    rng = np.random.default_rng(seed)
    boxes = rng.integers(-20, 400, (rng.integers(0, 5), 4)).astype(dtype)
    params = {"stride": stride, "size": (9, 13), "convention": convention, "first_centre": 21.0, "margin": 6.5}
    assert_agrees("project_windows", oracle, [in_layout(boxes, layout)], rng=rng, params=params)


@given(seeds, st.sampled_from(["paper", "released"]))
def test_every_window_can_be_sliced(seed: int, convention: str) -> None:
    boxes = np.random.default_rng(seed).uniform(-1000, 1000, (20, 4))
    x1, y1, x2, y2 = project_windows(boxes, stride=16, size=(7, 9), convention=convention).T
    assert ((x1 >= 0) & (x1 < x2) & (x2 <= 9) & (y1 >= 0) & (y1 < y2) & (y2 <= 7)).all()


SCALES = (480, 576, 688, 864, 1200)


def test_scales() -> None:
    """An image of 375 × 500: a box as large as the image wants the smallest scale, a box of 50 × 50 the largest."""
    boxes = np.array([[0.0, 0.0, 500.0, 375.0], [0.0, 0.0, 50.0, 50.0], [0.0, 0.0, 125.0, 125.0]])
    common: dict[str, Any] = {"image_size": (375, 500), "scales": SCALES}
    # 125 · 688/375 = 229.3 is closest to 224 in area; 13·16·375/125 = 624: 576 is 48 away, 688 is 64
    np.testing.assert_array_equal(choose_scales(boxes, **common), [0, 4, 2])
    np.testing.assert_array_equal(choose_scales(boxes, **common, convention="released"), [0, 4, 1])


def test_of_two_equally_good_scales_the_first() -> None:
    boxes = np.array([[0.0, 0.0, 208.0, 208.0]])
    for scales in ((90, 110), (110, 90)):
        found = choose_scales(boxes, image_size=(100, 300), scales=scales, convention="released")
        np.testing.assert_array_equal(found, [0])


def test_boxes_as_large_as_floats_allow() -> None:
    boxes = np.array([[-1.0, -1.0, 1.0, 1.0]]) * 1.7e308
    for convention in ("paper", "released"):
        found = project_windows(boxes, stride=1, size=(4, 5), convention=convention)
        np.testing.assert_array_equal(found, [[0, 0, 5, 4]])


def test_bad_input() -> None:
    boxes = np.array([[0.0, 0.0, 9.0, 9.0], [0.0, 0.0, np.nan, 9.0], [3.0, 0.0, 3.0, 9.0]])
    with pytest.raises(ValueError, match="project_windows: box 1 is not finite"):
        project_windows(boxes, stride=16, size=(4, 4))
    with pytest.raises(ValueError, match="choose_scales: box 1 must have a positive area"):
        choose_scales(boxes, image_size=(9, 9), scales=SCALES)
    with pytest.raises(ValueError, match="choose_scales: box 1 must have a positive area"):
        choose_scales(boxes[::2], image_size=(9, 9), scales=SCALES)
    with pytest.raises(ValueError, match="scales must hold at least one length"):
        choose_scales(boxes[:1], image_size=(9, 9), scales=())
    with pytest.raises(ValueError, match="stride must be at least 1, got 0"):
        project_windows(boxes[:1], stride=0, size=(4, 4))
    with pytest.raises(ValueError, match="convention must be one of 'paper', 'released', got 'matlab'"):
        project_windows(boxes[:1], stride=16, size=(4, 4), convention="matlab")
    with pytest.raises(ValueError, match=r"boxes must have shape \(3, 4\)"):
        project_windows(boxes[:, :3], stride=16, size=(4, 4))
    with pytest.raises(TypeError, match="boxes must be float32 or float64, got int64"):
        project_windows(np.zeros((1, 4), np.int64), stride=16, size=(4, 4))

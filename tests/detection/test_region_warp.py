"""R-CNN's windows: the two examples of its released code, its rules one by one, and the naive loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.detection.region_warp import warp_region, warp_regions
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import warp_regions as oracle

BLACK = (0.0, 0.0, 0.0)


def coordinates(height: int, width: int) -> Array:
    """Return a picture whose pixels say where they are: (column, row, 1), counted from 1 as in MATLAB."""
    rows, columns = np.mgrid[1 : height + 1, 1 : width + 1]
    return np.stack([columns, rows, np.ones_like(rows)], axis=2).astype(np.float64)


def from_matlab(x1: int, y1: int, x2: int, y2: int) -> Array:
    """Return an inclusive box that is counted from 1 as refdet has it."""
    return np.array([x1 - 1, y1 - 1, x2, y2], np.float64)


def test_a_window_inside_the_picture() -> None:
    """[100, 80, 199, 229] becomes [92, 68, 208, 242]: 117 × 175 pixels on 227 × 227.

    Output i reads pixel 92 + (i + ½) 117/227 − ½, from 92 − 0.242, which is cut off, to 208.242, likewise.
    """
    x, y, inside = warp_region(coordinates(250, 300), from_matlab(100, 80, 199, 229), mean=BLACK).transpose(2, 0, 1)
    assert (inside == 1).all()
    i = np.arange(227)
    np.testing.assert_allclose(x[0], np.clip(92 + (i + 0.5) * 117 / 227 - 0.5, 92, 208), rtol=1e-12)
    np.testing.assert_allclose(y[:, 0], np.clip(68 + (i + 0.5) * 175 / 227 - 0.5, 68, 242), rtol=1e-12)


def test_a_window_that_leaves_the_picture() -> None:
    """[1, 1, 100, 100] becomes [−7, −7, 109, 109]: 109 of 117 pixels are there, 211 of 227 behind a pad of 16."""
    x, y, inside = warp_region(coordinates(250, 300), from_matlab(1, 1, 100, 100), mean=BLACK).transpose(2, 0, 1)
    assert (inside[16:, 16:] == 1).all()
    assert not inside[:16].any()
    assert not inside[:, :16].any()
    i = np.arange(211)
    np.testing.assert_allclose(x[16, 16:], np.clip(1 + (i + 0.5) * 109 / 211 - 0.5, 1, 109), rtol=1e-12)
    np.testing.assert_allclose(y[16:, 16], x[16, 16:], rtol=1e-12)


def test_the_other_two_borders() -> None:
    """The same at the lower right of 100 × 100 pixels: what is missing is below and to the right."""
    shown = warp_region(coordinates(100, 100), from_matlab(1, 1, 100, 100), mean=BLACK)[:, :, 2]
    assert (shown[16:210, 16:210] == 1).all()  # round(100 · 227/117) = 194
    assert shown.sum() == 194**2


def test_without_context_it_is_resizing() -> None:
    """p = 0: the box itself, whose border pixels are repeated, whatever lies beyond."""
    image = np.zeros((8, 8, 1))
    image[2:4, 3:5, 0] = [[0, 8], [16, 24]]
    image[:, 5:] = 1e9
    warped = warp_region(image, np.array([3.0, 2.0, 5.0, 4.0]), side=4, padding=0, mean=[0.0])[:, :, 0]
    np.testing.assert_array_equal(warped, [[0, 2, 6, 8], [4, 6, 10, 12], [12, 14, 18, 20], [16, 18, 22, 24]])


def test_the_mean_is_that_of_the_place() -> None:
    """What is not there is 0 and not −mean; what is there loses the mean of where it is pasted, not of where it was."""
    mean = np.arange(64.0).reshape(8, 8, 1)
    # centre 1, half 1, times 8/4: −1 … 3 are 5 pixels, of which 4 are there: pad round(8/5) = 2, size round(32/5) = 6
    warped = warp_region(np.full((4, 4, 1), 100.0), np.array([0.0, 0, 2, 2]), side=8, padding=2, mean=mean)
    expected = np.zeros((8, 8, 1))
    expected[2:, 2:] = 100 - mean[2:, 2:]
    np.testing.assert_allclose(warped, expected, rtol=0, atol=1e-12)


def test_square() -> None:
    """A box of 4 × 2 is seen as 4 × 4 about its centre: rows −1 … 2 and one more, as both ends are inside."""
    image = coordinates(8, 8)
    seen = warp_region(image, np.array([2.0, 3, 6, 5]), side=5, padding=0, convention="square", mean=BLACK)
    np.testing.assert_array_equal(seen[:, :, 0], np.tile([3, 4, 5, 6, 7], (5, 1)))  # columns 2 … 6
    np.testing.assert_array_equal(seen[:, :, 1], np.tile([[3], [4], [5], [6], [7]], (1, 5)))  # rows 2 … 6
    # the longer side may be either
    tall = warp_region(image, np.array([3.0, 2, 5, 6]), side=5, padding=0, convention="square", mean=BLACK)
    np.testing.assert_array_equal(tall, seen)


def test_halves_go_away_from_zero() -> None:
    """side 4, p 1: s = 2. A box of 3 from 0: 1.5 ± 3 is −1.5 … 4.5, which are −2 … 5."""
    x = warp_region(coordinates(9, 9), np.array([0.0, 0, 3, 3]), side=4, padding=1, mean=BLACK)[:, :, 0]
    # 8 pixels, of which 0 … 5 are there: pad round(2 · 4/8) = 1, size round(6 · 4/8) = 3, two pixels apart
    np.testing.assert_array_equal(x[1], [0, 1.5, 3.5, 5.5])
    assert not x[0].any()


def test_a_window_with_nothing_in_it() -> None:
    """Beside the picture, a box turned inside out, and so far outside that less than half a pixel is left."""
    image = np.ones((6, 6, 1))
    boxes = np.array([[10.0, 0, 20, 6], [-9, -9, -4, -4], [5, 0, 1, 6], [0, 0, 0, 6], [-999, 0, 2, 6]])
    shown = warp_regions(image, boxes, side=8, padding=0, mean=[0.0]).any(axis=(1, 2, 3))
    np.testing.assert_array_equal(shown, [False, False, False, False, False])
    assert warp_regions(image, np.zeros((0, 4)), side=8, padding=0, mean=[0.0]).shape == (0, 8, 8, 1)


@settings(max_examples=30)
@given(seeds, dtypes, layouts, st.sampled_from([(5, 0), (6, 2), (9, 1)]), st.sampled_from(["warp", "square"]))
def test_oracle(seed: int, dtype: str, layout: str, size: tuple[int, int], convention: str) -> None:
    rng = np.random.default_rng(seed)
    H, W = (int(n) for n in rng.integers(1, 12, 2))
    image, mean = rng.uniform(0, 9, (H, W, 2)).astype(dtype), rng.uniform(0, 9, (size[0], size[0], 2)).astype(dtype)
    boxes = (rng.integers(-8, 40, (3, 4)) / rng.choice([1, 2, 3])).astype(dtype)
    params = {"side": size[0], "padding": size[1], "convention": convention}
    inputs = [in_layout(x, layout) for x in (image, boxes, mean)]
    assert_agrees("warp_regions", oracle, inputs, rng=rng, params=params)


@pytest.mark.oracle
def test_opencv() -> None:
    """Caffe's layer resizes with OpenCV; of a picture of floats, without rounding."""
    cv2: Any = pytest.importorskip("cv2", reason="OpenCV is not installed")
    image = np.random.default_rng(0).uniform(0, 255, (40, 50, 3)).astype(np.float32)
    for box in ([10, 8, 31, 30], [0, 0, 20, 12], [30, 20, 50, 40]):
        got = warp_region(image, np.array(box, np.float32), side=28, padding=0, mean=BLACK)
        expected = cv2.resize(image[box[1] : box[3], box[0] : box[2]], (28, 28), interpolation=cv2.INTER_LINEAR)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-3)


def test_bad_input() -> None:
    image, box = np.zeros((4, 4, 3)), np.zeros((1, 4))
    with pytest.raises(TypeError, match="image must be float32 or float64, got uint8"):
        warp_regions(image.astype(np.uint8), box, mean=BLACK)
    with pytest.raises(ValueError, match="padding must be less than half of side, 8, got 4"):
        warp_regions(image, box, side=8, padding=4, mean=BLACK)
    with pytest.raises(ValueError, match=r"mean must be 3 numbers, one per channel, or of shape \(8, 8, 3\)"):
        warp_regions(image, box, side=8, padding=2, mean=[0.0, 0.0])
    with pytest.raises(ValueError, match="box 1 must be finite"):
        warp_regions(image, np.array([[0.0, 0, 1, 1], [0, 0, np.inf, 1]]), mean=BLACK)
    with pytest.raises(ValueError, match=r"boxes must have shape \(1, 4\)"):
        warp_regions(image, box[:, :3], mean=BLACK)
    with pytest.raises(ValueError, match="convention must be one of 'warp', 'square', got 'crop'"):
        warp_regions(image, box, mean=BLACK, convention="crop")
    with pytest.raises(ValueError, match="image must have rank 3"):
        warp_regions(image[0], box, mean=BLACK)

"""The colour spaces of Selective Search."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.proposals.colour_spaces import COLOUR_SPACES, hsv, hue, intensity, lab, rgi


def colours() -> Array:
    """Return every combination of a few levels, (n, 1, 3)."""
    levels = np.array([0.0, 1, 10, 100, 128, 254, 255])
    return np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)


def test_hsv_against_the_standard_library() -> None:
    expected = [[255 * v for v in colorsys.rgb_to_hsv(*(c / 255 for c in rgb))] for rgb in colours()[:, 0].tolist()]
    np.testing.assert_allclose(hsv(colours())[:, 0], expected, atol=1e-11)


def test_grey_has_no_hue_and_black_no_saturation() -> None:
    np.testing.assert_array_equal(hsv(np.array([[[9.0, 9, 9], [0, 0, 0]]])), [[[0, 0, 9], [0, 0, 0]]])


def test_shares_of_black_are_those_of_grey() -> None:
    np.testing.assert_allclose(rgi(np.array([[[0.0, 0, 0], [60, 60, 60]]])), [[[85, 85, 0], [85, 85, 60]]])


def test_one_channel_three_times() -> None:
    """Rec. 601: 0.299 · 100 + 0.587 · 200 + 0.114 · 50 = 153."""
    rgb = np.array([[[100.0, 200, 50]]])
    np.testing.assert_allclose(intensity(rgb), np.full((1, 1, 3), 153.0))
    np.testing.assert_allclose(hue(rgb), np.full((1, 1, 3), 255 * (2 + (50 - 100) / 150) / 6))


@pytest.mark.parametrize("name", list(COLOUR_SPACES))
def test_every_channel_lies_between_0_and_255(name: str) -> None:
    channels = COLOUR_SPACES[name](colours())
    assert channels.shape == colours().shape
    assert channels.min() >= -1e-9
    assert channels.max() <= 255 + 1e-9


@pytest.mark.oracle
def test_against_scikit_image() -> None:
    color = pytest.importorskip("skimage.color")
    expected = color.rgb2lab(colours() / 255) * [255 / 100, 1, 1] + [0, 128, 128]
    np.testing.assert_allclose(lab(colours()), expected, atol=0.01)  # its white has five digits
    np.testing.assert_allclose(hsv(colours()), 255 * color.rgb2hsv(colours() / 255), atol=1e-9)

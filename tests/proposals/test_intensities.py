"""intensities: what the numbers of a picture mean."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.proposals.intensities import intensities, rgb_intensities
from tests.agreement import in_layout


def test_bytes_stay_and_floats_are_scaled() -> None:
    picture = np.array([[[0, 51, 255]]], np.uint8)
    np.testing.assert_array_equal(intensities("op", picture), [[[0, 51, 255]]])
    np.testing.assert_array_equal(intensities("op", np.array([[[0.0, 0.5, 1.0]]], np.float32)), [[[0, 127.5, 255]]])
    assert intensities("op", picture).dtype == np.float64


@pytest.mark.parametrize("layout", ["strided", "reversed", "big-endian", "read-only", "fortran"])
def test_any_layout(layout: str) -> None:
    picture = np.arange(24.0).reshape(2, 4, 3) / 32
    np.testing.assert_array_equal(intensities("op", in_layout(picture, layout)), picture * 255)


def test_grey() -> None:
    grey = np.array([[3, 4]], np.uint8)
    np.testing.assert_array_equal(intensities("op", grey), [[[3], [4]]])
    np.testing.assert_array_equal(rgb_intensities("op", grey), [[[3, 3, 3], [4, 4, 4]]])
    np.testing.assert_array_equal(rgb_intensities("op", grey[:, :, None]), [[[3, 3, 3], [4, 4, 4]]])


@pytest.mark.parametrize("dtype", ["bool", "int64", "uint16", "float16", "longdouble", "complex128"])
def test_no_other_dtypes(dtype: str) -> None:
    with pytest.raises(TypeError, match="op: image must be uint8 in 0 … 255, or float32 or float64 in"):
        intensities("op", np.zeros((2, 2), dtype))


@pytest.mark.parametrize("value", [-1e-9, 1.001, 255, np.inf, -np.inf, np.nan])
def test_floats_outside_0_to_1(value: float) -> None:
    with pytest.raises(ValueError, match=r"op: a floating-point image must lie in \[0, 1\], got"):
        intensities("op", np.array([[0.5, value]]))


@pytest.mark.parametrize("image", [np.zeros((2, 2, 2)), np.zeros((2, 2, 4), np.uint8)])
def test_colours_are_three(image: Any) -> None:
    with pytest.raises(ValueError, match="op: image must be grey or have three channels, got shape"):
        rgb_intensities("op", image)

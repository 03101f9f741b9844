"""Maps of coordinates: laws of the algebra, and what they say of convolutions that are really computed."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet import ops
from refdet.core.coordinate_map import IDENTITY, CoordinateMap, crop, crop_offset, window_centre

fractions = st.fractions(-50, 50, max_denominator=8)
maps = st.builds(CoordinateMap, fractions.filter(bool), fractions)


@given(maps, maps, maps, fractions)
def test_laws(f: CoordinateMap, g: CoordinateMap, h: CoordinateMap, x: Fraction) -> None:
    assert f.then(g)(x) == g(f(x))
    assert f.then(g).then(h) == f.then(g.then(h))
    assert f.then(f.inverse()) == IDENTITY == f.inverse().then(f)
    assert IDENTITY.then(f) == f == f.then(IDENTITY)


def test_arrays_keep_their_dtype() -> None:
    assert window_centre(3, stride=2)(np.array([1.0, 2.0], np.float32)).dtype == np.float32
    np.testing.assert_array_equal(window_centre(4, stride=3, padding=1)(np.array([0.0, 1.0])), [0.5, 3.5])


@pytest.mark.parametrize(("kernel", "stride", "padding", "dilation"), [(3, 1, 1, 1), (5, 2, 0, 1), (3, 2, 2, 3)])
def test_the_centre_of_a_window(kernel: int, stride: int, padding: int, dilation: int) -> None:
    """A filter that is 1 at its middle tap and 0 elsewhere copies the pixel at the centre."""
    size, to_input = 17, window_centre(kernel, stride=stride, padding=padding, dilation=dilation)
    x = np.arange(1.0, size + 1).reshape(1, 1, 1, size)
    weight = np.zeros((1, 1, 1, kernel))
    weight[..., kernel // 2] = 1
    y = ops.conv2d(x, weight, stride=(1, stride), padding=(0, padding), dilation=(1, dilation)).data[0, 0, 0]
    for i, value in enumerate(y):
        centre = int(to_input(i))
        assert value == (centre + 1 if 0 <= centre < size else 0)


def test_a_transposed_window_paints_around_its_centre() -> None:
    """The centre of gravity of what input pixel 3 paints on the output."""
    x = np.zeros((1, 1, 1, 8))
    x[..., 3] = 1
    painted = ops.conv_transpose2d(x, np.ones((1, 1, 1, 4)), stride=(1, 2), padding=(0, 1)).data[0, 0, 0]
    assert painted @ np.arange(painted.size) / painted.sum() == window_centre(4, stride=2, padding=1)(3)


# VGG-16 as in FCN: 3 × 3 convolutions with padding 1, the very first with 100; 2 × 2 pooling; fc6 convolves 7 × 7.
POOL, CONV = window_centre(2, stride=2), window_centre(3, padding=1)


def to_image(*layers: CoordinateMap) -> CoordinateMap:
    result = IDENTITY
    for layer in reversed(layers):
        result = result.then(layer)
    return result


POOL3 = (window_centre(3, padding=100), CONV, POOL, CONV, CONV, POOL, CONV, CONV, CONV, POOL)
POOL4 = (*POOL3, CONV, CONV, CONV, POOL)
SCORE = (*POOL4, CONV, CONV, CONV, POOL, window_centre(7))


def upsampled(grid: CoordinateMap, factor: int) -> CoordinateMap:
    """The way to the image from a grid that a transposed convolution of kernel 2·factor has upsampled."""
    return window_centre(2 * factor, stride=factor).inverse().then(grid)


def test_the_crop_offsets_of_fcn() -> None:
    """Long, Shelhamer & Darrell: 19 for FCN-32s; 5 and 27 for 16s; 9 and 31 for 8s."""
    score, pool4, pool3 = to_image(*SCORE), to_image(*POOL4), to_image(*POOL3)
    assert crop_offset(upsampled(score, 32), IDENTITY) == 19
    fused4 = upsampled(score, 2)
    assert crop_offset(pool4, fused4) == 5
    assert crop_offset(upsampled(fused4, 16), IDENTITY) == 27
    fused3 = upsampled(fused4, 2)
    assert crop_offset(pool3, fused3) == 9
    assert crop_offset(upsampled(fused3, 8), IDENTITY) == 31


def test_a_crop_undoes_its_offset() -> None:
    assert crop_offset(IDENTITY, crop(7).inverse()) == 7


@pytest.mark.parametrize(
    ("cropped", "message"),
    [
        (POOL, "the grids must have the same stride, one pixel of the reference is 1/2 pixels"),
        (crop(-3), "the offset must be an integer of at least 0, got -3"),
        (window_centre(2), "the offset must be an integer of at least 0, got -1/2"),
    ],
)
def test_grids_that_no_crop_aligns(cropped: CoordinateMap, message: str) -> None:
    with pytest.raises(ValueError, match=f"crop_offset: {message}"):
        crop_offset(cropped, IDENTITY)

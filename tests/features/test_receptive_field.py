"""Receptive fields: printed numbers, and the pixels that a network's output really depends on."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet import Tensor, ops
from refdet.features.receptive_field import (
    Window,
    alpha,
    beta,
    image_centre,
    project_points,
    receptive_field,
    receptive_field_size,
)

CONV3 = Window(3, padding=1)
ALEXNET = [
    Window(11, 4), Window(3, 2), Window(5, padding=2), Window(3, 2), CONV3, CONV3, CONV3, Window(3, 2),
]  # fmt: skip
VGG16 = [
    CONV3, CONV3, Window(2, 2), CONV3, CONV3, Window(2, 2), *[CONV3] * 3, Window(2, 2), *[CONV3] * 3, Window(2, 2),
    *[CONV3] * 3,
]  # fmt: skip
ZF5 = [Window(7, 2, 1), Window(3, 2), Window(5, 2), Window(3, 2), CONV3, CONV3, CONV3]  # with the pads of SPP-net

windows = st.builds(Window, st.integers(1, 5), st.integers(1, 3), st.integers(0, 2), st.integers(1, 2))


def test_alexnet() -> None:
    """conv1, pool1, conv2, pool2, conv3, conv4, conv5, pool5."""
    sizes = [receptive_field_size(ALEXNET[: p + 1]) for p in range(len(ALEXNET))]
    assert sizes == [11, 19, 51, 67, 99, 131, 163, 195]
    assert (alpha(ALEXNET[:-1]), beta(ALEXNET[:-1])) == (16, Fraction(18))


def test_the_numbers_of_faster_rcnn() -> None:
    """171 and 228 pixels for ZF and VGG (Ren et al., 2015, section 3.1), the 3 × 3 filter of the RPN included."""
    assert receptive_field_size(VGG16) == 196
    assert receptive_field_size([*VGG16, Window(2, 2)]) == 212
    assert receptive_field_size([*VGG16, CONV3]) == 228
    assert receptive_field_size(ZF5) == 139
    assert receptive_field_size([*ZF5, CONV3]) == 171


def test_the_deck_and_the_released_code_of_spp_net_agree() -> None:
    """offset0 = 21 in the code is β of the deck's formula."""
    assert (alpha(ZF5), beta(ZF5)) == (16, Fraction(21))


def test_the_deck() -> None:
    assert receptive_field_size([Window(3)]) == 3
    assert receptive_field_size([Window(3), Window(3)]) == 5
    assert (alpha([CONV3, Window(2, 2)]), beta([CONV3, Window(2, 2)])) == (2, Fraction(3, 2))
    assert (alpha([CONV3, Window(4, 4)]), beta([CONV3, Window(4, 4)])) == (4, Fraction(5, 2))


def test_the_simple_solution() -> None:
    """Padding ⌊F/2⌋: response x is centred at S·x for odd filters; an even one moves it by half its input's stride."""
    odd = [Window(7, 2, 3), Window(3, 1, 1), Window(5, 3, 2)]
    assert image_centre(odd)(5) == 30
    assert image_centre([*odd, Window(2, 2, 1)])(5) == 60 - Fraction(6, 2)


def test_no_layers() -> None:
    assert (receptive_field_size([]), alpha([]), beta([]), receptive_field([], 3)) == (1, 1, Fraction(1), (3, 4))


@given(st.lists(windows, max_size=5), st.integers(0, 9), st.integers(0, 5))
def test_the_three_descriptions_agree(layers: list[Window], first: int, more: int) -> None:
    """Formula, composition of maps, and interval: i ↦ α·i + β − 1, in the middle of r pixels."""
    centre = image_centre(layers)
    assert (centre.scale, centre.shift) == (Fraction(alpha(layers)), beta(layers) - 1)
    start, stop = receptive_field(layers, first)
    assert stop - start == receptive_field_size(layers)
    assert Fraction(start + stop - 1, 2) == centre(first)
    assert receptive_field(layers, first, first + more) == (start, receptive_field(layers, first + more)[1])


@given(st.lists(windows, min_size=1, max_size=3), st.integers(0, 3))
def test_the_gradient_of_a_response_is_its_receptive_field(layers: list[Window], i: int) -> None:
    size = 200
    x = Tensor(np.zeros((1, 1, 1, size)), requires_grad=True)
    y: Any = x
    for F, S, P, D in layers:
        y = ops.conv2d(y, np.ones((1, 1, 1, F)), stride=(1, S), padding=(0, P), dilation=(1, D))
    y[0, 0, 0, i].backward()
    assert x.grad is not None
    seen = np.flatnonzero(x.grad[0, 0, 0])
    start, stop = receptive_field(layers, i)
    inside = seen.size and max(start, 0) <= seen[0] and seen[-1] < min(stop, size)
    assert inside or not seen.size
    gapless = all(D == 1 and F >= S for F, S, _, D in layers)
    if start >= 0 and stop <= size and gapless:
        assert (seen[0], seen[-1] + 1) == (start, stop)


def test_points() -> None:
    """One layer of 3 × 3 with stride 2 and no padding: responses are centred at 1, 3, 5 …"""
    points, layers = np.array([1.0, 4.0]), [Window(3, 2)]
    np.testing.assert_array_equal(project_points(points, layers), [0.0, 1.5])
    np.testing.assert_array_equal(project_points(points, layers, convention="scale"), [0.5, 2.0])
    np.testing.assert_array_equal(project_points(points, layers, convention="half_pixel"), [0.25, 1.75])
    assert project_points(points.astype(np.float32), layers).dtype == np.float32


@given(st.lists(windows, max_size=4))
def test_projecting_undoes_the_centre(layers: list[Window]) -> None:
    responses = np.arange(5.0)
    np.testing.assert_allclose(project_points(image_centre(layers)(responses), layers), responses, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_centres_go_to_whole_responses(dtype: str) -> None:
    """Multiplied by 1/49, 49 would become a little less than 1."""
    layers, responses = [Window(7, 7), Window(7, 7)], np.arange(200.0)
    found = project_points(image_centre(layers)(responses).astype(dtype), layers)
    np.testing.assert_array_equal(found, responses)


def test_bad_input() -> None:
    with pytest.raises(ValueError, match=r"layer 1 must have integer kernel.*got \(0, 1, 0, 1\)"):
        receptive_field_size([CONV3, Window(0)])
    with pytest.raises(ValueError, match=r"layer 0 .* got \(3, 1, -1, 1\)"):
        beta([Window(3, padding=-1)])
    with pytest.raises(ValueError, match=r"layer 0 .* got \(3, 1.5, 0, 1\)"):
        alpha([Window(3, stride=1.5)])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="convention must be one of 'scale', 'rf_centre', 'half_pixel', got 'centre'"):
        project_points(np.zeros(2), [CONV3], convention="centre")
    with pytest.raises(TypeError, match="points must be float32 or float64, got int64"):
        project_points(np.arange(2), [CONV3])

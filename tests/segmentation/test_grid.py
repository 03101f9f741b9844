"""Grids: sizes and places of maps, against layers that are really run."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refdet import nn
from refdet.segmentation.bilinear import BilinearUpsampling
from refdet.segmentation.grid import Grid, image_grid, offset_onto, through

RNG = np.random.default_rng(0)
LAYERS: list[nn.Module] = [
    nn.Conv2d(1, 1, 3, padding=100, rng=RNG),
    nn.Conv2d(1, 1, 5, stride=2, padding=((1, 2), (1, 2)), rng=RNG),
    nn.Conv2d(1, 1, 3, dilation=2, padding="same_upper", rng=RNG),
    nn.MaxPool2d(2),
    nn.MaxPool2d(2, ceil_mode=True),
    nn.MaxPool2d(3, stride=2, padding=1, ceil_mode=True),
    nn.MaxPool2d(3, stride=1, dilation=2),
    nn.MaxPool2d(1, stride=3, ceil_mode=True),
    nn.MaxPool2d(1, stride=3, ceil_mode=True, convention="caffe"),
    nn.ConvTranspose2d(1, 1, 4, stride=3, padding=1, output_padding=2, rng=RNG),
    BilinearUpsampling(1, 4, learned=False),
    nn.ReLU(),
    nn.Dropout(),
    nn.Sequential(nn.Conv2d(1, 1, 3, rng=RNG), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True)),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_sizes_are_those_of_a_run(layer: nn.Module) -> None:
    for n in range(6, 13):
        y = layer(np.zeros((1, 1, n, n), np.float32))
        assert through(layer, image_grid(n)).size == y.shape[2] == y.shape[3]


def test_places_by_hand() -> None:
    """A convolution that keeps the size, and a pooling: pixel 0 lies between pixels 0 and 1, the next 2 further."""
    layers = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, rng=RNG), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True))
    size, to_image = through(layers, image_grid(7))
    assert (size, to_image(0), to_image(1)) == (4, Fraction(1, 2), Fraction(5, 2))


def test_upsampling_puts_pixels_between_pixels() -> None:
    """Of what tents of half width 2 make, pixels 1 and 2 are a quarter before and a quarter behind pixel 0."""
    size, to_image = through(BilinearUpsampling(1, 2, learned=False), image_grid(2))
    assert (size, to_image(1), to_image(2)) == (6, Fraction(-1, 4), Fraction(1, 4))


@pytest.mark.parametrize(
    ("layer", "first", "step"),
    [
        (nn.Conv2d(1, 1, 3, stride=2, padding=1, rng=RNG), Fraction(0), 2),
        (nn.Conv2d(1, 1, 3, dilation=2, padding=1, rng=RNG), Fraction(1), 1),
        (nn.MaxPool2d(3, stride=2, dilation=2), Fraction(2), 2),
        (nn.ConvTranspose2d(1, 1, 4, stride=2, padding=1, rng=RNG), Fraction(-1, 4), Fraction(1, 2)),
        (nn.ConvTranspose2d(1, 1, 3, stride=2, dilation=2, rng=RNG), Fraction(-1), Fraction(1, 2)),
    ],
)
def test_pixel_0_and_the_step_by_hand(layer: nn.Module, first: Fraction, step: Fraction) -> None:
    to_image = through(layer, image_grid(9)).to_image
    assert (to_image(0), to_image(1) - to_image(0)) == (first, step)


@pytest.mark.parametrize(
    ("cropped", "reference", "message"),
    [
        (Grid(9, image_grid(9).to_image), Grid(10, image_grid(10).to_image), "10 pixels are needed from pixel 0 on"),
        (
            through(nn.MaxPool2d(2), image_grid(8)),
            image_grid(4),
            "the grids must have the same stride, one pixel of the reference is 1/2 pixels",
        ),
        (
            through(nn.Conv2d(1, 1, 3, rng=RNG), image_grid(8)),
            image_grid(4),
            "the offset must be an integer of at least 0, got -1",
        ),
    ],
)
def test_grids_that_cannot_be_laid_on_each_other(cropped: Grid, reference: Grid, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        offset_onto(cropped, reference)


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [
        (nn.Conv2d(1, 1, 7, rng=RNG), ValueError, "through: a convolution of 7 taps does not fit into 3 pixels"),
        (nn.MaxPool2d(5), ValueError, "through: a pooling window of 5 does not fit into 3 pixels"),
        (
            nn.ConvTranspose2d(1, 1, 2, padding=4, rng=RNG),
            ValueError,
            "through: a transposed convolution of 2 taps leav",
        ),
        (nn.Flatten(), TypeError, "through: how a Flatten moves pixels is not known"),
    ],
)
def test_layers_without_a_grid(layer: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        through(layer, image_grid(3))


def test_an_image_has_pixels() -> None:
    with pytest.raises(ValueError, match="image_grid: size must be at least 1, got 0"):
        image_grid(0)

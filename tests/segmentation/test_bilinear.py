"""Bilinear upsampling: the weights, what it interpolates, and that interpolating twice is not interpolating once."""

from __future__ import annotations

import numpy as np
import pytest

from refdet import nn
from refdet.segmentation.bilinear import BilinearUpsampling
from tests.agreement import Array


def upsampling(factor: int, n_channels: int = 1) -> BilinearUpsampling:
    return BilinearUpsampling(n_channels, factor, learned=False, dtype=np.float64)


@pytest.mark.parametrize("factor", [1, 2, 8, 16, 32])
def test_weights_are_a_tent_on_the_diagonal(factor: int) -> None:
    weight = upsampling(factor, n_channels=3).weight.data
    distance = np.abs(np.arange(2 * factor) - (factor - 0.5))
    tent = 1 - distance / factor
    for c in range(3):
        np.testing.assert_array_equal(weight[c, c], np.outer(tent, tent))
        assert not np.delete(weight[c], c, axis=0).any()
    assert weight[0, 0].sum() == pytest.approx(factor**2)


def test_an_affine_map_stays_affine() -> None:
    """Inside, where four pixels meet, pixel a of the output is at (a + ½)/4 − ½ − ½ of the input's coordinates."""
    y, x = np.mgrid[:5, :6].astype(np.float64)
    fine = upsampling(4)((2 * x - 3 * y + 7)[None, None]).data[0, 0]
    v, u = ((np.arange(n) + 0.5) / 4 - 1 for n in fine.shape)
    expected = 2 * u - 3 * v[:, None] + 7
    np.testing.assert_allclose(fine[4:-4, 4:-4], expected[4:-4, 4:-4], rtol=1e-13)


@pytest.mark.oracle
@pytest.mark.parametrize("factor", [2, 4, 8])
def test_inside_it_is_torchs_interpolation(factor: int) -> None:
    torch = pytest.importorskip("torch", reason="torch, which is compared with, is not installed")
    x = np.random.default_rng(0).standard_normal((1, 2, 5, 6))
    ours = upsampling(factor, n_channels=2)(x).data
    theirs = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=factor, mode="bilinear", align_corners=False
    ).numpy()
    crop = factor // 2  # theirs has no border that fades
    ours = ours[:, :, crop:-crop, crop:-crop]
    assert ours.shape == theirs.shape
    inside = (..., slice(factor, -factor), slice(factor, -factor))
    np.testing.assert_allclose(ours[inside], theirs[inside], rtol=1e-12, atol=1e-14)


def painted(*factors: int) -> Array:
    """Return what the upsamplings, one after the other, make of a single 1."""
    x = np.ones((1, 1, 1, 1))
    for factor in factors:
        x = upsampling(factor)(x).data
    result: Array = x[0, 0]
    return result


def test_two_steps_have_more_taps_than_one() -> None:
    """As one transposed convolution of stride 32: 64 taps, 80 in two steps, 88 in three."""
    assert [len(painted(*f)) for f in ((32,), (2, 16), (2, 2, 8))] == [64, 80, 88]


def test_two_steps_cut_the_corners_of_the_tent() -> None:
    """They are equal wherever both axes are 8 or more away from the tent's foot, −32 and 32, and its top, 0."""
    once, twice = np.pad(painted(32), 8), painted(2, 16)
    distance = np.abs(np.arange(80) - 39.5)
    straight = np.abs(distance[:, None] - [0, 32]).min(axis=1) >= 8
    assert straight.sum() == 32
    np.testing.assert_allclose(twice[np.ix_(straight, straight)], once[np.ix_(straight, straight)], atol=1e-15)
    cut = once[39] - twice[39]  # along the row nearest to the top
    assert (np.abs(cut[~straight]) > 1e-3).all()
    assert np.abs(once - twice).max() < 2 * 2 / 8  # |1 − 2·0 + … |: second differences of (0, 1, 0) are 2, on two axes


def test_frozen_or_learned() -> None:
    assert not upsampling(2).weight.requires_grad
    assert BilinearUpsampling(1, 2, learned=True).weight.requires_grad


@pytest.mark.parametrize(
    ("n_channels", "factor", "learned", "error", "message"),
    [
        (0, 2, False, ValueError, "BilinearUpsampling: n_channels must be at least 1, got 0"),
        (1, 2.0, False, TypeError, "BilinearUpsampling: factor must be an integer, got 2.0"),
        (1, 2, "yes", TypeError, "BilinearUpsampling: learned must be True or False, got 'yes'"),
    ],
)
def test_bad_options(n_channels: int, factor: int, learned: bool, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        BilinearUpsampling(n_channels, factor, learned=learned)


def test_a_frozen_weight_gets_no_gradient() -> None:
    layers = nn.Sequential(nn.Conv2d(1, 1, 1, rng=np.random.default_rng(0)), BilinearUpsampling(1, 2, learned=False))
    layers(np.ones((1, 1, 2, 2), np.float32)).sum().backward()
    (convolution, upsampled) = layers
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(upsampled, BilinearUpsampling)
    assert convolution.weight.grad is not None
    assert upsampled.weight.grad is None

"""gradient_edges: contrast, direction, thinning."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given

from refdet.core.check import Array
from refdet.proposals.gradient_edges import gradient_edges
from tests.agreement import in_layout, layouts, seeds


def half_plane(angle: float, size: int = 31) -> Array:
    """Return 1 where the direction `angle` from the centre leads to, else 0; between pixels it is sharp."""
    y, x = np.indices((size, size)) - size // 2
    return (x * math.cos(angle) + y * math.sin(angle) > 0.25).astype(np.float64)


def test_a_step_has_its_contrast() -> None:
    """E ≈ |b − a|; sampled at the pixel next to the step, Σ_{t ≥ 1} t e^(−t² / 2σ²) / σ² = 0.962 of it."""
    t = np.arange(1, 7)
    share = (t * np.exp(-(t**2) / 4.5)).sum() / 2.25
    edges, _ = gradient_edges(0.25 + 0.5 * half_plane(0))
    row = edges[15]
    assert np.flatnonzero(row).tolist() == [16]  # the brighter of the two pixels at the step
    np.testing.assert_allclose(row[16], 0.5 * share, rtol=1e-3)


@pytest.mark.parametrize(("sigma", "expected"), [(0.5, 0.536), (1.0, 0.912), (2.0, 0.979)])
def test_a_step_under_a_narrow_gaussian(sigma: float, expected: float) -> None:
    """What the module says of σ = 1/2 and of σ ≥ 1."""
    edges, _ = gradient_edges(half_plane(0), sigma=sigma)
    np.testing.assert_allclose(edges[15].max(), expected, atol=5e-4)


@pytest.mark.parametrize("degrees", range(0, 360, 45))
def test_the_orientation_is_that_of_the_normal(degrees: int) -> None:
    edges, orientation = gradient_edges(half_plane(math.radians(degrees)))
    middle = edges[10:21, 10:21] > 0.5
    found = orientation[10:21, 10:21][middle]
    assert middle.sum() in (11, 21)  # one pixel per row or column, or per diagonal step
    np.testing.assert_allclose(np.cos(2 * (found - math.radians(degrees))), 1, atol=1e-6)


def test_no_edges_in_a_constant_picture_or_on_a_slope() -> None:
    """On a slope the gradient is the same everywhere: a plateau has no ridge, but where the border flattens it."""
    for picture in (np.full((9, 8), 0.5), np.full((9, 8, 3), 7, np.uint8)):
        edges, orientation = gradient_edges(picture)
        assert not edges.any()
        assert not orientation.any()
    edges, _ = gradient_edges(np.tile(np.arange(40) / 64, (30, 1)))
    assert not edges[:, 8:-8].any()


def test_the_channel_with_the_longest_gradient() -> None:
    """A weak step to the right in red, a strong one downwards in blue."""
    picture = np.zeros((31, 31, 3))
    picture[:, :, 0], picture[:, :, 2] = 0.25 * half_plane(0), 0.75 * half_plane(math.pi / 2)
    edges, orientation = gradient_edges(picture)
    np.testing.assert_allclose(orientation[16, 16], math.pi / 2)
    np.testing.assert_array_equal(edges[16], gradient_edges(picture[:, :, 2])[0][16])
    np.testing.assert_array_equal(edges[:8], gradient_edges(picture[:, :, 0])[0][:8])


@given(seed=seeds, layout=layouts)
def test_what_all_maps_are(seed: int, layout: str) -> None:
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (12, 13, 3)).astype(np.uint8)
    edges, orientation = gradient_edges(in_layout(picture, layout))
    assert edges.dtype == orientation.dtype == np.float32
    assert edges.min() >= 0
    assert edges.max() <= 1
    assert orientation.min() >= 0
    assert orientation.max() < math.pi
    as_floats = gradient_edges(picture / 255)
    np.testing.assert_allclose(edges, as_floats[0], atol=1e-6)
    assert as_floats[0].dtype == np.float64
    grey = picture[:, :, 0]
    np.testing.assert_array_equal(gradient_edges(grey), gradient_edges(np.repeat(grey[:, :, None], 3, axis=2)))


@given(seed=seeds)
def test_turning_the_picture_turns_the_edges(seed: int) -> None:
    """Half a turn takes every gradient to its opposite: the same orientation, and the same ridges but for ties."""
    picture = np.random.default_rng(seed).random((14, 15))
    edges, orientation = gradient_edges(picture)
    turned_edges, turned_orientation = gradient_edges(picture[::-1, ::-1])
    np.testing.assert_allclose(turned_edges[::-1, ::-1], edges, atol=1e-12)
    np.testing.assert_allclose(np.cos(2 * (turned_orientation[::-1, ::-1] - orientation)), 1, atol=1e-9)


def test_against_scipy() -> None:
    """Where a ridge stays, it has the magnitude that scipy computes."""
    from scipy.ndimage import gaussian_gradient_magnitude

    picture = np.random.default_rng(0).random((30, 40))
    expected = gaussian_gradient_magnitude(picture, 2.0, mode="nearest", truncate=4.0) * 2 * math.sqrt(2 * math.pi)
    edges, _ = gradient_edges(picture, sigma=2.0)
    assert 50 < (edges > 0).sum() < 400
    np.testing.assert_allclose(edges[edges > 0], expected[edges > 0], rtol=1e-6)


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (4, 0), (1, 1), (1, 5), (5, 1)])
def test_small_pictures(size: tuple[int, int]) -> None:
    edges, orientation = gradient_edges(np.full(size, 0.5))
    np.testing.assert_array_equal(edges, np.zeros(size))
    np.testing.assert_array_equal(orientation, np.zeros(size))


@pytest.mark.parametrize(
    ("picture", "sigma", "message"),
    [
        (np.full((3, 3), 2.0), 1.5, r"gradient_edges: a floating-point image must lie in \[0, 1\], got 2"),
        (np.full((3, 3), np.nan), 1.5, r"must lie in \[0, 1\], got nan"),
        (np.zeros(3), 1.5, r"gradient_edges: image must be \(H, W\) or \(H, W, C\)"),
        (np.zeros((3, 3)), 0.0, r"gradient_edges: sigma must lie in \[0.5, 100\], got 0"),
        (np.zeros((3, 3)), 101.0, r"gradient_edges: sigma must lie in \[0.5, 100\], got 101"),
    ],
)
def test_bad_input(picture: Array, sigma: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        gradient_edges(picture, sigma=sigma)


def test_bad_dtype() -> None:
    with pytest.raises(TypeError, match="gradient_edges: image must be uint8 in 0 … 255, or float32 or float64"):
        gradient_edges(np.zeros((3, 3), int))

"""The Gaussian and its derivative."""

from __future__ import annotations

import math

import numpy as np
import pytest

from refdet.proposals.gaussian import gradient, smooth


def test_an_impulse_gives_the_kernel() -> None:
    """σ = 1/2, radius 2: exp(0), exp(−2), exp(−8) over their sum."""
    impulse = np.zeros((1, 7, 1))
    impulse[0, 3] = 1
    weights = np.exp([-8.0, -2, 0, -2, -8])
    np.testing.assert_allclose(smooth(impulse, 0.5)[0, 1:6, 0], weights / weights.sum(), rtol=1e-14)


@pytest.mark.parametrize("sigma", [0, 1e-200, 1e-160, 0.0099, 0.01])
def test_no_smoothing(sigma: float) -> None:
    """The formula gives that too, up to exp(−1/2σ²) for σ = 1/100; a σ whose square is 0 gives 0/0."""
    field = np.arange(6.0).reshape(2, 3, 1)
    np.testing.assert_array_equal(smooth(field, sigma), field)


def test_the_border_repeats_the_last_pixel() -> None:
    """Left of the step all is 0, however far the Gaussian reaches beyond the picture."""
    step = np.repeat([[0.0, 0.0, 1.0]], 2, axis=0)[:, :, None]
    np.testing.assert_allclose(smooth(step, 1)[0], smooth(np.pad(step, ((9, 9), (9, 9), (0, 0)), "edge"), 1)[9, 9:12])


def test_the_derivative_of_a_ramp_is_its_slope() -> None:
    """Up to what is cut off beyond 4σ, a thousandth; x counts columns."""
    y, x = np.indices((21, 23)).astype(np.float64)
    along_x, along_y = gradient((3 * x - 5 * y)[:, :, None], 1)
    np.testing.assert_allclose(along_x[10, 11], 3, rtol=2e-3)
    np.testing.assert_allclose(along_y[10, 11], -5, rtol=2e-3)


def test_a_unit_step_is_at_most_as_steep_as_the_peak() -> None:
    step = np.repeat([[0.0, 1.0]], 15, axis=1)[:, :, None]
    for sigma in (0.8, 1, 2):
        along_x, _ = gradient(step, sigma)
        assert 0.8 < along_x.max() * sigma * math.sqrt(2 * math.pi) <= 1


@pytest.mark.oracle
@pytest.mark.parametrize("sigma", [0.5, 0.8, 1.0, 2.3])
def test_against_scipy(sigma: float) -> None:
    ndimage = pytest.importorskip("scipy.ndimage")
    field = np.random.default_rng(0).random((9, 12, 2))
    options = {"sigma": (sigma, sigma, 0), "mode": "nearest", "radius": (math.ceil(4 * sigma),) * 2 + (0,)}
    np.testing.assert_allclose(smooth(field, sigma), ndimage.gaussian_filter(field, **options), atol=1e-14)
    along_x, along_y = gradient(field, sigma)
    np.testing.assert_allclose(along_x, ndimage.gaussian_filter(field, order=(0, 1, 0), **options), atol=1e-13)
    np.testing.assert_allclose(along_y, ndimage.gaussian_filter(field, order=(1, 0, 0), **options), atol=1e-13)

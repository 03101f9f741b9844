"""truncated_gaussian: the definition, what is cut off, the border, its gradient, its errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import gradcheck
from refdet.crf.features import position_features
from refdet.crf.gaussian_kernel import gaussian_kernel
from refdet.crf.truncated_gaussian import truncated_gaussian
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import truncated_gaussian as oracle


def filtered_row(values: Sequence[float], sigma: float, truncate: float) -> Array:
    image = np.array(values, np.float64).reshape(1, -1, 1)
    return truncated_gaussian(image, sigma, truncate=truncate).data.ravel()


def test_hand_example() -> None:
    """σ = 1: e^−½ at distance 1, e⁻² at distance 2, and nothing at distance 3."""
    expected = [1 + 8 * np.exp(-2), np.exp(-0.5) * 9, 8 + np.exp(-2), 8 * np.exp(-0.5), 8 * np.exp(-2), 0]
    np.testing.assert_allclose(filtered_row([1, 0, 8, 0, 0, 0], 1, 2), expected)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = tuple(data.draw(st.integers(0, 5)) for _ in range(3))
    values = in_layout(rng.standard_normal(shape).astype(dtype), layout)
    sigma = tuple(data.draw(st.sampled_from([0.1, 0.5, 1.0, 1.7, 10.0])) for _ in range(2))
    params = {"sigma": sigma, "truncate": data.draw(st.sampled_from([0.0, 1.0, 2.5, 4.0]))}
    assert_agrees("truncated_gaussian", oracle, [values], rng=rng, params=params)


@pytest.mark.parametrize("truncate", [3.0, 4.0])
def test_what_is_cut_off_is_small(truncate: float) -> None:
    """Against the matrix of all pairs: every entry differs by less than exp(−truncate²/2)."""
    shape = (12, 17)
    n = shape[0] * shape[1]
    theta_x, theta_y = 2.0, 1.25
    K = gaussian_kernel(position_features(shape, (theta_x, theta_y))).data
    cut = truncated_gaussian(np.eye(n).reshape(*shape, n), (theta_y, theta_x), truncate=truncate).data.reshape(n, n)
    assert 0 < np.abs(K - cut).max() <= np.exp(-(truncate**2) / 2)


def test_gradient() -> None:
    rng = np.random.default_rng(0)
    gradcheck(lambda v: truncated_gaussian(v, (0.8, 1.6), truncate=2), [rng.standard_normal((4, 5, 2))], rng=rng)


def test_one_sigma_for_both_axes() -> None:
    values = np.random.default_rng(0).standard_normal((4, 5, 2))
    np.testing.assert_array_equal(truncated_gaussian(values, 1.5).data, truncated_gaussian(values, (1.5, 1.5)).data)


def test_it_is_not_normalised() -> None:
    """Ones become the mass of the kernel, σ √(2π) in each direction, and a quarter of it in a corner."""
    y = truncated_gaussian(np.ones((61, 61, 1)), 3.0, truncate=6).data[:, :, 0]
    np.testing.assert_allclose(y[30, 30], 9 * 2 * np.pi, rtol=1e-8)
    np.testing.assert_allclose(y[0, 0], ((3 * np.sqrt(2 * np.pi) + 1) / 2) ** 2, rtol=1e-8)


def test_the_radius_is_rounded_up() -> None:
    assert np.count_nonzero(filtered_row([0] * 5 + [1] + [0] * 5, 1.0, 2.0)) == 5
    assert np.count_nonzero(filtered_row([0] * 5 + [1] + [0] * 5, 1.0, 2.001)) == 7


@pytest.mark.parametrize(("sigma", "expected"), [(1e-200, [0, 1, 0, 0]), (1e200, [1, 1, 1, 1])])
def test_extreme_sigmas(sigma: float, expected: list[int]) -> None:
    """Next to nothing of a pixel reaches the next one, or all of it reaches everywhere."""
    np.testing.assert_array_equal(filtered_row([0, 1, 0, 0], sigma, 4), expected)
    np.testing.assert_array_equal(filtered_row([0, 1, 0, 0], sigma, 1e300), expected)


def test_a_nan_goes_no_further_than_the_radius() -> None:
    np.testing.assert_array_equal(
        np.isnan(filtered_row([0, 0, 0, np.nan, 0, 0, 0], 1, 1)), [False, False, True, True, True, False, False]
    )


@pytest.mark.parametrize(
    ("values", "sigma", "options", "error", "message"),
    [
        (np.zeros((3, 3)), 1, {}, ValueError, r"values must have rank 3 \(H, W, V\), got rank 2"),
        (np.zeros((3, 3, 1), int), 1, {}, TypeError, "values must be float32 or float64, got int64"),
        (np.zeros((3, 3, 1)), 0, {}, ValueError, r"sigma must lie in \(0, inf\), got 0"),
        (np.zeros((3, 3, 1)), (1, 2, 3), {}, ValueError, "sigma must be two numbers, vertical and horizontal"),
        (np.zeros((3, 3, 1)), (1, np.nan), {}, ValueError, "sigma must be a finite number, got nan"),
        (np.zeros((3, 3, 1)), 1, {"truncate": -1}, ValueError, r"truncate must lie in \[0, inf\), got -1"),
    ],
)
def test_bad_input(values: Array, sigma: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"truncated_gaussian: {message}"):
        truncated_gaussian(values, sigma, **options)

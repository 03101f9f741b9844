"""local_response_norm_within_channel: the window, its border, the gradient, 0/0, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.local_response_norm_within_channel import local_response_norm_within_channel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import local_response_norm_within_channel as oracle


def test_hand_example() -> None:
    """With k = 0, α = n², β = 1 the output is x over the sum of squares in its 3 × 3 window."""
    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    y = local_response_norm_within_channel(x[None, None], size=3, alpha=9, beta=1, k=0).data[0, 0]
    corner, centre = 1 + 4 + 16 + 25, 1 + 4 + 9 + 16 + 25 + 36
    np.testing.assert_allclose(x / y, [[corner, centre, 74], [corner, centre, 74]], rtol=1e-14)


def test_the_divisor_is_not_clipped_at_the_border() -> None:
    """Ones, n = 3: the corner sees 4 of 9 pixels and adds α·4/9, not α."""
    y = local_response_norm_within_channel(np.ones((1, 1, 3, 3)), size=3, alpha=9, beta=1, k=1).data[0, 0]
    np.testing.assert_allclose(1 / y, [[5, 7, 5], [7, 10, 7], [5, 7, 5]], rtol=1e-14)


def test_channels_do_not_see_each_other() -> None:
    x = np.zeros((1, 2, 1, 1))
    x[0, 0] = 100
    x[0, 1] = 1
    y = local_response_norm_within_channel(x, size=1, alpha=1, beta=1, k=1).data.ravel()
    np.testing.assert_allclose(y, [100 / 10001, 1 / 2])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = [data.draw(st.integers(0, n)) for n in (2, 2, 5, 5)]
    params = {
        "size": data.draw(st.sampled_from([1, 3, 5, 11])),
        "alpha": data.draw(st.sampled_from([1e-4, 1.0, 5.0, 0.0])),
        "beta": data.draw(st.sampled_from([0.75, 1.0, 0.5])),
        "k": data.draw(st.sampled_from([1.0, 2.0])),
    }
    x = in_layout(rng.standard_normal(shape).astype(dtype), layout)
    assert_agrees("local_response_norm_within_channel", oracle, [x], rng=rng, params=params)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_gradient(size: int) -> None:
    rng = np.random.default_rng(0)
    gradcheck(
        lambda x: local_response_norm_within_channel(x, size=size, alpha=2.0, beta=0.75, k=1.5),
        [rng.standard_normal((2, 2, 4, 5))],
        rng=rng,
    )


def test_zero_window_with_zero_k_is_nan() -> None:
    x = Tensor(np.array([0.0, 0.0, 0.0, 2.0]).reshape(1, 1, 1, 4), requires_grad=True)
    y = local_response_norm_within_channel(x, size=3, alpha=9, beta=1, k=0)
    np.testing.assert_array_equal(y.data.ravel(), [np.nan, np.nan, 0, 0.5])
    y.backward(np.ones(y.shape))
    assert x.grad is not None
    assert np.isnan(x.grad.ravel()[0])


def test_beta_0_is_the_identity_whatever_the_window_holds() -> None:
    x = Tensor(np.array([[[[0.0, 0.0, 0.0, 2.0, np.inf, np.nan]]]]), requires_grad=True)
    y = local_response_norm_within_channel(x, size=3, alpha=9, beta=0, k=0)
    np.testing.assert_array_equal(y.data, x.data)
    dy = np.arange(1.0, 7.0).reshape(1, 1, 1, 6)
    y.backward(dy)
    np.testing.assert_array_equal(x.grad, dy)


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4, 4), {}, r"x must have rank 4 \(N, C, H, W\), got rank 2"),
        ((1, 1, 4, 4), {"size": 4}, "size must be odd, got 4"),
        ((1, 1, 4, 4), {"size": -1}, "size must be at least 1, got -1"),
        ((1, 1, 4, 4), {"alpha": -1.0}, r"alpha must lie in \[0, inf\), got -1.0"),
        ((1, 1, 4, 4), {"k": -1.0}, r"k must lie in \[0, inf\), got -1.0"),
        ((1, 1, 4, 4), {"beta": float("nan")}, "beta must be a finite number"),
    ],
)
def test_bad_input(shape: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"local_response_norm_within_channel: {message}"):
        local_response_norm_within_channel(np.ones(shape), **options)


def test_bad_dtype() -> None:
    with pytest.raises(TypeError, match="local_response_norm_within_channel: x must be float32 or float64, got int64"):
        local_response_norm_within_channel(np.ones((1, 1, 4, 4), int))

"""local_response_norm: the windows and α of every convention, the gradient, 0/0, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.local_response_norm import local_response_norm
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import local_response_norm as oracle

CONVENTIONS = ["paper", "caffe", "torch", "onnx"]
SQUARES = [1, 4, 9, 16, 25, 36, 49, 64]

# Σ of the squares of 1 … 8 in the window of each channel
WINDOW_SUMS = {
    ("paper", 2): [5, 14, 29, 50, 77, 110, 149, 113],  # c−1 … c+1
    ("torch", 2): [1, 5, 13, 25, 41, 61, 85, 113],  # c−1, c
    ("onnx", 2): [5, 13, 25, 41, 61, 85, 113, 64],  # c, c+1
    ("paper", 4): [14, 30, 55, 90, 135, 190, 174, 149],  # c−2 … c+2
    ("torch", 4): [5, 14, 30, 54, 86, 126, 174, 149],  # c−2 … c+1
    ("onnx", 4): [14, 30, 54, 86, 126, 174, 149, 113],  # c−1 … c+2
    **{(convention, 1): SQUARES for convention in CONVENTIONS},
    **{(convention, 3): [5, 14, 29, 50, 77, 110, 149, 113] for convention in CONVENTIONS},
    **{(convention, 5): [14, 30, 55, 90, 135, 190, 174, 149] for convention in CONVENTIONS},
    **{(convention, 99): [204] * 8 for convention in CONVENTIONS},
}


@pytest.mark.parametrize(("convention", "size"), sorted(WINDOW_SUMS))
def test_windows_by_hand(convention: str, size: int) -> None:
    """With k = 0, α' = 1, β = 1 the output is x over the sum of squares in the window."""
    x = np.arange(1.0, 9.0).reshape(1, 8, 1)
    alpha = 1 if convention == "paper" else size
    y = local_response_norm(x, size=size, alpha=alpha, beta=1, k=0, convention=convention).data.ravel()
    np.testing.assert_allclose(x.ravel() / y, WINDOW_SUMS[convention, size], rtol=1e-14)


def test_alexnet_alpha_is_five_times_larger_elsewhere() -> None:
    """α = 1e-4 of the paper is α = 5e-4 where α is divided by n = 5; the other defaults are the paper's."""
    x = 100 * np.random.default_rng(0).standard_normal((2, 7, 3, 3))
    paper = local_response_norm(x).data
    for convention in ("caffe", "torch", "onnx"):
        other = local_response_norm(x, size=5, alpha=5e-4, beta=0.75, k=2, convention=convention)
        np.testing.assert_allclose(other.data, paper, rtol=1e-14)
    np.testing.assert_allclose(paper[0, 0, 0, 0], x[0, 0, 0, 0] / (2 + 1e-4 * (x[0, :3, 0, 0] ** 2).sum()) ** 0.75)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    convention = data.draw(st.sampled_from(CONVENTIONS))
    shape = [data.draw(st.integers(0, 2)), data.draw(st.integers(0, 7))]
    shape += data.draw(st.lists(st.integers(0, 3), max_size=2))
    params = {
        "size": data.draw(st.sampled_from([1, 3, 5, 9] if convention == "caffe" else [1, 2, 3, 4, 5, 6, 9])),
        "alpha": data.draw(st.sampled_from([1e-4, 0.5, 2.0, 0.0])),
        "beta": data.draw(st.sampled_from([0.75, 1.0, 0.5])),
        "k": data.draw(st.sampled_from([1.0, 2.0])),
        "convention": convention,
    }
    x = in_layout(rng.standard_normal(shape).astype(dtype), layout)
    assert_agrees("local_response_norm", oracle, [x], rng=rng, params=params)


@pytest.mark.parametrize("convention", CONVENTIONS)
@pytest.mark.parametrize("size", [3, 4])
def test_gradient(convention: str, size: int) -> None:
    """For an even size the window of the gradient is the reverse of the forward one."""
    if (convention, size) == ("caffe", 4):
        size = 7
    rng = np.random.default_rng(0)
    gradcheck(
        lambda x: local_response_norm(x, size=size, alpha=0.7, beta=0.75, k=1.5, convention=convention),
        [rng.standard_normal((2, 6, 2, 3))],
        rng=rng,
    )


def test_gradient_window_by_hand() -> None:
    """torch, size 2: channel 1 divides by channels 0 and 1, so dy on channel 1 reaches exactly those."""
    x = Tensor(np.ones((1, 4)), requires_grad=True)
    y = local_response_norm(x, size=2, alpha=2, beta=1, k=0, convention="torch")
    y.backward(np.array([[0.0, 1.0, 0.0, 0.0]]))
    # y_1 = x_1 / (x_0² + x_1²): ∂/∂x_0 = −2/4, ∂/∂x_1 = 1/2 − 2/4
    assert x.grad is not None
    np.testing.assert_allclose(x.grad, [[-0.5, 0, 0, 0]], atol=1e-15)


def test_zero_window_with_zero_k_is_nan() -> None:
    x = Tensor(np.array([[0.0, 0.0, 0.0, 2.0]]), requires_grad=True)
    y = local_response_norm(x, size=3, alpha=1, beta=1, k=0)
    np.testing.assert_array_equal(y.data, [[np.nan, np.nan, 0, 0.5]])
    y.backward(np.ones((1, 4)))
    assert x.grad is not None
    assert np.isnan(x.grad[0, 0])


def test_beta_0_is_the_identity_whatever_the_window_holds() -> None:
    x = Tensor(np.array([[0.0, 0.0, 0.0, 2.0, np.inf, np.nan]]), requires_grad=True)
    y = local_response_norm(x, size=3, alpha=1, beta=0, k=0)
    np.testing.assert_array_equal(y.data, x.data)
    dy = np.arange(1.0, 7.0).reshape(1, 6)
    y.backward(dy)
    np.testing.assert_array_equal(x.grad, dy)


def test_nan_spreads_over_its_window_only() -> None:
    y = local_response_norm(np.array([[np.nan, 1.0, 1.0, 1.0]]), size=3).data
    np.testing.assert_array_equal(np.isnan(y), [[True, True, False, False]])


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((4,), {}, r"x must have rank 2 or more \(N, C, ...\), got rank 1 with shape \(4,\)"),
        ((1, 4), {"size": 0}, "size must be at least 1, got 0"),
        ((1, 4), {"size": 4, "convention": "caffe"}, "size must be odd under convention 'caffe', got 4"),
        ((1, 4), {"alpha": -1.0}, r"alpha must lie in \[0, inf\), got -1.0"),
        ((1, 4), {"k": -1.0}, r"k must lie in \[0, inf\), got -1.0"),
        ((1, 4), {"beta": float("inf")}, "beta must be a finite number"),
        ((1, 4), {"convention": "tf"}, "convention must be one of 'paper', 'caffe', 'torch', 'onnx', got 'tf'"),
    ],
)
def test_bad_input(shape: tuple[int, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"local_response_norm: {message}"):
        local_response_norm(np.ones(shape), **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="local_response_norm: x must be float32 or float64, got int64"):
        local_response_norm(np.ones((1, 4), int))
    with pytest.raises(TypeError, match=r"local_response_norm: size must be an integer, got 2\.5"):
        local_response_norm(np.ones((1, 4)), size=2.5)  # type: ignore[arg-type]

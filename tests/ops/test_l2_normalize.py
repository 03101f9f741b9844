"""l2_normalize: the three places of ε, the gradient, the zero vector, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck, gradients
from refdet.ops.l2_normalize import l2_normalize
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import l2_normalize as oracle

CONVENTIONS = ["inside", "outside", "clamp"]
conventions = pytest.mark.parametrize("convention", CONVENTIONS)


@pytest.mark.parametrize(
    ("convention", "eps", "divisor"),
    [("inside", 11.0, 6), ("outside", 11.0, 16), ("clamp", 11.0, 11), ("clamp", 4.0, 5), ("clamp", 5.0, 5)],
)
def test_hand_example(convention: str, eps: float, divisor: int) -> None:
    """(3, 4) has length 5 and Σx² = 25; ε enters at three places."""
    y = l2_normalize(np.array([[3.0, 4.0]]), np.array([1.0, 10.0]), eps=eps, convention=convention)
    np.testing.assert_allclose(y.data, [[3 / divisor, 40 / divisor]], rtol=1e-15)


def test_positions_are_normalised_one_by_one() -> None:
    x = np.array([[[3.0, 0.0], [4.0, 2.0]]])  # two positions: (3, 4) and (0, 2)
    np.testing.assert_allclose(l2_normalize(x, eps=0).data, [[[0.6, 0], [0.8, 1]]], rtol=1e-15)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    C = data.draw(st.integers(0, 4))
    shape = [data.draw(st.integers(0, 3)), C, *data.draw(st.lists(st.integers(0, 3), max_size=2))]
    x = rng.standard_normal(shape)
    x = np.where(rng.random((shape[0], 1, *shape[2:])) < 0.2, 0.0, x)  # some zero vectors
    scale = rng.standard_normal(C).astype(dtype) if data.draw(st.booleans()) else None
    # "clamp" at eps 1 has vectors on both sides of it
    params = {"eps": data.draw(st.sampled_from([1.0, 0.1])), "convention": data.draw(st.sampled_from(CONVENTIONS))}
    inputs = [in_layout(x.astype(dtype), layout), scale if scale is None else in_layout(scale, layout)]
    assert_agrees("l2_normalize", oracle, inputs, rng=rng, params=params)


@conventions
@pytest.mark.parametrize("eps", [1e-10, 1.0])
def test_gradient(convention: str, eps: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 2, 2)) / 2
    lengths = np.sqrt((x**2).sum(axis=1))
    assert (abs(lengths - 1) > 1e-3).all()  # away from the kink of "clamp"
    assert (lengths < 1).any()
    assert (lengths > 1).any()
    gradcheck(lambda x, s: l2_normalize(x, s, eps=eps, convention=convention), [x, rng.standard_normal(4)], rng=rng)
    gradcheck(lambda x: l2_normalize(x, eps=eps, convention=convention), [x], rng=rng)


@conventions
def test_the_zero_vector(convention: str) -> None:
    """n is constant to first order there: y = 0, dx = s·dy/n with n = 2 (√4, 2 and 2)."""
    x = Tensor(np.zeros((1, 2)), requires_grad=True)
    y = l2_normalize(x, np.array([1.0, 3.0]), eps=4.0 if convention == "inside" else 2.0, convention=convention)
    np.testing.assert_array_equal(y.data, [[0, 0]])
    y.backward(np.array([[8.0, 8.0]]))
    np.testing.assert_array_equal(x.grad, [[4, 12]])


@conventions
def test_the_zero_vector_without_epsilon_is_nan(convention: str) -> None:
    x = Tensor(np.array([[0.0, 0.0], [3.0, 4.0]]), requires_grad=True)
    y = l2_normalize(x, eps=0, convention=convention)
    np.testing.assert_allclose(y.data, [[np.nan, np.nan], [0.6, 0.8]], rtol=1e-15)
    y.backward(np.ones((2, 2)))
    assert x.grad is not None
    np.testing.assert_array_equal(np.isnan(x.grad), [[True, True], [False, False]])


def test_clamp_is_linear_up_to_and_at_epsilon() -> None:
    """‖x‖ = ε = 5 exactly counts as clamped: dx = dy/5; a little smaller ε projects out the radial part."""
    x = Tensor(np.array([[3.0, 4.0]]), requires_grad=True)
    l2_normalize(x, eps=5, convention="clamp").backward(np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(x.grad, [[0.6, 0.8]], rtol=1e-15)  # type: ignore[arg-type]
    (dx,) = gradients(l2_normalize(x, eps=4.999, convention="clamp"), [x], np.array([[3.0, 4.0]]))
    np.testing.assert_allclose(dx, [[0, 0]], atol=1e-15)


def test_nan_stays_at_its_position() -> None:
    y = l2_normalize(np.array([[np.nan, 1.0], [3.0, 4.0]])).data
    np.testing.assert_array_equal(np.isnan(y), [[True, True], [False, False]])


@pytest.mark.parametrize(
    ("x", "scale", "options", "error", "message"),
    [
        (np.ones(3), None, {}, ValueError, r"x must have rank 2 or more \(N, C, ...\), got rank 1"),
        (np.ones((1, 3)), np.ones(2), {}, ValueError, r"scale must have shape \(3,\) \(one per channel of x\)"),
        (np.ones((1, 3)), None, {"eps": -1.0}, ValueError, r"eps must lie in \[0, inf\), got -1.0"),
        (np.ones((1, 3)), None, {"convention": "torch"}, ValueError, "convention must be one of 'inside', 'outside'"),
        (np.ones((1, 3)), np.ones(3, np.float32), {}, TypeError, "x is float64 but scale is float32"),
        (np.ones((1, 3), int), None, {}, TypeError, "x must be float32 or float64, got int64"),
    ],
)
def test_bad_input(x: Any, scale: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"l2_normalize: {message}"):
        l2_normalize(x, scale, **options)


def test_an_eps_that_vanishes_in_the_dtype_is_refused() -> None:
    with pytest.raises(ValueError, match=r"l2_normalize: eps = 1e-50 becomes 0 in float32"):
        l2_normalize(np.zeros((1, 2), np.float32), eps=1e-50)

"""relu, leaky_relu, sigmoid and tanh: the definitions, their gradients, the kink at 0, extremes, errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refdet.autograd import Tensor, gradcheck
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import leaky_relu as leaky_relu_oracle
from tests.oracles import relu as relu_oracle
from tests.oracles import sigmoid as sigmoid_oracle
from tests.oracles import tanh as tanh_oracle

ORACLES: dict[str, ModuleType] = {
    "relu": relu_oracle,
    "leaky_relu": leaky_relu_oracle,
    "sigmoid": sigmoid_oracle,
    "tanh": tanh_oracle,
}
OPS: dict[str, Callable[..., Tensor]] = {"relu": relu, "leaky_relu": leaky_relu, "sigmoid": sigmoid, "tanh": tanh}


def gradient(op: Callable[..., Tensor], x: NDArray[Any], dy: NDArray[Any], **options: Any) -> NDArray[Any]:
    tensor = Tensor(x, requires_grad=True)
    op(tensor, **options).backward(dy)
    assert tensor.grad is not None
    return tensor.grad


def test_hand_examples() -> None:
    x = np.array([-2.0, -0.5, 0.0, 3.0])
    np.testing.assert_array_equal(relu(x).data, [0, 0, 0, 3])
    np.testing.assert_array_equal(leaky_relu(x, negative_slope=0.25).data, [-0.5, -0.125, 0, 3])
    np.testing.assert_allclose(sigmoid(np.log([1.0, 3.0, 1 / 3])).data, [1 / 2, 3 / 4, 1 / 4], rtol=1e-15)
    np.testing.assert_allclose(tanh(np.log([1.0, 2.0, 3.0])).data, [0, 3 / 5, 8 / 10], rtol=1e-15)


@pytest.mark.parametrize("name", sorted(ORACLES))
@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(name: str, data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = data.draw(st.lists(st.integers(0, 4), max_size=4))
    x = rng.standard_normal(shape) * data.draw(st.sampled_from([1.0, 30.0, 1e4]))
    x = np.where(rng.random(shape) < 0.2, 0.0, x)  # some exact zeros: the kink
    params = {"negative_slope": data.draw(st.sampled_from([0.01, 0.0, 1.0, -0.5]))} if name == "leaky_relu" else {}
    assert_agrees(name, ORACLES[name], [in_layout(x.astype(dtype), layout)], rng=rng, params=params)


@pytest.mark.parametrize("name", sorted(OPS))
def test_gradient(name: str) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4, 5))
    x = np.where(np.abs(x) < 0.01, 0.5, x)  # away from the kink
    gradcheck(OPS[name], [x], rng=rng)


def test_kink() -> None:
    """At 0 and at −0 the gradient of relu is 0 and that of leaky_relu the slope; just above it is 1."""
    x, dy = np.array([-1.0, -0.0, 0.0, 5e-324]), np.array([2.0, 3.0, 4.0, 5.0])
    np.testing.assert_array_equal(gradient(relu, x, dy), [0, 0, 0, 5])
    np.testing.assert_array_equal(gradient(leaky_relu, x, dy, negative_slope=0.5), [1, 1.5, 2, 5])


@pytest.mark.parametrize("name", sorted(OPS))
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nan_stays_nan(name: str, dtype: str) -> None:
    y = OPS[name](np.array([np.nan, 1.0], dtype)).data
    assert np.isnan(y[0])
    assert not np.isnan(y[1])
    assert y.dtype == dtype


def test_gradient_at_nan() -> None:
    """NaN > 0 is false: relu blocks, leaky_relu scales, the smooth ones are NaN."""
    x, dy = np.array([np.nan]), np.array([2.0])
    assert gradient(relu, x, dy)[0] == 0
    assert gradient(leaky_relu, x, dy, negative_slope=0.5)[0] == 1
    assert np.isnan(gradient(sigmoid, x, dy)[0])
    assert np.isnan(gradient(tanh, x, dy)[0])


def test_relu_blocks_an_infinite_gradient() -> None:
    np.testing.assert_array_equal(gradient(relu, np.array([-1.0, 0.0]), np.array([np.inf, np.nan])), [0, 0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extremes(dtype: str) -> None:
    """±1e4 and ±∞ raise no warning (warnings are errors here) and give the limits, with gradient 0."""
    x = np.array([-np.inf, -1e4, 1e4, np.inf], dtype)
    np.testing.assert_array_equal(sigmoid(x).data, [0, 0, 1, 1])
    np.testing.assert_array_equal(tanh(x).data, [-1, -1, 1, 1])
    np.testing.assert_array_equal(relu(x).data, [0, 0, np.float64(1e4), np.inf])
    np.testing.assert_array_equal(leaky_relu(x, negative_slope=0.5).data, [-np.inf, -5e3, 1e4, np.inf])
    for op in (sigmoid, tanh):
        np.testing.assert_array_equal(gradient(op, x, np.ones(4, dtype)), np.zeros(4))


def test_leaky_relu_of_minus_infinity_with_slope_zero_is_nan() -> None:
    np.testing.assert_array_equal(leaky_relu(np.array([-np.inf, np.inf]), negative_slope=0).data, [np.nan, np.inf])


def test_the_tail_of_the_sigmoid_is_exact() -> None:
    """σ(−100) = e^(−100) to the last digits, though 1 + e^(−100) rounds to 1; the gradient there is the same number."""
    x = np.array([-100.0])
    np.testing.assert_allclose(sigmoid(x).data, [math.exp(-100)], rtol=1e-15)
    np.testing.assert_allclose(gradient(sigmoid, x, np.ones(1)), [math.exp(-100)], rtol=1e-15)


def test_scalars() -> None:
    for op in OPS.values():
        assert op(np.array(0.0)).shape == ()


def test_bad_input() -> None:
    for name, op in OPS.items():
        with pytest.raises(TypeError, match=f"{name}: x must be float32 or float64, got int64"):
            op(np.arange(3))
        with pytest.raises(ValueError, match=rf"{name}: dy must have shape \(3,\)"):
            op(Tensor(np.ones(3), requires_grad=True)).node.pullback(np.ones(2))  # type: ignore[union-attr, misc]
    with pytest.raises(ValueError, match="leaky_relu: negative_slope must be a finite number, got nan"):
        leaky_relu(np.ones(3), negative_slope=float("nan"))

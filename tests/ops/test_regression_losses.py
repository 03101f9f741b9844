"""smooth_l1, l1, squared_error: the definition, both gradients, the kinks, empties, errors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops.regression_losses import l1, smooth_l1, squared_error
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds

REDUCTIONS = ("mean", "sum", "none")
LOSSES: list[tuple[str, Callable[..., Tensor], dict[str, Any]]] = [
    ("smooth_l1", smooth_l1, {"beta": 1.0}),
    ("smooth_l1", smooth_l1, {"beta": 1 / 9}),
    ("smooth_l1", smooth_l1, {"beta": 0.0}),
    ("l1", l1, {}),
    ("squared_error", squared_error, {}),
]
every_loss = pytest.mark.parametrize(("name", "loss", "params"), LOSSES)


def losses_and_gradients(loss: Callable[..., Tensor], d: Array, **params: Any) -> tuple[Array, Array, Array]:
    """Return the losses at x − target = `d`, and the gradients of both."""
    x, target = Tensor(d + 8, requires_grad=True), Tensor(np.full_like(d, 8), requires_grad=True)
    losses = loss(x, target, reduction="none", **params)
    losses.backward(np.ones_like(d))
    assert x.grad is not None
    assert target.grad is not None
    return losses.data, x.grad, target.grad


@pytest.mark.parametrize(
    ("loss", "params", "d", "expected", "slope"),
    [
        (
            smooth_l1,
            {},
            [-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0],
            [1.5, 0.5, 0.125, 0, 0.125, 0.5, 1.5],
            [-1, -1, -0.5, 0, 0.5, 1, 1],
        ),
        (smooth_l1, {"beta": 0.5}, [-1.0, -0.5, 0.25, 0.5], [0.75, 0.25, 0.0625, 0.25], [-1, -1, 0.5, 1]),
        (smooth_l1, {"beta": 4.0}, [-2.0, 4.0, 6.0], [0.5, 2, 4], [-0.5, 1, 1]),
        (smooth_l1, {"beta": 0}, [-2.0, 0.0, 3.0], [2, 0, 3], [-1, 0, 1]),
        (l1, {}, [-2.0, 0.0, 3.0], [2, 0, 3], [-1, 0, 1]),
        (squared_error, {}, [-2.0, 0.0, 3.0], [4, 0, 9], [-4, 0, 6]),
    ],
)
def test_by_hand_and_at_the_kinks(
    loss: Callable[..., Tensor], params: dict[str, Any], d: list[float], expected: list[float], slope: list[float]
) -> None:
    losses, dx, dtarget = losses_and_gradients(loss, np.array(d), **params)
    np.testing.assert_array_equal(losses, expected)
    np.testing.assert_array_equal(dx, slope)
    np.testing.assert_array_equal(dtarget, -np.array(slope))


def test_reductions_by_hand() -> None:
    x, target = np.array([[1.0, 2.0], [3.0, 8.0]]), np.zeros((2, 2))
    for reduction, expected in (("sum", 14.0), ("mean", 3.5), ("none", x)):
        np.testing.assert_array_equal(l1(x, target, reduction=reduction).data, expected)


@every_loss
@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    reduction=st.sampled_from(REDUCTIONS),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_against_the_definition(
    name: str, loss: Any, params: dict[str, Any], shape: list[int], reduction: str, seed: int, dtype: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    x, target = (in_layout(np.asarray(rng.integers(-8, 9, shape) / 4, dtype), layout) for _ in range(2))
    oracle = importlib.import_module(f"tests.oracles.{name}")
    assert_agrees(name, oracle, [x, target], rng=rng, params={**params, "reduction": reduction})


@every_loss
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient(name: str, loss: Callable[..., Tensor], params: dict[str, Any], reduction: str) -> None:
    rng = np.random.default_rng(0)
    target = rng.standard_normal((3, 4))
    d = np.linspace(0.03, 2.97, 12).reshape(3, 4) * rng.choice([-1, 1], (3, 4))
    gradcheck(lambda x, t: loss(x, t, reduction=reduction, **params), [target + d, target], rng=rng)


@pytest.mark.parametrize(("name", "loss", "params"), LOSSES[:-1])  # (1e30)² is beyond float32
def test_extreme_differences(name: str, loss: Callable[..., Tensor], params: dict[str, Any]) -> None:
    """No branch that is not taken overflows on the way."""
    d = np.array([1e30, -1e30], np.float32)
    x = Tensor(d, requires_grad=True)
    losses = loss(x, np.zeros_like(d), reduction="none", **params)
    losses.backward(np.ones_like(d))
    np.testing.assert_allclose(losses.data, np.abs(d), rtol=1e-6)
    np.testing.assert_array_equal(x.grad, np.array([1, -1], np.float32), strict=True)


@every_loss
def test_nan_stays(name: str, loss: Callable[..., Tensor], params: dict[str, Any]) -> None:
    for result in losses_and_gradients(loss, np.array([np.nan, 0.0]), **params):
        np.testing.assert_array_equal(np.isnan(result), [True, False])


@every_loss
def test_nothing(name: str, loss: Callable[..., Tensor], params: dict[str, Any]) -> None:
    """The mean of no loss is NaN, their sum 0; the gradient is empty."""
    for reduction, expected in (("mean", np.nan), ("sum", 0.0)):
        x = Tensor(np.zeros((0, 4)), requires_grad=True)
        result = loss(x, np.zeros((0, 4)), reduction=reduction, **params)
        np.testing.assert_array_equal(result.data, expected)
        result.backward()
        assert x.grad is not None
        assert x.grad.shape == (0, 4)


@every_loss
def test_bad_input(name: str, loss: Callable[..., Tensor], params: dict[str, Any]) -> None:
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match=rf"{name}: target must have shape \(2, 3\) \(the shape of x\), got \(3,\)"):
        loss(x, np.zeros(3), **params)
    with pytest.raises(ValueError, match=f"{name}: reduction must be one of 'mean', 'sum', 'none', got 'batch'"):
        loss(x, x, reduction="batch", **params)
    with pytest.raises(TypeError, match=f"{name}: x is float64 but target is float32"):
        loss(x, x.astype(np.float32), **params)
    with pytest.raises(TypeError, match=f"{name}: x must be float32 or float64, got int64"):
        loss(np.zeros(3, int), np.zeros(3, int), **params)
    _, residual = KERNELS[f"{name}.forward"](x, x, reduction="none", keep_residual=True, **params)
    with pytest.raises(ValueError, match=rf"{name}: dy must have shape \(2, 3\)"):
        KERNELS[f"{name}.backward"](residual, np.ones(()), needs=(True, True), reduction="none", **params)


@pytest.mark.parametrize("beta", [-1.0, np.inf, np.nan, True, None])
def test_bad_beta(beta: Any) -> None:
    with pytest.raises(ValueError, match="smooth_l1: beta must"):
        smooth_l1(np.zeros(2), np.zeros(2), beta=beta)


def test_a_numpy_scalar_does_not_change_the_dtype() -> None:
    x = np.ones(3, np.float32)
    assert smooth_l1(x, np.zeros(3, np.float32), beta=np.float64(0.5), reduction="none").dtype == np.float32


def test_smooth_l1_of_huge_distances_does_not_overflow() -> None:
    """½ d²/β with d = 1e25 and β = 1e30 is 5e19, though d² is beyond float32."""
    y = smooth_l1(np.array([1e25], np.float32), np.zeros(1, np.float32), beta=1e30, reduction="sum")
    np.testing.assert_allclose(y.data, 5e19, rtol=1e-6)

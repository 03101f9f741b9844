"""hinge: the definition, its gradient, the kink, empties, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops.hinge import hinge
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import hinge as oracle

REDUCTIONS = ("mean", "sum", "none")


@pytest.mark.parametrize(
    ("power", "expected", "slope"),
    [(1, [0, 0, 0.5, 3, 0, 3], [0, 0, -1, -1, 0, 1]), (2, [0, 0, 0.25, 9, 0, 9], [0, 0, -1, -6, 0, 6])],
)
def test_by_hand_and_at_the_kink(power: int, expected: list[float], slope: list[float]) -> None:
    """The second score and the fifth lie at the margin: no loss, no gradient."""
    scores = Tensor(np.array([2.0, 1.0, 0.5, -2.0, -1.0, 2.0]), requires_grad=True)
    losses = hinge(scores, np.array([1.0, 1, 1, 1, -1, -1]), power=power, reduction="none")
    losses.backward(np.ones(6))
    np.testing.assert_array_equal(losses.data, expected)
    np.testing.assert_array_equal(scores.grad, slope)


def test_reductions_and_margin_by_hand() -> None:
    scores, signs = np.array([0.0, 3.0]), np.array([1.0, -1.0])
    assert hinge(scores, signs).item() == 2.5  # (1 + 4)/2
    assert hinge(scores, signs, margin=2, reduction="sum").item() == 7
    assert hinge(scores, signs, margin=0, power=2, reduction="sum").item() == 9


@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    margin=st.sampled_from([0.0, 0.5, 1.0]),
    power=st.sampled_from([1, 2]),
    reduction=st.sampled_from(REDUCTIONS),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_against_the_definition(
    shape: list[int], margin: float, power: int, reduction: str, seed: int, dtype: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    scores = in_layout(np.asarray(rng.integers(-8, 9, shape) / 4, dtype), layout)
    signs = in_layout(np.asarray(rng.choice([-1, 1], shape), dtype), layout)
    assert_agrees(
        "hinge",
        oracle,
        [scores, signs],
        rng=rng,
        params={"margin": margin, "power": power, "reduction": reduction},
        differentiable=[True, False],
    )


@pytest.mark.parametrize("power", [1, 2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient(power: int, reduction: str) -> None:
    rng = np.random.default_rng(0)
    signs = rng.choice([-1.0, 1.0], (3, 4))
    scores = signs + np.linspace(-2.1, 1.9, 12).reshape(3, 4)  # no shortfall is 0
    gradcheck(lambda s: hinge(s, signs, power=power, reduction=reduction), [scores], rng=rng)


def test_extreme_scores() -> None:
    scores = Tensor(np.array([1e4, -1e4], np.float32), requires_grad=True)
    losses = hinge(scores, np.ones(2, np.float32), reduction="none")
    np.testing.assert_array_equal(losses.data, np.array([0, 10001], np.float32), strict=True)
    losses.backward(np.ones(2, np.float32))
    np.testing.assert_array_equal(scores.grad, [0, -1])


@pytest.mark.parametrize("power", [1, 2])
def test_nan_stays(power: int) -> None:
    scores = Tensor(np.array([np.nan, 5.0]), requires_grad=True)
    losses = hinge(scores, np.ones(2), power=power, reduction="none")
    losses.backward(np.ones(2))
    np.testing.assert_array_equal(losses.data, [np.nan, 0])
    np.testing.assert_array_equal(scores.grad, [np.nan, 0])


def test_nothing() -> None:
    """The mean of no loss is NaN, their sum 0; the gradient is empty."""
    for reduction, expected in (("mean", np.nan), ("sum", 0.0)):
        scores = Tensor(np.zeros(0), requires_grad=True)
        loss = hinge(scores, np.zeros(0), reduction=reduction)
        np.testing.assert_array_equal(loss.data, expected)
        loss.backward()
        assert scores.grad is not None
        assert scores.grad.shape == (0,)


@pytest.mark.parametrize(("sign", "shown"), [(0.0, "0.0"), (2.0, "2.0"), (np.nan, "nan")])
def test_signs_that_are_none(sign: float, shown: str) -> None:
    with pytest.raises(ValueError, match=rf"hinge: signs must be \+1 or −1, got {shown} at index \(1, 0\)"):
        hinge(np.zeros((2, 2)), np.array([[1, -1], [sign, 5.0]]))


def test_bad_input() -> None:
    x, signs = np.zeros((2, 3)), np.ones((2, 3))
    cases: list[tuple[Any, dict[str, Any], str]] = [
        (np.ones(3), {}, r"signs must have shape \(2, 3\) \(the shape of scores\), got \(3,\)"),
        (signs, {"margin": -1}, r"margin must lie in \[0, inf\)"),
        (signs, {"power": 3}, "power must be 1 or 2, got 3"),
        (signs, {"power": True}, "power must be 1 or 2, got True"),
        (signs, {"reduction": "valid"}, "reduction must be one of 'mean', 'sum', 'none'"),
    ]
    for y, options, message in cases:
        with pytest.raises(ValueError, match=f"hinge: {message}"):
            hinge(x, y, **options)
    with pytest.raises(TypeError, match="hinge: signs must be float32 or float64, got int64"):
        hinge(x, np.ones((2, 3), int))
    params: dict[str, Any] = {"margin": 1.0, "power": 1, "reduction": "mean"}
    _, residual = KERNELS["hinge.forward"](x, signs, keep_residual=True, **params)
    with pytest.raises(ValueError, match=r"hinge: dy must have shape \(\)"):
        KERNELS["hinge.backward"](residual, x, needs=(True, False), **params)

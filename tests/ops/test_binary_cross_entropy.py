"""binary_cross_entropy_with_logits: the definition, its gradients, extreme logits, empties, errors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops.binary_cross_entropy import binary_cross_entropy_with_logits
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import binary_cross_entropy_with_logits as oracle

REDUCTIONS = ("mean", "sum", "none")


def test_hand_example() -> None:
    """σ(log 3) = ¾: a target of 1 costs log 4/3, of 0 log 4, of ½ half of both."""
    logits, targets = np.full(3, np.log(3)), np.array([1.0, 0.0, 0.5])
    losses = binary_cross_entropy_with_logits(logits, targets, reduction="none").data
    np.testing.assert_allclose(losses, [np.log(4 / 3), np.log(4), np.log(16 / 3) / 2], rtol=1e-14)
    weight = np.array([1.0, 2.0, 0.0])
    total = np.log(4 / 3) + 2 * np.log(4)
    assert binary_cross_entropy_with_logits(logits, targets, weight=weight, reduction="sum").item() == pytest.approx(
        total
    )
    assert binary_cross_entropy_with_logits(logits, targets, weight=weight).item() == pytest.approx(total / 3)


def test_gradients_by_hand() -> None:
    logits = Tensor(np.full(2, np.log(3)), requires_grad=True)
    targets = Tensor(np.array([1.0, 0.5]), requires_grad=True)
    binary_cross_entropy_with_logits(logits, targets, weight=np.array([1.0, 10.0]), reduction="sum").backward()
    np.testing.assert_allclose(logits.grad, [-0.25, 2.5], rtol=1e-14)  # type: ignore[arg-type]
    np.testing.assert_allclose(targets.grad, [-np.log(3), -10 * np.log(3)], rtol=1e-14)  # type: ignore[arg-type]


@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    weighted=st.booleans(),
    reduction=st.sampled_from(REDUCTIONS),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_against_the_definition(
    shape: list[int], weighted: bool, reduction: str, seed: int, dtype: str, layout: str
) -> None:
    rng = np.random.default_rng(seed)
    logits = in_layout(np.asarray(5 * rng.standard_normal(shape), dtype), layout)
    targets = in_layout(np.asarray(rng.choice([0, 1, 0.25], shape), dtype), layout).reshape(logits.shape)
    weight = np.asarray(rng.uniform(0, 2, logits.shape), dtype) if weighted else None
    assert_agrees(
        "binary_cross_entropy_with_logits",
        oracle,
        [logits, targets, weight],
        rng=rng,
        params={"reduction": reduction},
        differentiable=[True, True, False],
    )


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_gradient(reduction: str) -> None:
    rng = np.random.default_rng(0)
    weight = rng.uniform(0.5, 2, (2, 3))
    gradcheck(
        lambda x, t: binary_cross_entropy_with_logits(x, t, weight=weight, reduction=reduction),
        [rng.standard_normal((2, 3)), rng.uniform(0.1, 0.9, (2, 3))],
        rng=rng,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits(dtype: Any) -> None:
    logits = Tensor(np.array([1e4, 1e4, -1e4, -1e4, 0], dtype), requires_grad=True)
    losses = binary_cross_entropy_with_logits(logits, np.array([1, 0, 1, 0, 0], dtype), reduction="none")
    np.testing.assert_array_equal(losses.data, np.array([0, 1e4, 1e4, 0, np.log(2)], dtype), strict=True)
    losses.backward(np.ones(5, dtype))
    np.testing.assert_array_equal(logits.grad, [0, 1, -1, 0, 0.5])


def test_small_losses_keep_their_digits() -> None:
    """log(1 + e⁻⁴⁰) is e⁻⁴⁰ to all digits, not 0."""
    losses = binary_cross_entropy_with_logits(np.array([40.0, -40.0]), np.array([1.0, 0.0]), reduction="none")
    np.testing.assert_allclose(losses.data, np.exp([-40.0, -40.0]), rtol=1e-14)


def test_nan_stays() -> None:
    logits = Tensor(np.array([np.nan, 0.0]), requires_grad=True)
    losses = binary_cross_entropy_with_logits(logits, np.ones(2), reduction="none")
    losses.backward(np.ones(2))
    np.testing.assert_array_equal(np.isnan(losses.data), [True, False])
    np.testing.assert_array_equal(np.isnan(logits.grad), [True, False])  # type: ignore[arg-type]


def test_nothing() -> None:
    """The mean of no loss is NaN, their sum 0; the gradient is empty."""
    for reduction, expected in (("mean", np.nan), ("sum", 0.0)):
        logits = Tensor(np.zeros((0, 3)), requires_grad=True)
        loss = binary_cross_entropy_with_logits(logits, np.zeros((0, 3)), reduction=reduction)
        np.testing.assert_array_equal(loss.data, expected)
        loss.backward()
        assert logits.grad is not None
        assert logits.grad.shape == (0, 3)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([[0, 1, 1.5]], r"targets must lie in \[0, 1\], got 1.5 at index \(0, 2\)"),
        ([[0, -1, 2]], r"got -1.0 at index \(0, 1\)"),
        ([[np.nan, 0, 0]], r"got nan at index \(0, 0\)"),
    ],
)
def test_targets_that_are_no_probability(targets: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        binary_cross_entropy_with_logits(np.zeros((1, 3)), np.array(targets, float))


def test_bad_input() -> None:
    op = "binary_cross_entropy_with_logits"
    x = np.zeros((2, 3))
    cases: list[tuple[Callable[[], Tensor], str]] = [
        (
            lambda: binary_cross_entropy_with_logits(x, np.zeros(3)),
            r"targets must have shape \(2, 3\) \(the shape of logits",
        ),
        (lambda: binary_cross_entropy_with_logits(x, x, weight=np.ones(3)), r"weight must have shape \(2, 3\)"),
        (
            lambda: binary_cross_entropy_with_logits(x, x, reduction="valid"),
            "reduction must be one of 'mean', 'sum', 'none'",
        ),
    ]
    for call, message in cases:
        with pytest.raises(ValueError, match=f"{op}: {message}"):
            call()
    with pytest.raises(TypeError, match=f"{op}: targets must be float32 or float64, got int64"):
        binary_cross_entropy_with_logits(x, np.zeros((2, 3), int))
    _, residual = KERNELS[f"{op}.forward"](x, x, None, reduction="mean", keep_residual=True)
    with pytest.raises(ValueError, match=rf"{op}: dy must have shape \(\)"):
        KERNELS[f"{op}.backward"](residual, x, needs=(True, True, False), reduction="mean")

"""softmax and log_softmax: the definitions, their gradients, extreme logits, rows without a finite one, errors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.ops.softmax import log_softmax, softmax
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import log_softmax as log_softmax_oracle
from tests.oracles import softmax as softmax_oracle

ORACLES = {"softmax": softmax_oracle, "log_softmax": log_softmax_oracle}
OPS = {"softmax": softmax, "log_softmax": log_softmax}
both = pytest.mark.parametrize("name", ["softmax", "log_softmax"])


def test_hand_example() -> None:
    """Logits ln 1, ln 2, ln 5 have probabilities 1/8, 2/8, 5/8."""
    x = np.log([[1.0, 2.0, 5.0]])
    np.testing.assert_allclose(softmax(x, axis=1).data, [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-15)
    np.testing.assert_allclose(log_softmax(x, axis=1).data, np.log([[1 / 8, 2 / 8, 5 / 8]]), rtol=1e-15)


@both
@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(name: str, data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    scale = data.draw(st.sampled_from([1.0, 10.0, 1e4]))
    x = in_layout((rng.standard_normal(shape) * scale).astype(dtype), layout)
    assert_agrees(name, ORACLES[name], [x], rng=rng, params={"axis": axis})


@both
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_gradient(name: str, axis: int) -> None:
    rng = np.random.default_rng(0)
    gradcheck(lambda x: OPS[name](x, axis=axis), [rng.standard_normal((3, 4, 5))], rng=rng)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_extreme_logits_are_exact(dtype: str) -> None:
    """±1e4: nothing overflows, and the logarithm is not that of a rounded 0."""
    x = np.array([[1e4, -1e4, 1e4], [-1e4, -1e4, -1e4]], dtype)
    np.testing.assert_array_equal(softmax(x, axis=1).data, np.array([[0.5, 0, 0.5], [1 / 3] * 3], dtype))
    ln2, ln3 = np.log(np.array([2, 3], dtype))
    np.testing.assert_array_equal(
        log_softmax(x, axis=1).data, np.array([[-ln2, -np.array(2e4, dtype) - ln2, -ln2], [-ln3] * 3], dtype)
    )


def test_gradients_at_extreme_logits() -> None:
    x = Tensor(np.array([[1e4, -1e4]]), requires_grad=True)
    log_softmax(x, axis=1).backward(np.array([[0.0, 1.0]]))
    np.testing.assert_array_equal(x.grad, [[-1, 1]])


@both
def test_the_gap_may_overflow(name: str) -> None:
    """The difference of the two largest floats is ∞; the smaller has probability 0."""
    largest = np.finfo(np.float32).max
    y = OPS[name](np.array([largest, -largest]), axis=0).data
    np.testing.assert_array_equal(y, {"softmax": [1, 0], "log_softmax": [0, -np.inf]}[name])


@both
def test_minus_infinity_is_an_impossible_class(name: str) -> None:
    x = Tensor(np.array([[-np.inf, 0.0, 0.0]]), requires_grad=True)
    y = OPS[name](x, axis=1)
    half = {"softmax": [0, 0.5, 0.5], "log_softmax": [-np.inf, -math.log(2), -math.log(2)]}[name]
    np.testing.assert_allclose(y.data, [half], rtol=1e-15)
    y.backward(np.array([[0.0, 1.0, 0.0]]))
    assert x.grad is not None
    expected = {"softmax": [0, 0.25, -0.25], "log_softmax": [0, 0.5, -0.5]}[name]
    np.testing.assert_allclose(x.grad, [expected], atol=1e-15)


@both
@pytest.mark.parametrize("bad", [[-np.inf, -np.inf, -np.inf], [np.inf, 0.0, 1.0], [0.0, np.nan, 1.0]])
def test_rows_without_an_answer_are_nan_and_leave_the_others_alone(name: str, bad: list[float]) -> None:
    y = OPS[name](np.array([bad, [0.0, 0.0, 0.0]]), axis=1).data
    assert np.isnan(y[0]).all()
    np.testing.assert_allclose(y[1], {"softmax": 1 / 3, "log_softmax": -math.log(3)}[name], rtol=1e-15)


@both
def test_empty_and_single(name: str) -> None:
    assert OPS[name](np.zeros((2, 0)), axis=1).shape == (2, 0)
    assert OPS[name](np.zeros((0, 3)), axis=1).shape == (0, 3)
    np.testing.assert_array_equal(OPS[name](np.array([[7.0]]), axis=1).data, [[1 if name == "softmax" else 0]])


@both
@pytest.mark.parametrize(
    ("x", "axis", "error", "message"),
    [
        (np.zeros((2, 3)), 2, ValueError, "axis 2 does not exist in an array of rank 2"),
        (np.zeros(()), 0, ValueError, "axis 0 does not exist in an array of rank 0"),
        (np.zeros((2, 3)), (0, 1), TypeError, r"axis must be an integer, got \(0, 1\)"),
        (np.zeros((2, 3), int), 1, TypeError, "x must be float32 or float64, got int64"),
    ],
)
def test_bad_input(name: str, x: Any, axis: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"^{name}: {message}"):
        OPS[name](x, axis=axis)


@both
def test_bad_gradient(name: str) -> None:
    with pytest.raises(ValueError, match=rf"{name}: dy must have shape \(2, 3\)"):
        OPS[name](Tensor(np.ones((2, 3)), requires_grad=True), axis=1).node.pullback(np.ones((2, 2)))  # type: ignore[union-attr, misc]

"""Reductions and the matrix product: the definition, the gradients, ties, nothing at all."""

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
from refdet.ops import arithmetic
from tests.agreement import LAYOUTS, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import matmul as matmul_oracle

REDUCTIONS = ("sum", "mean", "amax")


@st.composite
def shapes_and_axes(draw: st.DrawFn) -> tuple[list[int], int | tuple[int, ...] | None]:
    """Draw a shape, zeros included, and an axis, several, or None."""
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    if not shape or draw(st.booleans()):
        return shape, None
    axes = draw(st.lists(st.integers(0, len(shape) - 1), unique=True, max_size=len(shape)))
    signed = [a - len(shape) if draw(st.booleans()) else a for a in axes]
    return shape, signed[0] if len(signed) == 1 else tuple(signed)


@pytest.mark.parametrize("op", REDUCTIONS)
@given(case=shapes_and_axes(), keepdims=st.booleans(), ties=st.booleans(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(
    op: str, case: Any, keepdims: bool, ties: bool, seed: int, dtype: str, layout: str
) -> None:
    shape, axis = case
    rng = np.random.default_rng(seed)
    values = rng.integers(-1, 2, shape) if ties else rng.standard_normal(shape)
    x = in_layout(np.asarray(values).astype(dtype), layout)
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    if op == "amax" and 0 in (x.shape[a] for a in axes):
        with pytest.raises(ValueError, match="the maximum of nothing is not defined"):
            arithmetic.amax(x, axis)
        return
    oracle = importlib.import_module(f"tests.oracles.{op}")
    assert_agrees(op, oracle, [x], rng=rng, params={"axis": axis, "keepdims": keepdims})


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_matmul_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    lengths = st.integers(0, 3)
    m, k, n = (data.draw(lengths) for _ in range(3))
    batch = data.draw(st.sampled_from([((), ()), ((2,), (2,)), ((2,), (1,)), ((), (3,)), ((2, 1), (3,)), ((0,), (1,))]))
    left: tuple[int, ...] = (*batch[0], m, k)
    right: tuple[int, ...] = (*batch[1], k, n)
    if data.draw(st.booleans()):
        left = (k,)
    if data.draw(st.booleans()):
        right = (k,)
    rng = np.random.default_rng(seed)
    x, y = (in_layout(rng.standard_normal(shape).astype(dtype), layout) for shape in (left, right))
    assert_agrees("matmul", matmul_oracle, [x, y], rng=rng, params={})


@pytest.mark.parametrize("op", REDUCTIONS)
@pytest.mark.parametrize(("axis", "keepdims"), [(None, False), (1, True), ((0, -1), False)])
def test_gradient(op: str, axis: Any, keepdims: bool) -> None:
    rng = np.random.default_rng(0)
    gradcheck(lambda x: getattr(arithmetic, op)(x, axis, keepdims=keepdims), [rng.standard_normal((2, 3, 4))], rng=rng)


@pytest.mark.parametrize(
    ("left", "right"), [((2, 3), (3, 4)), ((3,), (3,)), ((3,), (2, 3, 4)), ((5, 1, 2, 3), (4, 3, 1)), ((2, 2, 3), (3,))]
)
def test_gradient_of_matmul(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    gradcheck(arithmetic.matmul, [rng.standard_normal(left), rng.standard_normal(right)], rng=rng)


def test_hand_examples() -> None:
    x = np.array([[1.0, 2.0, 6.0], [4.0, 8.0, 0.0]])
    np.testing.assert_array_equal(arithmetic.sum(x, 0).data, [5, 10, 6])
    np.testing.assert_array_equal(arithmetic.mean(x, -1, keepdims=True).data, [[3], [4]])
    np.testing.assert_array_equal(arithmetic.amax(x, (0, 1)).data, 8)
    np.testing.assert_array_equal(arithmetic.matmul(x, np.array([1.0, 10.0, 100.0])).data, [621, 84])


@pytest.mark.parametrize(
    ("x", "axis", "dx"),
    [
        ([[1.0, 3.0], [3.0, 3.0]], None, [[0, 1], [0, 0]]),  # the first in row-major order
        ([[1.0, 3.0], [3.0, 3.0]], 1, [[0, 1], [1, 0]]),
        ([[3.0, 3.0], [3.0, 1.0]], 0, [[1, 1], [0, 0]]),
        ([[9.0, np.nan], [np.nan, 1.0]], None, [[0, 1], [0, 0]]),  # the first NaN is the maximum
        ([[9.0, np.nan], [2.0, 1.0]], 1, [[0, 1], [1, 0]]),
        ([[-np.inf, -np.inf]], 1, [[1, 0]]),
    ],
)
def test_the_first_maximum_takes_the_gradient(x: Any, axis: int | None, dx: Any) -> None:
    t = Tensor(np.array(x), requires_grad=True)
    y = arithmetic.amax(t, axis)
    y.backward(np.ones(y.shape))
    np.testing.assert_array_equal(y.data, np.max(np.array(x), axis))
    np.testing.assert_array_equal(t.grad, dx)
    oracle = importlib.import_module("tests.oracles.amax")
    np.testing.assert_array_equal(oracle.backward(t.data, dy=np.ones(y.shape), axis=axis, keepdims=False)[0], dx)


def test_ties_follow_ascending_axes_whatever_the_order_in_which_they_are_named() -> None:
    x = Tensor(np.ones((2, 2, 2)), requires_grad=True)
    arithmetic.amax(x, (2, 0)).backward(np.ones(2))
    assert x.grad is not None
    np.testing.assert_array_equal(np.argwhere(x.grad), [[0, 0, 0], [0, 1, 0]])


def test_nothing() -> None:
    """Σ = 0, the mean is NaN, and there is no maximum; an empty result is fine."""
    np.testing.assert_array_equal(arithmetic.sum(np.ones((0, 2)), 0).data, [0, 0])
    np.testing.assert_array_equal(arithmetic.mean(np.ones((0, 2)), 0).data, [np.nan, np.nan])
    assert np.isnan(arithmetic.mean(np.ones(0, np.float32)).data)
    assert arithmetic.amax(np.ones((0, 2)), 1).shape == (0,)
    for shape in ((0, 2), (0, 0)):
        with pytest.raises(ValueError, match=rf"amax: x of shape \({shape[0]}, {shape[1]}\) has no element"):
            arithmetic.amax(np.ones(shape), 0)


def test_nan_propagates() -> None:
    x = np.array([[1.0, np.nan], [2.0, 3.0]])
    for op in REDUCTIONS:
        np.testing.assert_array_equal(np.isnan(getattr(arithmetic, op)(x, 1).data), [True, False])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arithmetic.sum(np.ones((2, 3)), 2), "sum: axis 2 does not exist in an array of rank 2"),
        (lambda: arithmetic.mean(np.ones((2, 3)), (0, -2)), r"mean: axis \(0, -2\) names an axis twice"),
        (lambda: arithmetic.amax(np.ones(()), 0), "amax: axis 0 does not exist in an array of rank 0"),
        (lambda: arithmetic.matmul(np.ones((2, 3)), np.ones((2, 3))), "must be as long as the second last of y"),
        (lambda: arithmetic.matmul(np.ones((2, 1, 3)), np.ones((3, 3, 1))), "leading axes do not broadcast"),
        (lambda: arithmetic.matmul(np.ones(()), np.ones(3)), "both need at least one axis"),
    ],
)
def test_bad_input(call: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("op", REDUCTIONS)
def test_bad_dtypes_and_gradients(op: str) -> None:
    with pytest.raises(TypeError, match=f"{op}: x must be float32 or float64, got int64"):
        getattr(arithmetic, op)(np.ones(3, np.int64))
    with pytest.raises(TypeError, match=f"{op}: axis must be an integer, got 1.0"):
        getattr(arithmetic, op)(np.ones((3, 3)), 1.0)
    _, residual = KERNELS[f"{op}.forward"](np.ones((2, 3)), axis=1, keepdims=False, keep_residual=True)
    with pytest.raises(ValueError, match=rf"{op}: dy must have shape \(2,\)"):
        KERNELS[f"{op}.backward"](residual, np.ones((2, 1)), needs=(True,), axis=1, keepdims=False)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("axis", [0, 1, (0, 1)])
def test_float32_sums_do_not_depend_on_the_layout(layout: str, axis: int | tuple[int, ...]) -> None:
    """A long sum of 0.1 along a slow axis: term by term it would be off in the third digit."""
    x = in_layout(np.full((300_000, 2), 0.1, np.float32), layout)
    for name in ("sum", "mean"):
        y, _ = KERNELS[f"{name}.forward"](x, axis=axis, keepdims=False, keep_residual=False)
        exact = getattr(np, name)(np.full((300_000, 2), np.float64(np.float32(0.1))), axis=axis)
        np.testing.assert_allclose(y, exact, rtol=1e-6)

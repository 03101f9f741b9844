"""Elementwise kernels: the definition, broadcasting, the gradients, the kinks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

from refdet.autograd import Tensor, gradcheck
from refdet.core.kernel import KERNELS
from refdet.ops import arithmetic
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import cast as cast_oracle

BINARY = ("add", "subtract", "multiply", "divide", "maximum", "minimum")
UNARY = ("negative", "exp", "log", "sqrt", "absolute")


def away_from_kinks(op: str, x: Array) -> Array:
    """Return `x` moved into the domain of `op`, off its kinks and poles."""
    if op in ("log", "sqrt"):
        return np.asarray(np.abs(x) + np.asarray(0.25, x.dtype))
    return np.asarray(x + np.copysign(np.asarray(0.25, x.dtype), x))


def oracle_of(op: str) -> Any:
    return importlib.import_module(f"tests.oracles.{op}")


@pytest.mark.parametrize("op", BINARY)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_side=3, max_dims=3),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_binary_against_the_definition(op: str, shapes: Any, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x, y = (
        in_layout(away_from_kinks("divide", rng.standard_normal(shape)).astype(dtype), layout)
        for shape in shapes.input_shapes
    )
    assert_agrees(op, oracle_of(op), [x, y], rng=rng, params={})


@pytest.mark.parametrize("op", UNARY)
@given(shape=st.lists(st.integers(0, 3), max_size=3), seed=seeds, dtype=dtypes, layout=layouts)
def test_unary_against_the_definition(op: str, shape: list[int], seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x = in_layout(away_from_kinks(op, rng.standard_normal(shape)).astype(dtype), layout)
    assert_agrees(op, oracle_of(op), [x], rng=rng, params={})


@given(
    shape=st.lists(st.integers(0, 3), max_size=3),
    exponent=st.sampled_from([-2, -0.5, 0, 0.5, 1, 2, 2.5, 3]),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_power_against_the_definition(shape: list[int], exponent: float, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    x = away_from_kinks("log", rng.standard_normal(shape))
    if exponent == round(exponent):
        x = x * rng.choice([-1, 1], shape)
    x = in_layout(np.asarray(x).astype(dtype), layout)
    assert_agrees("power", oracle_of("power"), [x], rng=rng, params={"exponent": exponent})


@given(
    values=st.lists(st.floats(width=64, allow_subnormal=True), max_size=6),
    dtype=dtypes,
    to=st.sampled_from(["float32", "float64"]),
    layout=layouts,
)
def test_cast_against_the_bytes(values: list[float], dtype: str, to: str, layout: str) -> None:
    with np.errstate(over="ignore"):
        x = in_layout(np.array(values, "float64").astype(dtype), layout)
        y, residual = KERNELS["cast.forward"](x, dtype=to, keep_residual=True)
        (dx,) = KERNELS["cast.backward"](residual, y, needs=(True,), dtype=to)
    assert y.dtype == to
    assert dx.dtype.newbyteorder("=") == dtype
    np.testing.assert_array_equal(y, cast_oracle.forward(x, dtype=to))
    np.testing.assert_array_equal(dx, cast_oracle.backward(x, dy=y, dtype=to)[0])


GRADCHECKS: dict[str, tuple[Callable[..., Tensor], int]] = {
    **{op: (getattr(arithmetic, op), 2) for op in BINARY},
    **{op: (getattr(arithmetic, op), 1) for op in UNARY},
    "power": (lambda x: arithmetic.power(x * x, 1.5), 1),
}


@pytest.mark.parametrize("op", GRADCHECKS)
def test_gradient(op: str) -> None:
    function, n_inputs = GRADCHECKS[op]
    rng = np.random.default_rng(0)
    shapes = [(2, 3, 4), (3, 1)][:n_inputs]
    gradcheck(function, [away_from_kinks(op, rng.standard_normal(shape)) for shape in shapes], rng=rng)


def test_broadcast_operands_receive_the_sum_over_their_repeats() -> None:
    x, y = Tensor(np.ones((2, 1)), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    arithmetic.add(x, y).backward(np.array([[1.0, 2, 3], [4, 5, 6]]))
    np.testing.assert_array_equal(x.grad, [[6], [15]])
    np.testing.assert_array_equal(y.grad, [5, 7, 9])


@pytest.mark.parametrize(
    ("op", "x", "y", "dx", "dy"),
    [
        ("maximum", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [0, 1, 1], [1, 0, 0]),  # the tie goes to x
        ("minimum", [1.0, 2.0, 3.0], [2.0, 2.0, 2.0], [1, 1, 0], [0, 0, 1]),
        ("maximum", [np.nan, 1.0, np.nan], [1.0, np.nan, np.nan], [1, 0, 1], [0, 1, 0]),  # NaN wins, x's first
        ("minimum", [np.nan, 1.0, np.nan], [1.0, np.nan, np.nan], [1, 0, 1], [0, 1, 0]),
        ("maximum", [0.0, -0.0], [-0.0, 0.0], [1, 1], [0, 0]),
    ],
)
def test_ties(op: str, x: list[float], y: list[float], dx: list[float], dy: list[float]) -> None:
    a, b = Tensor(np.array(x), requires_grad=True), Tensor(np.array(y), requires_grad=True)
    result = getattr(arithmetic, op)(a, b)
    result.backward(np.ones(len(x)))
    np.testing.assert_array_equal(np.isnan(result.data), np.isnan(x) | np.isnan(y))
    np.testing.assert_array_equal(a.grad, dx)
    np.testing.assert_array_equal(b.grad, dy)
    oracle = oracle_of(op)
    for gradient, expected in zip(oracle.backward(a.data, b.data, dy=np.ones(len(x))), (dx, dy), strict=True):
        np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize(
    ("function", "x", "dx"),
    [
        (arithmetic.absolute, [-2.0, 0.0, 3.0, np.nan], [-1, 0, 1, np.nan]),
        (arithmetic.sqrt, [0.0, 4.0], [np.inf, 0.25]),
        (lambda x: arithmetic.power(x, 0), [-1.0, 0.0, 2.0, np.nan], [0, 0, 0, 0]),
        (lambda x: arithmetic.power(x, 1), [-1.0, 0.0, 2.0], [1, 1, 1]),
        (lambda x: arithmetic.power(x, 2), [-1.0, 0.0, 2.0], [-2, 0, 4]),
        (arithmetic.negative, [0.0, np.nan], [-1, -1]),
        (arithmetic.exp, [0.0, -np.inf], [1, 0]),
    ],
)
def test_gradients_at_special_points(function: Callable[[Tensor], Tensor], x: list[float], dx: list[float]) -> None:
    t = Tensor(np.array(x), requires_grad=True)
    function(t).backward(np.ones(len(x)))
    np.testing.assert_array_equal(t.grad, dx)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("op", "inputs", "dy", "params", "expected"),
    [
        ("add", [[0.0, 0.0], [0.0]], [1e308, 1e308], {}, [[1e308, 1e308], [np.inf]]),
        ("subtract", [[0.0, 0.0], [0.0]], [np.inf, -np.inf], {}, [[np.inf, -np.inf], [np.nan]]),
        ("multiply", [[1e300], [1e300]], [1e300], {}, [[np.inf], [np.inf]]),
        ("divide", [[1.0], [1e-300]], [1e300], {}, [[np.inf], [-np.inf]]),
        ("exp", [[1000.0]], [0.0], {}, [[np.nan]]),
        ("log", [[1e-300]], [1e300], {}, [[np.inf]]),
        ("sqrt", [[1e-300]], [1e300], {}, [[np.inf]]),
        ("absolute", [[0.0]], [np.inf], {}, [[np.nan]]),
        ("power", [[1e200]], [1.0], {"exponent": 3}, [[np.inf]]),
    ],
)
def test_gradients_are_silent(
    op: str, inputs: list[list[float]], dy: list[float], params: dict[str, Any], expected: list[list[float]]
) -> None:
    with np.errstate(over="ignore"):
        _, residual = KERNELS[f"{op}.forward"](*map(np.array, inputs), keep_residual=True, **params)
    needs = (True,) * len(inputs)
    found = KERNELS[f"{op}.backward"](residual, np.array(dy), needs=needs, **params)
    for gradient, values in zip(found, expected, strict=True):
        np.testing.assert_array_equal(gradient, values)


@pytest.mark.filterwarnings("error")
def test_the_gradient_of_a_cast_overflows_silently() -> None:
    x = Tensor(np.ones(1, np.float32), requires_grad=True)
    x.astype("float64").backward(np.array([1e300]))
    np.testing.assert_array_equal(x.grad, [np.inf])


def test_the_gradient_of_division_does_not_square_the_divisor() -> None:
    """In float32, 1e30² overflows and 1e-30² is 0; 1e30/1e30² and 1e-30/1e-30² are neither."""
    x = Tensor(np.array([1e30, 1e-30], np.float32), requires_grad=True)
    y = Tensor(x.data.copy(), requires_grad=True)
    arithmetic.divide(x, y).backward(np.ones(2, np.float32))
    np.testing.assert_allclose(y.grad, [-1e-30, -1e30], rtol=1e-6)  # type: ignore[arg-type]


@pytest.mark.parametrize("op", BINARY)
def test_a_number_takes_the_dtype_of_the_operand_it_meets(op: str) -> None:
    x = np.array([1.0, 4.0], np.float32)
    function = getattr(arithmetic, op)
    for result in (function(x, 2), function(2, x)):
        assert result.dtype == np.float32
    numpy_function = getattr(np, op)
    np.testing.assert_array_equal(function(2, x).data, numpy_function(np.float32(2), x))
    np.testing.assert_array_equal(function(x, 2).data, numpy_function(x, np.float32(2)))
    assert function(1.0, 2.0).dtype == np.float64


@pytest.mark.parametrize("op", BINARY)
def test_bad_operands(op: str) -> None:
    function = getattr(arithmetic, op)
    with pytest.raises(ValueError, match=rf"{op}: shapes do not broadcast together: x \(2,\), y \(3,\)"):
        function(np.ones(2), np.ones(3))
    with pytest.raises(TypeError, match=f"{op}: x is float64 but y is float32"):
        function(np.ones(2), np.ones(2, np.float32))
    with pytest.raises(TypeError, match=f"{op}: y must be float32 or float64, got int64"):
        function(np.ones(2), np.ones(2, np.int64))
    _, residual = KERNELS[f"{op}.forward"](np.ones((2, 1)), np.ones(3), keep_residual=True)
    with pytest.raises(ValueError, match=rf"{op}: dy must have shape \(2, 3\)"):
        KERNELS[f"{op}.backward"](residual, np.ones((2, 1)), needs=(True, True))


@pytest.mark.parametrize("op", UNARY)
def test_bad_operand(op: str) -> None:
    with pytest.raises(TypeError, match=f"{op}: x must be float32 or float64, got int64"):
        getattr(arithmetic, op)(np.ones(2, np.int64))
    _, residual = KERNELS[f"{op}.forward"](np.ones(2), keep_residual=True)
    with pytest.raises(TypeError, match=f"{op}: output is float64 but dy is float32"):
        KERNELS[f"{op}.backward"](residual, np.ones(2, np.float32), needs=(True,))


def test_bad_parameters() -> None:
    with pytest.raises(ValueError, match="power: exponent must be a finite number, got nan"):
        arithmetic.power(np.ones(2), np.nan)
    with pytest.raises(TypeError, match="cast: dtype must be 'float32' or 'float64', got 'int64'"):
        arithmetic.cast(np.ones(2), np.int64)
    _, residual = KERNELS["cast.forward"](np.ones(2), dtype="float32", keep_residual=True)
    with pytest.raises(TypeError, match="cast: dy must be float32, the dtype of the output, got float64"):
        KERNELS["cast.backward"](residual, np.ones(2), needs=(True,), dtype="float32")
    with pytest.raises(ValueError, match=r"cast: dy must have shape \(2,\)"):
        KERNELS["cast.backward"](residual, np.ones(3, np.float32), needs=(True,), dtype="float32")


def test_the_gradient_of_a_long_broadcast_is_accurate_in_float32() -> None:
    """0.1 arrives 300000 times; added term by term, the sum would be off in the third digit."""
    x, y = np.zeros((300_000, 2), np.float32), np.zeros(2, np.float32)
    _, residual = KERNELS["add.forward"](x, y, keep_residual=True)
    _, dy = KERNELS["add.backward"](residual, np.full_like(x, 0.1), needs=(False, True))
    np.testing.assert_allclose(dy, 30_000, rtol=1e-6)

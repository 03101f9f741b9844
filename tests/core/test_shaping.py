"""Shaping kernels: the definition, the transposed map, in every layout and with nothing in them."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.kernel import KERNELS
from tests.agreement import Array, assert_agrees, dtypes, in_layout, layouts, seeds

SHAPES = st.lists(st.integers(0, 3), max_size=4).map(tuple)
KEYS = (
    0,
    -1,
    slice(1, None),
    slice(None, None, -2),
    (),
    ...,
    None,
    (0, ..., None, slice(0, 1)),
    (slice(None), -1, None),
    (np.int64(1), slice(5, 9)),
)
GATHER_KEYS = (
    np.array([0, 2, 2, -1]),
    [1, 1],
    (slice(None), np.array([[0, 1], [1, 1]])),
    (np.array([0, 0, 2]), np.array([1, 1, 0])),
    (np.array([0, 0]), slice(None), np.array([3, 3])),
    np.arange(24).reshape(3, 2, 4) % 5 == 0,
    np.array([True, False, True]),
    np.zeros(0, int),
    (..., np.array([2, 0, 2]), None),
)


def check(op: str, arrays: list[Array], seed: int, **params: Any) -> None:
    oracle = importlib.import_module(f"tests.oracles.{op}")
    assert_agrees(op, oracle, arrays, rng=np.random.default_rng(seed), params=params)


def array(shape: tuple[int, ...], seed: int, dtype: str, layout: str) -> Array:
    x = in_layout(np.random.default_rng(seed).standard_normal(shape).astype(dtype), layout)
    return x.reshape(shape)  # Fortran order has no array without axes


@given(data=st.data(), shape=SHAPES, seed=seeds, dtype=dtypes, layout=layouts)
def test_reshape(data: st.DataObject, shape: tuple[int, ...], seed: int, dtype: str, layout: str) -> None:
    size = math.prod(shape)
    targets = [(size,), (1, size), (*shape, 1), tuple(reversed(shape)), (*shape[:1], math.prod(shape[1:]))]
    if size == 1:
        targets.append(())
    check("reshape", [array(shape, seed, dtype, layout)], seed, shape=data.draw(st.sampled_from(targets)))


@pytest.mark.parametrize(("shape", "given_shape", "result"), [((2, 6), (3, -1), (3, 4)), ((0, 3), (-1, 3), (0, 3))])
def test_reshape_fills_in_one_length(shape: Any, given_shape: Any, result: Any) -> None:
    y, residual = KERNELS["reshape.forward"](np.ones(shape), shape=given_shape, keep_residual=True)
    assert y.shape == result
    (dx,) = KERNELS["reshape.backward"](residual, y, needs=(True,), shape=given_shape)
    assert dx.shape == shape


@given(data=st.data(), shape=SHAPES, seed=seeds, dtype=dtypes, layout=layouts)
def test_transpose(data: st.DataObject, shape: tuple[int, ...], seed: int, dtype: str, layout: str) -> None:
    axes = data.draw(st.permutations(range(len(shape))))
    signed = tuple(a - len(shape) if data.draw(st.booleans()) else a for a in axes)
    check("transpose", [array(shape, seed, dtype, layout)], seed, axes=signed)


@given(data=st.data(), shape=SHAPES, seed=seeds, dtype=dtypes, layout=layouts)
def test_broadcast_to(data: st.DataObject, shape: tuple[int, ...], seed: int, dtype: str, layout: str) -> None:
    stretched = tuple(data.draw(st.integers(0, 3)) if n == 1 else n for n in shape)
    leading = data.draw(st.sampled_from([(), (2,), (1, 3), (0,)]))
    check("broadcast_to", [array(shape, seed, dtype, layout)], seed, shape=(*leading, *stretched))


@pytest.mark.parametrize("key", KEYS, ids=repr)
@given(seed=seeds, dtype=dtypes, layout=layouts)
def test_index(key: Any, seed: int, dtype: str, layout: str) -> None:
    check("index", [array((3, 2, 4), seed, dtype, layout)], seed, key=key)


@pytest.mark.parametrize("key", GATHER_KEYS, ids=lambda key: repr(key)[:30])
@given(seed=seeds, dtype=dtypes, layout=layouts)
def test_gather(key: Any, seed: int, dtype: str, layout: str) -> None:
    check("gather", [array((3, 2, 4), seed, dtype, layout)], seed, key=key)


@given(
    data=st.data(),
    shape=st.lists(st.integers(0, 3), min_size=1, max_size=3),
    lengths=st.lists(st.integers(0, 3), min_size=1, max_size=4),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_concat(data: st.DataObject, shape: list[int], lengths: list[int], seed: int, dtype: str, layout: str) -> None:
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    xs = []
    for i, length in enumerate(lengths):
        shape[axis] = length
        xs.append(array(tuple(shape), seed + i, dtype, layout))
    check("concat", xs, seed, axis=axis)


@given(data=st.data(), shape=SHAPES, n=st.integers(1, 3), seed=seeds, dtype=dtypes, layout=layouts)
def test_stack(data: st.DataObject, shape: tuple[int, ...], n: int, seed: int, dtype: str, layout: str) -> None:
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check("stack", [array(shape, seed + i, dtype, layout) for i in range(n)], seed, axis=axis)


@given(
    data=st.data(),
    shape=SHAPES,
    border=st.sampled_from(["constant", "edge", "reflect"]),
    value=st.sampled_from([0.0, -1.5, np.inf]),
    seed=seeds,
    dtype=dtypes,
    layout=layouts,
)
def test_pad(
    data: st.DataObject, shape: tuple[int, ...], border: str, value: float, seed: int, dtype: str, layout: str
) -> None:
    def most(size: int) -> int:
        return {"constant": 3, "edge": 3 if size else 0, "reflect": max(size - 1, 0)}[border]

    padding = tuple(tuple(data.draw(st.integers(0, most(size))) for _ in range(2)) for size in shape)
    check("pad", [array(shape, seed, dtype, layout)], seed, padding=padding, border=border, value=value)


def test_the_gradient_of_a_border_returns_to_the_pixels_it_repeats() -> None:
    """[a b c] padded by 2 on both sides; dy = 1, 10, 100, …"""
    x, dy = np.array([1.0, 2.0, 3.0]), 10.0 ** np.arange(7)
    expected = {  # what a, b, c receive
        "constant": [100, 1000, 10000],
        "edge": [111, 1000, 1110000],  # a a a b c c c
        "reflect": [1000100, 101010, 10001],  # c b a b c b a
    }
    for border, dx in expected.items():
        params: dict[str, Any] = {"padding": ((2, 2),), "border": border, "value": 0.0}
        _, residual = KERNELS["pad.forward"](x, keep_residual=True, **params)
        (actual,) = KERNELS["pad.backward"](residual, dy, needs=(True,), **params)
        np.testing.assert_array_equal(actual, dx)


ONE = np.ones((2, 3))
BAD_INPUT: list[tuple[str, list[Array], dict[str, Any], type[Exception], str]] = [
    ("reshape", [ONE], {"shape": (4, 2)}, ValueError, r"x has 6 elements \(shape \(2, 3\)\), which do not fit"),
    ("reshape", [ONE], {"shape": (-1, -1)}, ValueError, "do not fit"),
    ("reshape", [ONE], {"shape": (4, -1)}, ValueError, "do not fit"),
    ("reshape", [np.ones((0, 2))], {"shape": (0, -1)}, ValueError, "do not fit"),
    ("reshape", [ONE], {"shape": (-2, 3)}, ValueError, "shape must be at least -1"),
    ("transpose", [ONE], {"axes": (0, 0)}, ValueError, "axes must name each of the 2 axes of x once"),
    ("transpose", [ONE], {"axes": (0,)}, ValueError, "axes must name each of the 2 axes of x once"),
    ("broadcast_to", [ONE], {"shape": (2, 4)}, ValueError, r"\(2, 3\) does not broadcast to \(2, 4\)"),
    ("broadcast_to", [ONE], {"shape": (3,)}, ValueError, "does not broadcast"),
    ("index", [ONE], {"key": np.array([0, 0])}, TypeError, "arrays are for gather"),
    ("index", [ONE], {"key": (0, [1, 1])}, TypeError, "arrays are for gather"),
    ("index", [ONE], {"key": True}, TypeError, "arrays are for gather"),
    ("index", [ONE], {"key": np.True_}, TypeError, "arrays are for gather"),
    ("concat", [], {"axis": 0}, ValueError, "concat: needs at least one input"),
    ("concat", [ONE, np.ones((2, 4))], {"axis": 0}, ValueError, r"agree on every axis but 0; .* input 1 \(2, 4\)"),
    ("concat", [ONE, np.ones(3)], {"axis": 0}, ValueError, "agree on every axis but 0"),
    ("concat", [ONE, ONE.astype("float32")], {"axis": 0}, TypeError, "input 0 is float64 but input 1 is float32"),
    ("stack", [ONE, np.ones((2, 4))], {"axis": 0}, ValueError, r"input 0 has \(2, 3\), input 1 \(2, 4\)"),
    ("stack", [ONE], {"axis": 3}, ValueError, "axis 3 does not exist in an array of rank 3"),
    (
        "pad",
        [ONE],
        {"padding": ((0, 2), (0, 0)), "border": "reflect", "value": 0.0},
        ValueError,
        "border 'reflect' can add at most 1 to axis 0 of length 2",
    ),
    (
        "pad",
        [np.ones((0, 3))],
        {"padding": ((1, 0), (0, 0)), "border": "edge", "value": 0.0},
        ValueError,
        "border 'edge' can add at most 0 to axis 0 of length 0",
    ),
    ("pad", [ONE], {"padding": ((1, 1),), "border": "edge", "value": 0.0}, ValueError, "for each of the 2 axes"),
    ("pad", [ONE], {"padding": ((-1, 0), (0, 0)), "border": "edge", "value": 0.0}, ValueError, "at least 0"),
    ("pad", [ONE], {"padding": ((0, 0), (0, 0)), "border": "wrap", "value": 0.0}, ValueError, "border must be one of"),
]


@pytest.mark.parametrize(("op", "arrays", "params", "error", "message"), BAD_INPUT)
def test_bad_input(op: str, arrays: list[Array], params: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        KERNELS[f"{op}.forward"](*arrays, keep_residual=True, **params)


@pytest.mark.parametrize(
    ("op", "arrays", "params"),
    [
        ("reshape", [ONE], {"shape": (6,)}),
        ("transpose", [ONE], {"axes": (1, 0)}),
        ("broadcast_to", [ONE], {"shape": (4, 2, 3)}),
        ("index", [ONE], {"key": 0}),
        ("concat", [ONE, ONE], {"axis": 1}),
        ("stack", [ONE, ONE], {"axis": 1}),
        ("pad", [ONE], {"padding": ((1, 0), (0, 0)), "border": "edge", "value": 0.0}),
    ],
)
def test_a_gradient_of_another_shape_is_refused(op: str, arrays: list[Array], params: dict[str, Any]) -> None:
    y, residual = KERNELS[f"{op}.forward"](*arrays, keep_residual=True, **params)
    with pytest.raises(ValueError, match=f"{op}: dy must have shape"):
        KERNELS[f"{op}.backward"](residual, y[None], needs=(True,) * len(arrays), **params)


def test_integers_are_refused() -> None:
    for op, params in (("reshape", {"shape": (4,)}), ("index", {"key": 0}), ("gather", {"key": [0]})):
        with pytest.raises(TypeError, match=f"{op}: x must be float32 or float64, got int64"):
            KERNELS[f"{op}.forward"](np.ones(4, np.int64), keep_residual=True, **params)

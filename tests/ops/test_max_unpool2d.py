"""max_unpool2d: the definition, its two answers to overlap, its gradient, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.ops.max_pool2d import max_pool2d
from refdet.ops.max_unpool2d import max_unpool2d
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import max_unpool2d as oracle


def row(*values: float) -> Array:
    """Return (1, 1, 1, W)."""
    return np.array(values, np.float64).reshape(1, 1, 1, -1)


def switches(*values: int) -> Array:
    """Return (1, 1, 1, W)."""
    return np.array(values, np.int64).reshape(1, 1, 1, -1)


def test_hand_example() -> None:
    """2 × 3 planes; the second channel starts anew."""
    x = np.array([[[[5.0, 7.0]], [[1.0, 2.0]]]])
    where = np.array([[[[4, 2]], [[0, 5]]]])
    y = max_unpool2d(x, where, output_size=(2, 3))
    np.testing.assert_array_equal(y.data, [[[[0, 0, 7], [0, 5, 0]], [[1, 0, 0], [0, 0, 2]]]])


def test_what_max_pooling_kept_returns_to_its_place() -> None:
    x = np.arange(1.0, 17).reshape(1, 1, 4, 4)
    y, where = max_pool2d(x, 2)
    expected = np.where(np.isin(x, [6, 8, 14, 16]), x, 0)
    for overlap in ("add", "last"):
        np.testing.assert_array_equal(max_unpool2d(y, where, output_size=4, overlap=overlap).data, expected)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Few pixels for the values, so that many meet."""

    def draw(low: int, high: int) -> int:
        return data.draw(st.integers(low, high))

    rng = np.random.default_rng(seed)
    shape = (draw(0, 2), draw(0, 2), draw(0, 3), draw(0, 3))
    size = (draw(0, 3), draw(0, 3))
    x = in_layout(rng.standard_normal(shape).astype(dtype), layout)
    where = in_layout(rng.integers(-1, size[0] * size[1], shape), layout)
    params: dict[str, Any] = {"output_size": size, "overlap": data.draw(st.sampled_from(["add", "last"]))}
    assert_agrees("max_unpool2d", oracle, [x, where], rng=rng, params=params)


@pytest.mark.parametrize("overlap", ["add", "last"])
def test_gradient(overlap: str) -> None:
    rng = np.random.default_rng(0)
    where = rng.integers(-1, 6, (2, 3, 2, 4))
    gradcheck(
        lambda x: max_unpool2d(x, where, output_size=(2, 3), overlap=overlap),
        [rng.standard_normal(where.shape)],
        rng=rng,
    )


@pytest.mark.parametrize(("overlap", "y", "dx"), [("add", [0, 3, 4], [20, 20, 30]), ("last", [0, 2, 4], [0, 20, 30])])
def test_values_that_meet(overlap: str, y: list[float], dx: list[float]) -> None:
    """1 and 2 meet in pixel 1, 4 is alone in pixel 2; dy is 10, 20, 30."""
    x = Tensor(row(1, 2, 4), requires_grad=True)
    result = max_unpool2d(x, switches(1, 1, 2), output_size=(1, 3), overlap=overlap)
    np.testing.assert_array_equal(result.data.ravel(), y)
    result.backward(row(10, 20, 30))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.ravel(), dx)


def test_the_last_is_the_last_in_row_major_order() -> None:
    """Of four values in one pixel (1, 1) stays, whatever their order in memory and their sizes."""
    x = np.asfortranarray(np.array([[[[9.0, 8.0], [7.0, -6.0]]]]))
    y = max_unpool2d(x, np.zeros((1, 1, 2, 2), int), output_size=1, overlap="last")
    assert y.data.item() == -6


def test_sums_go_in_row_major_order_and_in_the_dtype() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴, since each 1 is rounded away; 1 + 1 first gives 2²⁴ + 2."""
    big_first, big_last = (row(*values).astype(np.float32) for values in ([2**24, 1, 1], [1, 1, 2**24]))
    y = [max_unpool2d(x, switches(0, 0, 0), output_size=1).data for x in (big_first, big_last)]
    assert [v.dtype for v in y] == [np.float32, np.float32]
    assert [v.item() for v in y] == [2**24, 2**24 + 2]


def test_adding_is_the_adjoint_of_max_pooling() -> None:
    """⟨pool(x), z⟩ = ⟨x, unpool(z)⟩ while the switches stay: exactly, since the numbers are integers."""
    rng = np.random.default_rng(1)
    x = rng.integers(-9, 9, (2, 3, 7, 6)).astype(np.float64)
    y, where = max_pool2d(x, 3, stride=2, padding=1)
    z = rng.integers(-9, 9, y.shape).astype(np.float64)
    assert np.sum(y.data * z) == np.sum(x * max_unpool2d(z, where, output_size=(7, 6)).data)


@pytest.mark.parametrize("overlap", ["add", "last"])
def test_no_switch_no_pixel(overlap: str) -> None:
    x = Tensor(row(5, 6), requires_grad=True)
    y = max_unpool2d(x, switches(-1, 0), output_size=(1, 2), overlap=overlap)
    np.testing.assert_array_equal(y.data.ravel(), [6, 0])
    y.backward(row(1, 1))
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.ravel(), [0, 1])


@pytest.mark.parametrize("overlap", ["add", "last"])
def test_empties(overlap: str) -> None:
    for shape in ((0, 2, 1, 1), (2, 0, 1, 1), (2, 2, 0, 3)):
        y = max_unpool2d(np.zeros(shape), np.zeros(shape, int), output_size=2, overlap=overlap)
        np.testing.assert_array_equal(y.data, np.zeros((*shape[:2], 2, 2)))
    y = max_unpool2d(row(5), switches(-1), output_size=(0, 3), overlap=overlap)
    assert y.shape == (1, 1, 0, 3)


@pytest.mark.parametrize("overlap", ["add", "last"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_any_integer_names_a_pixel(overlap: str, dtype: str) -> None:
    """Planes of 16 × 16 hold 256 pixels, more than int8 counts; the second starts at 256."""
    x = np.ones((1, 2, 1, 1))
    where = np.full((1, 2, 1, 1), 127).astype(dtype)
    y = max_unpool2d(x, where, output_size=16, overlap=overlap)
    np.testing.assert_array_equal(np.flatnonzero(y.data), [127, 256 + 127])


@pytest.mark.parametrize(
    ("x", "where", "options", "message"),
    [
        (
            np.ones((1, 1, 2)),
            np.ones((1, 1, 2), int),
            {},
            r"max_unpool2d: x must have rank 4 \(N, C, h, w\), got rank 3",
        ),
        (row(1, 2), switches(1), {}, r"max_unpool2d: switches must have shape \(1, 1, 1, 2\) \(one per element of x\)"),
        (row(1), switches(4), {}, r"switches must be −1 or lie in \[0, 4\) for an output of 2 × 2, got 4"),
        (row(1), switches(-2), {}, r"switches must be −1 or lie in \[0, 4\) for an output of 2 × 2, got -2"),
        (row(1), switches(0), {"output_size": -1}, "output_size must be at least 0"),
        (row(1), switches(0), {"output_size": (1, 2, 3)}, "output_size must be an integer or 2 of them"),
        (row(1), switches(0), {"overlap": "first"}, "overlap must be one of 'add', 'last', got 'first'"),
    ],
)
def test_bad_input(x: Array, where: Array, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        max_unpool2d(x, where, **{"output_size": 2, **options})


def test_a_switch_does_not_reach_into_the_next_plane() -> None:
    """5 would be pixel 1 of the second plane."""
    with pytest.raises(ValueError, match=r"switches must be −1 or lie in \[0, 4\)"):
        max_unpool2d(np.ones((1, 2, 1, 1)), np.array([5, 0]).reshape(1, 2, 1, 1), output_size=2)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="max_unpool2d: switches must be an integer array, got float64"):
        max_unpool2d(row(1), row(0), output_size=1)
    with pytest.raises(TypeError, match="max_unpool2d: x must be float32 or float64, got int64"):
        max_unpool2d(switches(1), switches(0), output_size=1)

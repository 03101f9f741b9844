"""lattice_splat: by hand, the naive oracle, the gradient, the precision of its sums, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.crf.lattice_splat import lattice_splat
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import lattice_splat as oracle


def test_hand_example() -> None:
    """Vertex 1 receives a quarter of the first point and half of the second; vertex 0 nothing."""
    values = np.array([[8.0, -4.0], [2.0, 6.0]])
    weights, ids = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([[2, 1], [1, 3]])
    z = lattice_splat(values, weights, ids, 4)
    np.testing.assert_array_equal(z.data, [[0, 0], [3, 2], [6, -3], [1, 3]])


def test_the_gradient_by_hand() -> None:
    values = Tensor(np.array([[8.0, -4.0]]), requires_grad=True)
    weights = Tensor(np.array([[0.75, 0.25]]), requires_grad=True)
    lattice_splat(values, weights, np.array([[1, 0]]), 2).backward(np.array([[1.0, 10], [2, 20]]))
    assert values.grad is not None
    assert weights.grad is not None
    np.testing.assert_array_equal(values.grad, [[1.75, 17.5]])  # ¾ of vertex 1, ¼ of vertex 0
    np.testing.assert_array_equal(weights.grad, [[16 - 80, 8 - 40]])


def test_corners_of_one_point_may_be_one_vertex() -> None:
    z = lattice_splat(np.array([[4.0]]), np.array([[0.5, 0.25, 0.25]]), np.array([[1, 1, 0]]), 2)
    np.testing.assert_array_equal(z.data, [[1], [3]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, v, k = (data.draw(st.integers(0, 4)) for _ in range(3))
    n_vertices = data.draw(st.integers(1, 6))
    id_dtype = data.draw(st.sampled_from(["int64", "int32", "uint8", "uint64"]))
    values, weights = rng.standard_normal((n, v)).astype(dtype), rng.standard_normal((n, k)).astype(dtype)
    ids = rng.integers(0, n_vertices, (n, k)).astype(id_dtype)
    inputs = [in_layout(x, layout) for x in (values, weights, ids)]
    assert_agrees("lattice_splat", oracle, inputs, rng=rng, params={"n_vertices": n_vertices})


def test_gradient() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 5, (6, 3))
    inputs = [rng.standard_normal((6, 2)), rng.standard_normal((6, 3))]
    gradcheck(lambda values, weights: lattice_splat(values, weights, ids, 5), inputs, rng=rng)


def test_sums_are_float64_and_rounded_once() -> None:
    """2²⁴ + 1 + 1 in float32 stays 2²⁴, since each 1 is rounded away."""
    values = np.array([[2.0**24], [1], [1]], np.float32)
    z = lattice_splat(values, np.ones((3, 1), np.float32), np.zeros((3, 1), int), 1)
    assert z.data.dtype == np.float32
    assert z.data.item() == 2**24 + 2


def test_products_are_float64() -> None:
    """(1 + 2⁻¹²)² = 1 + 2⁻¹¹ + 2⁻²⁴, the last of which float32 rounds away; less 1 + 2⁻¹¹, it is what remains."""
    values = np.array([[1 + 2.0**-12], [-1 - 2.0**-11]], np.float32)
    z = lattice_splat(values, np.array([[1 + 2.0**-12], [1]], np.float32), np.zeros((2, 1), int), 1)
    assert z.data.item() == 2.0**-24


def test_sums_go_through_the_points_in_order() -> None:
    """1 is lost in 2⁵³; had it been added last, it would remain."""
    z = lattice_splat(np.array([[1], [2.0**53], [-(2.0**53)]]), np.ones((3, 1)), np.zeros((3, 1), int), 1)
    assert z.data.item() == 0


def test_a_nan_reaches_the_corners_of_its_point_only() -> None:
    values, weights = np.array([[np.nan, 1], [1, 1]]), np.array([[1.0, 0], [1, 1]])
    z = lattice_splat(values, weights, np.array([[0, 1], [1, 2]]), 3)
    np.testing.assert_array_equal(z.data, [[np.nan, 1], [np.nan, 1], [1, 1]])


def test_no_points_leave_all_vertices_0() -> None:
    z = lattice_splat(np.zeros((0, 2)), np.zeros((0, 3)), np.zeros((0, 3), int), 4)
    np.testing.assert_array_equal(z.data, np.zeros((4, 2)))


@pytest.mark.parametrize("wrong", [-1, 4, 2**40])
def test_ids_out_of_range(wrong: int) -> None:
    ids = np.array([[0, 1], [2, wrong], [wrong, 0]])
    with pytest.raises(
        ValueError, match=rf"lattice_splat: ids must lie in \[0, 4\) for 4 vertices, got ids\[1, 1\] = {wrong}"
    ):
        lattice_splat(np.zeros((3, 1)), np.zeros((3, 2)), ids, 4)


@pytest.mark.parametrize(
    ("values", "weights", "ids", "n_vertices", "error", "message"),
    [
        (np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2), int), 1, ValueError, r"values must have rank 2 \(N, V\)"),
        (np.zeros((3, 1)), np.zeros(3), np.zeros(3, int), 1, ValueError, r"weights must have rank 2 \(N, K\)"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 3), int), 1, ValueError, r"ids must have shape \(3, 2\)"),
        (
            np.zeros((2, 1)),
            np.zeros((3, 2)),
            np.zeros((3, 2), int),
            1,
            ValueError,
            "values and weights must have one row per point",
        ),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2)), 1, TypeError, "ids must be an integer array"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2), int), -1, ValueError, "n_vertices must be at least 0"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2), int), 1.5, TypeError, "n_vertices must be an integer"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2), int), True, TypeError, "n_vertices must be an integer"),
        (np.zeros((3, 1), np.float32), np.zeros((3, 2)), np.zeros((3, 2), int), 1, TypeError, "values is float32 but"),
        (np.zeros((3, 1), int), np.zeros((3, 2)), np.zeros((3, 2), int), 1, TypeError, "values must be float32 or"),
    ],
)
def test_bad_input(values: Any, weights: Any, ids: Any, n_vertices: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"lattice_splat: {message}"):
        lattice_splat(values, weights, ids, n_vertices)


def test_bad_gradient() -> None:
    z = lattice_splat(Tensor(np.zeros((3, 1)), requires_grad=True), np.zeros((3, 2)), np.zeros((3, 2), int), 5)
    with pytest.raises(ValueError, match=r"must have shape \(5, 1\)"):
        z.backward(np.zeros((3, 1)))

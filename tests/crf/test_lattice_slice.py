"""lattice_slice: by hand, the transpose of splatting, the naive oracle, the gradient, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.crf.lattice_slice import lattice_slice
from refdet.crf.lattice_splat import lattice_splat
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import lattice_slice as oracle


def test_hand_example() -> None:
    z = np.array([[0.0, 4.0], [8.0, 0.0], [4.0, 2.0]])
    weights, ids = np.array([[0.75, 0.25], [0.5, 0.5]]), np.array([[0, 1], [2, 1]])
    y = lattice_slice(z, weights, ids, scale=2)
    np.testing.assert_array_equal(y.data, [[4, 6], [12, 2]])


def test_the_gradient_by_hand() -> None:
    """Vertex 1 is read by both points, with ¼ and ½, twice that in all."""
    z = Tensor(np.array([[0.0], [8.0], [4.0]]), requires_grad=True)
    weights = Tensor(np.array([[0.75, 0.25], [0.5, 0.5]]), requires_grad=True)
    lattice_slice(z, weights, np.array([[0, 1], [2, 1]]), scale=2).backward(np.array([[1.0], [10.0]]))
    assert z.grad is not None
    assert weights.grad is not None
    np.testing.assert_array_equal(z.grad, [[1.5], [10.5], [10]])
    np.testing.assert_array_equal(weights.grad, [[0, 16], [80, 160]])


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, v, k = (data.draw(st.integers(0, 4)) for _ in range(3))
    n_vertices = data.draw(st.integers(1, 6))
    id_dtype = data.draw(st.sampled_from(["int64", "int32", "uint8", "uint64"]))
    z, weights = rng.standard_normal((n_vertices, v)).astype(dtype), rng.standard_normal((n, k)).astype(dtype)
    ids = rng.integers(0, n_vertices, (n, k)).astype(id_dtype)
    inputs = [in_layout(x, layout) for x in (z, weights, ids)]
    params = {"scale": data.draw(st.sampled_from([1.0, 0.8, -2.0, 0.0]))}
    assert_agrees("lattice_slice", oracle, inputs, rng=rng, params=params)


def test_gradient() -> None:
    rng = np.random.default_rng(0)
    ids = rng.integers(0, 5, (6, 3))
    inputs = [rng.standard_normal((5, 2)), rng.standard_normal((6, 3))]
    gradcheck(lambda z, weights: lattice_slice(z, weights, ids, scale=0.8), inputs, rng=rng)


def test_it_is_the_transpose_of_splatting() -> None:
    """⟨splat(x), z⟩ = ⟨x, slice(z)⟩."""
    rng = np.random.default_rng(0)
    x, z, weights = rng.standard_normal((6, 2)), rng.standard_normal((5, 2)), rng.standard_normal((6, 3))
    ids = rng.integers(0, 5, (6, 3))
    one = np.sum(lattice_splat(x, weights, ids, 5).data * z)
    assert one == pytest.approx(np.sum(x * lattice_slice(z, weights, ids).data), rel=1e-12)


def test_weights_that_sum_to_one_keep_constants() -> None:
    rng = np.random.default_rng(0)
    weights = rng.random((20, 4))
    weights /= np.sum(weights, axis=1, keepdims=True)
    y = lattice_slice(np.full((5, 1), 3.0), weights, rng.integers(0, 5, (20, 4)))
    np.testing.assert_allclose(y.data, 3, rtol=1e-15)


def test_sums_go_through_the_corners_in_order() -> None:
    """1 is lost in 2⁵³; had it been added last, it would remain."""
    z = np.array([[1], [2.0**53], [-(2.0**53)]])
    y = lattice_slice(z, np.ones((2, 3)), np.array([[0, 1, 2], [1, 2, 0]]))
    np.testing.assert_array_equal(y.data, [[0], [1]])


def test_a_nan_reaches_the_points_that_read_it() -> None:
    z = np.array([[np.nan], [1.0], [2.0]])
    y = lattice_slice(z, np.array([[0.0, 1.0], [1.0, 1.0]]), np.array([[0, 1], [1, 2]]))
    np.testing.assert_array_equal(y.data, [[np.nan], [3]])


def test_no_points() -> None:
    assert lattice_slice(np.zeros((0, 2)), np.zeros((0, 3)), np.zeros((0, 3), int)).shape == (0, 2)


@pytest.mark.parametrize("wrong", [-1, 4])
def test_ids_out_of_range(wrong: int) -> None:
    ids = np.array([[0, 1], [2, wrong]])
    with pytest.raises(
        ValueError, match=rf"lattice_slice: ids must lie in \[0, 4\) for 4 vertices, got ids\[1, 1\] = {wrong}"
    ):
        lattice_slice(np.zeros((4, 1)), np.zeros((2, 2)), ids)


@pytest.mark.parametrize(
    ("z", "weights", "ids", "scale", "error", "message"),
    [
        (np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2), int), 1, ValueError, r"z must have rank 2 \(M, V\)"),
        (np.zeros((3, 1)), np.zeros(3), np.zeros(3, int), 1, ValueError, r"weights must have rank 2 \(N, K\)"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((2, 2), int), 1, ValueError, r"ids must have shape \(3, 2\)"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2)), 1, TypeError, "ids must be an integer array"),
        (np.zeros((3, 1)), np.zeros((3, 2)), np.zeros((3, 2), int), np.nan, ValueError, "scale must be a finite"),
        (np.zeros((3, 1)), np.zeros((3, 2), np.float32), np.zeros((3, 2), int), 1, TypeError, "z is float64 but"),
    ],
)
def test_bad_input(z: Any, weights: Any, ids: Any, scale: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"lattice_slice: {message}"):
        lattice_slice(z, weights, ids, scale=scale)


def test_bad_gradient() -> None:
    y = lattice_slice(Tensor(np.zeros((3, 1)), requires_grad=True), np.zeros((2, 2)), np.zeros((2, 2), int))
    with pytest.raises(ValueError, match=r"must have shape \(2, 1\)"):
        y.backward(np.zeros((3, 1)))

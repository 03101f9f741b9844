"""lattice_embed: simplices and weights by hand, their properties, the naive oracle, the gradient, bad input."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.crf.lattice_embed import (
    MAX_COORDINATE,
    axis_lengths,
    barycentric,
    elevate,
    elevate_transposed,
    keys,
    lattice_embed,
    nearest_zero_coloured,
    rank,
)
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.lattices import full_lattice, last_coordinate, points_inside, points_on
from tests.oracles import lattice_embed as oracle

DIMENSIONS = (1, 2, 3, 4, 5, 6, 20)


def embed(*points: list[float]) -> tuple[Array, Array]:
    """Return weights and keys as arrays."""
    weights, corners = lattice_embed(np.array(points, np.float64))
    return weights.data, corners


def test_hand_example() -> None:
    """f = (0, ½) has e = (½, ½, −1): half-way between the corners (0, 0, 0) and (1, 1, −2)."""
    weights, corners = embed([0, 0.5])
    np.testing.assert_allclose(weights, [[0.5, 0.5, 0]], atol=1e-15)
    np.testing.assert_array_equal(corners, [[[0, 0], [1, 1], [2, -1]]])


def test_the_steps_of_the_hand_example() -> None:
    elevated = np.array([[0.5, 0.5, -1]])
    origin, ranks = nearest_zero_coloured(elevated)
    np.testing.assert_array_equal(origin, [[0, 0, 0]])
    np.testing.assert_array_equal(ranks, [[0, 1, 2]])
    np.testing.assert_allclose(barycentric(elevated - origin, ranks), [[0.5, 0.5, 0]], atol=1e-15)
    np.testing.assert_array_equal(keys(origin, ranks), [[[0, 0], [1, 1], [2, -1]]])


def test_rounding_that_misses_the_plane_is_put_right() -> None:
    """(2, 1.8, −3.8) rounds to (3, 3, −3), one step of 3 too high; the lowest, 1.8 − 3 = −1.2, steps back.

    Coordinate 1 is then 1.8 above its origin, rank 0 instead of 2, and the others move up by one. Too low is likewise.
    """
    origin, ranks = nearest_zero_coloured(np.array([[2, 1.8, -3.8], [-2, -1.8, 3.8]]))
    np.testing.assert_array_equal(origin, [[3, 0, -3], [-3, 0, 3]])
    np.testing.assert_array_equal(ranks, [[2, 0, 1], [0, 2, 1]])


def test_of_equal_ones_the_last_steps_down_and_the_first_up() -> None:
    """(2, 2, −4) is 1 below (3, 3, −3), which is a step too high; (−2, −2, 4) 1 above (−3, −3, 3)."""
    origin, ranks = nearest_zero_coloured(np.array([[2.0, 2, -4], [-2, -2, 4]]))
    np.testing.assert_array_equal(origin, [[3, 3, -6], [0, -3, 3]])
    np.testing.assert_array_equal(ranks, [[1, 2, 0], [2, 0, 1]])


def test_a_rank_is_that_of_before_the_step_back() -> None:
    """Above their multiples of 5 by 2½, −2½, −1, −2, −2: one step too high. Coordinate 1 steps down, to rank 0.

    It is then as far above its origin as coordinate 0, which comes first but keeps the rank after it.
    """
    e = np.array([[2.5, 7.5, 4, -2, -12]])
    origin, ranks = nearest_zero_coloured(e)
    np.testing.assert_array_equal(origin, [[0, 5, 5, 0, -10]])
    np.testing.assert_array_equal(e - origin, [[2.5, 2.5, -1, -2, -2]])
    np.testing.assert_array_equal(ranks, [[1, 0, 2, 3, 4]])


def test_elevation_adds_the_last_feature_first() -> None:
    """Where the coordinates c are 1, 2⁵³ and −2⁵³, the sum from the last to the first is 1, the other one 0."""
    c = np.array([[1, 2.0**53, -(2.0**53)]])
    features = c / axis_lengths(3)
    np.testing.assert_array_equal(features * axis_lengths(3), c)
    np.testing.assert_array_equal(elevate(features)[0, 0], 1)


def test_a_weight_that_rounding_leaves_below_0_is_0() -> None:
    """b_0 = 1 + a_0 − a_1 would be −2⁻⁵², where a_1 is ½ and a_0 is −½ − 2⁻⁵²."""
    weights = barycentric(np.array([[1, -1 - 2.0**-51]]), np.array([[0, 1]]))
    np.testing.assert_array_equal(weights, [[0, 1 + 2.0**-52]])


def test_half_way_rounds_to_the_even_multiple() -> None:
    """±1½ is half-way between 0 and ±3, 4½ half-way between 3 and 6: steps of 0 and 2."""
    origin, _ = nearest_zero_coloured(np.array([[1.5, -1.5, 0], [4.5, -4.5, 0]]))
    np.testing.assert_array_equal(origin, [[0, 0, 0], [6, -6, 0]])


def test_equal_coordinates_the_first_ranks_lower() -> None:
    np.testing.assert_array_equal(
        rank(np.array([[1.0, 1, 1], [0, 2, 0], [2, 0, 2]])), [[0, 1, 2], [1, 0, 2], [0, 2, 1]]
    )


def test_one_dimension() -> None:
    """Key k is at k · √3/2; colour 0 is even. A point at 1.25 steps has ¾ of key 1, one at −1.25 of key −1."""
    step = math.sqrt(3) / 2
    weights, corners = embed([0.0], [1.25 * step], [-1.25 * step], [1.75 * step])
    np.testing.assert_allclose(weights, [[1.0, 0.0], [0.25, 0.75], [0.25, 0.75], [0.75, 0.25]], atol=1e-15)
    np.testing.assert_array_equal(corners[..., 0], [[0, 1], [2, 1], [-2, -1], [2, 1]])


@pytest.mark.parametrize("d", DIMENSIONS)
def test_elevation_rotates_and_stretches(d: int) -> None:
    """Onto the plane of sum 0; distances grow by √(2/3)(d + 1)."""
    f = np.random.default_rng(d).standard_normal((20, d))
    e = elevate(f)
    np.testing.assert_allclose(np.sum(e, axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(e @ e.T, f @ f.T * (2 / 3 * (d + 1) ** 2), atol=1e-11 * d**2)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_transpose_of_elevation(d: int) -> None:
    rng = np.random.default_rng(d)
    f, e = rng.standard_normal((5, d)), rng.standard_normal((5, d + 1))
    assert np.sum(elevate(f) * e) == pytest.approx(np.sum(f * elevate_transposed(e)), rel=1e-12)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_corners_span_the_point(d: int) -> None:
    """Σ_k b_k = 1, b_k ≥ 0, Σ_k b_k · corner_k = e."""
    f = 5 * np.random.default_rng(d).standard_normal((300, d))
    weights, corners = lattice_embed(f)
    b = weights.data
    assert np.min(b) >= 0
    np.testing.assert_allclose(np.sum(b, axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(np.einsum("nk,nkm->nm", b, last_coordinate(corners)), elevate(f), atol=1e-11)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_corners_are_one_of_every_colour_and_neighbours(d: int) -> None:
    """Coordinates of corner k leave remainder k; from one corner to the next all change by one, but one by −d."""
    _, corners = lattice_embed(5 * np.random.default_rng(d).standard_normal((100, d)))
    corners = last_coordinate(corners)
    colours = np.arange(d + 1)[:, None]
    np.testing.assert_array_equal(np.mod(corners, d + 1), np.broadcast_to(colours, corners.shape))
    steps = np.sort(np.diff(corners, axis=1), axis=2)
    np.testing.assert_array_equal(steps, np.broadcast_to([-d, *[1] * d], steps.shape))


@pytest.mark.parametrize("d", DIMENSIONS)
def test_the_variance_of_splatting_is_that_of_the_definition(d: int) -> None:
    """(d + 1)²/12 in every direction of the hyperplane, averaged over all points of a simplex.

    Σ_k b_k |corner_k − e|² = Σ_{k < l} b_k b_l |corner_k − corner_l|², and b_k b_l is 1/((d + 1)(d + 2)) on average.
    """
    _, corners = lattice_embed(np.random.default_rng(d).standard_normal((3, d)))
    corners = last_coordinate(corners)
    squares = np.sum((corners[:, :, None] - corners[:, None]) ** 2, axis=3)  # (N, d + 1, d + 1), each pair twice
    variance = np.sum(squares, axis=(1, 2)) / 2 / ((d + 1) * (d + 2))
    np.testing.assert_allclose(variance, d * (d + 1) ** 2 / 12, rtol=1e-14)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_a_point_on_a_vertex_is_all_its(d: int) -> None:
    """Wherever rounding puts it, the corner with the key of the vertex has the whole weight."""
    vertices = full_lattice(d)
    weights, corners = lattice_embed(points_on(vertices))
    assert np.min(weights.data) >= 0
    on_vertex = np.all(corners == vertices[:, None, :], axis=2)
    np.testing.assert_array_equal(np.sum(on_vertex, axis=1), 1)
    np.testing.assert_allclose(weights.data[on_vertex], 1, atol=1e-14)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, d = data.draw(st.integers(0, 6)), data.draw(st.integers(1, 7))
    features = data.draw(st.sampled_from([0.1, 1, 10, 1000])) * rng.standard_normal((n, d))
    if data.draw(st.booleans()):
        features = np.rint(features) * data.draw(st.sampled_from([0.5, 1, 1.5]))  # many coordinates tie
    features[rng.random(n) < 0.2] = 0  # all of them do
    assert_agrees("lattice_embed", oracle, [in_layout(features.astype(dtype), layout)], rng=rng, params={})


@pytest.mark.parametrize("d", DIMENSIONS)
def test_gradient(d: int) -> None:
    rng = np.random.default_rng(d)
    margin = 0.01 if d < 7 else 1e-4
    gradcheck(lambda f: lattice_embed(f)[0], [points_inside(rng, 10, d, margin=margin)], rng=rng)


def test_the_gradient_by_hand() -> None:
    """One dimension: e = (c, −c) with c = 2f/√3; between 0 and 1 the weights are 1 − c and c."""
    f = Tensor(np.array([[0.3]]), requires_grad=True)
    lattice_embed(f)[0].backward(np.array([[10.0, 13.0]]))
    assert f.grad is not None
    np.testing.assert_allclose(f.grad, [[3 * 2 / math.sqrt(3)]], rtol=1e-15)


def test_float32_only_rounds_the_weights() -> None:
    """Of float32 features the keys and ranks are those of the same numbers in float64."""
    f = 100 * np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    weights, corners = lattice_embed(f)
    precise, precise_corners = lattice_embed(f.astype(np.float64))
    assert weights.data.dtype == np.float32
    np.testing.assert_array_equal(weights.data, precise.data.astype(np.float32))
    np.testing.assert_array_equal(corners, precise_corners)
    assert corners.dtype == np.int64


def test_no_points() -> None:
    weights, corners = lattice_embed(np.zeros((0, 3), np.float32))
    assert (weights.shape, corners.shape) == ((0, 4), (0, 4, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_must_be_finite(value: float) -> None:
    f = np.zeros((4, 2))
    f[2, 1] = value
    with pytest.raises(ValueError, match=r"lattice_embed: features must be finite, got \[0.0, -?(nan|inf)\] in row 2"):
        lattice_embed(f)


@pytest.mark.parametrize("value", [1e300, 1e308, -3e16])
def test_keys_overflow(value: float) -> None:
    f = np.zeros((4, 2))
    f[3] = value
    message = r"lattice_embed: lattice keys overflow: features reach \S+ in row 3, .* larger standard deviations"
    with pytest.raises(ValueError, match=message):
        lattice_embed(f)


def test_keys_up_to_the_bound() -> None:
    """One dimension: |e| = 2f/√3. Up to the bound the corners and weights give e back to about its last bits."""
    for e in (MAX_COORDINATE / 2, MAX_COORDINATE - 8):
        weights, corners = embed([math.sqrt(3) / 2 * e])
        assert np.min(weights) >= 0
        assert abs(float(weights[0] @ corners[0, :, 0]) - e) <= 2.0**-10
    with pytest.raises(ValueError, match="lattice keys overflow"):
        embed([math.sqrt(3) / 2 * (MAX_COORDINATE + 8)])


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (np.zeros(3), ValueError, r"lattice_embed: features must have rank 2 \(N, d\), got rank 1"),
        (np.zeros((3, 0)), ValueError, r"lattice_embed: features must have at least one column, got shape \(3, 0\)"),
        (np.zeros((3, 2), int), TypeError, "lattice_embed: features must be float32 or float64, got int64"),
        (None, TypeError, "lattice_embed: features"),
    ],
)
def test_bad_input(features: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lattice_embed(features)


def test_bad_gradient() -> None:
    weights, _ = lattice_embed(Tensor(np.zeros((2, 3)), requires_grad=True))
    with pytest.raises(ValueError, match=r"must have shape \(2, 4\)"):
        weights.backward(np.zeros((2, 3)))

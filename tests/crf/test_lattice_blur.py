"""lattice_blur: by hand, its response on a lattice without holes, its transpose, the naive oracle, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_embed import lattice_embed
from refdet.crf.lattice_index import lattice_index
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.lattices import full_lattice
from tests.oracles import lattice_blur as oracle

CHAIN = np.array([[[1, 2, 3, -1], [-1, 0, 1, 2]]])  # four vertices in a row, one axis


def column(*values: float) -> Array:
    return np.array(values, np.float64)[:, None]


def response(d: int, *, reverse: bool = False) -> tuple[Array, Array]:
    """Return the blurred impulse at the origin of a lattice without holes, and the vertices."""
    vertices, _, neighbours = lattice_index(full_lattice(d, 2)[:, None])
    impulse = np.all(vertices == 0, axis=1)[:, None].astype(np.float64)
    return lattice_blur(impulse, neighbours, reverse=reverse).data[:, 0], vertices


def test_hand_example() -> None:
    np.testing.assert_array_equal(lattice_blur(column(0, 8, 0, 2), CHAIN).data, column(4, 8, 5, 2))


def test_one_axis_after_the_other() -> None:
    """Two axes, the second of which joins the ends: 8 spreads by halves along the chain, then vertices 0 and 3 mix."""
    ring = np.concatenate([CHAIN, [[[3, -1, -1, -1], [-1, -1, -1, 0]]]])
    np.testing.assert_array_equal(lattice_blur(column(0, 8, 0, 0), ring).data, column(4, 8, 4, 2))


def test_in_reverse_the_last_axis_is_first() -> None:
    """The ends mix first, and hold nothing yet."""
    ring = np.concatenate([CHAIN, [[[3, -1, -1, -1], [-1, -1, -1, 0]]]])
    np.testing.assert_array_equal(lattice_blur(column(0, 8, 0, 0), ring, reverse=True).data, column(4, 8, 4, 0))


def test_two_dimensions_by_hand() -> None:
    """19 vertices: 5/4 at the centre, 3/4 at its 6 neighbours, 1/4 at the 6 between those, 1/8 at the 6 beyond them."""
    z, vertices = response(2)
    last = -np.sum(vertices, axis=1)
    square = np.sum(vertices**2, axis=1) + last**2  # |key|²: 6 next to the centre
    for distance, value in {0: 1.25, 6: 0.75, 18: 0.25, 24: 0.125}.items():
        np.testing.assert_array_equal(z[square == distance], np.full(6 if distance else 1, value))
    assert np.count_nonzero(z) == 19


@pytest.mark.parametrize(("d", "support"), [(1, 5), (2, 19), (3, 65), (4, 211), (5, 665)])
def test_response_on_a_lattice_without_holes(d: int, support: int) -> None:
    """All of its numbers are dyadic, so that the sums are exact. The passes commute."""
    z, vertices = response(d)
    assert z[np.all(vertices == 0, axis=1)] == 1 + 2.0**-d
    assert np.sum(z) == 2 ** (d + 1)
    assert np.count_nonzero(z) == support == 3 ** (d + 1) - 2 ** (d + 1)
    np.testing.assert_array_equal(z, z[::-1])  # symmetric about the origin
    np.testing.assert_array_equal(z, response(d, reverse=True)[0])


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_variance_is_that_of_the_definition(d: int) -> None:
    """(d + 1)²/2 in every direction of the hyperplane, so d(d + 1)²/2 in all."""
    z, vertices = response(d)
    square = np.sum(vertices**2, axis=1) + np.sum(vertices, axis=1) ** 2
    assert np.sum(z * square) / np.sum(z) == pytest.approx(d * (d + 1) ** 2 / 2, rel=1e-14)


def sparse_lattice(d: int) -> Array:
    """Return the neighbours in a lattice with many holes."""
    _, keys = lattice_embed(np.random.default_rng(d).standard_normal((30, d)) * 1.5)
    return lattice_index(keys)[2]


@pytest.mark.parametrize("d", [2, 3, 4, 5, 6])
def test_the_transpose_is_the_reverse(d: int) -> None:
    """⟨B x, y⟩ = ⟨x, B' y⟩; with the same order on both sides it is wrong, as there are holes."""
    neighbours = sparse_lattice(d)
    x, y = np.random.default_rng(d).standard_normal((2, neighbours.shape[2], 2))
    forward = np.sum(lattice_blur(x, neighbours).data * y)
    assert forward == pytest.approx(np.sum(x * lattice_blur(y, neighbours, reverse=True).data), rel=1e-12, abs=1e-12)
    assert abs(forward - np.sum(x * lattice_blur(y, neighbours).data)) > 1e-3


def mutual_neighbours(rng: np.random.Generator, n_axes: int, n_vertices: int) -> Array:
    """Return neighbours of no lattice, (n_axes, 2, n_vertices), of which one side knows of the other."""
    neighbours = np.full((n_axes, 2, n_vertices), -1)
    for first, second in neighbours:
        v = np.flatnonzero(rng.random(n_vertices) < 0.7)
        first[v] = rng.permutation(n_vertices)[: len(v)]
        second[first[v]] = v
    return neighbours


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Neighbours of points in a lattice, or any that are mutual: a permutation, some of it missing, and its inverse."""
    rng = np.random.default_rng(seed)
    n, d, v = (data.draw(st.integers(low, high)) for low, high in ((0, 8), (1, 5), (0, 3)))
    _, keys = lattice_embed(rng.standard_normal((n, d)))
    neighbours = lattice_index(keys)[2] if data.draw(st.booleans()) else mutual_neighbours(rng, d, n)
    neighbours = neighbours.astype(data.draw(st.sampled_from(["int64", "int32"])))
    z = rng.standard_normal((neighbours.shape[2], v)).astype(dtype)
    params = {"reverse": data.draw(st.booleans())}
    inputs = [in_layout(z, layout), in_layout(neighbours, layout)]
    assert_agrees("lattice_blur", oracle, inputs, rng=rng, params=params)


@pytest.mark.parametrize("reverse", [False, True])
def test_gradient(reverse: bool) -> None:
    rng = np.random.default_rng(0)
    neighbours = sparse_lattice(4)
    z = rng.standard_normal((neighbours.shape[2], 2))
    gradcheck(lambda t: lattice_blur(t, neighbours, reverse=reverse), [z], rng=rng)


def test_a_nan_spreads_to_neighbours_only() -> None:
    np.testing.assert_array_equal(lattice_blur(column(np.nan, 0, 0, 2), CHAIN).data, column(np.nan, np.nan, 1, 2))


def test_no_vertices() -> None:
    assert lattice_blur(np.zeros((0, 2)), np.zeros((3, 2, 0), int)).shape == (0, 2)


def test_no_axes_change_nothing() -> None:
    z = column(1, 2)
    blurred = lattice_blur(z, np.zeros((0, 2, 2), int)).data
    np.testing.assert_array_equal(blurred, z)
    assert not np.shares_memory(blurred, z)


@pytest.mark.parametrize("wrong", [-2, 4])
def test_neighbours_out_of_range(wrong: int) -> None:
    neighbours = CHAIN.copy()
    neighbours[0, 1, 2] = wrong
    message = rf"lattice_blur: neighbours must lie in \[-1, 4\) for 4 vertices, got neighbours\[0, 1, 2\] = {wrong}"
    with pytest.raises(ValueError, match=message):
        lattice_blur(np.zeros((4, 1)), neighbours)


@pytest.mark.parametrize(
    ("side", "v", "u", "message"),
    [
        (0, 0, -1, r"neighbours\[0, 1, 1\] = 0 but neighbours\[0, 0, 0\] = -1"),
        (0, 0, 2, r"neighbours\[0, 0, 0\] = 2 but neighbours\[0, 1, 2\] = 1"),
        (1, 2, 0, r"neighbours\[0, 0, 1\] = 2 but neighbours\[0, 1, 2\] = 0"),
    ],
)
def test_neighbours_must_be_mutual(side: int, v: int, u: int, message: str) -> None:
    """Else the blur in the opposite order were not its transpose, and the gradient wrong."""
    neighbours = CHAIN.copy()
    neighbours[0, side, v] = u
    with pytest.raises(ValueError, match=f"lattice_blur: neighbours must be mutual, got {message}$"):
        lattice_blur(np.zeros((4, 1)), neighbours)


@pytest.mark.parametrize(
    ("z", "neighbours", "reverse", "error", "message"),
    [
        (np.zeros(4), CHAIN, False, ValueError, r"z must have rank 2 \(M, V\), got rank 1"),
        (np.zeros((4, 1)), CHAIN[0], False, ValueError, r"neighbours must have rank 3 \(J, 2, M\), got rank 2"),
        (np.zeros((3, 1)), CHAIN, False, ValueError, r"neighbours must have shape \(J, 2, 3\).*got \(1, 2, 4\)"),
        (np.zeros((4, 1)), CHAIN * 1.0, False, TypeError, "neighbours must be an integer array, got float64"),
        (np.zeros((4, 1), int), CHAIN, False, TypeError, "z must be float32 or float64, got int64"),
        (np.zeros((4, 1)), CHAIN, "yes", TypeError, "reverse must be True or False, got 'yes'"),
    ],
)
def test_bad_input(z: Any, neighbours: Any, reverse: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"lattice_blur: {message}"):
        lattice_blur(z, neighbours, reverse=reverse)


def test_bad_gradient() -> None:
    y = lattice_blur(Tensor(np.zeros((4, 1)), requires_grad=True), CHAIN)
    with pytest.raises(ValueError, match=r"must have shape \(4, 1\)"):
        y.backward(np.zeros((4, 2)))

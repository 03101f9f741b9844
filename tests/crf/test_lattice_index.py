"""lattice_index: vertices by hand, both codes, keys of any size, the naive oracle, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.lattice_embed import lattice_embed
from refdet.crf.lattice_index import MISSING, byte_strings, index_rows, lattice_index, mixed_radix, neighbour_offsets
from tests.agreement import assert_agrees, in_layout, layouts, seeds
from tests.lattices import full_lattice
from tests.oracles import lattice_index as oracle

LARGEST = 2**63 - 1


def assert_is_an_index(keys: Array) -> None:
    """Check everything the result must be, with a dictionary and integers of any size."""
    vertices, ids, neighbours = lattice_index(keys)
    rows = [tuple(v) for v in vertices.tolist()]
    assert rows == sorted({tuple(key) for point in keys.tolist() for key in point})
    np.testing.assert_array_equal(vertices[ids], keys)
    number = {row: v for v, row in enumerate(rows)}
    for j, offset in enumerate(neighbour_offsets(keys.shape[2]).tolist()):
        for side, sign in enumerate((1, -1)):
            wanted = [tuple(a + sign * b for a, b in zip(row, offset, strict=True)) for row in rows]
            assert neighbours[j, side].tolist() == [number.get(row, MISSING) for row in wanted]


def test_hand_example() -> None:
    """Two dimensions: (0, 0), its first neighbours (2, −1), (−1, 2) and (−1, −1), and (1, −2), the second along 1."""
    keys = np.array([[[0, 0], [2, -1], [-1, 2]], [[-1, -1], [1, -2], [0, 0]]])
    vertices, ids, neighbours = lattice_index(keys)
    np.testing.assert_array_equal(vertices, [[-1, -1], [-1, 2], [0, 0], [1, -2], [2, -1]])
    np.testing.assert_array_equal(ids, [[2, 4, 1], [0, 3, 2]])
    np.testing.assert_array_equal(neighbours[0], [[3, -1, 4, -1, -1], [-1, -1, -1, 0, 2]])  # (2, −1) and (−2, 1)
    np.testing.assert_array_equal(neighbours[1], [[-1, -1, 1, 2, -1], [-1, 2, 3, -1, -1]])  # (−1, 2) and (1, −2)
    np.testing.assert_array_equal(neighbours[2], [[-1, -1, 0, -1, 3], [2, -1, -1, 4, -1]])  # (−1, −1) and (1, 1)
    assert {a.dtype for a in (vertices, ids, neighbours)} == {np.dtype(np.int64)}


@given(data=st.data(), seed=seeds, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, layout: str) -> None:
    rng = np.random.default_rng(seed)
    n, k, d = (data.draw(st.integers(low, 4)) for low in (0, 0, 1))
    reach = data.draw(st.sampled_from([1, 3, 2**20, 2**62]))
    keys = rng.integers(-reach, reach, (n, k, d), endpoint=True)
    if n > 1 and k > 1:
        keys[0] = keys[1] + neighbour_offsets(d)[rng.integers(d + 1)]
    assert_agrees("lattice_index", oracle, [in_layout(keys, layout)], rng=rng, params={})


@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_both_codes_give_the_same(d: int) -> None:
    _, keys = lattice_embed(np.random.default_rng(d).standard_normal((200, d)) * 2)
    rows = keys.reshape(-1, d)
    low, high = rows.min(axis=0) - d, rows.max(axis=0) + d
    by_number = index_rows(rows, mixed_radix(low.tolist(), (high - low + 1).tolist()))
    by_bytes = index_rows(rows, byte_strings(d))
    for one, other in zip(by_number, by_bytes, strict=True):
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert_is_an_index(keys)


def test_codes_sort_as_keys_do_and_read_back() -> None:
    rows = np.array([[-3, 2], [-1, -4], [-1, 0], [0, -4], [0, 2], [2, -1]])
    for code in (mixed_radix([-3, -4], [6, 7]), byte_strings(2)):
        codes = code.encode(rows)
        np.testing.assert_array_equal(np.unique(codes, return_inverse=True)[1], np.arange(6))
        np.testing.assert_array_equal(code.decode(codes), rows)


def test_twenty_dimensions_of_wide_range() -> None:
    """A hundred values in each of 20 columns: 133 bits, far beyond one integer. The origin has all its neighbours."""
    _, keys = lattice_embed(30 * np.random.default_rng(0).standard_normal((5, 20)))
    around = np.concatenate([neighbour_offsets(20), -neighbour_offsets(20), np.zeros((1, 20), np.int64), keys[0]])
    assert_is_an_index(around[:, None])
    vertices, _, neighbours = lattice_index(around[:, None])
    origin = int(np.flatnonzero(~np.any(vertices, axis=1))[0])
    assert np.min(neighbours[:, :, origin]) >= 0


@pytest.mark.parametrize("wide", [2**31, 2**40, 2**61, 2**62])
def test_ranges_around_the_end_of_one_integer(wide: int) -> None:
    """Two columns of 2³¹ make 62 bits and a little, of 2⁴⁰ too many; one alone may take 2⁶², not 2⁶³."""
    keys = np.array([[[-wide, wide - 1]], [[wide - 1, -wide]], [[wide - 3, 1 - wide]], [[0, 0]], [[-1, -1]]])
    assert_is_an_index(keys)
    assert_is_an_index(keys[:, :, :1])


def test_the_last_keys_that_have_neighbours() -> None:
    """In two dimensions neighbours are up to 2 away."""
    top, bottom = LARGEST - 2, -LARGEST + 1
    assert_is_an_index(np.array([[[top, bottom]], [[bottom, top]], [[top - 2, bottom + 1]], [[0, 0]]]))
    for key in ([top + 1, 0], [0, bottom - 1]):
        with pytest.raises(ValueError, match=rf"lattice_index: lattice keys overflow: .* got {max(key, key=abs)}$"):
            lattice_index(np.array([[key]]))


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_lattice_without_holes_has_all_inner_neighbours(d: int) -> None:
    """From the origin every step leads somewhere, and a step back along the same axis returns."""
    keys = full_lattice(d, 2)
    vertices, ids, neighbours = lattice_index(keys[:, None])
    np.testing.assert_array_equal(vertices, keys)
    np.testing.assert_array_equal(ids[:, 0], np.arange(len(keys)))
    origin = len(keys) // 2
    assert not np.any(vertices[origin])
    for j, (first, second) in enumerate(neighbours):
        np.testing.assert_array_equal(vertices[first[origin]], neighbour_offsets(d)[j])
        assert second[first[origin]] == first[second[origin]] == origin


def test_the_steps_along_all_axes_return() -> None:
    """The axis vectors sum to 0, which is why the blur's centre is 1 + 2^{−d}."""
    for d in range(1, 7):
        np.testing.assert_array_equal(np.sum(neighbour_offsets(d), axis=0), np.zeros(d))


@pytest.mark.parametrize("shape", [(0, 3, 2), (4, 0, 2)])
def test_no_keys(shape: tuple[int, ...]) -> None:
    vertices, ids, neighbours = lattice_index(np.zeros(shape, np.int64))
    assert (vertices.shape, ids.shape, neighbours.shape) == ((0, 2), shape[:2], (3, 2, 0))


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        (np.zeros((2, 3), np.int64), ValueError, r"lattice_index: keys must have rank 3 \(N, K, d\), got rank 2"),
        (np.zeros((2, 3, 0), np.int64), ValueError, r"keys must have at least one coordinate, got shape \(2, 3, 0\)"),
        (np.zeros((2, 3, 2)), TypeError, "lattice_index: keys must be an integer array, got float64"),
        (np.zeros((2, 3, 2), np.int32), TypeError, "lattice_index: keys must be int64, got int32; convert"),
        (np.zeros((2, 3, 2), np.uint64), TypeError, "lattice_index: keys must be int64, got uint64"),
        ([[[0]]], TypeError, "lattice_index: keys must be an array, got list"),
    ],
)
def test_bad_input(keys: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        lattice_index(keys)

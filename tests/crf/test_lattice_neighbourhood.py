"""lattice_neighbourhood: the definition, the order of the taps, the two traversals, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.lattice_blur import lattice_blur
from refdet.crf.lattice_index import lattice_index, neighbour_offsets
from refdet.crf.lattice_neighbourhood import lattice_neighbourhood, tap_offsets, tap_steps
from tests.agreement import Array, assert_agrees, in_layout, layouts, seeds
from tests.oracles import lattice_neighbourhood as oracle


def around_the_origin(d: int, radius: int) -> Array:
    """Return all vertices within `radius` steps of the origin, in order."""
    return np.unique(tap_offsets(d, radius), axis=0)


def at(vertices: Array, key: list[int]) -> int:
    """Return the index of a vertex."""
    return int(np.flatnonzero(np.all(vertices == key, axis=1))[0])


def test_hand_example() -> None:
    """d = 1: the vertex itself, one less (a step along axis 1), one more (a step along axis 0)."""
    taps = lattice_neighbourhood(np.array([[-1], [0], [2], [3]]))
    np.testing.assert_array_equal(taps, [[0, 1, 2, 3], [-1, 0, -1, 2], [1, -1, 3, -1]])
    assert taps.dtype == np.int64


def test_the_hexagon() -> None:
    """d = 2, s = 1: the steps 001, 010, 011, 100, 101, 110 along (2, −1), (−1, 2), (−1, −1), around the origin."""
    vertices = around_the_origin(2, 1)
    around = vertices[lattice_neighbourhood(vertices)[:, at(vertices, [0, 0])]]
    np.testing.assert_array_equal(around, [[0, 0], [-1, -1], [-1, 2], [-2, 1], [2, -1], [1, -2], [1, 1]])


@pytest.mark.parametrize(
    ("d", "size", "n_taps"), [(1, 1, 3), (2, 1, 7), (5, 1, 63), (1, 2, 5), (2, 2, 19), (5, 2, 665)]
)
def test_number_of_taps(d: int, size: int, n_taps: int) -> None:
    """(s + 1)^{d+1} − s^{d+1} of them, all different, and with each its opposite."""
    offsets = tap_offsets(d, size)
    assert len(offsets) == len(np.unique(offsets, axis=0)) == n_taps
    np.testing.assert_array_equal(np.unique(-offsets, axis=0), np.unique(offsets, axis=0))


def test_taps_count_like_nested_loops() -> None:
    """The last axis first, and without those that take a step along every axis."""
    assert ["".join(map(str, steps)) for steps in tap_steps(1, 2)] == ["00", "01", "02", "10", "20"]


@given(data=st.data(), seed=seeds, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, layout: str) -> None:
    """Sparse and dense sets of keys, some so far apart that they do not pack into 64 bits."""
    rng = np.random.default_rng(seed)
    d, size = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    keys = tap_offsets(d, 3)[rng.random(4 ** (d + 1) - 3 ** (d + 1)) < rng.random()]
    if data.draw(st.booleans()):
        keys = keys + rng.choice([0, 2**61, -(2**62)], (len(keys), 1)) // (d + 1) * (d + 1)
    vertices = in_layout(np.unique(keys, axis=0).reshape(-1, d), layout)
    params = {"size": size, "traversal": data.draw(st.sampled_from(["exact", "walk"]))}
    assert_agrees("lattice_neighbourhood", oracle, [vertices], rng=rng, params=params)


def test_one_step_along_an_axis_is_the_neighbour_of_the_index() -> None:
    rng = np.random.default_rng(0)
    vertices, _, neighbours = lattice_index(around_the_origin(3, 2)[rng.random(3**4 - 2**4) < 0.6][:, None])
    steps = tap_steps(3, 1)
    taps = lattice_neighbourhood(vertices)
    for axis in range(4):
        np.testing.assert_array_equal(taps[np.argmax(np.all(steps == np.eye(4)[axis], axis=1))], neighbours[axis, 0])


@pytest.mark.parametrize("size", [1, 2])
def test_the_opposite_tap_leads_back(size: int) -> None:
    rng = np.random.default_rng(1)
    d = 2
    vertices = around_the_origin(d, 4)[rng.random(5**3 - 4**3) < 0.5]
    taps, offsets = lattice_neighbourhood(vertices, size=size), tap_offsets(d, size)
    for t, offset in enumerate(offsets):
        opposite = taps[at(offsets, (-offset).tolist())]
        v = np.flatnonzero(taps[t] >= 0)
        np.testing.assert_array_equal(opposite[taps[t, v]], v)


@pytest.mark.parametrize(("d", "n_taps"), [(1, 5), (2, 19), (3, 65)])
def test_size_two_is_what_a_blur_reaches(d: int, n_taps: int) -> None:
    vertices = around_the_origin(d, 3)
    origin = at(vertices, [0] * d)
    impulse = np.zeros((len(vertices), 1))
    impulse[origin] = 1
    _, _, neighbours = lattice_index(vertices[:, None])
    reached = np.flatnonzero(lattice_blur(impulse, neighbours).data)
    np.testing.assert_array_equal(np.sort(lattice_neighbourhood(vertices, size=2)[:, origin]), reached)
    assert len(reached) == n_taps


def test_a_walk_gives_up_where_an_exact_search_does_not() -> None:
    """(−2, 1) is a_1 + a_2 from the origin: axis 1 comes first, over (−1, 2); over (−1, −1) does not help."""
    tap = 3  # steps 0, 1, 1
    for stone, reached in (([-1, 2], True), ([-1, -1], False)):
        vertices = np.unique([[-2, 1], stone, [0, 0]], axis=0)
        origin, there = at(vertices, [0, 0]), at(vertices, [-2, 1])
        assert lattice_neighbourhood(vertices)[tap, origin] == there
        assert lattice_neighbourhood(vertices, traversal="walk")[tap, origin] == (there if reached else -1)


def test_a_walk_finds_no_more_than_an_exact_search() -> None:
    rng = np.random.default_rng(2)
    vertices = around_the_origin(3, 3)[rng.random(4**4 - 3**4) < 0.7]
    exact, walked = (lattice_neighbourhood(vertices, size=2, traversal=how) for how in ("exact", "walk"))
    np.testing.assert_array_equal(walked[walked >= 0], exact[walked >= 0])
    assert 0 < np.sum(walked >= 0) < np.sum(exact >= 0)


def test_without_holes_a_walk_finds_everything() -> None:
    vertices = around_the_origin(2, 4)
    inside = np.all(lattice_neighbourhood(vertices, size=4) >= 0, axis=0)
    exact, walked = (lattice_neighbourhood(vertices, size=2, traversal=how) for how in ("exact", "walk"))
    assert np.sum(inside) == 1
    np.testing.assert_array_equal(walked[:, inside], exact[:, inside])


def test_size_zero_is_the_vertex_itself() -> None:
    for traversal in ("exact", "walk"):
        taps = lattice_neighbourhood(around_the_origin(2, 1), size=0, traversal=traversal)
        np.testing.assert_array_equal(taps, [np.arange(7)])


def test_no_vertices() -> None:
    for traversal in ("exact", "walk"):
        assert lattice_neighbourhood(np.zeros((0, 2), np.int64), traversal=traversal).shape == (7, 0)


def test_far_apart() -> None:
    """Three dimensions of 2⁶² each do not pack into one integer; −1 lies just before 0 all the same."""
    far = 2**62
    vertices = np.array([[-far, 0, 0], [-far, 0, far], [-1, -1, -1], [0, 0, 0], [far, -far, 0]])
    taps = lattice_neighbourhood(vertices)
    back = at(tap_offsets(3, 1), neighbour_offsets(3)[3].tolist())
    np.testing.assert_array_equal(taps[back], [-1, -1, -1, 2, -1])


@pytest.mark.parametrize(
    ("vertices", "options", "error", "message"),
    [
        (np.zeros(3, np.int64), {}, ValueError, r"vertices must have rank 2 \(M, d\), got rank 1"),
        (np.zeros((3, 0), np.int64), {}, ValueError, r"at least one coordinate, got shape \(3, 0\)"),
        (np.zeros((1, 2), np.int32), {}, TypeError, "vertices must be int64, got int32"),
        (np.zeros((1, 2)), {}, TypeError, "vertices must be an integer array, got float64"),
        (
            np.array([[0, 1], [0, 0]]),
            {},
            ValueError,
            r"ascending lexicographic order, .* \[0, 0\] in row 1 after \[0, 1\]",
        ),
        (np.array([[0, 0], [1, 1], [1, 1]]), {}, ValueError, r"must be distinct .* got \[1, 1\] in row 2"),
        (np.array([[0, 0]]), {"size": -1}, ValueError, "size must be at least 0, got -1"),
        (np.array([[0, 0]]), {"size": 1.0}, TypeError, "size must be an integer"),
        (np.array([[0, 0]]), {"traversal": "fast"}, ValueError, "traversal must be one of 'exact', 'walk', got 'fast'"),
        (
            np.array([[2**63 - 4, 0]]),
            {"size": 2},
            ValueError,
            rf"lattice keys overflow: they must lie in \[{4 - 2**63}, {2**63 - 5}\], .* got {2**63 - 4}$",
        ),
    ],
)
def test_bad_input(vertices: Array, options: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"lattice_neighbourhood: .*{message}"):
        lattice_neighbourhood(vertices, **options)  # type: ignore[arg-type]


def test_the_largest_keys_that_have_neighbours() -> None:
    np.testing.assert_array_equal(lattice_neighbourhood(np.array([[2**63 - 3, 0]]))[:, 0], [0] + [-1] * 6)


def test_too_many_taps() -> None:
    with pytest.raises(
        ValueError, match=r"size 2 in 20 dimensions has 10,458,256,051 taps, .* 1,757,339,338,104 bytes"
    ):
        tap_steps(20, 2)

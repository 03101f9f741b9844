"""edge_affinities: which groups meet, and how well one continues the other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.proposals.edge_affinities import edge_affinities
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import edge_affinities as oracle


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Orientations from 1 to 2, so that no mean of doubled angles comes near 0; magnitudes in eighths: exact sums."""
    rng = np.random.default_rng(seed)
    size = data.draw(st.integers(0, 12)), data.draw(st.integers(0, 12))
    maps = [rng.integers(1, 9, size) / 8, rng.integers(8, 17, size) / 8]
    groups = rng.integers(data.draw(st.integers(-12, -1)), data.draw(st.integers(0, 7)), size).clip(-1)
    inputs = [*(in_layout(x.astype(dtype), layout) for x in maps), in_layout(groups, layout)]
    params = {"gamma": data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0]))}
    assert_agrees("edge_affinities", oracle, inputs, rng=rng, params=params)


def pixels(groups: dict[tuple[int, int], int]) -> tuple[Array, Array]:
    """Return edges of 1, and groups, at (x, y)."""
    labels = np.full((9, 9), -1)
    for (x, y), group in groups.items():
        labels[y, x] = group
    return (labels >= 0).astype(np.float64), labels


@pytest.mark.parametrize(("towards", "expected"), [((5, 3), 1.0), ((5, 5), 0.25), ((3, 5), 0.0), ((5, 1), 0.25)])
def test_by_the_direction_of_the_other(towards: tuple[int, int], expected: float) -> None:
    """Horizontal contours, the other to the right, at 45°, below, at 45° upwards: cos⁴ of the angle."""
    edges, groups = pixels({(3, 3): 0, towards: 1})
    pairs, affinities = edge_affinities(edges, np.full((9, 9), math.pi / 2), groups)
    assert pairs.tolist() == ([[0, 1]] if towards[1] >= 1 else [])
    np.testing.assert_allclose(affinities, expected, atol=1e-15)


def test_y_points_downwards() -> None:
    """A contour that falls to the right has its normal at 3π/4 or −π/4, not at π/4."""
    edges, groups = pixels({(3, 3): 0, (4, 4): 1})
    falling, rising = (edge_affinities(edges, np.full((9, 9), k * math.pi / 4), groups)[1] for k in (3, 1))
    np.testing.assert_allclose((falling, rising), [[1], [0]], atol=1e-15)


@given(seed=seeds)
def test_turning_the_picture_changes_nothing(seed: int) -> None:
    """A quarter turn to the left takes the normal θ to θ − π/2; affinities are those of the same pairs."""
    rng = np.random.default_rng(seed)
    edges, orientation = rng.uniform(0.1, 1, (11, 11)), rng.uniform(0, math.pi, (11, 11))
    groups = np.full((11, 11), -1)
    groups[2:-2, 2:-2] = rng.integers(-3, 5, (7, 7)).clip(-1)  # away from the border, where both sides look around
    turned = [np.rot90(x) for x in (edges, (orientation + math.pi / 2) % math.pi, groups)]
    (pairs, a), (pairs_turned, a_turned) = edge_affinities(edges, orientation, groups), edge_affinities(*turned)
    assert sorted(pairs.tolist()) == sorted(pairs_turned.tolist())
    order, order_turned = np.lexsort(pairs.T), np.lexsort(pairs_turned.T)
    np.testing.assert_allclose(a[order], a_turned[order_turned], atol=1e-12)


def test_two_pixels_apart_meet_and_three_do_not() -> None:
    for distance, expected in ((1, 1), (2, 1), (3, 0)):
        for other in ((3 + distance, 3), (3, 3 + distance), (3 + distance, 3 + distance)):
            edges, groups = pixels({(3, 3): 0, other: 1})
            assert len(edge_affinities(edges, np.zeros((9, 9)), groups)[0]) == expected


def test_only_the_lower_number_looks_around_and_not_from_the_border() -> None:
    orientation = np.zeros((9, 9))
    for lower, met in ((2, True), (1, False)):
        edges, groups = pixels({(lower, 4): 0, (3 - lower, 4): 1})
        assert edge_affinities(edges, orientation, groups)[0].tolist() == [[0, 1]] * met


def test_pairs_come_in_the_order_of_their_first_meeting() -> None:
    """From column 2 group 1 meets 3; from column 4 group 0 meets 1, 3 and 2; from column 5 group 2 meets 3."""
    edges, groups = pixels({(2, 4): 1, (3, 4): 3, (4, 4): 0, (5, 4): 2})
    pairs, _ = edge_affinities(edges, np.zeros((9, 9)), groups)
    assert pairs.tolist() == [[1, 3], [0, 1], [0, 3], [0, 2], [2, 3]]
    assert pairs.dtype == np.int64


def test_means_are_weighted_by_magnitude() -> None:
    """Group 0 lies at y = 4 and, three times as strong, at y = 3: its mean is 3.25. Group 1 lies at y = 4, x + 1."""
    edges, groups = pixels({(4, 3): 0, (4, 4): 0, (5, 4): 1})
    edges[4, 4] = 1 / 3
    _, affinities = edge_affinities(edges, np.full((9, 9), math.pi / 2), groups)
    np.testing.assert_allclose(affinities, [(1 / (1 + 0.75**2)) ** 2])  # cos² of the slope 0.75, to the power of 2


def test_groups_at_the_same_place() -> None:
    """atan2(0, 0) = 0: the joining line counts as horizontal, its normal is π/2."""
    edges, groups = pixels({(3, 4): 0, (5, 4): 0, (4, 3): 1, (4, 5): 1})
    upright, lying = (edge_affinities(edges, np.full((9, 9), angle), groups)[1] for angle in (0.0, math.pi / 2))
    np.testing.assert_allclose((upright, lying), [[0], [1]], atol=1e-15)


def test_a_group_without_magnitude() -> None:
    """It has its mean at (0, 0), with orientation 0; the other is at (4, 4): cos⁴ π/4."""
    _, groups = pixels({(4, 4): 0, (5, 4): 1})
    edges = (groups == 0).astype(np.float64)
    _, affinities = edge_affinities(edges, np.zeros((9, 9)), groups)
    np.testing.assert_allclose(affinities, [0.25])


@pytest.mark.parametrize("dtype", ["int8", "uint8", "uint64", ">i4"])
def test_groups_of_any_integers(dtype: str) -> None:
    edges, groups = pixels({(3, 4): 0, (5, 4): 1, (4, 6): 2})
    groups = np.where(groups < 0, 3, groups)  # a group without magnitude, so that no number is negative
    expected = edge_affinities(edges, np.zeros((9, 9)), groups)
    found = edge_affinities(edges, np.zeros((9, 9)), groups.astype(dtype))
    assert len(found[0]) == 6
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


@pytest.mark.parametrize("size", [(0, 3), (4, 9), (9, 4), (5, 5)])
def test_nothing_meets_in_small_maps(size: tuple[int, int]) -> None:
    groups = np.full(size, -1)
    groups.flat[:1] = 0
    pairs, affinities = edge_affinities(np.ones(size, np.float32), np.zeros(size, np.float32), groups)
    assert (pairs.shape, affinities.shape) == ((0, 2), (0,))
    assert (pairs.dtype, affinities.dtype) == (np.dtype(np.int64), np.dtype(np.float32))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"groups": np.zeros((5, 6), int)}, r"edge_affinities: groups must have shape \(5, 5\) \(that of edges\), got"),
        ({"groups": np.full((5, 5), 25)}, r"edge_affinities: groups must be numbered 0, 1, …, .* below 25, got 25"),
        ({"gamma": -1.0}, r"edge_affinities: gamma must lie in \[0, inf\), got -1"),
        ({"edges": np.full((5, 5), np.nan)}, r"edge_affinities: edges must lie in \[0, 1\], got nan"),
        ({"orientation": np.zeros((5, 4))}, r"edge_affinities: orientation must have shape \(5, 5\)"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    good = {"edges": np.ones((5, 5)), "orientation": np.zeros((5, 5)), "groups": np.zeros((5, 5), int)}
    with pytest.raises(ValueError, match=message):
        edge_affinities(**(good | options))


def test_bad_dtype() -> None:
    with pytest.raises(TypeError, match="edge_affinities: groups must be an integer array, got float64"):
        edge_affinities(np.ones((5, 5)), np.zeros((5, 5)), np.zeros((5, 5)))

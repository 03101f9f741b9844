"""group_edges: growing, dissolving and adopting, against the definition and by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.proposals.group_edges import group_edges, group_edges_kernel
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import group_edges as oracle


def in_a_row(edges: list[float], orientation: list[float], **options: Any) -> list[int]:
    """Return the groups of edges that lie in a row, off the border."""
    maps = np.zeros((2, 3, len(edges) + 2))
    maps[:, 1, 1:-1] = edges, orientation
    groups: list[int] = group_edges(*maps, **options)[1, 1:-1].tolist()
    return groups


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    """Orientations in eighths: equal differences are equal in float32 too, and no sum of them comes near a threshold.

    No threshold is a whole number, which 1 − (a + b)/π + a/π + b/π is.
    """
    rng = np.random.default_rng(seed)
    size = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 14))
    edges = np.maximum(rng.integers(data.draw(st.integers(-12, 0)), 9, size), 0) / 8
    low, high = data.draw(st.sampled_from([(0, 26), (8, 12)]))
    inputs = [in_layout(x.astype(dtype), layout) for x in (edges, rng.integers(low, high, size) / 8)]
    params = {
        "min_magnitude": data.draw(st.sampled_from([0.0, 0.125, 0.1])),
        "merge_threshold": data.draw(st.sampled_from([0.25, 0.5, 0.75, 2.5])),
        "min_group": data.draw(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    }
    assert_agrees("group_edges", oracle, inputs, rng=rng, params=params)


def test_a_turn_ends_a_group() -> None:
    """A step of 0.6 is 0.6/π = 0.19: two of them make 0.38, three 0.57 ≥ 1/2."""
    assert in_a_row([1] * 5, [0, 0.6, 1.2, 1.8, 2.4]) == [0, 0, 0, 1, 1]


def test_a_right_angle_reaches_the_threshold() -> None:
    """π/2 is a difference of exactly 1/2, in both dtypes: not below."""
    for dtype in (np.float32, np.float64):
        maps = np.zeros((2, 3, 6), dtype)
        maps[0, 1, 1:5], maps[1, 1, 3:5] = 1, math.pi / 2
        assert group_edges(*maps)[1, 1:5].tolist() == [0, 0, 1, 1]


def test_pi_is_zero() -> None:
    assert in_a_row([1] * 4, [0, math.pi, 0, math.pi]) == [0, 0, 0, 0]


def test_magnitudes_and_sums_at_their_thresholds() -> None:
    """A pixel must be > min_magnitude, a group > min_group."""
    assert in_a_row([0.25, 0, 0.5, 0, 0.75], [0] * 5, min_magnitude=0.25, min_group=0.5) == [-1, -1, -1, -1, 0]


def test_thresholds_are_compared_in_the_dtype_of_the_maps() -> None:
    """float32(0.1) is not > 0.1, although it is in float64; scalars of NumPy's, which would promote, change nothing."""
    edges = np.full((3, 3), 0.1, np.float32)
    tenths: list[Any] = [0.1, np.float32(0.1), np.float64(0.1)]
    for tenth in tenths:
        assert group_edges(edges, np.zeros_like(edges), min_magnitude=tenth, min_group=0)[1, 1] == -1
        assert group_edges(edges, np.zeros_like(edges), min_magnitude=0, min_group=tenth)[1, 1] == -1
    assert group_edges(edges, np.zeros_like(edges), min_magnitude=0, min_group=0)[1, 1] == 0


def test_what_touches_the_border_is_no_edge() -> None:
    groups = group_edges(np.ones((4, 5)), np.zeros((4, 5)))
    np.testing.assert_array_equal(groups[1:-1, 1:-1], np.zeros((2, 3)))
    assert (groups == -1).sum() == 20 - 6


def test_columns_come_first() -> None:
    """A contour that rises to the right starts at its lower end; from the middle to the upper end is too far."""
    edges, orientation = np.zeros((2, 5, 5))
    for column, row in ((1, 3), (2, 2), (3, 1)):
        edges[row, column], orientation[row, column] = 1, column / 2
    groups = group_edges(edges, orientation, merge_threshold=0.25)
    assert (groups[3, 1], groups[2, 2], groups[1, 3]) == (0, 0, 1)


def test_a_chain_of_loose_pixels_is_adopted_sweep_after_sweep() -> None:
    """They lie before the group in scan order, so each sweep reaches one more."""
    assert in_a_row([0.125] * 3 + [1], [0, 0.8, 1.6, 2.4], merge_threshold=0.2) == [0, 0, 0, 0]


@given(seed=seeds)
def test_what_every_grouping_is(seed: int) -> None:
    """Groups consist of edge pixels, hang together, are numbered without gaps, and weigh more than min_group."""
    from scipy.ndimage import label

    rng = np.random.default_rng(seed)
    edges = np.maximum(rng.uniform(-0.5, 1, (14, 15)), 0)
    groups = group_edges(edges, rng.uniform(0, 3.1, (14, 15)))
    assert (edges[groups >= 0] > 0.1).all()
    for i in range(groups.max() + 1):
        assert edges[groups == i].sum() > 0.5
        assert label(groups == i, np.ones((3, 3)))[1] == 1


@pytest.mark.parametrize("size", [(0, 0), (0, 4), (3, 0), (1, 1), (2, 9), (9, 2)])
def test_maps_without_an_inside(size: tuple[int, int]) -> None:
    groups = group_edges(np.ones(size), np.zeros(size))
    np.testing.assert_array_equal(groups, np.full(size, -1))
    assert groups.dtype == np.int64


def test_the_kernel_takes_nan_for_no_edge() -> None:
    edges = np.ones((3, 4))
    edges[1, 1] = np.nan
    params = {"min_magnitude": 0.1, "merge_threshold": 0.5, "min_group": 0.5}
    assert group_edges_kernel(edges, np.zeros((3, 4)), **params)[1].tolist() == [-1, -1, 0, -1]


def maps(edges: Any = 0.5, orientation: Any = 0.5) -> tuple[Array, Array]:
    """Return maps with one given value each."""
    field = np.zeros((2, 3, 4))
    field[0, 1, 1], field[1, 1, 1] = edges, orientation
    return field[0], field[1]


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (maps(1.5), {}, r"group_edges: edges must lie in \[0, 1\], got 1.5"),
        (maps(np.nan), {}, r"group_edges: edges must lie in \[0, 1\], got nan"),
        (maps(0.5, 3.2), {}, r"group_edges: orientation must lie in \[0, π\], got 3.2"),
        (maps(0.5, -0.1), {}, r"orientation must lie in \[0, π\], got -0.1"),
        ((np.zeros((3, 4)), np.zeros((4, 3))), {}, r"orientation must have shape \(3, 4\) \(that of edges\), got"),
        ((np.zeros((1, 3, 4)), np.zeros((1, 3, 4))), {}, r"edges must have rank 2 \(H, W\), got rank 3"),
        (maps(), {"min_magnitude": -1}, r"min_magnitude must lie in \[0, inf\), got -1"),
        (maps(), {"merge_threshold": 0}, r"merge_threshold must lie in \(0, inf\), got 0"),
        (maps(), {"min_group": math.nan}, "min_group must be a finite number, got nan"),
    ],
)
def test_bad_input(arguments: tuple[Array, Array], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        group_edges(*arguments, **options)


def test_bad_dtypes() -> None:
    with pytest.raises(TypeError, match="group_edges: edges must be float32 or float64, got uint8"):
        group_edges(np.zeros((3, 3), np.uint8), np.zeros((3, 3)))
    with pytest.raises(TypeError, match="group_edges: edges is float32 but orientation is float64"):
        group_edges(np.zeros((3, 3), np.float32), np.zeros((3, 3)))

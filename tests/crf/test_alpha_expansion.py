"""alpha_expansion: hand examples, the oracle that tries every move, 32-bit capacities, metrics, errors.

That it finds the lowest energy of two labels, and how far it is from it with more: `test_grid_optima.py`.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.alpha_expansion import alpha_expansion
from refdet.crf.compatibility import potts
from refdet.crf.crf_energy import crf_energy
from refdet.crf.grid import grid_edges
from refdet.crf.icm import icm
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.graphs import all_energies, dyadic_graph
from tests.oracles import alpha_expansion as oracle

NO_EDGES, NONE = np.zeros((0, 2), int), np.zeros(0)
PATH = np.array([[0, 1], [1, 2]])


def test_hand_example() -> None:
    """The inner two prefer 1 by 1 each and hold together by 9: ICM is stuck at 3, both together reach 2."""
    unary = np.array([[0.0, 5.0], [1.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    edges, weights = np.array([[0, 1], [1, 2], [2, 3]]), np.array([1.5, 9.0, 1.5])
    labels, energy = alpha_expansion(unary, edges, weights, potts(2))
    assert labels.tolist() == [0, 0, 0, 0]
    assert energy == 2
    assert icm(unary, edges, weights, potts(2))[1][-1] == 3


def test_ties_take_the_label_and_no_gain_is_no_move() -> None:
    """Point 1 does not care; it goes along when point 0 gains, and stays otherwise."""
    labels, _ = alpha_expansion(np.array([[1.0, 0.0], [0.0, 0.0]]), NO_EDGES, NONE, potts(2), np.array([0, 0]))
    assert labels.tolist() == [1, 1]
    labels, _ = alpha_expansion(np.array([[0.0, 1.0], [0.0, 0.0]]), NO_EDGES, NONE, potts(2), np.array([0, 1]))
    assert labels.tolist() == [0, 1]


def test_a_decrease_below_the_least_is_none() -> None:
    """10⁻¹⁰ less is not worth a move, 10⁻⁸ is, although both are rounded to the same capacities, 0."""
    for gain, found in ((1e-10, 0), (1e-8, 1)):
        labels, _ = alpha_expansion(np.array([[gain, 0.0]]), NO_EDGES, NONE, potts(2), np.array([0]))
        assert labels.tolist() == [found]


@given(
    seed=seeds,
    n=st.integers(0, 5),
    L=st.integers(1, 4),
    n_edges=st.integers(0, 10),
    dtype=dtypes,
    layout=layouts,
    cycles=st.integers(0, 3),
    scale=st.sampled_from([1.0, 2.0, 64.0, 1e6]),
)
def test_against_all_moves(
    seed: int, n: int, L: int, n_edges: int, dtype: str, layout: str, cycles: int, scale: float
) -> None:
    """At scales below 4 the multiples of 1/4 are rounded."""
    rng = np.random.default_rng(seed)
    graph = dyadic_graph(rng, n, L, n_edges, metric=True)
    unary, edges, weights, compatibility = (
        in_layout(x if x.dtype.kind == "i" else x.astype(dtype), layout) for x in graph
    )
    inputs = [unary, edges, weights, compatibility, in_layout(rng.integers(0, L, n), layout)]
    assert_agrees("alpha_expansion", oracle, inputs, rng=rng, params={"cycles": cycles, "scale": scale})


@given(seed=seeds)
def test_the_result_is_within_twice_the_lowest_energy(seed: int) -> None:
    """The bound of Boykov, Veksler & Zabih for Potts, where no cost is negative."""
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges((2, 3))
    graph = rng.random((6, 3)), edges, rng.random(len(edges)), potts(3)
    labels, energy = alpha_expansion(*graph, rng.integers(0, 3, 6))
    assert energy == crf_energy(*graph, labels)
    lowest = min(all_energies(graph).values())
    assert lowest - 1e-12 <= energy <= 2 * lowest


@given(seed=seeds)
def test_it_never_ends_above_where_it_began(seed: int) -> None:
    """Even where rounding at scale 1 makes the cuts meaningless."""
    rng = np.random.default_rng(seed)
    graph = dyadic_graph(rng, 6, 3, 9, metric=True)
    start = rng.integers(0, 3, 6)
    before = crf_energy(*graph, start)
    for scale in (0.25, 1.0, 1e4):
        labels, energy = alpha_expansion(*graph, start, scale=scale)
        assert energy == crf_energy(*graph, labels) <= before


@given(seed=seeds)
def test_edges_may_be_turned_round(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unary, edges, weights, mu = dyadic_graph(rng, 6, 3, 9, metric=True)
    first, second = (alpha_expansion(unary, e, weights, mu) for e in (edges, edges[:, ::-1]))
    np.testing.assert_array_equal(first[0], second[0])


def test_capacities_of_32_bits() -> None:
    """2³¹ − 1 is the largest; it counts."""
    largest = float(2**31 - 1)
    unary = np.array([[0.0, largest], [largest, 0.0]])
    labels, energy = alpha_expansion(unary, PATH[:1], np.array([1.0]), potts(2), np.array([1, 1]), scale=1)
    assert labels.tolist() == [0, 1]
    assert energy == 1
    # From 1 1 to 0 0: B + C − A − D is twice the weight, and that is 2³¹ − 1.
    unary = np.array([[0.0, 1.0e9], [0.9e9, 0.0]])
    labels, energy = alpha_expansion(unary, PATH[:1], np.array([largest / 2]), potts(2), np.array([1, 1]), scale=1)
    assert labels.tolist() == [0, 0]
    assert energy == 0.9e9


@pytest.mark.parametrize(
    ("unary", "weight", "largest"),
    [
        ([[0.0, 0.0], [0.0, 4000.0]], 0.0, r"4e\+09, a cost of 4000"),  # what one point saves
        ([[0.0, 1600.0], [1500.0, 0.0]], 1500.0, r"3e\+09, a cost of 3000"),  # twice the weight of the edge
    ],
)
def test_larger_capacities_are_refused(unary: Any, weight: float, largest: str) -> None:
    """SciPy would wrap 3 · 10⁹ around to −1.3 · 10⁹ without a word. The scale in the message fits."""
    graph = np.array(unary), PATH[:1], np.array([weight]), potts(2)
    with pytest.raises(ValueError, match=rf"largest is {largest} times scale=1e\+06; use scale=100000"):
        alpha_expansion(*graph, np.array([1, 1]))
    _, energy = alpha_expansion(*graph, np.array([1, 1]), scale=1e5)
    assert energy == min(all_energies(graph).values())


def test_costs_beyond_any_scale_are_refused() -> None:
    """10³⁰⁵ · 10⁶ is ∞ in float64."""
    with pytest.raises(ValueError, match=r"capacities must stay below 2\*\*31.*largest is inf.*make all costs smaller"):
        alpha_expansion(np.array([[0.0, 1e305]]), NO_EDGES, NONE, potts(2), np.array([1]))


def test_a_flow_of_more_than_32_bits() -> None:
    """Eight pairs: the first point keeps label 0, the second saves 2³⁰ by label 1 and pays the edge, 2²⁹.

    Arcs of B + C − A − D = 2³⁰, all of them full, carry 2³³ in all.
    """
    unary = np.array([[0.0, 2.0**30], [2.0**30, 0.0]] * 8)
    graph = unary, np.arange(16).reshape(8, 2), np.full(8, 2.0**29), potts(2)
    labels, energy = alpha_expansion(*graph, np.zeros(16, int), scale=1)
    assert labels.tolist() == [0, 1] * 8
    assert energy == 2.0**32


def test_capacities_that_are_too_large_only_together() -> None:
    """Three edges of 1.2 · 10⁹ between the same points, one turned round: in the flow they are one."""
    edges = np.array([[0, 1], [1, 0], [0, 1]])
    with pytest.raises(ValueError, match=r"capacities must stay below 2\*\*31.*a cost of 3600 times"):
        alpha_expansion(np.zeros((2, 2)), edges, np.full(3, 600.0), potts(2), np.array([1, 1]))


def test_labels_that_meet_for_nothing_and_rounded_metrics() -> None:
    """μ may be 0 off the diagonal; and 0.7 = μ(0, 2) is not refused because 0.1 + 0.6 is a bit less."""
    zero = np.array([[0.0, 0, 1], [0, 0, 1], [1, 1, 0]])
    assert alpha_expansion(np.zeros((3, 3)), PATH, np.ones(2), zero)[1] == 0
    d = 0.1 * np.arange(8)
    line = np.abs(d[:, None] - d)
    assert any(line[0, c] > line[0, b] + line[b, c] for b in range(8) for c in range(8))
    assert alpha_expansion(np.zeros((3, 8)), PATH, np.ones(2), line)[1] == 0


def test_a_rounded_metric_makes_no_arc() -> None:
    """In float32 μ(0, 2) is 2⁻²³ more than μ(0, 1) + μ(1, 2): at this scale an arc of −8, which is not followed.

    Point 0 keeps label 0; point 1 gains 1/2 and the edge nothing, when it goes from 2 to 1.
    """
    mu = np.array([[0, 0.5, 1 + 2.0**-23], [0.5, 0, 0.5], [1 + 2.0**-23, 0.5, 0]], np.float32)
    unary = np.array([[0, 9, 9], [9, 0, 0.5]], np.float32)
    graph = unary, PATH[:1], np.array([1], np.float32), mu
    labels, _ = alpha_expansion(*graph, np.array([0, 2]), scale=2.0**26)
    assert labels.tolist() == [0, 1]


def test_costs_are_rounded_half_to_even() -> None:
    """At scale 1 label 1 costs points 0, 1 and 2 what is rounded to 1, 0 and 2, when point 3 takes it for a gain."""
    unary = np.array([[0, 0.75], [0, 0.5], [0, 1.5], [8, 0]])
    labels, _ = alpha_expansion(unary, NO_EDGES, NONE, potts(2), np.zeros(4, int), cycles=1, scale=1)
    assert labels.tolist() == [0, 1, 0, 1]


def test_a_picture_of_213_by_320(record_property: Any) -> None:
    """A dark disc on a light ground; the cut removes noise that leaves a fifth of the pixels on the wrong side."""
    y, x = np.indices((213, 320))
    truth = (np.hypot(y - 100, x - 150) < 70).astype(int).ravel()
    seen = truth + 0.6 * np.random.default_rng(0).standard_normal(truth.size)
    unary = np.stack([seen**2, (seen - 1) ** 2], axis=1)
    edges, _ = grid_edges((213, 320))
    started = time.perf_counter()
    labels, energy = alpha_expansion(unary, edges, np.full(len(edges), 1.5), potts(2))
    record_property("seconds", time.perf_counter() - started)
    assert np.mean(unary.argmin(axis=1) != truth) > 0.19
    assert np.mean(labels != truth) < 0.005
    assert energy < crf_energy(unary, edges, np.full(len(edges), 1.5), potts(2), truth)


def metric_but(a: int, b: int, value: float) -> Array:
    """Return the Potts compatibility of three labels with another value at one pair."""
    mu = potts(3)
    mu[a, b] = mu[b, a] = value
    return mu


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            {"compatibility": metric_but(0, 2, 2.5)},
            ValueError,
            r"compatibility must be a metric, but μ\(0, 2\) = 2.5 is greater than μ\(0, 1\) \+ μ\(1, 2\) = 2",
        ),
        (
            {"compatibility": metric_but(1, 2, -1)},
            ValueError,
            r"compatibility must be a metric, but μ\(0, 2\) = 1 is greater than μ\(0, 1\) \+ μ\(1, 2\) = 0",
        ),
        ({"compatibility": -potts(3)}, ValueError, r"compatibility must be a metric, but μ\(1, 1\) = 0 is greater"),
        ({"compatibility": metric_but(1, 1, 1)}, ValueError, "compatibility must be 0 on the diagonal, got 1 for lab"),
        ({"compatibility": np.triu(potts(3))}, ValueError, "compatibility must be symmetric, got 1 for labels"),
        ({"weights": np.array([1, -0.5])}, ValueError, "weights must be at least 0, got -0.5 for edge 1"),
        ({"cycles": -1}, ValueError, "cycles must be at least 0, got -1"),
        ({"scale": 0}, ValueError, "scale must lie in"),
        ({"scale": 1e10}, ValueError, "scale must lie in"),
        ({"labels": np.array([0, 3, 0])}, ValueError, "labels must be 0 … 2, got 3 at point 1"),
        ({"unary": np.full((3, 3), np.inf)}, ValueError, r"unary must be finite, got inf at \[0, 0\]"),
        ({"edges": PATH + 1}, ValueError, r"edges must join two of 3 points, got \[2, 3\] for edge 1"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {
        "unary": np.zeros((3, 3)),
        "edges": PATH,
        "weights": np.ones(2),
        "compatibility": potts(3),
    }
    with pytest.raises(error, match="^alpha_expansion: " + message):
        alpha_expansion(**(given | change))

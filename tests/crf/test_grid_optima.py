"""What the inference of grid models promises about the energy it reaches, against every labelling there is."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.alpha_expansion import alpha_expansion
from refdet.crf.belief_propagation import belief_propagation
from refdet.crf.compatibility import potts, symmetric
from refdet.crf.contrast_weights import contrast_weights
from refdet.crf.crf_energy import crf_energy
from refdet.crf.grid import grid_edges
from refdet.crf.icm import icm
from refdet.crf.unary import unary_from_probabilities
from tests.agreement import Array, seeds

EIGHTHS = 8.0  # energies that are multiples of 1/8 are added without rounding, and are integers at this scale
shapes = st.sampled_from([(3, 3), (2, 4)])
neighbourhoods = st.sampled_from([4, 8])


class Landscape(NamedTuple):
    """Every labelling of a small model, with both parts of its energy."""

    labels: Array  # (L^N, N)
    unary: Array  # (L^N,)
    pairwise: Array  # (L^N,)

    @property
    def energies(self) -> Array:
        return self.unary + self.pairwise


def landscape(unary: Array, edges: Array, weights: Array, compatibility: Array) -> Landscape:
    n_points, n_labels = unary.shape
    labels = np.array(list(itertools.product(range(n_labels), repeat=n_points)))
    ends = labels[:, edges[:, 0]], labels[:, edges[:, 1]]
    return Landscape(labels, unary[np.arange(n_points), labels].sum(1), (weights * compatibility[ends]).sum(1))


def eighths(rng: np.random.Generator, size: int | tuple[int, ...], largest: int = 24) -> Array:
    """Return multiples of 1/8 from 0 on, many of them equal."""
    return rng.integers(0, largest + 1, size) / EIGHTHS


def test_the_landscape_is_that_of_the_energy() -> None:
    rng = np.random.default_rng(0)
    edges, _ = grid_edges((2, 3), 8)
    model = eighths(rng, (6, 2)), edges, eighths(rng, len(edges)), symmetric(eighths(rng, (2, 2)))
    every = landscape(*model)
    assert len(every.labels) == 64
    assert [crf_energy(*model, labels) for labels in every.labels] == every.energies.tolist()


@given(seed=seeds, shape=shapes, neighbourhood=neighbourhoods)
def test_alpha_expansion_is_optimal_for_two_labels(seed: int, shape: tuple[int, int], neighbourhood: int) -> None:
    """From any start.

    Where no expansion of either label helps, no set S of the points labelled 1 may grow or shrink for the better; and
    E(S ∪ T) + E(S ∩ T) <= E(S) + E(T) then leaves no better T.
    """
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges(shape, neighbourhood)
    n_points = shape[0] * shape[1]
    model = eighths(rng, (n_points, 2)), edges, eighths(rng, len(edges), 12), potts(2)
    labels, energy = alpha_expansion(*model, rng.integers(0, 2, n_points), scale=EIGHTHS)
    assert energy == landscape(*model).energies.min()
    assert energy == crf_energy(*model, labels)


@given(seed=seeds, shape=shapes, neighbourhood=neighbourhoods)
def test_alpha_expansion_rounds_no_more_than_its_scale_says(
    seed: int, shape: tuple[int, int], neighbourhood: int
) -> None:
    """Real energies: each of N + E capacities is off by at most 1/2 of 1/scale, in the optimum as in the answer.

    So no move that would lower the energy by more than (N + E) / scale is missed; and the argument above uses two.
    """
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges(shape, neighbourhood)
    n_points = shape[0] * shape[1]
    model = 3 * rng.random((n_points, 2)), edges, rng.random(len(edges)), potts(2, 1.5)
    optimum = landscape(*model).energies.min()
    for scale in (1e6, 1e3):
        _, energy = alpha_expansion(*model, scale=scale)
        assert optimum - 1e-9 <= energy <= optimum + 2 * (n_points + len(edges)) / scale + 1e-8


@pytest.mark.parametrize(
    ("compatibility", "spread"),
    [(potts(3), 1.0), (np.array([[0, 1, 2], [1, 0, 1], [2, 1, 0]], np.float64), 2.0)],
    ids=["potts", "linear"],
)
@given(seed=seeds, shape=shapes, neighbourhood=neighbourhoods)
def test_alpha_expansion_is_within_twice_the_optimum(
    seed: int, shape: tuple[int, int], neighbourhood: int, compatibility: Array, spread: float
) -> None:
    """Boykov, Veksler and Zabih (2001), theorem 6.1: E <= unary part + 2 spread pairwise part, of any labelling.

    The spread is the largest compatibility of different labels over the smallest: 1 for Potts.
    """
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges(shape, neighbourhood)
    n_points = shape[0] * shape[1]
    model = eighths(rng, (n_points, 3)), edges, eighths(rng, len(edges), 12), compatibility
    every = landscape(*model)
    labels, energy = alpha_expansion(*model, rng.integers(0, 3, n_points), scale=EIGHTHS)
    assert energy == crf_energy(*model, labels)
    assert every.energies.min() <= energy <= (every.unary + 2 * spread * every.pairwise).min()
    for alpha in range(3):  # no expansion is left that would help: no labelling that differs only by more of alpha
        expansions = np.all((every.labels == labels) | (every.labels == alpha), axis=1)
        assert every.energies[expansions].min() == energy


@pytest.mark.oracle
@pytest.mark.parametrize("neighbourhood", [4, 8])
def test_alpha_expansion_reaches_the_minimum_cut_of_pymaxflow(neighbourhood: int) -> None:
    """20 by 30 points: a noisy disc, two labels, weights by contrast; PyMaxflow's capacities are float64."""
    maxflow: Any = pytest.importorskip("maxflow", reason="PyMaxflow, which is compared with, is not installed")
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:20, :30]
    inside = (y - 10) ** 2 + (x - 14) ** 2 < 49
    colours = 255 * np.clip(0.3 + 0.4 * inside + 0.15 * rng.standard_normal((20, 30)), 0, 1).reshape(-1, 1)
    p = np.clip(0.5 + 0.2 * np.where(inside, 1, -1) + 0.3 * rng.standard_normal((20, 30)), 0.01, 0.99).reshape(-1)
    edges, lengths = grid_edges((20, 30), neighbourhood)
    weights = contrast_weights(colours, edges, lengths, w1=2.0, w2=0.3)
    model = unary_from_probabilities(np.stack([1 - p, p], axis=1)), edges, weights, potts(2)

    graph = maxflow.Graph[float](600, len(edges))
    graph.add_nodes(600)
    for i, (keep, take) in enumerate(model[0]):
        graph.add_tedge(i, take, keep)  # cut where i lies on the sink's side, i.e. has label 1; and where it has 0
    for (i, j), weight in zip(edges, weights, strict=True):
        graph.add_edge(i, j, weight, weight)
    minimum_cut = graph.maxflow()

    labels, energy = alpha_expansion(*model)
    assert energy == pytest.approx(minimum_cut, abs=1e-6)
    np.testing.assert_array_equal(labels, graph.get_grid_segments(np.arange(600)))
    assert 100 < np.count_nonzero(labels) < 300
    assert energy < crf_energy(*model, np.argmin(model[0], axis=1)) - 1


@given(seed=seeds, shape=shapes, neighbourhood=neighbourhoods, n_labels=st.integers(1, 4))
def test_icm_never_rises_and_ends_where_no_single_point_can_improve(
    seed: int, shape: tuple[int, int], neighbourhood: int, n_labels: int
) -> None:
    """Any symmetric compatibility, negative ones too."""
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges(shape, neighbourhood)
    n_points = shape[0] * shape[1]
    compatibility = 2 * symmetric(eighths(rng, (n_labels, n_labels)) - 1.5)
    model = eighths(rng, (n_points, n_labels)), edges, eighths(rng, len(edges)), compatibility
    start = rng.integers(0, n_labels, n_points)
    labels, energies = icm(*model, start, sweeps=100)
    assert energies[0] == crf_energy(*model, start)
    assert energies[-1] == crf_energy(*model, labels)
    assert np.all(np.diff(energies) <= 0)
    assert 2 <= len(energies) <= 100  # it has ended by itself,
    assert energies[-1] == energies[-2]  # after a sweep that changed nothing
    for i, label in itertools.product(range(n_points), range(n_labels)):
        changed = labels.copy()
        changed[i] = label
        assert crf_energy(*model, changed) >= energies[-1]
    again, energies_again = icm(*model, labels)
    np.testing.assert_array_equal(again, labels)
    np.testing.assert_array_equal(energies_again, energies[-1:].repeat(2))


def test_icm_stays_above_the_optimum_where_alpha_expansion_reaches_it() -> None:
    """A row of four points of label 0, each 0.5 better off with label 1.

    One alone would pay each of its neighbours 1; all together pay nothing.
    """
    edges, _ = grid_edges((1, 4), 4)
    model = np.tile([0.5, 0.0], (4, 1)), edges, np.ones(3), potts(2)
    start = np.zeros(4, np.int64)
    stuck, energies = icm(*model, start)
    np.testing.assert_array_equal(stuck, [0, 0, 0, 0])
    np.testing.assert_array_equal(energies, [2.0, 2.0])
    labels, energy = alpha_expansion(*model, start)
    np.testing.assert_array_equal(labels, [1, 1, 1, 1])
    assert energy == 0.0


def min_marginals(every: Landscape, n_labels: int) -> Array:
    """Return how much more than the optimum the best labelling costs in which point i has label l, shape (N, L)."""
    energies = every.energies
    best = [[energies[column == label].min() for label in range(n_labels)] for column in every.labels.T]
    marginals: Array = np.array(best) - energies.min()
    return marginals


def assert_exact(model: tuple[Array, Array, Array, Array]) -> None:
    """Compare the labels with the optimum, and every belief with the best energy that its label leaves possible.

    Undamped, as many iterations as points suffice; damped, what is left of the start halves with each.
    """
    every = landscape(*model)
    optimum = every.labels[np.argmin(every.energies)]
    expected = min_marginals(every, model[0].shape[1])
    for iterations, damping in ((len(model[0]), 0.0), (100, 0.5)):
        labels, beliefs = belief_propagation(*model, iterations=iterations, damping=damping)
        np.testing.assert_array_equal(labels, optimum)
        np.testing.assert_allclose(beliefs - beliefs.min(axis=1, keepdims=True), expected, rtol=0, atol=1e-9)


@given(seed=seeds, n_points=st.integers(1, 7), n_labels=st.integers(1, 3), upright=st.booleans())
def test_belief_propagation_is_exact_on_chains(seed: int, n_points: int, n_labels: int, upright: bool) -> None:
    """Real numbers, so that there is one optimum."""
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges((n_points, 1) if upright else (1, n_points), 8)
    assert len(edges) == n_points - 1
    assert_exact((2 * rng.random((n_points, n_labels)), edges, rng.random(n_points - 1), potts(n_labels)))


@given(seed=seeds, n_points=st.integers(2, 7), n_labels=st.integers(2, 3), forest=st.booleans())
def test_belief_propagation_is_exact_on_trees(seed: int, n_points: int, n_labels: int, forest: bool) -> None:
    """Any symmetric compatibility, any sign of weight; each point but the first hangs on one before it, or on none."""
    rng = np.random.default_rng(seed)
    edges = np.array([[rng.integers(0, i), i] for i in range(1, n_points)])
    if forest:
        edges = edges[rng.random(len(edges)) < 0.7]
    compatibility = symmetric(rng.standard_normal((n_labels, n_labels)))
    assert_exact((2 * rng.random((n_points, n_labels)), edges, rng.standard_normal(len(edges)), compatibility))

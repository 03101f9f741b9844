"""crf_energy: the decks' formulas, the oracle, how edges count, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.compatibility import potts
from refdet.crf.crf_energy import crf_energy
from refdet.crf.grid import grid_edges
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.graphs import all_energies, dyadic_graph, random_edges
from tests.oracles import crf_energy as oracle

UNARY = np.array([[1.0, 9.0], [9.0, 2.0], [4.0, 9.0]])
EDGES = np.array([[0, 1], [1, 2]])
WEIGHTS = np.array([8.0, 16.0])


def test_hand_example() -> None:
    """1 + 2 + 4 at the points, 8 + 16 at the edges; each edge once."""
    assert crf_energy(UNARY, EDGES, WEIGHTS, potts(2), np.array([0, 1, 0])) == 31
    assert crf_energy(UNARY, EDGES, WEIGHTS, potts(2), np.array([0, 0, 0])) == 14


def test_the_decks_sum_over_neighbours_counts_every_edge_twice() -> None:
    """Σ_i [ψ_u + Σ_j∈N(i) ψ_p] is Σ ψ_u + 2 Σ_i<j ψ_p: the energy with weights doubled."""
    rng = np.random.default_rng(0)
    edges, _ = grid_edges((3, 3))
    unary, weights, labels = rng.random((9, 3)), rng.random(len(edges)), rng.integers(0, 3, 9)
    deck = 0.0
    for i in range(9):
        deck += unary[i, labels[i]]
        for e, (a, b) in enumerate(edges.tolist()):
            if i in (a, b):
                j = b if i == a else a
                deck += weights[e] * float(labels[i] != labels[j])
    np.testing.assert_allclose(crf_energy(unary, edges, 2 * weights, potts(3), labels), deck, rtol=1e-14)


def test_probabilities_by_the_energy_add_up() -> None:
    """Deck 004: p(y|x) = exp(−E)/Z. Without edges p is the product of those of the points."""
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(3), 3)
    unary, no_edges = -np.log(p), np.zeros((0, 2), int)
    energies = all_energies((unary, no_edges, np.zeros(0), potts(3)))
    assert np.isclose(sum(np.exp(-e) for e in energies.values()), 1)
    for y in energies:
        ours = crf_energy(unary, no_edges, np.zeros(0), potts(3), np.array(y))
        np.testing.assert_allclose(np.exp(-ours), np.prod(p[range(3), y]), rtol=1e-12)


@given(seed=seeds, n=st.integers(0, 6), L=st.integers(1, 4), n_edges=st.integers(0, 12), dtype=dtypes, layout=layouts)
def test_against_the_definition(seed: int, n: int, L: int, n_edges: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    edges = random_edges(rng, n, n_edges)
    floats = [rng.standard_normal((n, L)), rng.standard_normal(len(edges)), rng.standard_normal((L, L))]
    unary, weights, compatibility = (in_layout(x.astype(dtype), layout) for x in floats)
    labels = in_layout(rng.integers(0, L, n), layout)
    inputs = [unary, in_layout(edges, layout), weights, compatibility, labels]
    assert_agrees("crf_energy", oracle, inputs, rng=rng, params={})


def test_float32_is_added_in_float64() -> None:
    """2²⁴ + 1 + 1 − 2²⁴ is 2; in float32 each 1 is lost."""
    unary = np.array([[2.0**24], [1], [1], [-(2.0**24)]], np.float32)
    none = np.zeros(0, np.float32)
    assert crf_energy(unary, np.zeros((0, 2), int), none, potts(1, dtype="float32"), np.zeros(4, np.uint8)) == 2


def test_float32_is_multiplied_in_float64() -> None:
    """(2¹² + 1)² is 2²⁴ + 2¹³ + 1, and in float32 the 1 is lost."""
    factor = 2.0**12 + 1
    unary = np.array([[1 - factor**2, 0], [0, 0]], np.float32)
    weights, labels = np.array([factor], np.float32), np.array([0, 1])
    assert unary[0, 0] == 1 - factor**2
    assert crf_energy(unary, EDGES[:1], weights, potts(2, factor, dtype="float32"), labels) == 1


@given(seed=seeds)
def test_edges_may_come_in_any_order_and_direction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    unary, edges, weights, compatibility = dyadic_graph(rng, 5, 3, 8)
    labels, order = rng.integers(0, 3, 5), rng.permutation(8)
    assert crf_energy(unary, edges[order, ::-1], weights[order], compatibility, labels) == crf_energy(
        unary, edges, weights, compatibility, labels
    )


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"unary": np.zeros(3)}, ValueError, r"unary must have rank 2 \(N, L\)"),
        ({"unary": np.zeros((3, 0))}, ValueError, r"unary must have at least one label, got shape \(3, 0\)"),
        ({"unary": np.zeros((3, 2), int)}, TypeError, "unary must be float32 or float64, got int64"),
        ({"unary": np.full((3, 2), np.inf)}, ValueError, r"unary must be finite, got inf at \[0, 0\]"),
        ({"weights": np.zeros(2, np.float32)}, TypeError, "unary is float64 but weights is float32"),
        ({"weights": np.array([1, np.nan])}, ValueError, r"weights must be finite, got nan at \[1\]"),
        ({"weights": np.zeros(3)}, ValueError, r"edges must have shape \(3, 2\) \(two ends for each of the weights\)"),
        ({"edges": EDGES.astype(float)}, TypeError, "edges must be an integer array"),
        ({"edges": EDGES + 1}, ValueError, r"edges must join two of 3 points, got \[2, 3\] for edge 1"),
        ({"edges": EDGES - 1}, ValueError, r"edges must join two of 3 points, got \[-1, 0\] for edge 0"),
        ({"edges": EDGES * 0}, ValueError, r"edges must join different points, got \[0, 0\] for edge 0"),
        ({"compatibility": np.zeros((3, 3))}, ValueError, r"compatibility must have shape \(2, 2\)"),
        (
            {"compatibility": np.array([[0, 1], [2.0, 0]])},
            ValueError,
            r"compatibility must be symmetric, got 1 for labels \(0, 1\) and 2 for \(1, 0\)",
        ),
        ({"labels": np.zeros(2, int)}, ValueError, r"labels must have shape \(3,\) \(one per point\), got \(2,\)"),
        ({"labels": np.zeros(3)}, TypeError, "labels must be an integer array, got float64"),
        ({"labels": np.array([0, 2, 0])}, ValueError, "labels must be 0 … 1, got 2 at point 1"),
        ({"labels": np.array([0, 0, -1])}, ValueError, "labels must be 0 … 1, got -1 at point 2"),
        ({"labels": [0, 0, 0]}, TypeError, "labels must be an array, got list"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {
        "unary": UNARY,
        "edges": EDGES,
        "weights": WEIGHTS,
        "compatibility": potts(2),
        "labels": np.zeros(3, int),
    }
    with pytest.raises(error, match="^crf_energy: " + message):
        crf_energy(**(given | change))

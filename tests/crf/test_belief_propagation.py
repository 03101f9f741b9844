"""belief_propagation: hand examples, the oracle, exactness on trees, errors."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.belief_propagation import belief_propagation
from refdet.crf.compatibility import potts
from refdet.crf.grid import grid_edges
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.graphs import all_energies, dyadic_graph
from tests.oracles import belief_propagation as oracle

PATH = np.array([[0, 1], [1, 2]])


def test_hand_example() -> None:
    """Of a preference of 4 edges of weight 3 and 2 pass on 3 and 2, one edge in each iteration."""
    unary = np.array([[4.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    for iterations, last in ((0, 0), (1, 0), (2, 2), (9, 2)):
        labels, beliefs = belief_propagation(
            unary, PATH, np.array([3.0, 2.0]), potts(2), iterations=iterations, damping=0
        )
        assert beliefs.tolist() == [[4, 0], [3 * (iterations > 0), 0], [last, 0]]
        assert labels.tolist() == [1, int(iterations > 0), int(last > 0)]


def test_damping() -> None:
    """A quarter of the last message stays: 3/4 · 3, then 3/4 · 3 + 1/4 of that."""
    unary = np.array([[4.0, 0.0], [0.0, 0.0]])
    for iterations, belief in ((1, 2.25), (2, 2.8125)):
        _, beliefs = belief_propagation(unary, PATH[:1], np.array([3.0]), potts(2), iterations=iterations, damping=0.25)
        assert beliefs.tolist() == [[4, 0], [belief, 0]]


@given(
    seed=seeds,
    n=st.integers(0, 5),
    L=st.integers(1, 4),
    n_edges=st.integers(0, 8),
    dtype=dtypes,
    layout=layouts,
    iterations=st.integers(0, 4),
    damping=st.sampled_from([0.0, 0.5]),
)
def test_against_the_definition(
    seed: int, n: int, L: int, n_edges: int, dtype: str, layout: str, iterations: int, damping: float
) -> None:
    rng = np.random.default_rng(seed)
    graph = dyadic_graph(rng, n, L, n_edges)
    inputs = [in_layout(x if x.dtype.kind == "i" else x.astype(dtype), layout) for x in graph]
    params = {"iterations": iterations, "damping": damping}
    assert_agrees("belief_propagation", oracle, inputs, rng=rng, params=params)


@given(seed=seeds, n=st.integers(2, 6), damping=st.sampled_from([0.0, 0.5]))
def test_on_a_tree_beliefs_are_lowest_energies(seed: int, n: int, damping: float) -> None:
    """Up to a constant for each point; and where the best labelling is unique, it is the one that is found."""
    rng = np.random.default_rng(seed)
    parents = np.array([rng.integers(0, i) for i in range(1, n)])
    edges = np.stack([parents, np.arange(1, n)], axis=1)
    half = rng.standard_normal((3, 3))
    graph = rng.standard_normal((n, 3)), edges, rng.standard_normal(n - 1), half + half.T
    labels, beliefs = belief_propagation(*graph, iterations=n - 1 if damping == 0 else 100, damping=damping)
    energies = all_energies(graph)
    for i in range(n):
        lowest = [min(e for y, e in energies.items() if y[i] == l) for l in range(3)]
        np.testing.assert_allclose(beliefs[i] - beliefs[i].min(), np.array(lowest) - min(lowest), atol=1e-10)
    assert tuple(labels.tolist()) == min(energies, key=lambda y: energies[y])


def test_float32_is_computed_in_float64() -> None:
    """The edge passes on (2¹² + 1)² = 2²⁴ + 2¹³ + 1 against label 0, which has 2²⁴ + 2¹³ less: label 1 by 1."""
    factor = 2.0**12 + 1
    unary = np.array([[2.0**25, 0], [1 - factor**2, 0]], np.float32)
    labels, beliefs = belief_propagation(
        unary, PATH[:1], np.array([factor], np.float32), potts(2, factor, dtype="float32"), iterations=1, damping=0
    )
    assert labels.tolist() == [1, 1]
    assert beliefs[1].tolist() == [1, 0]


def test_labels_are_read_before_beliefs_are_rounded() -> None:
    """2²⁴ + 1 against 2²⁴: in float32 they are equal, and the first would win."""
    unary = np.array([[1, 0], [2.0**24, 2.0**24]], np.float32)
    labels, beliefs = belief_propagation(
        unary, PATH[:1], np.ones(1, np.float32), potts(2, dtype="float32"), iterations=1, damping=0
    )
    assert labels.tolist() == [1, 1]
    assert beliefs[1].tolist() == [2.0**24, 2.0**24]


def test_a_constant_more_for_a_point_changes_no_label() -> None:
    rng = np.random.default_rng(0)
    edges, _ = grid_edges((4, 5))
    unary, weights = rng.random((20, 3)), rng.random(len(edges))
    first = belief_propagation(unary, edges, weights, potts(3), iterations=10)
    second = belief_propagation(unary + 64 * rng.random((20, 1)), edges, weights, potts(3), iterations=10)
    np.testing.assert_array_equal(first[0], second[0])


def test_messages_do_not_grow() -> None:
    """They lose their minimum: after 2000 undamped iterations on loops beliefs are at most 4 edges above the unary."""
    rng = np.random.default_rng(0)
    edges, _ = grid_edges((4, 5))
    unary, weights = rng.random((20, 3)), rng.random(len(edges))
    _, beliefs = belief_propagation(unary, edges, weights, potts(3), iterations=2000, damping=0)
    assert (beliefs >= unary).all()
    assert (beliefs <= unary + 4).all()


def test_memory_does_not_grow_with_the_square_of_the_labels() -> None:
    """With 40 labels, one array of (2E, L) is 1.2 MB, and one of (2E, L, L) would be 48 MB."""
    edges, _ = grid_edges((32, 32))
    unary, weights = np.zeros((1024, 40)), np.ones(len(edges))
    tracemalloc.start()
    belief_propagation(unary, edges, weights, potts(40), iterations=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15e6


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"iterations": -1}, ValueError, "iterations must be at least 0, got -1"),
        ({"iterations": 2.0}, TypeError, "iterations must be an integer, got 2.0"),
        ({"damping": 1}, ValueError, r"damping must lie in \[0, 1\), got 1"),
        ({"damping": -0.1}, ValueError, "damping must lie in"),
        ({"unary": np.full((3, 2), np.nan)}, ValueError, r"unary must be finite, got nan at \[0, 0\]"),
        ({"compatibility": np.array([[0, 1], [2.0, 0]])}, ValueError, "compatibility must be symmetric"),
        ({"edges": PATH + 1}, ValueError, r"edges must join two of 3 points, got \[2, 3\] for edge 1"),
        ({"edges": PATH * 0}, ValueError, "edges must join different points"),
        ({"weights": np.ones((2, 1))}, ValueError, r"weights must have rank 1 \(E\)"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {
        "unary": np.zeros((3, 2)),
        "edges": PATH,
        "weights": np.ones(2),
        "compatibility": potts(2),
    }
    with pytest.raises(error, match="^belief_propagation: " + message):
        belief_propagation(**(given | change))

"""icm: hand examples, the oracle, that energies never rise and no single change helps at the end, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.compatibility import potts
from refdet.crf.crf_energy import crf_energy
from refdet.crf.grid import grid_edges
from refdet.crf.icm import icm
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.graphs import dyadic_graph
from tests.oracles import icm as oracle

PATH = np.array([[0, 1], [1, 2]])


def test_hand_example() -> None:
    """The middle one prefers label 1 by 1, its neighbours are joined by 3/4 each."""
    unary = np.array([[0.0, 5.0], [1.0, 0.0], [0.0, 5.0]])
    labels, energies = icm(unary, PATH, np.array([0.75, 0.75]), potts(2))
    assert labels.tolist() == [0, 0, 0]
    assert energies.tolist() == [1.5, 1.0, 1.0]


def test_ties() -> None:
    """The current label stays if no other is better; among the better ones that are equal, the lowest is taken."""
    no_edges, none = np.zeros((0, 2), int), np.zeros(0)
    unary = np.array([[1.0, 1.0, 2.0]])
    assert [icm(unary, no_edges, none, potts(3), np.array([y]))[0].tolist() for y in range(3)] == [[0], [1], [0]]
    assert icm(np.zeros((1, 3)), no_edges, none, potts(3))[0].tolist() == [0]


def test_it_begins_with_the_lowest_potentials_unless_told() -> None:
    unary = np.array([[1.0, 0.0, 0.0]])
    labels, energies = icm(unary, np.zeros((0, 2), int), np.zeros(0), potts(3), sweeps=0)
    assert labels.tolist() == [1]
    assert energies.tolist() == [0]


@given(
    seed=seeds,
    n=st.integers(0, 6),
    L=st.integers(1, 4),
    n_edges=st.integers(0, 12),
    dtype=dtypes,
    layout=layouts,
    sweeps=st.integers(0, 5),
)
def test_against_the_definition(seed: int, n: int, L: int, n_edges: int, dtype: str, layout: str, sweeps: int) -> None:
    rng = np.random.default_rng(seed)
    unary, edges, weights, compatibility = dyadic_graph(rng, n, L, n_edges)
    floats = (in_layout(x.astype(dtype), layout) for x in (unary, weights, compatibility))
    unary, weights, compatibility = floats
    labels = in_layout(rng.integers(0, L, n), layout)
    inputs = [unary, in_layout(edges, layout), weights, compatibility, labels]
    assert_agrees("icm", oracle, inputs, rng=rng, params={"sweeps": sweeps})


@given(seed=seeds, dtype=dtypes)
def test_the_energy_never_rises_and_ends_in_a_local_minimum(seed: int, dtype: str) -> None:
    rng = np.random.default_rng(seed)
    edges, _ = grid_edges((4, 4), 8)
    unary, weights = rng.random((16, 3)).astype(dtype), rng.uniform(-0.3, 0.6, len(edges)).astype(dtype)
    mu = potts(3, dtype=dtype)
    labels, energies = icm(unary, edges, weights, mu)
    assert energies.dtype == dtype
    assert (np.diff(energies) <= 0).all()
    assert energies[-1] == energies[-2]
    lowest = crf_energy(unary, edges, weights, mu, labels)
    np.testing.assert_allclose(energies[-1], lowest, rtol=1e-6)
    for i, l in np.ndindex(16, 3):
        changed = labels.copy()
        changed[i] = l
        assert crf_energy(unary, edges, weights, mu, changed) >= lowest - 1e-6


def test_float32_is_added_in_float64() -> None:
    """2²⁴ + 1 + 1 with label 0 is more than 2²⁴ with label 1; in float32 each 1 is lost, and it is a tie."""
    unary = np.array([[2.0**24, 2.0**24], [9, 0], [9, 0]], np.float32)
    mu, weights = potts(2, dtype="float32"), np.ones(2, np.float32)
    assert icm(unary, np.array([[0, 1], [0, 2]]), weights, mu, np.array([0, 1, 1]))[0].tolist() == [1, 1, 1]


def test_energies_may_rise_by_the_rounding_of_their_sums() -> None:
    """For point 0, 0.6 + 0.3 is less than 0.9 in float64; for both points 0.6 + 0.5 + 0.3 is more than 0.9 + 0.5."""
    unary = np.array([[0.9, 0.6], [0.5, 0.9]])
    labels, energies = icm(unary, PATH[:1], np.array([0.3]), potts(2), np.array([0, 0]))
    assert labels.tolist() == [1, 0]
    assert 0 < energies[1] - energies[0] < 1e-15


@given(seed=seeds)
def test_sweep_by_sweep_is_the_same(seed: int) -> None:
    rng = np.random.default_rng(seed)
    graph = dyadic_graph(rng, 6, 3, 9)
    start = rng.integers(0, 3, 6)
    labels, energies = icm(*graph, start)
    found, seen = start, [energies[0]]
    for _ in range(len(energies) - 1):
        found, step = icm(*graph, found, sweeps=1)
        seen.append(step[-1])
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_array_equal(seen, energies)


def test_noise_is_removed_from_a_picture_of_64_by_64() -> None:
    """A dark disc on a light ground, with noise of half the step, one fifth of whose pixels are on the wrong side."""
    y, x = np.indices((64, 64))
    truth = (np.hypot(y - 30, x - 34) < 20).astype(int).ravel()
    seen = truth + 0.6 * np.random.default_rng(0).standard_normal(64 * 64)
    unary = np.stack([seen**2, (seen - 1) ** 2], axis=1)
    edges, lengths = grid_edges((64, 64), 8)
    labels, energies = icm(unary, edges, 1 / lengths, potts(2))
    assert np.mean(unary.argmin(axis=1) != truth) > 0.19
    assert np.mean(labels != truth) < 0.02
    assert len(energies) < 20


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"sweeps": -1}, ValueError, "icm: sweeps must be at least 0, got -1"),
        ({"sweeps": 1.5}, TypeError, "icm: sweeps must be an integer, got 1.5"),
        ({"labels": np.array([0, 1, 2])}, ValueError, "icm: labels must be 0 … 1, got 2 at point 2"),
        ({"labels": np.zeros(2, int)}, ValueError, r"icm: labels must have shape \(3,\)"),
        ({"unary": np.full((3, 2), np.nan)}, ValueError, r"icm: unary must be finite, got nan at \[0, 0\]"),
        ({"compatibility": np.array([[0, 1], [2.0, 0]])}, ValueError, "icm: compatibility must be symmetric"),
        ({"edges": PATH + 1}, ValueError, r"icm: edges must join two of 3 points, got \[2, 3\] for edge 1"),
    ],
)
def test_bad_input(change: dict[str, Any], error: type[Exception], message: str) -> None:
    given: dict[str, Any] = {
        "unary": np.zeros((3, 2)),
        "edges": PATH,
        "weights": np.ones(2),
        "compatibility": potts(2),
    }
    with pytest.raises(error, match="^" + message):
        icm(**(given | change))

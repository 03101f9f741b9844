"""free_energy: the definition, the distance from the Gibbs distribution, 0 log 0, the half."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.crf.free_energy import free_energy
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import free_energy as oracle


def test_hand_example() -> None:
    """½ and ½: −ln 2 of entropy; ½ · 1 + ½ · 3 of unary; half of ½ · 4."""
    F = free_energy(np.array([[0.5, 0.5]]), np.array([[1.0, 3.0]]), np.array([[4.0, 0.0]]))
    np.testing.assert_allclose(F, -np.log(2) + 2 + 1)
    assert F.shape == ()


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    shape = data.draw(st.integers(0, 6)), data.draw(st.integers(1, 4))
    q = rng.dirichlet(np.ones(shape[1]), shape[0]).reshape(shape)
    q = np.where(rng.random(shape) < 0.2, 0, q)
    arrays = [q, rng.standard_normal(shape), rng.standard_normal(shape)]
    assert_agrees("free_energy", oracle, [in_layout(x.astype(dtype), layout) for x in arrays], rng=rng, params={})


def test_it_is_the_divergence_from_the_gibbs_distribution_less_log_z() -> None:
    """By enumeration: KL(Q | exp(−E)/Z) − log Z for three points with two labels."""
    rng = np.random.default_rng(0)
    unary, q = rng.standard_normal((3, 2)), rng.dirichlet(np.ones(2), 3)
    K = rng.random((3, 3))
    K = (K + K.T) * (1 - np.eye(3))
    mu = np.array([[0.5, 1.0], [1.0, -2.0]])
    states = list(itertools.product(range(2), repeat=3))
    pairs = list(itertools.combinations(range(3), 2))
    energy = [sum(unary[i, y[i]] for i in range(3)) + sum(mu[y[i], y[j]] * K[i, j] for i, j in pairs) for y in states]
    log_Z = np.log(np.sum(np.exp(-np.array(energy))))
    Q = np.array([np.prod([q[i, y[i]] for i in range(3)]) for y in states])
    divergence = np.sum(Q * (np.log(Q) + np.array(energy) + log_Z))
    np.testing.assert_allclose(free_energy(q, unary, K @ q @ mu.T), divergence - log_Z)


def test_zero_log_zero_is_zero() -> None:
    for zero in (0.0, -0.0):
        assert free_energy(np.array([[zero, 1.0]]), np.zeros((1, 2)), np.zeros((1, 2))) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_energies(dtype: str) -> None:
    """A label without probability may cost anything finite; a sum beyond the dtype is ∞, without a warning."""
    most = np.finfo(dtype).max
    sure, costs = np.array([[0, 1]], dtype), np.array([[most, 0]], dtype)
    assert free_energy(sure, costs, costs) == 0
    assert free_energy(np.ones((2, 2), dtype), np.repeat(costs, 2, axis=0), np.zeros((2, 2), dtype)) == np.inf


def test_what_is_not_a_number() -> None:
    """A negative q, a NaN, and 0 · ∞; without a warning."""
    zeros = np.zeros((1, 2))
    assert np.isnan(free_energy(np.array([[-0.5, 1.5]]), zeros, zeros))
    assert np.isnan(free_energy(np.array([[np.nan, 1.0]]), zeros, zeros))
    assert np.isnan(free_energy(np.array([[0.0, 1.0]]), np.array([[np.inf, 0.0]]), zeros))


def test_the_sum_is_rounded_once() -> None:
    """float32: (2²⁴ + 1) + 1 = 2²⁴ term by term, 2²⁴ + 2 in float64."""
    unary = np.array([[2**24], [1], [1]], np.float32)
    F = free_energy(np.ones_like(unary), unary, np.zeros_like(unary))
    assert F == 2**24 + 2
    assert F.dtype == np.float32


def test_bad_input() -> None:
    q = np.zeros((3, 2))
    with pytest.raises(ValueError, match=r"free_energy: q must have rank 2 \(N, L\)"):
        free_energy(q[0], q[0], q[0])
    with pytest.raises(ValueError, match=r"free_energy: pairwise must have shape \(3, 2\) \(that of q\), got \(2, 3\)"):
        free_energy(q, q, q.T)
    with pytest.raises(TypeError, match="free_energy: q is float64 but unary is float32"):
        free_energy(q, q.astype(np.float32), q)

"""mean_field_sequential: the formula, that it never raises the free energy, where it ends, its errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.compatibility import potts
from refdet.crf.dense import DenseCRF, GaussianPotential
from refdet.crf.mean_field import mean_field
from refdet.crf.mean_field_sequential import mean_field_sequential
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.crf.problems import counting_backend, random_crf
from tests.oracles import mean_field_sequential as oracle


def softmax(row: Array) -> Array:
    powers = np.exp(row - row.max())
    probabilities: Array = powers / powers.sum()
    return probabilities


def test_the_formula_point_by_point() -> None:
    """Every point sees the new q of those before it, and the old q of those after it."""
    rng = np.random.default_rng(0)
    unary, f, mu = rng.standard_normal((5, 3)), rng.standard_normal((5, 2)), rng.standard_normal((3, 3))
    q = np.array([softmax(-row) for row in unary])
    for _ in range(2):
        for i in range(5):
            message = sum(np.exp(-0.5 * np.sum((f[i] - f[j]) ** 2)) * q[j] for j in range(5) if j != i)
            q[i] = softmax(-unary[i] - mu @ message)
    np.testing.assert_allclose(mean_field_sequential(unary, [f], [mu], sweeps=2), q)


@given(data=st.data(), seed=seeds, dtype=dtypes, layout=layouts)
def test_against_the_definition(data: st.DataObject, seed: int, dtype: str, layout: str) -> None:
    rng = np.random.default_rng(seed)
    *arrays, params = random_crf(rng, ("exact",) * data.draw(st.integers(0, 2)), dtype)
    chosen = {"dimensions": params["dimensions"], "normalisation": params["normalisation"]}
    chosen |= {"exclude_self": data.draw(st.booleans()), "sweeps": data.draw(st.integers(0, 2))}
    inputs = [in_layout(x, layout) for x in arrays]
    assert_agrees("mean_field_sequential", oracle, inputs, rng=rng, params=chosen)


@given(data=st.data(), seed=seeds)
def test_the_free_energy_never_rises(data: st.DataObject, seed: int) -> None:
    """Whatever a symmetric μ wants: attraction, repulsion, or both; with either symmetric normalisation."""
    rng = np.random.default_rng(seed)
    n, L = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 4))
    mu = data.draw(st.sampled_from([0.3, 3.0, 30.0])) * rng.standard_normal((L, L))
    how = data.draw(st.sampled_from(["none", "symmetric"]))
    kernels = [
        GaussianPotential(rng.standard_normal((n, 2)), mu + mu.T, "exact", how),
        GaussianPotential(rng.standard_normal((n, 1)), np.diag(rng.standard_normal(L)), "exact", "none"),
    ]
    F = DenseCRF(3 * rng.standard_normal((n, L)), kernels, exclude_self=True).infer(4, schedule="sequential")
    assert np.all(np.diff(F.free_energies) <= 1e-12 * (1 + np.abs(F.free_energies[1:])))


@given(seed=seeds, how=st.sampled_from(["none", "symmetric"]), w=st.sampled_from([0.3, 3.0, 30.0]))
def test_with_the_self_term_it_never_rises_where_that_is_concave(seed: int, how: str, w: float) -> None:
    rng = np.random.default_rng(seed)
    for mu in (potts(3, w), -w * np.eye(3)):
        kernels = [GaussianPotential(rng.standard_normal((6, 2)), mu, "exact", how)]
        crf = DenseCRF(3 * rng.standard_normal((6, 3)), kernels, exclude_self=False)
        F = crf.infer(4, schedule="sequential").free_energies
        assert np.all(np.diff(F) <= 1e-12 * (1 + np.abs(F[1:])))


def test_it_ends_where_the_parallel_updates_end() -> None:
    """Attraction: both come to rest, in the same place, as the problem is nearly decided by its unaries."""
    rng = np.random.default_rng(1)
    unary, f = rng.standard_normal((8, 3)), rng.standard_normal((8, 2))
    parallel = mean_field(
        unary, [f], [potts(3, 0.3)], filters="exact", normalisation="none", exclude_self=True, iterations=200
    )
    one_by_one = mean_field_sequential(unary, [f], [potts(3, 0.3)], sweeps=100)
    np.testing.assert_allclose(one_by_one, parallel.data, atol=1e-12)


def test_the_order_of_the_points_matters() -> None:
    """The first comes first: of two equal points that repel each other it takes what both prefer."""
    unary = np.array([[0.0, 0.0], [0.0, 0.1], [0.0, 0.1]])
    same = np.array([[9.0], [0.0], [0.0]])
    q = mean_field_sequential(unary, [same], [8 * np.eye(2)], sweeps=20)
    np.testing.assert_array_equal(q.argmax(axis=1)[1:], [1, 0])
    np.testing.assert_allclose(q[0], [0.5, 0.5])


def test_the_kernel_has_references_inside_whatever_the_backend() -> None:
    with counting_backend() as calls:
        mean_field_sequential(np.zeros((3, 2)), [np.zeros((3, 1))], [np.eye(2)], sweeps=2)
    assert calls["mean_field_sequential"] == 1
    assert not calls["gaussian_kernel.forward"] + calls["softmax.forward"]


def test_the_input_stays_as_it_is() -> None:
    unary = np.zeros((3, 2))
    unary.flags.writeable = False
    mean_field_sequential(unary, [np.zeros((3, 1))], [np.eye(2)], sweeps=1)


def test_no_sweeps_no_kernels_no_points() -> None:
    unary = np.array([[0.0, np.log(3)]])
    np.testing.assert_allclose(mean_field_sequential(unary, [np.zeros((1, 1))], [potts(2)], sweeps=0), [[0.75, 0.25]])
    np.testing.assert_allclose(mean_field_sequential(unary, [], []), [[0.75, 0.25]])
    assert mean_field_sequential(np.zeros((0, 2)), [np.zeros((0, 1))], [potts(2)]).shape == (0, 2)


@pytest.mark.parametrize(
    ("features", "options", "message"),
    [
        (np.zeros((5, 2)), {}, "unary has 6 rows but features have 5: rows are points"),
        (np.full((6, 1), np.inf), {}, r"features must be finite, got \[inf\] at point 0"),
        (np.zeros((6, 1)), {"sweeps": -1}, "sweeps must be at least 0"),
        (np.zeros((6, 1)), {"normalisation": "both"}, "normalisation must be one of"),
        (np.zeros((6, 1)), {"normalisation": ["none"] * 2}, "normalisation must have one entry for each of the 1"),
        (np.zeros((6, 1)), {"normalisation": []}, r"normalisation must have one entry for each of the 1 .*, got \(\)"),
    ],
)
def test_bad_input(features: Array, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"mean_field_sequential: {message}"):
        mean_field_sequential(np.zeros((6, 2)), [features], [potts(2)], **options)


def test_too_many_points() -> None:
    with pytest.raises(ValueError, match=r"mean_field_sequential: .* N = 5001 takes 200,080,008 bytes"):
        mean_field_sequential(np.zeros((5001, 2)), [np.zeros((5001, 1))], [potts(2)])

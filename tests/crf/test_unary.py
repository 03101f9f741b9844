"""unary_from_probabilities and unary_from_labels: the definition, the decks' model, pydensecrf, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.unary import unary_from_labels, unary_from_probabilities
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import unary_from_labels as labels_oracle
from tests.oracles import unary_from_probabilities as probabilities_oracle


def test_hand_examples() -> None:
    """Powers of 1/2 cost multiples of ln 2."""
    potentials = unary_from_probabilities(np.array([[1.0, 0.5], [0.25, 0.0]]), floor=0.125)
    np.testing.assert_allclose(potentials / np.log(2), [[0, 1], [2, 3]], rtol=1e-15)
    assert not np.signbit(potentials).any()
    assert not np.signbit(unary_from_labels(np.array([0]), 2, gt_probability=1e-300)).any()
    given = unary_from_labels(np.array([0, 9, 2]), 3, gt_probability=0.5, unsure=9)
    np.testing.assert_allclose(given, -np.log([[0.5, 0.25, 0.25], [1 / 3] * 3, [0.25, 0.25, 0.5]]), rtol=1e-15)


@given(
    seed=seeds,
    n=st.integers(0, 5),
    L=st.integers(1, 5),
    dtype=dtypes,
    layout=layouts,
    floor=st.sampled_from([1e-5, 0.3, 1.0]),
    nan=st.booleans(),
)
def test_probabilities_against_the_definition(
    seed: int, n: int, L: int, dtype: str, layout: str, floor: float, nan: bool
) -> None:
    rng = np.random.default_rng(seed)
    p = rng.choice([0, 1, 1.0001, -0.0001, *rng.random(4)], (n, L))
    p[rng.random((n, L)) < 0.1 * nan] = np.nan
    inputs = [in_layout(p.astype(dtype), layout)]
    assert_agrees("unary_from_probabilities", probabilities_oracle, inputs, rng=rng, params={"floor": floor})


@given(
    seed=seeds,
    n=st.integers(0, 6),
    L=st.integers(2, 5),
    unsure=st.sampled_from([None, 0, 255, -1]),
    p=st.floats(0.01, 0.99),
    layout=layouts,
    of=st.sampled_from(["int64", "int16"]),
)
def test_labels_against_the_definition(
    seed: int, n: int, L: int, unsure: int | None, p: float, layout: str, of: str
) -> None:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, L, n)
    if unsure is not None:
        labels[rng.random(n) < 0.3] = unsure
    params = {"n_labels": L, "gt_probability": p, "unsure": unsure, "dtype": "float64"}
    assert_agrees("unary_from_labels", labels_oracle, [in_layout(labels.astype(of), layout)], rng=rng, params=params)


@given(seed=seeds)
def test_the_unary_model_gives_the_probabilities_back(seed: int) -> None:
    """Deck 004: p(y|x) = exp(−Σ ψ_u) / Z, so that exp(−ψ_u) of a softmax is the softmax."""
    p = np.random.default_rng(seed).dirichlet(np.ones(5), 4)
    np.testing.assert_allclose(np.exp(-unary_from_probabilities(p, floor=1e-12)), p, rtol=1e-12)


@given(L=st.integers(2, 30), p=st.floats(0.01, 0.99))
def test_every_row_from_labels_is_a_distribution(L: int, p: float) -> None:
    rows = np.exp(-unary_from_labels(np.array([0, L - 1, 255]), L, gt_probability=p, unsure=255))
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-12)


def test_a_single_label() -> None:
    """There is no other to share the rest; and one label, for all that is known, is certain."""
    potentials = unary_from_labels(np.array([0, 9]), 1, gt_probability=0.5, unsure=9)
    np.testing.assert_array_equal(potentials, [[np.log(2)], [0]])


def test_rounding_beyond_0_and_1_is_allowed_for() -> None:
    """By 10⁻³."""
    np.testing.assert_allclose(unary_from_probabilities(np.array([[1.0009, -0.0009]])), [[0, 5 * np.log(10)]])


@pytest.mark.oracle
def test_against_pydensecrf() -> None:
    """Its arrays have labels first; its unsure label is 0, and the others count from 1."""
    utils = pytest.importorskip("pydensecrf.utils")
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.full(4, 0.1), 30)
    expected = utils.unary_from_softmax(p.T)
    np.testing.assert_allclose(unary_from_probabilities(p), expected.T, rtol=1e-6, atol=1e-7)

    labels = rng.integers(0, 5, 30)
    expected = utils.unary_from_labels(labels, 4, gt_prob=0.7)
    ours = unary_from_labels(labels - 1, 4, gt_probability=0.7, unsure=-1, dtype="float32")
    np.testing.assert_array_equal(ours, expected.T)
    expected = utils.unary_from_labels(labels, 5, gt_prob=0.7, zero_unsure=False)
    np.testing.assert_array_equal(unary_from_labels(labels, 5, dtype="float32"), expected.T)


@pytest.mark.parametrize(
    ("probabilities", "floor", "error", "message"),
    [
        ([[0.5, np.nan]], 1e-5, ValueError, r"must lie in \[0, 1\], got nan for label 1 of point 0"),
        ([[0.5, 0.5], [2.5, 0]], 1e-5, ValueError, "got 2.5 for label 0 of point 1; apply softmax to scores first"),
        ([[-0.5]], 1e-5, ValueError, "got -0.5 for label 0"),
        ([[1.0011]], 1e-5, ValueError, "got 1.0011 for label 0"),
        ([[-0.0011]], 1e-5, ValueError, "got -0.0011 for label 0"),
        ([[0.5]], 0, ValueError, r"floor must lie in \(0, 1\], got 0"),
        ([[0.5]], 2, ValueError, "floor must lie in"),
        ([0.5], 1e-5, ValueError, r"probabilities must have rank 2 \(N, L\), got rank 1"),
        ([[1]], 1e-5, TypeError, "probabilities must be float32 or float64, got int64"),
    ],
)
def test_bad_probabilities(probabilities: Any, floor: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^unary_from_probabilities: .*" + message):
        unary_from_probabilities(np.array(probabilities), floor=floor)


def test_a_floor_that_float32_does_not_hold() -> None:
    with pytest.raises(ValueError, match="floor = 1e-60 becomes 0 in float32"):
        unary_from_probabilities(np.ones((1, 2), np.float32), floor=1e-60)


@pytest.mark.parametrize(
    ("labels", "options", "error", "message"),
    [
        (np.array([0, 3, 4]), {}, ValueError, r"labels must be 0 … 2, got 3 at point 1"),
        (np.array([0, -1]), {"unsure": 255}, ValueError, r"0 … 2 or 255 \(unsure\), got -1 at point 1"),
        (np.array([0.0]), {}, TypeError, "labels must be an integer array, got float64"),
        (np.zeros((2, 2), int), {}, ValueError, r"labels must have rank 1 \(N\)"),
        (np.array([0]), {"gt_probability": 1.0}, ValueError, r"gt_probability must lie in \(0, 1\), got 1.0"),
        (np.array([0]), {"gt_probability": 0}, ValueError, r"gt_probability must lie in \(0, 1\), got 0"),
        (np.array([0]), {"n_labels": 0}, ValueError, "n_labels must be at least 1, got 0"),
        (np.array([0]), {"unsure": 2.5}, TypeError, "unsure must be an integer or None, got 2.5"),
        (np.array([0]), {"dtype": "int64"}, ValueError, "dtype must be one of 'float32', 'float64'"),
    ],
)
def test_bad_labels(labels: Array, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^unary_from_labels: .*" + message):
        unary_from_labels(labels, **{"n_labels": 3, **options})

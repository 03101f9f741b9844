"""contrast_weights: the decks' Potts model, the oracle, properties, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.compatibility import potts
from refdet.crf.contrast_weights import contrast_weights
from refdet.crf.crf_energy import crf_energy
from refdet.crf.grid import grid_edges
from tests.agreement import assert_agrees, dtypes, in_layout, layouts, seeds
from tests.oracles import contrast_weights as oracle

EDGES = np.array([[0, 1], [1, 2]])


def test_hand_example() -> None:
    """Squared differences 0 and 4: their mean is 2, β = 1/4, and the weights are 2 + ½ and 2 e⁻¹ + ½."""
    colours = np.array([[0.0], [0.0], [2.0]])
    np.testing.assert_allclose(contrast_weights(colours, EDGES, w1=2, w2=0.5), [2.5, 2 / np.e + 0.5], rtol=1e-15)
    halved = contrast_weights(colours, EDGES, np.array([1.0, 2.0]), w1=2, w2=0.5)
    np.testing.assert_allclose(halved, [2.5, 1 / np.e + 0.25], rtol=1e-15)


def test_a_constant_picture_has_beta_zero() -> None:
    np.testing.assert_array_equal(contrast_weights(np.full((3, 3), 7.0), EDGES, w1=2, w2=0.5), [2.5, 2.5])


def test_contrast_too_small_to_square() -> None:
    """4 · 10⁻³⁶⁰ is 0 in float64, and so is the mean; that of 9 · 10⁻³¹⁰ is not, but β would be infinite."""
    np.testing.assert_array_equal(contrast_weights(np.array([[0.0], [0.0], [2e-180]]), EDGES), [1, 1])
    tiny = contrast_weights(np.array([[0.0], [0.0], [3e-155]]), EDGES)
    np.testing.assert_allclose(tiny, [1, 1 / np.e], rtol=1e-6)


def test_contrast_of_float32_is_squared_in_float64() -> None:
    """4 · 10⁴⁰ would be ∞ in float32."""
    weights = contrast_weights(np.array([[0.0], [0.0], [2e20]], np.float32), EDGES)
    np.testing.assert_allclose(weights, [1, 1 / np.e], rtol=1e-6)


@given(
    seed=seeds,
    n=st.integers(1, 6),
    C=st.integers(0, 3),
    n_edges=st.integers(0, 10),
    dtype=dtypes,
    layout=layouts,
    beta=st.sampled_from([None, 0.0, 0.7]),
    with_lengths=st.booleans(),
)
def test_against_the_definition(
    seed: int,
    n: int,
    C: int,
    n_edges: int,
    dtype: str,
    layout: str,
    beta: float | None,
    with_lengths: bool,
) -> None:
    rng = np.random.default_rng(seed)
    colours = rng.choice([0.0, 1.0, *rng.random(3)], (n, C))
    edges = rng.integers(0, n, (n_edges, 2))
    lengths = in_layout(rng.uniform(0.5, 2, n_edges).astype(dtype), layout) if with_lengths else None
    inputs = [in_layout(colours.astype(dtype), layout), in_layout(edges, layout), lengths]
    assert_agrees("contrast_weights", oracle, inputs, rng=rng, params={"w1": 1.5, "w2": 0.25, "beta": beta})


@given(seed=seeds)
def test_the_decks_pairwise_potential(seed: int) -> None:
    """Deck 004: ψ_p = 1[y_i ≠ y_j] (w₁ exp(−β |x_i − x_j|²) + w₂), written out pixel by pixel."""
    rng = np.random.default_rng(seed)
    image, labels = rng.random((3, 4, 3)), rng.integers(0, 3, (3, 4))
    energy = 0.0
    for y, x in np.ndindex(3, 4):
        for v, u in ((y, x + 1), (y + 1, x)):
            if v < 3 and u < 4 and labels[y, x] != labels[v, u]:
                energy += 2 * np.exp(-1.5 * np.sum((image[y, x] - image[v, u]) ** 2)) + 0.5
    edges, _ = grid_edges((3, 4))
    weights = contrast_weights(image.reshape(12, 3), edges, w1=2, w2=0.5, beta=1.5)
    np.testing.assert_allclose(
        crf_energy(np.zeros((12, 3)), edges, weights, potts(3), labels.ravel()), energy, rtol=1e-12
    )


@given(seed=seeds)
def test_the_unit_of_the_colours_does_not_matter_with_a_measured_beta(seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges, lengths = grid_edges((4, 5), 8)
    colours = rng.random((20, 3))
    first, second = (contrast_weights(c, edges, lengths) for c in (colours, 255 * colours))
    np.testing.assert_allclose(first, second, rtol=1e-12)
    assert (first > 0).all()


def test_lengths_are_not_rounded_to_the_dtype_of_the_colours() -> None:
    """1.5/√2 is another float32 than 1.5 over the float32 next to √2."""
    edges, lengths = grid_edges((2, 2), 8)
    weights = contrast_weights(np.zeros((4, 1), np.float32), edges, lengths, w2=0.5)
    assert weights.dtype == np.float32
    np.testing.assert_array_equal(weights, (1.5 / lengths).astype(np.float32))
    assert (weights != np.float32(1.5) / lengths.astype(np.float32)).any()
    in_float64 = contrast_weights(np.zeros((4, 1)), edges, lengths.astype(np.float32))
    np.testing.assert_array_equal(in_float64, 1 / lengths.astype(np.float32).astype(np.float64))


@pytest.mark.parametrize(
    ("colours", "edges", "lengths", "options", "error", "message"),
    [
        (np.zeros((3, 1)), [[0, 3]], None, {}, ValueError, r"edges must join two of 3 points, got \[0, 3\] for edge 0"),
        (np.zeros((3, 1)), [[0, 1], [2, -1]], None, {}, ValueError, r"got \[2, -1\] for edge 1"),
        (
            np.zeros((3, 1)),
            [[1, 1]],
            None,
            {},
            ValueError,
            r"edges must join different points, got \[1, 1\] for edge 0",
        ),
        (np.zeros((3, 1)), [[0.0, 1.0]], None, {}, TypeError, "edges must be an integer array"),
        (np.zeros((3, 1)), [[0, 1, 2]], None, {}, ValueError, r"edges must have shape \(1, 2\)"),
        (np.zeros(3), [[0, 1]], None, {}, ValueError, r"colours must have rank 2 \(N, C\)"),
        (np.zeros((3, 1), np.uint8), [[0, 1]], None, {}, TypeError, "colours must be float32 or float64, got uint8"),
        (np.full((3, 1), np.nan), [[0, 1]], None, {}, ValueError, r"colours must be finite, got nan at \[0, 0\]"),
        (np.zeros((3, 1)), [[0, 1]], np.zeros(1), {}, ValueError, "lengths must be positive, got 0 for edge 0"),
        (np.zeros((3, 1)), [[0, 1]], np.full(1, np.nan), {}, ValueError, "lengths must be positive, got nan"),
        (np.zeros((3, 1)), [[0, 1]], np.ones(2), {}, ValueError, r"lengths must have shape \(1,\) \(one per edge\)"),
        (np.zeros((3, 1)), [[0, 1]], np.ones(1, int), {}, TypeError, "lengths must be float32 or float64"),
        (np.zeros((3, 1)), [[0, 1]], None, {"w1": -1}, ValueError, "w1 must lie in"),
        (np.zeros((3, 1)), [[0, 1]], None, {"w2": -1}, ValueError, "w2 must lie in"),
        (np.zeros((3, 1)), [[0, 1]], None, {"beta": np.inf}, ValueError, "beta must be a finite number"),
    ],
)
def test_bad_input(
    colours: Array,
    edges: Any,
    lengths: Array | None,
    options: dict[str, Any],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match="^contrast_weights: .*" + message):
        contrast_weights(colours, np.array(edges), lengths, **options)


def test_weights_beyond_the_dtype_are_refused() -> None:
    edges, _ = grid_edges((1, 3))
    huge = np.array([[0.0], [1e200], [0.0]])
    with pytest.raises(ValueError, match=r"contrast_weights: colours, w1 and w2 must be small .* got nan for edge 0"):
        contrast_weights(huge, edges)
    with pytest.raises(ValueError, match="got inf for edge 0"):
        contrast_weights(np.zeros((3, 1), np.float32), edges, w1=1e39)

"""The three filters and four normalisations: what they are, how they compare, their transposes and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.crf.features import bilateral_features, position_features
from refdet.crf.filters import FILTERS, NormalisedFilter, check_grid, grid_sigma, make_filter
from tests.crf.problems import NORMALISATIONS, SHAPE, picture

N_POINTS = SHAPE[0] * SHAPE[1]


def filter_of(name: str, features: Array, how: str = "none", *, exclude_self: bool = False) -> NormalisedFilter:
    return make_filter(name, features, normalisation=how, exclude_self=exclude_self, shape=SHAPE)


def matrix_of(k: NormalisedFilter, n: int = N_POINTS) -> Array:
    return k.apply(np.eye(n))


@pytest.mark.parametrize("exclude_self", [False, True])
def test_the_exact_filter_is_the_formula(exclude_self: bool) -> None:
    """Σ_j exp(−½ |f_i − f_j|²) v_j by a double loop."""
    rng = np.random.default_rng(0)
    f, v = rng.standard_normal((6, 3)), rng.standard_normal((6, 2))
    expected = np.zeros_like(v)
    for i in range(6):
        for j in range(6):
            if i != j or not exclude_self:
                expected[i] += np.exp(-0.5 * np.sum((f[i] - f[j]) ** 2)) * v[j]
    np.testing.assert_allclose(filter_of("exact", f, exclude_self=exclude_self).apply(v), expected)


def test_the_normalisations_by_their_definition() -> None:
    f = np.random.default_rng(1).standard_normal((7, 2))
    K = matrix_of(filter_of("exact", f), 7)
    n = K.sum(axis=1)
    expected = {
        "none": K,
        "before": K @ np.diag(1 / n),
        "after": np.diag(1 / n) @ K,
        "symmetric": np.diag(n**-0.5) @ K @ np.diag(n**-0.5),
    }
    for how in NORMALISATIONS:
        np.testing.assert_allclose(matrix_of(filter_of("exact", f, how), 7), expected[how])
        np.testing.assert_allclose(filter_of("exact", f, how).matrix(), expected[how])


def test_after_is_a_mean_and_before_a_share() -> None:
    f = bilateral_features(picture(), 10, 20)
    np.testing.assert_allclose(filter_of("lattice", f, "after").apply(np.ones((N_POINTS, 1))), 1)
    exact = filter_of("exact", f, "before")
    np.testing.assert_allclose(exact.transpose(np.ones((N_POINTS, 1))), 1)  # K is symmetric: columns over their sum


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize("name", FILTERS)
def test_the_transpose(name: str, how: str) -> None:
    """⟨u, K v⟩ = ⟨Kᵀ u, v⟩."""
    rng = np.random.default_rng(2)
    f = position_features(SHAPE, 3.0) if name == "truncated" else bilateral_features(picture(), 10, 20)
    k = filter_of(name, f, how)
    u, v = rng.standard_normal((2, N_POINTS, 3))
    np.testing.assert_allclose(np.sum(u * k.apply(v)), np.sum(k.transpose(u) * v), rtol=1e-10)


def test_truncation_loses_little() -> None:
    """Beyond 4 σ there is less than exp(−8) of anything."""
    f = position_features(SHAPE, (3.0, 1.7))
    difference = np.abs(matrix_of(filter_of("truncated", f)) - matrix_of(filter_of("exact", f)))
    assert 0 < difference.max() <= np.exp(-8)


@pytest.mark.parametrize(
    ("kernel", "how", "at_most"),
    [
        ("position", "none", 0.13),
        ("position", "symmetric", 0.015),
        ("position", "after", 0.01),
        ("bilateral", "none", 0.52),
        ("bilateral", "symmetric", 0.045),
        ("bilateral", "after", 0.03),
    ],
)
def test_how_far_the_lattice_is_from_the_exact_filter(kernel: str, how: str, at_most: float) -> None:
    """Normalisation makes up for most of what the lattice loses; a tenth of the error is certainly there."""
    f = position_features(SHAPE, 3.0) if kernel == "position" else bilateral_features(picture(), 10, 20)
    q = np.random.default_rng(3).dirichlet(np.ones(4), N_POINTS)
    exact, lattice = (filter_of(name, f, how).apply(q) for name in ("exact", "lattice"))
    assert at_most / 10 < np.linalg.norm(exact - lattice) / np.linalg.norm(exact) <= at_most


@pytest.mark.parametrize("how", NORMALISATIONS)
@pytest.mark.parametrize("name", ["exact", "exact without self", "lattice"])
def test_the_gradient_of_every_feature(name: str, how: str) -> None:
    """Σ a ∘ K b by central differences, one coordinate after the other; no step crosses a face of the lattice."""
    rng = np.random.default_rng(4)
    f, (a, b) = rng.standard_normal((9, 3)), rng.standard_normal((2, 9, 2))
    options = {"exclude_self": name.endswith("self")}

    def value(features: Array) -> float:
        return float(np.sum(a * filter_of(name.split()[0], features, how, **options).apply(b)))

    numeric, step = np.zeros_like(f), 1e-6
    for index in np.ndindex(f.shape):
        h = np.zeros_like(f)
        h[index] = step
        numeric[index] = (value(f + h) - value(f - h)) / (2 * step)
    analytic = filter_of(name.split()[0], f, how, **options).features_gradient(a, b)
    np.testing.assert_allclose(analytic, numeric, atol=1e-7)


def test_a_point_without_neighbours_receives_nothing() -> None:
    """n = 0 + 1e-20: no division by 0, in float32 either, and no gradient."""
    f = np.array([[0.0], [1e4]], np.float32)
    v = np.ones((2, 1), np.float32)
    for how in NORMALISATIONS:
        k = make_filter("exact", f, normalisation=how, exclude_self=True, shape=None)
        np.testing.assert_array_equal(k.apply(v), [[0], [0]])
        np.testing.assert_array_equal(k.transpose(v), [[0], [0]])
        np.testing.assert_array_equal(k.features_gradient(v, v), [[0], [0]])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_theta_is_found_again(dtype: str) -> None:
    for theta in (0.7, 1 / 3, 3.0, 7.0, 49.0):
        found = grid_sigma(position_features((5, 6), (theta, 2 * theta), dtype=dtype), (5, 6))
        np.testing.assert_allclose(found, (2 * theta, theta), rtol=1e-6 if dtype == "float32" else 1e-14)


def test_the_rounding_of_theta_adds_no_tap() -> None:
    """1/θ rounded down makes θ, and 4 θ, a little larger than the whole number it is: the radius stays 4 θ."""
    for theta in np.arange(1, 60):
        f = position_features((1, 260), float(theta), dtype="float32")
        impulse = np.zeros((260, 1), np.float32)
        impulse[0] = 1
        k = make_filter("truncated", f, normalisation="none", exclude_self=False, shape=(1, 260))
        assert np.count_nonzero(k.apply(impulse)) == 4 * theta + 1


def test_a_row_or_column_of_pixels() -> None:
    assert grid_sigma(position_features((1, 4), 2.0), (1, 4)) == (1.0, 2.0)
    assert grid_sigma(position_features((4, 1), 2.0), (4, 1)) == (2.0, 1.0)
    assert grid_sigma(position_features((1, 1), 2.0), (1, 1)) == (1.0, 1.0)


def test_what_is_no_grid() -> None:
    good = position_features((3, 4), 2.0)
    check_grid("op", good, (3, 4))
    check_grid("op", good.astype(np.float32) + 100, (3, 4))  # where the first pixel is does not matter
    moved = good.copy()
    moved[5, 0] += 0.01
    with pytest.raises(ValueError, match=r"op: a truncated filter needs the features .* 3 × 4 .*; point 5 has"):
        check_grid("op", moved, (3, 4))
    for bad, shape in (
        (good, (4, 3)),
        (np.zeros((12, 2)), (3, 4)),
        (good[:, ::-1], (3, 4)),
        (good * [1, np.nan], (3, 4)),
    ):
        with pytest.raises(ValueError, match="op: a truncated filter needs the features"):
            check_grid("op", bad, shape)


def test_what_is_no_filter() -> None:
    with pytest.raises(TypeError, match="only an exact filter has a matrix, got LatticeFilter"):
        filter_of("lattice", np.zeros((4, 2))).matrix()
    with pytest.raises(ValueError, match=r"filter 'box' is not one of \('exact', 'truncated', 'lattice'\)"):
        filter_of("box", np.zeros((4, 2)))
    with pytest.raises(ValueError, match="its features are the fixed grid of the pixels and have no gradient"):
        filter_of("truncated", position_features(SHAPE, 3.0)).features_gradient(*np.zeros((2, N_POINTS, 1)))

"""Learned permutohedral filters: the Gaussian they start from, their gradients, normalisation, offsets, groups."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradcheck
from refdet.crf.lattice import Lattice
from refdet.crf.lattice_neighbourhood import lattice_neighbourhood, tap_offsets, tap_steps
from refdet.crf.learned_filters import FilterLattice, PermutohedralFilter, gaussian_taps
from tests.agreement import Array


def sparse_points(seed: int, n: int = 12, d: int = 2, spread: float = 2.0) -> Array:
    return np.random.default_rng(seed).uniform(-spread, spread, (n, d))


def grid_points(d: int, side: int, spacing: float) -> Array:
    return np.stack(np.meshgrid(*[np.arange(side) * spacing] * d), axis=-1).reshape(-1, d)


def matrix(lattice: FilterLattice, weight: Array) -> Array:
    """Return the filter of one channel as a matrix, output points by input points."""
    columns = lattice.filter(
        np.eye(lattice.n_points), np.tile(weight, (lattice.n_points, 1, 1)), groups=lattice.n_points
    )
    return columns.data


@pytest.mark.parametrize(("d", "size"), [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2), (5, 1), (5, 2), (2, 3)])
def test_gaussian_by_its_formula(d: int, size: int) -> None:
    """Of the paths of a blur, which takes each axis once, those that lead to a tap, with ½ for each step."""
    alpha, expected = 1 / (1 + 2.0**-d), []
    for steps in tap_steps(d, size):
        k = int(np.sum(steps))
        if steps.max() > 2:
            expected.append(0.0)
        elif steps.max() == 2:
            expected.append(alpha * 2.0 ** -np.sum(steps != 1))
        else:
            expected.append(alpha * (2.0**-k + 2.0 ** -(d + 1 - k)) if k else 1.0)
    np.testing.assert_allclose(gaussian_taps(d, size), expected, rtol=1e-15)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_sum_of_the_gaussian(d: int) -> None:
    """2^{d+1} α for s = 2; (2 (3/2)^{d+1} − 1) α for s = 1."""
    alpha = 1 / (1 + 2.0**-d)
    assert np.sum(gaussian_taps(d, 2)) == pytest.approx(2 ** (d + 1) * alpha)
    assert np.sum(gaussian_taps(d, 1)) == pytest.approx((2 * 1.5 ** (d + 1) - 1) * alpha)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_size_one_is_the_middle_of_size_two(d: int) -> None:
    inner, outer = tap_offsets(d, 1).tolist(), tap_offsets(d, 2).tolist()
    np.testing.assert_allclose(
        gaussian_taps(d, 1), gaussian_taps(d, 2)[[outer.index(tap) for tap in inner]], rtol=1e-15
    )


@pytest.mark.parametrize(("d", "side", "spacing"), [(1, 60, 0.2), (2, 24, 0.4)])
def test_on_a_full_lattice_it_is_the_gaussian_filter(d: int, side: int, spacing: float) -> None:
    """Where no path of the blur meets the edge of the lattice: the separable blur times α, to rounding."""
    features = grid_points(d, side, spacing)
    lattice, gaussian = FilterLattice(features, neighbourhood=2, normalisation="none"), Lattice(features)
    complete = np.all(lattice_neighbourhood(gaussian.vertices, size=3) >= 0, axis=0)
    inside = np.all(complete[gaussian.ids], axis=1)
    values = np.random.default_rng(0).standard_normal((len(features), 3))
    direct = lattice.filter(values, np.tile(gaussian_taps(d, 2), (3, 1, 1)), groups=3).data
    np.testing.assert_allclose(direct[inside], gaussian.filter(values).data[inside], rtol=0, atol=1e-13)
    assert np.sum(inside) > 20


def test_on_a_sparse_lattice_they_differ() -> None:
    """The convolution is symmetric and reaches across holes; the blur is neither, and returns less."""
    features = sparse_points(0)
    direct = matrix(FilterLattice(features, neighbourhood=2, normalisation="none"), gaussian_taps(2, 2)[None, None])
    separable = Lattice(features).filter(np.eye(len(features))).data
    np.testing.assert_allclose(direct, direct.T, atol=1e-15)
    assert np.max(np.abs(separable - separable.T)) > 1e-3
    assert np.all(direct >= separable - 1e-15)
    assert 0.01 < np.max(direct - separable) < 0.25


@pytest.mark.parametrize("offset", ["full", "diagonal", "none"])
def test_a_new_layer_is_the_gaussian_filter(offset: str) -> None:
    """One filter per channel: all offsets start from the same."""
    lattice = FilterLattice(sparse_points(1), neighbourhood=2)
    layer = PermutohedralFilter(3, 3, 2, neighbourhood=2, groups=3, offset=offset, dtype="float64")
    values = np.random.default_rng(1).standard_normal((12, 3))
    expected = matrix(lattice, gaussian_taps(2, 2)[None, None]) @ values
    np.testing.assert_allclose(layer(values, lattice).data, expected, atol=1e-14)
    assert bool(np.any(layer.weight.data)) is (offset == "none")


def test_full_and_diagonal_offsets() -> None:
    """Two channels to two: full has the Gaussian for all four pairs, diagonal for two; with groups within each."""
    g = gaussian_taps(1)
    np.testing.assert_array_equal(
        PermutohedralFilter(2, 2, 1, dtype="float64").filter_weight().data, np.broadcast_to(g, (2, 2, 3))
    )
    for offset in ("diagonal", "none"):
        layer = PermutohedralFilter(4, 4, 1, groups=2, offset=offset, dtype="float64")
        expected = np.array([[g, 0 * g], [0 * g, g]] * 2)  # outputs 0 and 2 are the first of their groups
        np.testing.assert_array_equal(layer.filter_weight().data, expected)
    other = PermutohedralFilter(2, 3, 1, offset="none", dtype="float64")
    np.testing.assert_array_equal(other.weight.data, np.broadcast_to(g, (3, 2, 3)))


def test_the_weight_is_the_difference_to_the_gaussian() -> None:
    """The layer is linear in the filter: Gaussian + weight."""
    rng = np.random.default_rng(2)
    lattice, values = FilterLattice(sparse_points(2)), rng.standard_normal((12, 2))
    layer = PermutohedralFilter(2, 2, 2, offset="diagonal", dtype="float64")
    gaussian = layer(values, lattice).data
    layer.weight.data = rng.standard_normal(layer.weight.shape)
    learned = lattice.filter(values, layer.weight.data).data
    np.testing.assert_allclose(layer(values, lattice).data, gaussian + learned, atol=1e-13)


@pytest.mark.parametrize("normalisation", ["symmetric", "after", "none"])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradient(normalisation: str, groups: int) -> None:
    """Values, weights, and the features of both sets of points."""
    rng = np.random.default_rng(3)
    inputs = [
        rng.standard_normal((8, 2)),
        rng.standard_normal((4, 2 // groups, 7)),
        sparse_points(3, 8, spread=1.0),
        sparse_points(4, 5, spread=1.0),
    ]

    def filtered(values: Tensor, weight: Tensor, features: Tensor, out_features: Tensor) -> Tensor:
        lattice = FilterLattice(features, out_features, normalisation=normalisation)
        return lattice.filter(values, weight, groups=groups)

    gradcheck(filtered, inputs, rng=rng)


def test_gradient_where_the_points_are_the_same() -> None:
    rng = np.random.default_rng(4)
    inputs = [rng.standard_normal((8, 1)), rng.standard_normal((2, 1, 19)), sparse_points(5, 8, spread=1.0)]
    gradcheck(lambda x, w, f: FilterLattice(f, neighbourhood=2).filter(x, w), inputs, rng=rng)


def test_gradients_of_a_layer() -> None:
    """The offset is a constant: the gradient of the weight is that of the filter; the bias counts the points."""
    rng = np.random.default_rng(5)
    lattice, values = FilterLattice(sparse_points(6)), rng.standard_normal((12, 2))
    layer = PermutohedralFilter(2, 3, 2, bias=True, dtype="float64")
    layer(values, lattice).sum().backward()
    weight = Tensor(layer.filter_weight().data, requires_grad=True)
    lattice.filter(values, weight).sum().backward()
    assert layer.weight.grad is not None
    assert weight.grad is not None
    assert layer.bias is not None
    np.testing.assert_allclose(layer.weight.grad, weight.grad, atol=1e-13)
    np.testing.assert_array_equal(layer.bias.grad, [12, 12, 12])


def test_after_makes_means() -> None:
    """With the Gaussian filter every row sums to 1; the bias comes after."""
    lattice = FilterLattice(sparse_points(7), normalisation="after")
    layer = PermutohedralFilter(1, 1, 2, bias=True, dtype="float64")
    assert layer.bias is not None
    layer.bias.data = np.array([10.0])
    np.testing.assert_allclose(layer(np.full((12, 1), 3.0), lattice).data, 13, atol=1e-13)


def test_symmetric_normalisation_is_symmetric() -> None:
    features, g = sparse_points(8), gaussian_taps(2)[None, None]
    plain = matrix(FilterLattice(features, normalisation="none"), g)
    n = plain.sum(axis=1)
    normalised = matrix(FilterLattice(features), g)
    np.testing.assert_allclose(normalised, plain / np.sqrt(np.outer(n, n)), atol=1e-14)
    np.testing.assert_allclose(normalised, normalised.T, atol=1e-15)


@pytest.mark.parametrize("normalisation", ["symmetric", "after"])
def test_the_normalisation_is_that_of_the_gaussian(normalisation: str) -> None:
    """A learned filter twice as large makes results twice as large."""
    lattice, values = FilterLattice(sparse_points(9), normalisation=normalisation), np.ones((12, 1))
    layer = PermutohedralFilter(1, 1, 2, offset="none", dtype="float64")
    once = layer(values, lattice).data
    layer.weight.data = 2 * layer.weight.data
    np.testing.assert_allclose(layer(values, lattice).data, 2 * once, rtol=1e-14)


def test_different_points_for_input_and_output() -> None:
    """The same points given twice are the same filter; of other points, some of its rows."""
    features, g = sparse_points(10), gaussian_taps(2)[None, None]
    for normalisation in ("symmetric", "after", "none"):
        whole = matrix(FilterLattice(features, normalisation=normalisation), g)
        twice = matrix(FilterLattice(features, features, normalisation=normalisation), g)
        np.testing.assert_allclose(twice, whole, atol=1e-15)
    plain = matrix(FilterLattice(features, features[:4], normalisation="none"), g)
    np.testing.assert_allclose(plain, matrix(FilterLattice(features, normalisation="none"), g)[:4], atol=1e-15)


def test_normalisations_of_two_sets_of_points() -> None:
    """after: rows sum to 1. symmetric: each side divides by its response to ones of its own."""
    features, other, g = sparse_points(11), sparse_points(12, n=5), gaussian_taps(2)[None, None]
    np.testing.assert_allclose(
        matrix(FilterLattice(features, other, normalisation="after"), g).sum(axis=1), 1, atol=1e-14
    )
    both = np.concatenate([features, other])  # all in one lattice
    plain = matrix(FilterLattice(both, normalisation="none"), g)
    n_in, n_out = plain[:12, :12].sum(axis=1), plain[12:, 12:].sum(axis=1)
    expected = plain[12:, :12] / np.sqrt(np.outer(n_out, n_in))
    np.testing.assert_allclose(matrix(FilterLattice(features, other), g), expected, atol=1e-14)


@pytest.mark.parametrize("normalisation", ["symmetric", "after"])
def test_a_point_that_nothing_reaches(normalisation: str) -> None:
    """Its response is 0, not 0/0."""
    lattice = FilterLattice(np.zeros((2, 2)), np.full((1, 2), 50.0), normalisation=normalisation)
    layer = PermutohedralFilter(1, 1, 2, dtype="float64")
    np.testing.assert_array_equal(layer(np.ones((2, 1)), lattice).data, [[0.0]])


def test_walking_over_holes_finds_less() -> None:
    features = sparse_points(13, n=30, d=3, spread=3.0)
    exact, walked = (
        FilterLattice(features, neighbourhood=2, traversal=traversal, normalisation="none")
        for traversal in ("exact", "walk")
    )
    g = gaussian_taps(3, 2)[None, None]
    assert np.sum(walked.taps >= 0) < np.sum(exact.taps >= 0)
    assert np.all(matrix(walked, g) <= matrix(exact, g) + 1e-15)


def test_float32() -> None:
    features, values = sparse_points(14).astype(np.float32), np.ones((12, 2), np.float32)
    y = PermutohedralFilter(2, 2, 2, offset="diagonal")(values, FilterLattice(features, normalisation="after"))
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, 1, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FilterLattice(np.zeros(3)), r"FilterLattice: features must have rank 2 \(N, d\)"),
        (lambda: FilterLattice(np.zeros((3, 2)), np.zeros((3, 1))), "the same number of columns"),
        (lambda: FilterLattice(np.zeros((3, 2)), normalisation="before"), "normalisation must be one of 'symmetric', "),
        (lambda: FilterLattice(np.zeros((3, 2)), neighbourhood=-1), "neighbourhood must be at least 0"),
        (lambda: FilterLattice(np.full((3, 2), np.nan)), "features must be finite"),
        (lambda: PermutohedralFilter(2, 3, 2, offset="diagonal"), "the diagonal offset needs as many .* got 2 and 3"),
        (lambda: PermutohedralFilter(3, 3, 2, groups=2), "groups must divide in_channels 3 and out_channels 3, got 2"),
        (lambda: PermutohedralFilter(3, 3, 2, offset="half"), "offset must be one of 'full', 'diagonal', 'none'"),
        (lambda: PermutohedralFilter(3, 3, 0), "d must be at least 1"),
    ],
)
def test_bad_input(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_values_and_filters_that_do_not_fit_the_lattice() -> None:
    lattice, layer = FilterLattice(np.zeros((3, 2))), PermutohedralFilter(1, 1, 2, neighbourhood=2, dtype="float64")
    with pytest.raises(ValueError, match=r"weight must have 7 taps, as d = 2 and neighbourhood = 1 have, got .* 19\)"):
        lattice.filter(np.zeros((3, 1)), layer.filter_weight())
    with pytest.raises(ValueError, match="must have d = 2 and neighbourhood = 2 as the filter has, got 2 and 1"):
        layer(np.zeros((3, 1)), lattice)
    for size in (1, 3):  # with size 3 it has 4² − 3² = 2³ − 1³ taps, as many as the filter, but others
        line = FilterLattice(np.zeros((3, 1)), neighbourhood=size)
        with pytest.raises(ValueError, match=f"d = 2 and neighbourhood = 1 as the filter has, got 1 and {size}"):
            PermutohedralFilter(1, 1, 2, dtype="float64")(np.zeros((3, 1)), line)
    with pytest.raises(ValueError, match="values must have one row for each of 3 points"):
        PermutohedralFilter(1, 1, 2, dtype="float64")(np.zeros((4, 1)), lattice)
    with pytest.raises(TypeError, match="lattice must be a FilterLattice, got ndarray"):
        layer(np.zeros((3, 1)), np.zeros((3, 2)))  # type: ignore[arg-type]

"""The permutohedral lattice is that of pydensecrf's compiled code, Krähenbühl's vectorised C++.

It has no function for the filter alone, but one update of its mean field without normalisation tells K v for any values
v > 0 whose rows sum to less than 1. Let them be the probabilities of V labels, one more label have the rest, and the
compatibilities be −1 for two points of the same label, 0 where that is the last one. Then

    log Q₁(l) / Q₁(last)  =  log v(l) / v(last)  +  (K v)(l)

With a channel for each point, v = ½ I + 0.4/N, the whole matrix K is compared; and all numbers are smaller than 10, of
which their float32 holds seven digits.

Their code works on four points at once, and adds points at the origin up to a multiple of 4. Those hold no value, but
bring vertices into use, through which the others can blur. `padded` does the same.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.crf.lattice import permutohedral_filter
from refdet.crf.lattice_index import neighbour_offsets
from tests.lattices import points_on

TOLERANCE = 1e-5
DIMENSIONS = [1, 2, 3, 5]

pytestmark = pytest.mark.oracle


def values_for(n: int) -> Array:
    """Return v, (N, N): a channel for each of n points."""
    return 0.5 * np.eye(n) + 0.4 / n


def by_pydensecrf(features: Array) -> Array:
    """Return K v, (N, N), of features in float32."""
    densecrf = pytest.importorskip("pydensecrf.densecrf", reason="pydensecrf is not installed")
    n = len(features)
    v = values_for(n)
    energies = -np.log(np.concatenate([v, 1 - v.sum(axis=1, keepdims=True)], axis=1)).astype(np.float32)
    crf = densecrf.DenseCRF(n, n + 1)
    crf.setUnaryEnergy(np.ascontiguousarray(energies.T))
    crf.addPairwiseEnergy(
        np.ascontiguousarray(features.T, np.float32),
        compat=np.append(np.full(n, -1, np.float32), np.float32(0)),
        kernel=densecrf.CONST_KERNEL,
        normalization=densecrf.NO_NORMALIZATION,
    )
    logits = np.log(np.array(crf.inference(1), np.float64)).T + energies
    difference: Array = logits[:, :n] - logits[:, n:]
    return difference


def by_refdet(features: Array, *, transposed: bool = False) -> Array:
    """Return K v, (N, N)."""
    v = values_for(len(features))
    return permutohedral_filter(v, features.astype(np.float64), transposed=transposed).data


def by_refdet_padded(features: Array) -> Array:
    """Return K v of the features with points at the origin up to a multiple of 4, which hold no value."""
    n, d = features.shape
    extra = -n % 4
    points = np.concatenate([features.astype(np.float64), np.zeros((extra, d))])
    v = np.concatenate([values_for(n), np.zeros((extra, n))])
    return permutohedral_filter(v, points).data[:n]


def cloud(rng: np.random.Generator, n: int, d: int) -> Array:
    """Return n points somewhere, (n, d) float32: in one cell of the lattice, far from each other, or in between."""
    spread = np.exp(rng.uniform(-1.5, 2))
    points: Array = (spread * rng.standard_normal((n, d)) + rng.uniform(-3, 3, d)).astype(np.float32)
    return points


def grid(d: int, n: int, step: float, start: int) -> Array:
    """Return the n^d points of a grid, (n^d, d) float32, `start` steps from the origin along each axis."""
    axes = [step * np.arange(start, start + n)] * d
    points: Array = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, d).astype(np.float32)
    return points


@pytest.mark.parametrize("d", DIMENSIONS)
def test_clouds(d: int) -> None:
    rng = np.random.default_rng(d)
    for n in (4, 12, 40, 100):
        points = cloud(rng, n, d)
        np.testing.assert_allclose(by_refdet(points), by_pydensecrf(points), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("d", [2, 3, 5])
def test_the_comparison_sees_the_order_of_the_axes(d: int) -> None:
    """The transposed filter, whose blur begins with the last axis, is another; in one dimension the axes commute."""
    points = (1.5 * np.random.default_rng(d).standard_normal((40, d))).astype(np.float32)
    theirs = by_pydensecrf(points)
    np.testing.assert_allclose(by_refdet(points), theirs, rtol=0, atol=TOLERANCE)
    assert np.max(np.abs(by_refdet(points, transposed=True) - theirs)) > 100 * TOLERANCE


@pytest.mark.parametrize("d", DIMENSIONS)
def test_padded_clouds(d: int) -> None:
    rng = np.random.default_rng(d)
    for n in (1, 2, 3, 5, 42, 99):
        points = cloud(rng, n, d)
        np.testing.assert_allclose(by_refdet_padded(points), by_pydensecrf(points), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("d", DIMENSIONS)
def test_padding_shows(d: int) -> None:
    """Two points on either side of the origin blur into each other through its vertices, and else would not."""
    points = np.zeros((2, d), np.float32)
    points[:, 0] = (-1.3, 1.3)
    theirs = by_pydensecrf(points)
    np.testing.assert_allclose(by_refdet_padded(points), theirs, rtol=0, atol=TOLERANCE)
    assert np.max(np.abs(by_refdet(points) - theirs)) > 100 * TOLERANCE


# Ties: points on the faces of simplices. Where they go decides which vertices are in use, and with them the filter.


def in_float32(features: Array) -> Array:
    """Return what `elevate` does with every step rounded to float32, as their code does it."""
    n, d = features.shape
    stretch = np.float32(np.sqrt(2 / 3) * (d + 1))
    elevated, total = np.zeros((n, d + 1), np.float32), np.zeros(n, np.float32)
    for j in range(d, 0, -1):
        c = features[:, j - 1].astype(np.float32) * np.float32(stretch / np.sqrt(np.float64(j * (j + 1))))
        elevated[:, j] = total - np.float32(j) * c
        total += c
    elevated[:, 0] = total
    return elevated.astype(np.float64)


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("step", [0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 4.5])
def test_grids(d: int, step: float) -> None:
    """Ties that are exact in either precision: the origin, and where the second of two axes is crossed."""
    for start in (-5, 0, 3):
        points = grid(d, {1: 32, 2: 9}[d], step, start)
        np.testing.assert_allclose(by_refdet_padded(points), by_pydensecrf(points), rtol=0, atol=TOLERANCE)


# Beyond two dimensions rounding itself breaks ties, and not the same in float32 as in float64: neither holds a factor
# of the axes such as 4/3. The rules for ties are the same: given elevated points rounded as theirs, all is equal.


@pytest.fixture
def _elevated_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["refdet.crf.lattice_embed"], "elevate", in_float32)


@pytest.mark.usefixtures("_elevated_in_float32")
@pytest.mark.parametrize(("d", "n"), [(3, 5), (5, 3)])
@pytest.mark.parametrize("step", [0.5, 1.0, 1.5, 2.0, 3.0])
def test_grids_in_their_precision(d: int, n: int, step: float) -> None:
    """Of two equal coordinates of e − o the first has the lower rank."""
    for start in (-4, -1, 0):
        points = grid(d, n, step, start)
        np.testing.assert_allclose(by_refdet_padded(points), by_pydensecrf(points), rtol=0, atol=TOLERANCE)


@pytest.mark.usefixtures("_elevated_in_float32")
@pytest.mark.parametrize("d", [3, 5])
def test_points_on_vertices(d: int) -> None:
    """A coordinate half-way between two multiples of d + 1 goes to the even one; down, up or away from 0 fails here."""
    rng = np.random.default_rng(d)
    n_half_way = 0
    for _ in range(10):
        vertices = rng.integers(-6, 7, (24, d + 1)) @ neighbour_offsets(d)
        points = points_on(vertices).astype(np.float32)
        n_half_way += int(np.count_nonzero(in_float32(points) / (d + 1) % 1 == 0.5))
        np.testing.assert_allclose(by_refdet(points), by_pydensecrf(points), rtol=0, atol=TOLERANCE)
    assert n_half_way > 50


def test_where_rounding_breaks_a_tie_the_filters_differ() -> None:
    """Why these two need their precision: the grid of whole numbers in three dimensions."""
    points = grid(3, 5, 1.0, -4)
    assert np.max(np.abs(by_refdet_padded(points) - by_pydensecrf(points))) > 100 * TOLERANCE

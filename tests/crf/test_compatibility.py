"""potts, diagonal, symmetric and pydensecrf_compatibility: the decks' μ, what pydensecrf makes of `compat`, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.crf.compatibility import diagonal, potts, pydensecrf_compatibility, symmetric


def test_potts_is_the_decks_indicator() -> None:
    """Deck 004: μ(y_i, y_j) = 1[y_i ≠ y_j]."""
    np.testing.assert_array_equal(potts(3), [[float(a != b) for b in range(3)] for a in range(3)])
    np.testing.assert_array_equal(potts(2, -2.5), [[0, -2.5], [-2.5, 0]])
    assert not np.signbit(np.diagonal(potts(2, -2.5))).any()
    np.testing.assert_array_equal(potts(1, 3), [[0]])


def test_diagonal_and_symmetric() -> None:
    np.testing.assert_array_equal(diagonal([1, 2]), [[1, 0], [0, 2]])
    matrix = np.array([[1.0, 2.0], [6.0, 3.0]])
    np.testing.assert_array_equal(symmetric(matrix), [[1, 4], [4, 3]])
    np.testing.assert_array_equal(matrix, [[1, 2], [6, 3]])
    random = symmetric(np.random.default_rng(0).standard_normal((7, 7)))
    np.testing.assert_array_equal(random, random.T)  # to the last bit


def test_dtypes_of_what_is_given() -> None:
    """A float32 array makes a float32 matrix; what may be asked for instead: `test_float_dtype.py`."""
    assert diagonal(np.ones(2, np.float32)).dtype == np.float32
    assert symmetric(np.ones((2, 2), np.float32)).dtype == np.float32
    assert pydensecrf_compatibility(np.array(3, np.float32), 2).dtype == np.float32
    assert symmetric(np.ones((2, 2), ">f8")).dtype == np.float64
    assert diagonal([1, 2]).dtype == np.float64


def test_a_symmetric_matrix_is_rounded_once() -> None:
    """2²⁴ + 1 and 2²⁴ + 5, in float32 2²⁴ and 2²⁴ + 4, have the mean 2²⁴ + 3, which becomes 2²⁴ + 4, not 2²⁴ + 2."""
    matrix = 2.0**24 + np.array([[0, 1], [5, 0]])
    assert symmetric(matrix, dtype="float32")[0, 1] == 2.0**24 + 4


def test_what_pydensecrf_takes() -> None:
    for three in (3, 3.0, np.array(3, np.uint8)):
        np.testing.assert_array_equal(pydensecrf_compatibility(three, 2), [[-3, 0], [0, -3]])
    np.testing.assert_array_equal(pydensecrf_compatibility([1.0, 2.0], 2), [[1, 0], [0, 2]])
    np.testing.assert_array_equal(pydensecrf_compatibility(np.array([[0.0, 1.0], [3.0, 0.0]]), 2), [[0, 2], [2, 0]])


def test_a_scalar_of_pydensecrf_is_potts_less_a_constant() -> None:
    """−w·I q = w·(1 − I) q − w where the probabilities q add up to 1."""
    q = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    np.testing.assert_allclose(q @ pydensecrf_compatibility(3, 4), q @ potts(4, 3) - 3, atol=1e-14)


@pytest.mark.oracle
@pytest.mark.parametrize("value", [3.0, [1.0, -2.0, -3.0], [[0.0, 1.0, 2.0], [0.5, 0.0, 1.0], [2.0, 3.0, -1.0]]])
def test_against_pydensecrf(value: Any) -> None:
    """One step of mean field without normalisation from uniform Q, on one point, where K is a number k.

    log Q(l) is −ψ_u(l) − k Σ_l' μ(l, l') / L up to a constant; −I, of which k is measured, has the same k as the value.
    """
    densecrf = pytest.importorskip("pydensecrf.densecrf")

    def potentials(compat: Any) -> Any:
        model = densecrf.DenseCRF(1, 3)
        model.setUnaryEnergy(np.zeros((3, 1), np.float32))
        compat = compat if np.ndim(compat) == 0 else np.array(compat, np.float32)
        model.addPairwiseEnergy(np.zeros((2, 1), np.float32), compat, densecrf.CONST_KERNEL, densecrf.NO_NORMALIZATION)
        logarithms = np.log(np.array(model.inference(1))[:, 0])
        return logarithms - logarithms.mean()

    unit = potentials([-1.0, 0.0, 0.0])
    k = 3 * (unit[0] - unit[1])
    assert k > 0.5
    ours = -k * pydensecrf_compatibility(value, 3).sum(axis=1) / 3
    np.testing.assert_allclose(potentials(value), ours - ours.mean(), atol=1e-5)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: potts(0), ValueError, "potts: n_labels must be at least 1, got 0"),
        (lambda: potts(2, np.inf), ValueError, "potts: weight must be a finite number"),
        (lambda: potts(2, dtype="int64"), ValueError, "potts: dtype must be one of"),
        (lambda: diagonal(np.ones((2, 2))), ValueError, r"diagonal: values must have rank 1 \(L\)"),
        (lambda: diagonal([1.0, np.nan]), ValueError, "diagonal: values must be finite, got nan"),
        (lambda: diagonal(["a"]), TypeError, "diagonal: values must hold numbers"),  # type: ignore[list-item]
        (lambda: symmetric(np.ones((2, 3))), ValueError, r"symmetric: matrix must be square, got shape \(2, 3\)"),
        (lambda: symmetric(np.ones(2)), ValueError, r"symmetric: matrix must have rank 2 \(L, L\)"),
        (
            lambda: pydensecrf_compatibility([1.0, 2.0], 3),
            ValueError,
            r"pydensecrf_compatibility: value must be a number, \(3,\) or \(3, 3\), got shape \(2,\)",
        ),
        (lambda: pydensecrf_compatibility(np.ones((2, 3)), 2), ValueError, r"got shape \(2, 3\)"),
        (lambda: symmetric([[1.0], [1.0, 2.0]]), ValueError, "symmetric: matrix must have rows of equal length"),
        (lambda: pydensecrf_compatibility(np.nan, 3), ValueError, "pydensecrf_compatibility: value must be finite"),
        (lambda: pydensecrf_compatibility([1, np.inf], 2), ValueError, "value must be finite, got inf"),
        (lambda: pydensecrf_compatibility(True, 3), TypeError, "pydensecrf_compatibility: value must hold numbers"),
        (lambda: pydensecrf_compatibility(3, 0), ValueError, "pydensecrf_compatibility: n_labels must be at least 1"),
    ],
)
def test_bad_input(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()

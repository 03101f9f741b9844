"""position_features, bilateral_features and whiten: the decks' features and kernel, pydensecrf, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.crf.features import bilateral_features, position_features, whiten
from tests.agreement import dtypes, seeds


def test_hand_examples() -> None:
    """Two rows of three pixels; x runs fastest."""
    expected = [[0, 0], [0.5, 0], [1, 0], [0, 0.25], [0.5, 0.25], [1, 0.25]]
    np.testing.assert_array_equal(position_features((2, 3), (2, 4)), expected)
    np.testing.assert_array_equal(position_features((2, 3), (2, 4), order="yx"), np.array(expected)[:, ::-1])
    image = np.array([[[255, 0]], [[10, 20]]], np.uint8)  # a column of two pixels with two channels
    np.testing.assert_array_equal(bilateral_features(image, 2, (5, 10)), [[0, 0, 51, 0], [0, 0.5, 2, 2]])


@given(seed=seeds, d=st.integers(1, 4), dtype=dtypes)
def test_whitened_distances_are_those_of_the_precision(seed: int, d: int, dtype: str) -> None:
    """Deck 004: k(f_i, f_j) = exp(−½ (f_i − f_j)ᵀ Q (f_i − f_j))."""
    rng = np.random.default_rng(seed)
    f, a = rng.standard_normal((5, d)), rng.standard_normal((d, d))
    q = a @ a.T + np.eye(d)
    kept = f.astype(dtype)
    whitened = whiten(kept, q.astype(dtype))
    assert whitened.dtype == dtype
    for i in range(5):
        for j in range(5):
            exponent = (f[i] - f[j]) @ q @ (f[i] - f[j])
            np.testing.assert_allclose(
                np.sum((whitened[i] - whitened[j]) ** 2), exponent, rtol=1e-4, atol=1e-4 if dtype == "float32" else 1e-9
            )
    np.testing.assert_array_equal(kept, f.astype(dtype))


def test_whitening_with_a_diagonal_is_division() -> None:
    """Q = diag(1/θ²) is what the features of an image have been given already; a matrix gives the same."""
    raw = position_features((3, 4), 1)
    by_vector = whiten(raw, np.array([1 / 4, 1 / 25]))
    np.testing.assert_allclose(by_vector, position_features((3, 4), (2, 5)), rtol=1e-15)
    np.testing.assert_allclose(whiten(raw, np.diag([1 / 4, 1 / 25])), by_vector, rtol=1e-14)


def test_the_precision_may_have_another_dtype_and_the_asymmetry_of_a_rounded_inverse() -> None:
    """The mean of 0.25 ± a few ulp of float32 is 0.25; in float64 such a difference is a mistake."""
    q = np.array([[1, 0.25 + 2.0**-22], [0.25 - 2.0**-22, 1]], np.float32)
    features = np.array([[1.0, 2.0], [3.0, 5.0]])
    expected = whiten(features, np.array([[1, 0.25], [0.25, 1]]))
    np.testing.assert_array_equal(whiten(features, q), expected)
    assert whiten(features.astype(np.float32), q.astype(np.float64).round(3)).dtype == np.float32
    with pytest.raises(ValueError, match="must be symmetric"):
        whiten(features, q.astype(np.float64))


def test_nan_passes_through() -> None:
    np.testing.assert_array_equal(bilateral_features(np.full((1, 1, 1), np.nan), 1, 1), [[0, 0, np.nan]])
    np.testing.assert_array_equal(
        whiten(np.array([[np.nan, 1.0], [1, 1]]), np.array([4.0, 1.0])), [[np.nan, 1], [2, 1]]
    )


def test_whitening_takes_the_symmetric_root() -> None:
    """[[5, 4], [4, 5]] is the square of [[2, 1], [1, 2]]; the Cholesky factor would be triangular."""
    np.testing.assert_allclose(whiten(np.eye(2), np.array([[5.0, 4.0], [4.0, 5.0]])), [[2, 1], [1, 2]], rtol=1e-14)


def test_dtypes_and_empty_images() -> None:
    assert bilateral_features(np.zeros((1, 2, 3), np.float32), 1, 1).dtype == np.float32
    assert bilateral_features(np.zeros((1, 2, 3), np.int16), 1, 1).dtype == np.float64
    big_endian = np.ones((1, 1, 1), ">f8")
    assert bilateral_features(big_endian, 1, 2).tolist() == [[0, 0, 0.5]]
    assert position_features((0, 3), 1).shape == (0, 2)
    np.testing.assert_array_equal(bilateral_features(np.zeros((1, 2, 0)), 2, 1), [[0, 0], [0.5, 0]])
    assert whiten(np.zeros((3, 0)), np.zeros((0, 0))).shape == (3, 0)


@pytest.mark.oracle
def test_against_pydensecrf() -> None:
    """Its utilities have rows first, and features first."""
    utils = pytest.importorskip("pydensecrf.utils")
    expected = utils.create_pairwise_gaussian((3, 7), (4, 5))  # 3 divides rows
    ours = position_features((4, 5), (7, 3), order="yx", dtype="float32")
    np.testing.assert_array_equal(ours, expected.T)
    image = np.random.default_rng(0).integers(0, 256, (4, 5, 3)).astype(np.uint8)
    expected = utils.create_pairwise_bilateral((30, 70), (13, 7, 5), image, chdim=2)
    ours = bilateral_features(image, (70, 30), (13, 7, 5), order="yx")
    np.testing.assert_allclose(ours, expected.T, rtol=1e-6)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: position_features((2, 2), 0), ValueError, "position_features: theta must lie in"),
        (lambda: position_features((2, 2), (1, 2, 3)), ValueError, "theta must be a positive number or 2 of them"),
        (lambda: position_features((2, 2), 1, order="rc"), ValueError, "order must be one of 'xy', 'yx', got 'rc'"),
        (lambda: position_features((2, -1), 1), ValueError, "position_features: shape must be at least 0"),
        (lambda: position_features((2, 2), 1, dtype="int8"), ValueError, "dtype must be one of"),
        (lambda: bilateral_features(np.zeros((2, 2)), 1, 1), ValueError, r"image must have rank 3 \(H, W, C\)"),
        (lambda: bilateral_features(np.zeros((1, 1, 3), bool), 1, 1), TypeError, "image must be float32 or float64"),
        (lambda: bilateral_features(np.zeros((1, 1, 3)), 1, (1, 2)), ValueError, "theta_colour must be a positive"),
        (lambda: bilateral_features(np.zeros((1, 1, 3)), np.nan, 1), ValueError, "theta_position must be a finite"),
    ],
)
def test_bad_features(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("precision", "error", "message"),
    [
        (np.array([[1.0, 2.0], [0.0, 1.0]]), ValueError, r"must be symmetric, got 2 at \(0, 1\) but 0 at \(1, 0\)"),
        (np.array([[1.0, 2.0], [2.0, 1.0]]), ValueError, "must be positive definite, got the eigenvalue -1"),
        (np.ones((2, 2)), ValueError, "must be positive definite, got the eigenvalue"),
        (np.zeros((2, 2)), ValueError, "must be positive definite, got the eigenvalue 0"),
        (np.array([1.0, 0.0]), ValueError, "precision must be positive, got 0"),
        (np.array([1.0, np.nan]), ValueError, "precision must be finite, got nan"),
        (np.ones(3), ValueError, r"precision must have shape \(2,\)"),
        (np.ones((2, 3)), ValueError, r"precision must have shape \(2, 2\)"),
        (np.eye(2, dtype=np.int64), TypeError, "precision must be float32 or float64, got int64"),
        (np.array(1.0), ValueError, r"precision must have shape \(2, 2\)"),
    ],
)
def test_bad_precision(precision: Array, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match="^whiten: .*" + message):
        whiten(np.ones((3, 2)), precision)

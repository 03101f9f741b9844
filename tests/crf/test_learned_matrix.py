"""LearnedMatrix: the families by hand, the gradient of a pair of labels, bad input."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.autograd import Tensor, gradcheck
from refdet.core.check import Array
from refdet.crf.learned_matrix import LearnedMatrix

FAMILIES = {
    "multiple": LearnedMatrix.multiple([[1.0, 2.0], [3.0, 4.0]], 3),
    "potts": LearnedMatrix.potts(3, 0.5),
    "diagonal": LearnedMatrix.diagonal([2.0, 3, 4]),
    "symmetric": LearnedMatrix.symmetric([[1, 2, 3], [2, 4, 5], [3, 5, 6]]),
    "full": LearnedMatrix.full([[1, 2, 3], [4, 5, 6]]),
}


def member(family: LearnedMatrix, parameters: Array) -> Array:
    return family.matrix(Tensor(parameters)).data


def test_families_by_hand() -> None:
    np.testing.assert_array_equal(member(FAMILIES["multiple"], np.array([2.0])), [[2, 4], [6, 8]])
    np.testing.assert_array_equal(member(FAMILIES["potts"], np.array([2.0])), [[0, 2, 2], [2, 0, 2], [2, 2, 0]])
    np.testing.assert_array_equal(member(FAMILIES["diagonal"], np.array([7.0, 8, 9])), np.diag([7, 8, 9]))
    np.testing.assert_array_equal(
        member(FAMILIES["symmetric"], np.array([1.0, 2, 3, 4, 5, 6])), [[1, 2, 3], [2, 4, 5], [3, 5, 6]]
    )
    np.testing.assert_array_equal(member(FAMILIES["full"], np.arange(6.0)), [[0, 1, 2], [3, 4, 5]])
    np.testing.assert_array_equal(member(LearnedMatrix.fixed([[1.0, 2]]), np.array([9.0])), [[1, 2]])
    start = LearnedMatrix.symmetric(np.array([[1.0, 0], [4, 3]])).start  # ½ (M + Mᵀ)
    np.testing.assert_array_equal(start, [1, 2, 3])


@pytest.mark.parametrize("name", FAMILIES)
def test_families_begin_at_their_start(name: str) -> None:
    expected = {
        "multiple": [[3, 6], [9, 12]],
        "potts": [[0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]],
        "diagonal": np.diag([2, 3, 4]),
        "symmetric": [[1, 2, 3], [2, 4, 5], [3, 5, 6]],
        "full": [[1, 2, 3], [4, 5, 6]],
    }
    np.testing.assert_array_equal(member(FAMILIES[name], FAMILIES[name].start), expected[name])


def test_a_pair_of_labels_receives_the_gradients_of_both_places() -> None:
    parameters = Tensor(FAMILIES["symmetric"].start, requires_grad=True)
    FAMILIES["symmetric"].matrix(parameters).backward(np.array([[1.0, 10, 100], [20, 2, 1000], [200, 2000, 3]]))
    assert parameters.grad is not None
    np.testing.assert_array_equal(parameters.grad, [1, 30, 300, 2, 3000, 3])


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients(name: str) -> None:
    gradcheck(FAMILIES[name].matrix, [FAMILIES[name].start], rng=np.random.default_rng(0))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: LearnedMatrix.potts(3, float("inf")), ValueError, "LearnedMatrix.potts: weight must be a finite"),
        (lambda: LearnedMatrix.potts(0), ValueError, "LearnedMatrix.potts: n_labels must be at least 1"),
        (lambda: LearnedMatrix.multiple(np.eye(2), np.nan), ValueError, "LearnedMatrix.multiple: factor must be a"),
        (
            lambda: LearnedMatrix.diagonal([1.0, np.nan]),
            ValueError,
            r"LearnedMatrix.diagonal: values must be finite, got nan at \(1,\)",
        ),
        (lambda: LearnedMatrix.full([[np.inf]]), ValueError, r"LearnedMatrix.full: matrix must be finite, got inf"),
        (lambda: LearnedMatrix.full([1.0]), ValueError, r"LearnedMatrix.full: matrix must have rank 2 \(R, C\)"),
        (lambda: LearnedMatrix.full([[1, 2], [3]]), ValueError, "LearnedMatrix.full: matrix must have rows of equal"),
        (
            lambda: LearnedMatrix.symmetric(np.eye(2)).matrix(Tensor(np.zeros(4))),
            ValueError,
            r"LearnedMatrix.matrix: parameters must have shape \(3,\)",
        ),
        (lambda: LearnedMatrix.full([["a"]]), TypeError, "LearnedMatrix.full: matrix must hold numbers"),
        (lambda: LearnedMatrix.symmetric(np.ones((2, 3))), ValueError, "matrix must be square"),
    ],
)
def test_bad_input(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()

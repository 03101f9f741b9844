"""Matrices that are learned: in every place a coefficient times one parameter.

    multiple     p M              one parameter; Potts is p (1 − I)
    diagonal     diag(p)
    symmetric    p_{ll'} at (l, l') and at (l', l)    the upper triangle, row by row; a parameter off the diagonal
                                                      receives the gradients of both its places
    full         p_{rc}           row by row
    fixed        M                no parameter

Label compatibilities are Potts, diagonal or symmetric, scales of features diagonal or full: Krähenbühl & Koltun,
"Parameter learning and convergent inference for dense random fields" (2013). Everything is float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_number, check_rank, check_shape, integer, shape_of
from refdet.crf import compatibility


@dataclass(frozen=True, eq=False)
class LearnedMatrix:
    """A family of matrices, coefficient · parameter in each place, and the member to start from.

    >>> family = LearnedMatrix.symmetric(np.array([[1.0, 2.0], [2.0, 3.0]]))
    >>> family.start
    array([1., 2., 3.])
    >>> family.matrix(Tensor(np.array([4.0, 5.0, 6.0]))).data
    array([[4., 5.],
           [5., 6.]])
    """

    start: Array  # (n,) float64
    coefficients: Array  # (R, C) float64
    places: Array  # (R, C) int64: which parameter stands there

    @classmethod
    def fixed(cls, matrix: ArrayLike) -> LearnedMatrix:
        """Return the family of this matrix alone."""
        m = _finite("fixed", "matrix", matrix, "R, C")
        return cls(np.zeros(0), m, np.zeros(m.shape, np.int64))

    @classmethod
    def multiple(cls, matrix: ArrayLike, factor: float = 1.0) -> LearnedMatrix:
        """Return the multiples of a matrix: np.eye(L) for the scale of given unary potentials."""
        m = _finite("multiple", "matrix", matrix, "R, C")
        factor = check_number("LearnedMatrix.multiple", "factor", factor)
        return cls(np.array([factor]), m, np.zeros(m.shape, np.int64))

    @classmethod
    def potts(cls, n_labels: int, weight: float = 1.0) -> LearnedMatrix:
        """Return the multiples of 1 − I."""
        n_labels = integer("LearnedMatrix.potts", "n_labels", n_labels, low=1)
        weight = check_number("LearnedMatrix.potts", "weight", weight)
        return cls.multiple(compatibility.potts(n_labels), weight)

    @classmethod
    def diagonal(cls, values: ArrayLike) -> LearnedMatrix:
        """Return the diagonal matrices; as a scale, f' = values ∘ f."""
        v = _finite("diagonal", "values", values, "n")
        return cls(v, np.eye(len(v)), np.repeat(np.arange(len(v))[:, None], len(v), axis=1))

    @classmethod
    def symmetric(cls, matrix: ArrayLike) -> LearnedMatrix:
        """Return the symmetric matrices, starting from ½ (M + Mᵀ)."""
        m = compatibility.symmetric(_finite("symmetric", "matrix", matrix, "L, L"))
        upper = np.triu_indices(len(m))
        places = np.zeros(m.shape, np.int64)
        places[upper] = np.arange(len(upper[0]))
        return cls(m[upper], np.ones(m.shape), np.maximum(places, places.T))

    @classmethod
    def full(cls, matrix: ArrayLike) -> LearnedMatrix:
        """Return all matrices of this one's shape."""
        m = _finite("full", "matrix", matrix, "R, C")
        return cls(m.flatten(), np.ones(m.shape), np.reshape(np.arange(m.size), m.shape))

    def matrix(self, parameters: Tensor) -> Tensor:
        """Return the member with these parameters, (n,) float64; without any to learn, the one that there is."""
        if not len(self.start):
            return Tensor(self.coefficients)
        check_shape("LearnedMatrix.matrix", "parameters", parameters.data, shape_of(self.start), "as many as it has")
        return parameters[self.places] * self.coefficients


def _finite(family: str, name: str, values: ArrayLike, layout: str) -> Array:
    """Return an array of float64 of its own; refuse what is not finite numbers."""
    op = f"LearnedMatrix.{family}"
    x = compatibility.finite_numbers(op, name, values)
    check_rank(op, name, x, layout)
    return x.astype(np.float64)

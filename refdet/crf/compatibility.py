"""Label compatibilities μ(l, l'): what it costs two joined points to have the labels l and l'.

    Potts        μ(l, l') = w · 1[l ≠ l']
    diagonal     μ(l, l') = v_l · 1[l = l']
    symmetric    μ = ½ (M + Mᵀ)

Deck 004, "Gaussian Edge Potentials": ψ_p(y_i, y_j) = μ(y_i, y_j) Σ_m w_m k_m(f_i, f_j). Here μ carries the weight.

A positive entry is a penalty. −w·I, which rewards equal labels, is w·(1 − I) less the constant w, and gives the same
mean field, as the probabilities of a point add up to 1. pydensecrf stores a scalar that way. But it takes a vector as
it is: its diagonal (1, 2) punishes equal labels, and −1, −2 are what smooths.

Matrices made of a float32 array are float32, others float64, unless `dtype` says otherwise: "float32", "float64" or the
dtype of another array, as in `potts(21, dtype=unary.dtype)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.core.check import Array, Numbers, check_number, check_rank, integer, shape_of
from refdet.crf.float_dtype import DTypeName, float_dtype


def potts(n_labels: int, weight: float = 1.0, *, dtype: DTypeName = "float64") -> Array:
    """Return w·(1 − I), (L, L): different labels cost w, whichever they are.

    >>> potts(3, 2)
    array([[0., 2., 2.],
           [2., 0., 2.],
           [2., 2., 0.]])
    """
    L = integer("potts", "n_labels", n_labels, low=1)
    w = check_number("potts", "weight", weight)
    return np.where(np.eye(L, dtype=bool), 0.0, w).astype(float_dtype("potts", dtype))


def diagonal(values: Numbers, *, dtype: DTypeName | None = None) -> Array:
    """Return the matrix with the values v_l on its diagonal, (L, L): equal labels cost v_l, different ones nothing.

    >>> diagonal([-1.0, -2.0])
    array([[-1.,  0.],
           [ 0., -2.]])
    """
    v = finite_numbers("diagonal", "values", values)
    check_rank("diagonal", "values", v, "L")
    return _diagonal(v).astype(float_dtype("diagonal", dtype, like=v))


def symmetric(matrix: Array | Sequence[Numbers], *, dtype: DTypeName | None = None) -> Array:
    """Return ½ (M + Mᵀ), (L, L), of a square matrix: an unordered pair has no first label.

    >>> symmetric(np.array([[0.0, 1.0], [3.0, 0.0]]))
    array([[0., 2.],
           [2., 0.]])
    """
    m = finite_numbers("symmetric", "matrix", matrix)
    check_rank("symmetric", "matrix", m, "L, L")
    if m.shape[0] != m.shape[1]:
        raise ValueError(f"symmetric: matrix must be square, got shape {shape_of(m)}")
    return _symmetric(m).astype(float_dtype("symmetric", dtype, like=m))


def pydensecrf_compatibility(
    value: float | Array | Numbers | Sequence[Numbers], n_labels: int, *, dtype: DTypeName | None = None
) -> Array:
    """Return what pydensecrf makes of its argument `compat`: of w −w·I, of v diag(v), of M ½ (M + Mᵀ).

    >>> pydensecrf_compatibility(3, 2)
    array([[-3.,  0.],
           [ 0., -3.]])
    """
    op = "pydensecrf_compatibility"
    L, x = integer(op, "n_labels", n_labels, low=1), finite_numbers(op, "value", value)
    if shape_of(x) not in ((), (L,), (L, L)):
        raise ValueError(f"{op}: value must be a number, {(L,)} or {(L, L)}, got shape {shape_of(x)}")
    if x.ndim == 0:
        x = np.full(L, -x)
    mu = _symmetric(x) if x.ndim == 2 else _diagonal(x)
    return mu.astype(float_dtype(op, dtype, like=x))


def _diagonal(values: Array) -> Array:
    """Return diag(v), in float64."""
    return np.where(np.eye(len(values), dtype=bool), values.astype(np.float64), 0.0)


def _symmetric(matrix: Array) -> Array:
    """Return ½ (M + Mᵀ), in float64."""
    m = matrix.astype(np.float64)
    halves: Array = (m + m.T) / 2
    return halves


def finite_numbers(op: str, name: str, values: Any) -> Array:
    """Return an array of finite floating-point numbers; integers become float64."""
    try:
        x = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise ValueError(f"{op}: {name} must have rows of equal length, got {values!r}") from None
    if x.dtype.kind not in "iuf":
        raise TypeError(f"{op}: {name} must hold numbers, got {x.dtype.name}")
    if not np.isfinite(x).all():
        at = tuple(np.argwhere(~np.isfinite(x))[0].tolist())
        raise ValueError(f"{op}: {name} must be finite, got {x[at]}{f' at {at}' if at else ''}")
    return x if x.dtype.kind == "f" else x.astype(np.float64)

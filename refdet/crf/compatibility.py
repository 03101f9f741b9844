"""Label compatibilities μ(l, l'): what it costs two joined points to have the labels l and l'.

    Potts        μ(l, l') = w · 1[l ≠ l']
    diagonal     μ(l, l') = v_l · 1[l = l']
    symmetric    μ = ½ (M + Mᵀ)

Deck 004, "Gaussian Edge Potentials": ψ_p(y_i, y_j) = μ(y_i, y_j) Σ_m w_m k_m(f_i, f_j). Here μ carries the weight.

A positive entry is a penalty. −w·I, which rewards equal labels, is w·(1 − I) less the constant w, and gives the same
mean field, as the probabilities of a point add up to 1. pydensecrf stores a scalar that way. But it takes a vector as
it is: its diagonal (1, 2) punishes equal labels, and −1, −2 are what smooths.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, Numbers, check_choice, check_number, check_rank, integer, shape_of

DTYPES = ("float32", "float64")


def potts(n_labels: int, weight: float = 1.0, *, dtype: str = "float64") -> Array:
    """Return w·(1 − I), (L, L): different labels cost w, whichever they are.

    >>> potts(3, 2)
    array([[0., 2., 2.],
           [2., 0., 2.],
           [2., 2., 0.]])
    """
    L = integer("potts", "n_labels", n_labels, low=1)
    w = check_number("potts", "weight", weight)
    check_choice("potts", "dtype", dtype, DTYPES)
    return np.where(np.eye(L, dtype=bool), 0.0, w).astype(dtype)


def diagonal(values: Numbers) -> Array:
    """Return the matrix with the values v_l on its diagonal, (L, L): equal labels cost v_l, different ones nothing.

    >>> diagonal([-1.0, -2.0])
    array([[-1.,  0.],
           [ 0., -2.]])
    """
    v = _floats("diagonal", "values", values, "L")
    return np.where(np.eye(len(v), dtype=bool), v, np.zeros_like(v))


def symmetric(matrix: Array | Numbers) -> Array:
    """Return ½ (M + Mᵀ), (L, L), of a square matrix: an unordered pair has no first label.

    >>> symmetric(np.array([[0.0, 1.0], [3.0, 0.0]]))
    array([[0., 2.],
           [2., 0.]])
    """
    m = _floats("symmetric", "matrix", matrix, "L, L")
    if m.shape[0] != m.shape[1]:
        raise ValueError(f"symmetric: matrix must be square, got shape {shape_of(m)}")
    halves: Array = (m + m.T) / 2
    return halves


def pydensecrf_compatibility(value: float | Numbers | Array, n_labels: int) -> Array:
    """Return what pydensecrf makes of its argument `compat`: of w −w·I, of v diag(v), of M ½ (M + Mᵀ).

    >>> pydensecrf_compatibility(3, 2)
    array([[-3.,  0.],
           [ 0., -3.]])
    """
    L = integer("pydensecrf_compatibility", "n_labels", n_labels, low=1)
    rank = np.ndim(value)
    if rank > 2 or (rank > 0 and np.shape(value) != (L,) * rank):
        raise ValueError(
            f"pydensecrf_compatibility: value must be a number, {(L,)} or {(L, L)}, got shape {np.shape(value)}"
        )
    if rank == 0:
        return diagonal(np.full(L, -check_number("pydensecrf_compatibility", "value", value)))  # type: ignore[arg-type]
    return diagonal(value) if rank == 1 else symmetric(value)  # type: ignore[arg-type]


def _floats(op: str, name: str, values: Array | Numbers, layout: str) -> Array:
    """Return a finite array of float32 or float64; integers and lists become float64."""
    x = np.asarray(values)
    if x.dtype.kind not in "iuf":
        raise TypeError(f"{op}: {name} must hold numbers, got {x.dtype.name}")
    x = x.astype(np.float32 if x.dtype.name == "float32" else np.float64)
    check_rank(op, name, x, layout)
    if not np.isfinite(x).all():
        raise ValueError(f"{op}: {name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x

"""Divide the channel vector at every position by its length, then scale each channel.

    y_c = s_c x_c / n,    dy_c/dx_j = s_c (delta_cj / n - x_c / n^2 dn/dx_j),    dy_c/ds_c = x_c / n

                 n                                  dn/dx_j
    "inside"     sqrt(sum_c x_c^2 + eps)            x_j / n
    "outside"    r + eps, r = sqrt(sum_c x_c^2)     x_j / r
    "clamp"      max(r, eps)                        x_j / r if r > eps, else 0

dn/dx is 0 at x = 0. Without a scale, s_c = 1.

Source: Liu, Rabinovich and Berg, "ParseNet: Looking Wider to See Better", section 3.3; the place of eps differs between
libraries.
"""

import numpy as np

from tests.oracles._axes import groups
from tests.oracles._ieee import quotient, sqrt
from tests.oracles._sums import Array, Float64Array, Index, exact_sum, scatter_sum


def forward(x: Array, scale: Array | None, *, eps: float, convention: str) -> Float64Array:
    """Return y, the shape of x."""
    y = np.empty(x.shape)
    for vector in groups(x.shape, 1).values():
        norm, _ = _norm([float(x[j]) for j in vector], eps, convention)
        for c in vector:
            y[c] = quotient(_scale(scale, c) * float(x[c]), norm)
    return y


def backward(
    x: Array, scale: Array | None, *, dy: Array, eps: float, convention: str
) -> tuple[Float64Array, Float64Array | None]:
    """Return (dx, dscale)."""
    dx = np.empty(x.shape)
    scale_terms: list[tuple[Index, float]] = []
    for vector in groups(x.shape, 1).values():
        norm, norm_gradient = _norm([float(x[j]) for j in vector], eps, convention)
        for j, dn in zip(vector, norm_gradient, strict=True):
            dx[j] = exact_sum(
                float(dy[c]) * _scale(scale, c) * (quotient(c == j, norm) - quotient(float(x[c]), norm * norm) * dn)
                for c in vector
            )
        scale_terms += [((c[1],), float(dy[c]) * quotient(float(x[c]), norm)) for c in vector]
    return dx, None if scale is None else scatter_sum(scale.shape, scale_terms)


def _scale(scale: Array | None, c: Index) -> float:
    return 1.0 if scale is None else float(scale[c[1]])


def _norm(vector: list[float], eps: float, convention: str) -> tuple[float, list[float]]:
    """Return n, and dn/dx_j for every j."""
    squares = exact_sum(x * x for x in vector)
    length = sqrt(squares)
    if convention == "inside":
        norm = root = sqrt(squares + eps)
    elif convention == "outside":
        norm, root = length + eps, length
    else:
        norm, root = max(length, eps), length
    constant = convention == "clamp" and length <= eps
    return norm, [0.0 if constant or squares == 0 else x / root for x in vector]

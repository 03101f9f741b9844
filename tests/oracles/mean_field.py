"""Mean-field inference in a fully connected CRF, all points at once, and its derivative.

    q = softmax(-unary), and `iterations` times
    q <- damping q + (1 - damping) softmax(-unary - p),    p[i, l] = sum_m sum_l' mu_m[l, l'] (K_m q)[i, l']

where the softmax is over the labels. K_m is the normalised filter on the m-th run of feature columns.

The gradients are complex-step derivatives of the whole inference, one input number after another.

Source: Kraehenbuehl and Koltun, NIPS 2011, algorithm 1, and "Parameter Learning and Convergent Inference for Dense
Random Fields", ICML 2013; deck 004.
"""

from collections.abc import Callable, Sequence

import numpy as np

from tests.oracles._filter_matrix import MatrixOf, normalised_filter
from tests.oracles._sums import Array, Float64Array

STEP = 1e-30


def forward(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: tuple[int, int] | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> Float64Array:
    """Return q, shape (N, L)."""
    blocks = feature_blocks(features, dimensions)
    matrices = [
        K(f) for K, f in zip(_filters(blocks, filters, shape, normalisation, exclude_self), blocks, strict=True)
    ]
    q: Float64Array = _infer(unary, matrices, compatibilities, iterations, damping).real
    return q


def stages(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: tuple[int, int] | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> dict[str, Array]:
    """Return the first q, of the first iteration K_m q for every m and p, and q before and after every iteration."""
    blocks = feature_blocks(features, dimensions)
    matrices = [
        K(f) for K, f in zip(_filters(blocks, filters, shape, normalisation, exclude_self), blocks, strict=True)
    ]
    qs = _iterates(unary, matrices, compatibilities, iterations, damping)
    first = {
        "messages": np.array([K @ qs[0] for K in matrices]).reshape(-1, *unary.shape).real,
        "pairwise": _pairwise(qs[0], matrices, compatibilities).real,
    }
    return {"initial": qs[0].real, **(first if iterations else {}), "iterates": np.array(qs).real}


def backward(
    unary: Array,
    features: Array,
    compatibilities: Array,
    *,
    dy: Array,
    dimensions: tuple[int, ...],
    filters: tuple[str, ...],
    shape: tuple[int, int] | None,
    normalisation: tuple[str, ...],
    exclude_self: bool,
    iterations: int,
    damping: float,
) -> tuple[Float64Array, Float64Array | None, Float64Array]:
    """Return (dunary, dfeatures, dcompatibilities); dfeatures is None if a filter is "truncated"."""
    blocks = feature_blocks(features, dimensions)
    matrices_of = _filters(blocks, filters, shape, normalisation, exclude_self)
    matrices = [K(f) for K, f in zip(matrices_of, blocks, strict=True)]

    def inferred(u: Array, K: Sequence[Array], mu: Array) -> complex:
        return complex((dy * _infer(u, K, mu, iterations, damping)).sum())

    def inferred_from_features(f: Array) -> complex:
        near = [K(block) for K, block in zip(matrices_of, feature_blocks(f, dimensions), strict=True)]
        return inferred(unary, near, compatibilities)

    return (
        _complex_step(lambda u: inferred(u, matrices, compatibilities), unary),
        None if "truncated" in filters else _complex_step(inferred_from_features, features),
        _complex_step(lambda mu: inferred(unary, matrices, mu), compatibilities),
    )


def feature_blocks(features: Array, dimensions: Sequence[int]) -> list[Array]:
    """Return the columns of each kernel."""
    blocks, start = [], 0
    for d in dimensions:
        blocks.append(features[:, start : start + d])
        start += d
    return blocks


def softmax_row(scores: Array) -> Array:
    """Return exp(scores) / sum exp(scores) of a row of real or complex scores."""
    largest = max((float(np.real(s)) for s in scores), default=0.0)
    powers = np.exp(np.asarray(scores) - largest)
    return np.asarray(powers / sum(powers))


def _filters(
    blocks: Sequence[Array],
    filters: Sequence[str],
    shape: tuple[int, int] | None,
    normalisation: Sequence[str],
    exclude_self: bool,
) -> list[MatrixOf]:
    return [
        normalised_filter(block, kind=kind, shape=shape, normalisation=norm, exclude_self=exclude_self)
        for block, kind, norm in zip(blocks, filters, normalisation, strict=True)
    ]


def _infer(unary: Array, matrices: Sequence[Array], compatibilities: Array, iterations: int, damping: float) -> Array:
    """Return q, complex."""
    return _iterates(unary, matrices, compatibilities, iterations, damping)[-1]


def _iterates(
    unary: Array, matrices: Sequence[Array], compatibilities: Array, iterations: int, damping: float
) -> list[Array]:
    """Return q before the first iteration and after each, complex."""
    unary = np.asarray(unary, dtype=complex)
    qs = [np.zeros(unary.shape, dtype=complex)]
    for i, row in enumerate(unary):
        qs[0][i] = softmax_row(-row)
    for _ in range(iterations):
        q = qs[-1].copy()
        for i, row in enumerate(unary + _pairwise(q, matrices, compatibilities)):
            q[i] = damping * q[i] + (1 - damping) * softmax_row(-row)
        qs.append(q)
    return qs


def _pairwise(q: Array, matrices: Sequence[Array], compatibilities: Array) -> Array:
    """Return p, complex."""
    pairwise = np.zeros(q.shape, dtype=complex)
    for K, mu in zip(matrices, compatibilities, strict=True):
        pairwise += K @ q @ mu.T
    return pairwise


def _complex_step(function: Callable[[Array], complex], x: Array) -> Float64Array:
    """Return the gradient of a function that is analytic around the real x."""
    gradient = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        shifted = x.astype(complex)
        shifted[index] += 1j * STEP
        gradient[index] = function(shifted).imag / STEP
    return gradient

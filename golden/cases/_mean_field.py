"""Mean-field inference in float32 and in orders that an implementation may choose, and its gradients.

The matrix of every filter, and its derivative by the features, is the oracle's, in float64; its entries are then moved
by up to a few units in the last place of float32, as the ways differ in which a filter may be evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from golden.cases._float32 import Evaluation, Float32s, shuffled_sum
from golden.cases._numbers import Floats, reals
from refdet.core.check import Array
from tests.oracles._filter_matrix import normalised_filter

STEP = 1e-30  # of a derivative by a complex step
ENTRY_ERROR = 8 * 2.0**-24  # an exponential, the passes over the lattice, two norms: each of them about half an ulp


def potts(n_labels: int, weight: float) -> Floats:
    """Return w (1 − I)."""
    return weight * (1 - np.eye(n_labels))


def scattered(seed: str, n_points: int, d: int, extent: float = 2.0) -> Floats:
    """Return points at random in a cube, away from the faces of the lattice's simplices with probability 1."""
    return reals(seed, (n_points, d), 0, extent)


def grid(shape: tuple[int, int], theta: float) -> Floats:
    """Return the positions (x/θ, y/θ) of the pixels; θ is a power of two."""
    y, x = np.indices(shape, np.float64).reshape(2, -1)
    return np.stack([x, y], axis=1) / theta


def evaluation(
    inputs: Mapping[str, Array], dq: Array | None, params: Mapping[str, Any]
) -> Callable[[np.random.Generator], Evaluation]:
    """Return the float32 evaluation of one case; `sweeps` among the parameters is the sequential schedule."""
    matrices, derivatives = _matrices(inputs["features"], params, gradient=dq is not None)
    unary, mus = (np.asarray(inputs[name], np.float32) for name in ("unary", "compatibilities"))

    def evaluate(rng: np.random.Generator) -> Evaluation:
        moved = [(K * (1 + ENTRY_ERROR * rng.uniform(-1, 1, K.shape))).astype(np.float32) for K in matrices]
        if "sweeps" in params:
            return {"q": _sweeps(unary, moved, mus, params["sweeps"], rng)}
        updates, qs = _iterations(unary, moved, mus, params, rng)
        if dq is None:
            return {"q": qs[-1]}
        return {"q": qs[-1]} | _gradients(updates, qs, np.asarray(dq, np.float32), moved, derivatives, mus, params, rng)

    return evaluate


def _matrices(features: Array, params: Mapping[str, Any], *, gradient: bool) -> tuple[list[Array], list[Array | None]]:
    """Return K (N, N) of every kernel and ∂K/∂f (d, N, N, N), by feature and point, where it has one."""
    matrices, derivatives, start = [], [], 0
    for m, d in enumerate(params["dimensions"]):
        f = features[:, start : start + d]
        start += d
        kind = params["filters"][m] if "filters" in params else "exact"
        of = normalised_filter(
            f,
            kind=kind,
            shape=params.get("shape"),
            normalisation=params["normalisation"][m],
            exclude_self=params["exclude_self"],
        )
        matrices.append(np.real(of(f.astype(complex))))
        derivative = None
        if gradient and kind != "truncated":
            derivative = np.zeros((d, len(f), len(f), len(f)))
            for c, i in np.ndindex(d, len(f)):
                near = f.astype(complex)
                near[i, c] += 1j * STEP
                derivative[c, i] = of(near).imag / STEP
        derivatives.append(derivative)
    return matrices, derivatives


def _product(x: Array, y: Array, rng: np.random.Generator) -> Float32s:
    """Return x y, the terms of every entry in a random order."""
    return shuffled_sum(x.T[:, :, None] * y[:, None, :], rng)


def _softmax(logits: Array, rng: np.random.Generator) -> Float32s:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    q: Float32s = powers / shuffled_sum(powers.T, rng)[:, None]
    return q


def _pairwise(matrices: Sequence[Array], mus: Sequence[Array] | Array, q: Array, rng: np.random.Generator) -> Float32s:
    terms = [_product(_product(K, q, rng), mu.T, rng) for K, mu in zip(matrices, mus, strict=True)]
    return shuffled_sum(terms, rng)


def _iterations(
    unary: Array, matrices: Sequence[Array], mus: Array, params: Mapping[str, Any], rng: np.random.Generator
) -> tuple[list[Float32s], list[Float32s]]:
    """Return the softmaxes and, after damping, the q."""
    old = np.float32(params["damping"])
    updates = [_softmax(-unary, rng)]
    qs = [updates[0]]
    for _ in range(params["iterations"]):
        updates.append(_softmax(-(unary + _pairwise(matrices, mus, qs[-1], rng)), rng))
        qs.append(old * qs[-1] + (np.float32(1) - old) * updates[-1])
    return updates, qs


def _sweeps(unary: Array, matrices: Sequence[Array], mus: Array, sweeps: int, rng: np.random.Generator) -> Float32s:
    q = _softmax(-unary, rng)
    for i in [*range(len(q))] * sweeps:
        pairwise = _pairwise([K[i : i + 1] for K in matrices], mus, q, rng)
        q[i] = _softmax(-(unary[i : i + 1] + pairwise), rng)[0]
    return q


def _gradients(
    updates: Sequence[Array],
    qs: Sequence[Array],
    dq: Array,
    matrices: Sequence[Array],
    derivatives: Sequence[Array | None],
    mus: Array,
    params: Mapping[str, Any],
    rng: np.random.Generator,
) -> Evaluation:
    """Krähenbühl & Koltun (2013), with ∂𝓛/∂K gathered first and then ∂𝓛/∂f = Σ ∂𝓛/∂K_ij ∂K_ij/∂f."""
    old = np.float32(params["damping"])
    dunary: list[Float32s] = []
    dmus: list[list[Float32s]] = [[] for _ in matrices]
    dmatrices: list[list[Float32s]] = [[] for _ in matrices]
    for t in range(params["iterations"], 0, -1):
        b = (np.float32(1) - old) * _softmax_gradient(updates[t], dq, rng)
        dunary.append(b)
        terms = [old * dq]
        for m, (K, mu) in enumerate(zip(matrices, mus, strict=True)):
            a = _product(b, mu, rng)
            dmus[m].append(_product(b.T, _product(K, qs[t - 1], rng), rng))
            dmatrices[m].append(_product(a, qs[t - 1].T, rng))
            terms.append(_product(K.T, a, rng))
        dq = shuffled_sum(terms, rng)
    dunary.append(_softmax_gradient(updates[0], dq, rng))
    result = {
        "dunary": shuffled_sum(dunary, rng),
        "dcompatibilities": np.array([shuffled_sum(d, rng) if d else 0 * mus[0] for d in dmus], np.float32),
    }
    if all(derivative is not None for derivative in derivatives):
        n_points = len(updates[0])
        columns = [np.zeros((0, n_points), np.float32)]
        for derivative, dmatrix in zip(derivatives, dmatrices, strict=True):
            assert derivative is not None
            terms = [d.ravel() * derivative.astype(np.float32).reshape(*derivative.shape[:2], -1) for d in dmatrix]
            zeros = np.zeros((n_points * n_points, *derivative.shape[:2]), np.float32)
            columns.append(shuffled_sum(np.moveaxis(np.concatenate(terms, -1), -1, 0) if terms else zeros, rng))
        result["dfeatures"] = np.concatenate(columns).T
    return result


def _softmax_gradient(q: Array, dq: Array, rng: np.random.Generator) -> Float32s:
    """Return ∂𝓛/∂ε of q = 1/Z exp(−ε)."""
    b: Float32s = q * (shuffled_sum((q * dq).T, rng)[:, None] - dq)
    return b

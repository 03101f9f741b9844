"""Witnesses of the fully connected CRF: K written out as a matrix, and a switch for each deviation.

The mean-field updates are those of Krähenbühl & Koltun (2011), algorithm 1, and their gradients those of the unary
energies and of the compatibilities; the matrices are taken as given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness
from tests.witnesses.lattice import blur, embed, step


def softmax(x: Any) -> Any:
    """Return e^x, each row divided by its sum."""
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def exact_matrix(features: Any, *, unsquared: bool = False) -> Any:
    """Return exp(−½ |f_i − f_j|²), or with the distance itself in place of its square."""
    matrix = np.zeros((len(features), len(features)))
    for i, j in np.ndindex(matrix.shape):
        square = float(((features[i] - features[j]) ** 2).sum())
        matrix[i, j] = math.exp(-0.5 * (math.sqrt(square) if unsquared else square))
    return matrix


def truncated_matrix(features: Any, shape: tuple[int, int]) -> Any:
    """Return the exact matrix, 0 where pixels are more than ⌈4θ⌉ apart in a direction; features are (x/θ, y/θ)."""
    matrix = exact_matrix(features)
    height, width = shape
    x_step = features[1, 0] - features[0, 0] if width > 1 else 1.0
    y_step = features[width, 1] - features[0, 1] if height > 1 else 1.0
    for i, j in np.ndindex(matrix.shape):
        (row_i, column_i), (row_j, column_j) = divmod(i, width), divmod(j, width)
        if abs(row_i - row_j) > math.ceil(4 / y_step) or abs(column_i - column_j) > math.ceil(4 / x_step):
            matrix[i, j] = 0
    return matrix


def lattice_matrix(features: Any, *, quarter: bool = False, scaled: bool = True) -> Any:
    """Return what each point receives, by splatting, blurring and slicing, from an impulse at each."""
    n, d = features.shape
    found = [embed([float(x) for x in f]) for f in features]
    number: dict[tuple[int, ...], int] = {}
    for _, keys in found:
        for key in keys:
            number.setdefault(key, len(number))
    corners = np.zeros((n, len(number)))
    for i, (weights, keys) in enumerate(found):
        for weight, key in zip(weights, keys, strict=True):
            corners[i, number[key]] += weight
    neighbours = np.array(
        [[[number.get(step(key, axis, side), -1) for key in number] for side in (1, -1)] for axis in range(d + 1)]
    )
    blurred = blur(corners.T.copy(), neighbours, backwards=False, weights=(0.5, 0.25) if quarter else (1.0, 0.5))
    return corners @ blurred * (1 / (1 + 2.0**-d) if scaled else 1.0)


def kernels(
    question: Question, *, norm: str = "", itself: bool | None = None, quarter: bool = False, scaled: bool = True
) -> list[Any]:
    """Return the matrix of every kernel, normalised; `norm` and `itself` override the parameters."""
    params, features = question.params, question.arguments["features"]
    assert features is not None
    filters = params.get("filters", ("exact",) * len(params["dimensions"]))
    excluded = params["exclude_self"]
    if itself is not None and all(name == "exact" for name in filters):
        excluded = not itself
    matrices, first = [], 0
    for m, d in enumerate(params["dimensions"]):
        f, first = features[:, first : first + d].astype(np.float64), first + d
        if filters[m] == "exact":
            k = exact_matrix(f)
        elif filters[m] == "truncated":
            k = truncated_matrix(f, params["shape"])
        else:
            k = lattice_matrix(f, quarter=quarter, scaled=scaled)
        if excluded:
            np.fill_diagonal(k, 0.0)
        n = k.sum(axis=1) + 1e-20
        how = norm or params["normalisation"][m]
        matrices.append(
            {
                "none": k,
                "before": k / n[np.newaxis, :],
                "after": k / n[:, np.newaxis],
                "symmetric": k / np.sqrt(np.outer(n, n)),
            }[how]
        )
    return matrices


def _compatibilities(mu: Any, how: str) -> Any:
    """Return the matrices as the update is to read them; linear, and the transpose of itself."""
    other = mu.transpose(0, 2, 1)
    return {"": mu, "reward": -mu, "symmetrised": 0.5 * (mu + other), "transposed": other}[how]


def answer_mean_field(
    question: Question, *, damped: bool = True, unary_sign: float = 1.0, compatibility: str = "", **how: Any
) -> Mapping[str, Any]:
    """All points at once."""
    psi, mu = (np.asarray(question.arguments[name], np.float64) for name in ("unary", "compatibilities"))
    psi, mu = unary_sign * psi, _compatibilities(mu, compatibility)
    matrices = kernels(question, **how)
    damping = question.params["damping"] if damped else 0.0
    q = softmax(-psi)
    updates = []
    for _ in range(question.params["iterations"]):
        pairwise = sum((k @ q @ mu[m].T for m, k in enumerate(matrices)), np.zeros_like(q))
        updates.append((q, softmax(-psi - pairwise)))
        q = damping * q + (1 - damping) * updates[-1][1]
    if question.incoming_gradient is None:
        return {"q": q}
    dq, dpsi, dmu = question.incoming_gradient.astype(np.float64), np.zeros_like(psi), np.zeros_like(mu)
    for before, update in reversed(updates):
        denergy = -(1 - damping) * update * (dq - (dq * update).sum(axis=1, keepdims=True))
        dpsi += denergy
        dq = damping * dq
        for m, k in enumerate(matrices):
            dmu[m] += denergy.T @ (k @ before)
            dq += k.T @ denergy @ mu[m]
    start = softmax(-psi)
    dpsi -= start * (dq - (dq * start).sum(axis=1, keepdims=True))
    return {"q": q, "dunary": unary_sign * dpsi, "dcompatibilities": _compatibilities(dmu, compatibility)}


def answer_sequential(
    question: Question, *, at_once: bool = False, unary_sign: float = 1.0, compatibility: str = "", **how: Any
) -> Mapping[str, Any]:
    """One point after the other."""
    psi, mu = (np.asarray(question.arguments[name], np.float64) for name in ("unary", "compatibilities"))
    psi, mu = unary_sign * psi, _compatibilities(mu, compatibility)
    matrices = kernels(question, **how)
    q = softmax(-psi)
    for _ in range(question.params["sweeps"]):
        before = q.copy()
        for i in range(len(q)):
            read = before if at_once else q
            pairwise = sum((mu[m] @ (k[i] @ read) for m, k in enumerate(matrices)), np.zeros(q.shape[1]))
            q[i] = softmax((-psi[i] - pairwise)[np.newaxis])[0]
    return {"q": q}


def answer_free_energy(question: Question, *, share: float = 0.5) -> Mapping[str, Any]:
    """Σ q log q + Σ ψ q + ½ Σ q p, or another share of the last sum."""
    q, psi, p = (np.asarray(a, np.float64) for a in question.arguments.values())
    total = 0.0
    for at in np.ndindex(q.shape):
        entropy = float(q[at]) * math.log(q[at]) if q[at] > 0 else 0.0
        with np.errstate(invalid="ignore"):
            total += entropy + float(psi[at] * q[at]) + share * float(q[at] * p[at])
    return {"energy": np.array(total)}


def answer_kernel(question: Question, *, itself: bool | None = None, unsquared: bool = False) -> Mapping[str, Any]:
    """The matrix of the kernel."""
    matrix = exact_matrix(np.asarray(question.arguments["features"], np.float64), unsquared=unsquared)
    if question.params["exclude_self"] if itself is None else not itself:
        np.fill_diagonal(matrix, 0.0)
    return {"matrix": matrix}


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("mean_field", answer_mean_field),
    ("mean_field_sequential", answer_sequential),
    ("free_energy", answer_free_energy),
    ("gaussian_kernel", answer_kernel),
]

_BOTH: dict[str, tuple[str, dict[str, Any]]] = {
    "crf.compatibility=reward": ("sadeepj/crfasrnn_pytorch, crfasrnn/crfrnn.py", {"compatibility": "reward"}),
    "crf.compatibility=symmetrised": ("pydensecrf, labelcompatibility.cpp", {"compatibility": "symmetrised"}),
    "crf.compatibility=transposed": ("mishgon/crfseg, crfseg/model.py", {"compatibility": "transposed"}),
    "crf.norm=after": ("sadeepj/crfasrnn_keras, src/crfrnn_layer.py", {"norm": "after"}),
    "crf.norm=none": ("mishgon/crfseg, crfseg/model.py", {"norm": "none"}),
    "crf.norm=symmetric": ("pydensecrf, pairwise.cpp", {"norm": "symmetric"}),
    "crf.self=excluded": ("Krähenbühl & Koltun (2011), eq. (2)", {"itself": False}),
    "crf.self=included": ("pydensecrf, pairwise.cpp", {"itself": True}),
    "crf.unary=logits": ("sadeepj/crfasrnn_keras, src/crfrnn_layer.py", {"unary_sign": -1.0}),
}
_UPDATES = {"mean_field": answer_mean_field, "mean_field_sequential": answer_sequential}

WITNESSES = [
    *[
        Witness(key, algorithm, source, partial(answer, **how))
        for key, (source, how) in _BOTH.items()
        for algorithm, answer in _UPDATES.items()
    ],
    Witness(
        "crf.at_once=yes", "mean_field_sequential", "pydensecrf, densecrf.cpp", partial(answer_sequential, at_once=True)
    ),
    Witness("crf.damping=none", "mean_field", "pydensecrf, densecrf.cpp", partial(answer_mean_field, damped=False)),
    Witness(
        "crf.lattice_blur=quarter", "mean_field", "abadams/permutohedral", partial(answer_mean_field, quarter=True)
    ),
    Witness("crf.lattice_scale=one", "mean_field", "abadams/permutohedral", partial(answer_mean_field, scaled=False)),
    Witness(
        "crf.free_energy=whole_pairs", "free_energy", "pydensecrf, densecrf.cpp", partial(answer_free_energy, share=1.0)
    ),
    Witness("crf.self=excluded", "gaussian_kernel", "the definition", partial(answer_kernel, itself=False)),
    Witness("crf.self=included", "gaussian_kernel", "the definition", partial(answer_kernel, itself=True)),
    Witness(
        "kernel.distance=unsquared", "gaussian_kernel", "AdelaiDet, condinst.py", partial(answer_kernel, unsquared=True)
    ),
]

"""Witnesses of the permutohedral lattice: the steps of Adams, Baek & Davis (2010) as scalar loops, and a switch each.

A vertex is the tuple of its first d coordinates, looked up in a dict. `tests.witnesses.dense_crf` uses the lattice too.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Key = tuple[int, ...]


def wrapped(key: Iterable[int]) -> Key:
    """Return a key as 16-bit integers hold it."""
    return tuple((k + 2**15) % 2**16 - 2**15 for k in key)


def unwrapped(key: Iterable[int]) -> Key:
    """Return a key as it is."""
    return tuple(key)


def embed(f: Sequence[float]) -> tuple[list[float], list[Key]]:
    """Return the barycentric coordinates of a point, and the corners of its simplex, by colour."""
    d = len(f)
    elevated, total = [0.0] * (d + 1), 0.0
    for m in range(d, 0, -1):
        c = f[m - 1] * (math.sqrt(2 / 3) * (d + 1) / math.sqrt(m * (m + 1)))
        elevated[m] = total - m * c
        total += c
    elevated[0] = total
    origin = [(d + 1) * round(e / (d + 1)) for e in elevated]
    steps = sum(origin) // (d + 1)
    offset = [e - o for e, o in zip(elevated, origin, strict=True)]
    order = sorted(range(d + 1), key=lambda m: (-offset[m], m))
    rank = [order.index(m) + steps for m in range(d + 1)]
    for m in range(d + 1):
        turn = (rank[m] < 0) - (rank[m] > d)
        rank[m] += turn * (d + 1)
        origin[m] += turn * (d + 1)
    by_rank = [0.0] * (d + 1)
    for m in range(d + 1):
        by_rank[rank[m]] = (elevated[m] - origin[m]) / (d + 1)
    weights = [1 + by_rank[d] - by_rank[0]] + [by_rank[d - k] - by_rank[d - k + 1] for k in range(1, d + 1)]
    keys = [tuple(origin[m] + k - (d + 1) * (rank[m] > d - k) for m in range(d)) for k in range(d + 1)]
    return [max(w, 0.0) for w in weights], keys


def step(key: Key, axis: int, times: int = 1) -> Key:
    """Return the vertex at −1 in every coordinate but d in that of the axis."""
    return tuple(k + times * (len(key) if m == axis else -1) for m, k in enumerate(key))


def blur(z: Any, neighbours: Any, *, backwards: bool, weights: tuple[float, float] = (1.0, 0.5)) -> Any:
    """Return the values with those of the neighbours mixed in, along one axis after the other."""
    centre, side = weights
    for axis in range(len(neighbours) - 1, -1, -1) if backwards else range(len(neighbours)):
        old, z = z, np.zeros_like(z)
        for v in range(len(z)):
            z[v] = centre * old[v] + sum(side * old[n] for n in neighbours[axis, :, v] if n >= 0)
    return z


def answer_embed(question: Question, *, store: Callable[[Iterable[int]], Key] = unwrapped) -> Mapping[str, Any]:
    """The simplex of every point."""
    features = question.arguments["features"]
    assert features is not None
    n, d = features.shape
    found = [embed([float(x) for x in f]) for f in features]
    return {
        "weights": np.array([weights for weights, _ in found], np.float64).reshape(n, d + 1),
        "keys": np.array([[store(key) for key in keys] for _, keys in found], np.int64).reshape(n, d + 1, d),
    }


def answer_index(
    question: Question,
    *,
    store: Callable[[Iterable[int]], Key] = unwrapped,
    as_they_come: bool = False,
    swapped: bool = False,
) -> Mapping[str, Any]:
    """The vertices in ascending order, or as the points reach them, and their neighbours."""
    keys = question.arguments["keys"]
    assert keys is not None
    n, corners, d = keys.shape
    reached = [store(key) for key in keys.reshape(n * corners, d).tolist()]
    vertices = list(dict.fromkeys(reached)) if as_they_come else sorted(set(reached))
    number = {vertex: v for v, vertex in enumerate(vertices)}
    sides = (-1, 1) if swapped else (1, -1)
    neighbours = [
        [[number.get(store(step(vertex, axis, side)), -1) for vertex in vertices] for side in sides]
        for axis in range(d + 1)
    ]
    return {
        "vertices": np.array(vertices, np.int64).reshape(len(vertices), d),
        "ids": np.array([number[key] for key in reached], np.int64).reshape(n, corners),
        "neighbours": np.array(neighbours, np.int64).reshape(d + 1, 2, len(vertices)),
    }


def answer_blur(
    question: Question, *, weights: tuple[float, float] = (1.0, 0.5), never_reversed: bool = False
) -> Mapping[str, Any]:
    """The blur, and its gradient: that of the opposite order."""
    z, neighbours = (question.arguments[name] for name in ("z", "neighbours"))
    assert z is not None
    backwards = question.params["reverse"]
    run = partial(blur, neighbours=neighbours, weights=weights)
    answers = {"y": run(z.astype(np.float64), backwards=backwards and not never_reversed)}
    if question.incoming_gradient is not None:
        dy = question.incoming_gradient.astype(np.float64)
        answers["dz"] = run(dy, backwards=not backwards and not never_reversed)
    return answers


def answer_slice(question: Question, *, scale: float | None = None) -> Mapping[str, Any]:
    """What the points read off their vertices."""
    z, weights, ids = (question.arguments[name] for name in ("z", "weights", "ids"))
    assert z is not None
    assert weights is not None
    assert ids is not None
    factor = question.params["scale"] if scale is None else scale
    y, dz, dweights = np.zeros((len(ids), z.shape[1])), np.zeros(z.shape), np.zeros(weights.shape)
    for i, k in np.ndindex(ids.shape):
        w, values = float(weights[i, k]), z[ids[i, k]].astype(np.float64)
        y[i] += factor * w * values
        if question.incoming_gradient is not None:
            dy = question.incoming_gradient[i].astype(np.float64)
            dz[ids[i, k]] += factor * w * dy
            dweights[i, k] = factor * (dy * values).sum()
    return {"y": y} if question.incoming_gradient is None else {"y": y, "dz": dz, "dweights": dweights}


def answer_neighbourhood(question: Question, *, always_walk: bool = False) -> Mapping[str, Any]:
    """The taps: looked up, or reached step by step, along the first axis first."""
    vertices = question.arguments["vertices"]
    assert vertices is not None
    size, d = question.params["size"], vertices.shape[1]
    number = {tuple(key): v for v, key in enumerate(vertices.tolist())}
    walk = always_walk or question.params["traversal"] == "walk"
    taps = []
    for steps in itertools.product(range(size + 1), repeat=d + 1):
        if min(steps) > 0:
            continue
        tap = []
        for key, v in number.items():
            at, there = key, v
            for axis, times in enumerate(steps):
                for _ in range(times):
                    at = step(at, axis)
                    there = -1 if walk and there < 0 else number.get(at, -1)
            tap.append(there)
        taps.append(tap)
    return {"taps": np.array(taps, np.int64).reshape(len(taps), len(number))}


CONFORMING: list[tuple[str, Callable[[Question], Mapping[str, Any]]]] = [
    ("lattice_embed", answer_embed),
    ("lattice_index", answer_index),
    ("lattice_blur", answer_blur),
    ("lattice_slice", answer_slice),
    ("lattice_neighbourhood", answer_neighbourhood),
]

_ADAMS = "abadams/permutohedral, cpu/permutohedral.h"

WITNESSES = [
    Witness("lattice.blur=quarter", "lattice_blur", _ADAMS, partial(answer_blur, weights=(0.5, 0.25))),
    Witness("lattice.keys=int16", "lattice_embed", _ADAMS, partial(answer_embed, store=wrapped)),
    Witness("lattice.keys=int16", "lattice_index", _ADAMS, partial(answer_index, store=wrapped)),
    Witness("lattice.neighbours=swapped", "lattice_index", _ADAMS, partial(answer_index, swapped=True)),
    Witness("lattice.numbers=as_they_come", "lattice_index", _ADAMS, partial(answer_index, as_they_come=True)),
    Witness("lattice.reverse=never", "lattice_blur", _ADAMS, partial(answer_blur, never_reversed=True)),
    Witness("lattice.scale=one", "lattice_slice", _ADAMS, partial(answer_slice, scale=1.0)),
    Witness(
        "lattice.traversal=walk",
        "lattice_neighbourhood",
        "MPI-IS/bilateralNN, the traversal of neighbours",
        partial(answer_neighbourhood, always_walk=True),
    ),
]

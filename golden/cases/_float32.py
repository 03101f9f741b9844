"""Float32 arithmetic in orders that an implementation may choose, for cases whose tolerance is measured.

Plain NumPy, independent of refdet: every operation is rounded to float32, sums run in a random order, and where a
formula can be written in several ways one of them is taken at random.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32s = NDArray[np.float32]
Evaluation = dict[str, Float32s]


def shuffled_sum(terms: Any, rng: np.random.Generator) -> Float32s:
    """Add arrays of one shape (or numbers) one after another, in a random order."""
    terms = np.asarray(terms, np.float32)
    total = np.zeros(terms.shape[1:], np.float32)
    for i in rng.permutation(len(terms)):
        total = np.add(total, terms[i], dtype=np.float32)
    return total


def negative_power(base: Float32s, exponent: float, rng: np.random.Generator) -> Float32s:
    """Return base^−exponent in one of three ways."""
    p = np.float32(exponent)
    ways: Sequence[Callable[[], Any]] = (
        lambda: np.power(base, -p),
        lambda: np.float32(1) / np.power(base, p),
        lambda: np.exp(-p * np.log(base)),
    )
    y: Float32s = ways[int(rng.integers(3))]()
    return y


def quotient(x: Float32s, y: Float32s, rng: np.random.Generator) -> Float32s:
    """Return x / y, or x times the rounded reciprocal of y."""
    return x / y if rng.integers(2) else x * (np.float32(1) / y)


def local_response_norm(
    x: Any,
    dy: Any,
    windows: Sequence[Sequence[int]],
    alpha: float,
    beta: float,
    k: float,
    rng: np.random.Generator,
) -> Evaluation:
    """Return y and dx of y_p = x_p / (k + α Σ_{q in W(p)} x_q²)^β; `windows` lists the flat positions of every W(p)."""
    shape, x, dy = np.shape(x), np.asarray(x, np.float32).ravel(), np.asarray(dy, np.float32).ravel()
    a, b = np.float32(alpha), np.float32(beta)
    squares = x * x
    if rng.integers(2):
        sums = np.array([shuffled_sum(a * squares[list(w)], rng) for w in windows], np.float32)
    else:
        sums = a * np.array([shuffled_sum(squares[list(w)], rng) for w in windows], np.float32)
    base = np.float32(k) + sums
    scale = negative_power(base, beta, rng)
    y = x * scale
    shares = quotient(dy * y, base, rng)
    readers: list[list[int]] = [[] for _ in windows]
    for p, window in enumerate(windows):
        for q in window:
            readers[q].append(p)
    coupled = np.array([shuffled_sum(shares[r], rng) for r in readers], np.float32)
    dx = dy * scale - np.float32(2) * a * b * x * coupled
    return {"y": y.reshape(shape), "dx": dx.reshape(shape)}

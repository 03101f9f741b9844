"""Cases that functions of one or two numbers, applied at every position, share."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic
from refdet.core.check import Array
from refdet.verify.case import Case, Compare, Exact


def random_unary(rng: np.random.Generator, compare: Compare, low: float = -3.0, high: float = 3.0) -> Case:
    """Return a function of one array at random points of an interval, in a shape of random rank."""
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(0, 4)))
    return Case("random", "", {"x": rng.uniform(low, high, shape)}, compare, dy=rng.standard_normal(shape))


def random_binary(rng: np.random.Generator, compare: Compare, low: float = -3.0, high: float = 3.0) -> Case:
    """Return a function of two arrays of random shapes that broadcast."""
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
    x_shape = tuple(1 if rng.random() < 0.3 else n for n in shape)
    y_shape = tuple(1 if rng.random() < 0.3 else n for n in shape)[rng.integers(0, len(shape) + 1) :]
    inputs = {"x": rng.uniform(low, high, x_shape), "y": rng.uniform(low, high, y_shape)}
    return Case("random", "", inputs, compare, dy=rng.standard_normal(np.broadcast_shapes(x_shape, y_shape)))


def broadcasting(unit: float = 1.0, compare: Compare | None = None, y: Array | None = None) -> Case:
    """Return a case in which both operands are repeated, so that both gradients are sums over the repeats."""
    return Case(
        "both-operands-broadcast",
        "x (2, 1, 3) and y (4, 1) are both repeated; each gradient is summed over what was repeated.",
        {
            "x": dyadic("broadcast x", (2, 1, 3), unit=unit),
            "y": dyadic("broadcast y", (4, 1), unit=unit) if y is None else y,
        },
        Exact() if compare is None else compare,
        dy=dyadic("broadcast dz", (2, 4, 3), unit=unit),
        tags=("broadcast", "dyadic") if compare is None else ("broadcast",),
    )


def empty_unary(compare: Compare) -> Case:
    """Return a case without elements."""
    return Case(
        "empty", "No elements in, none out.", {"x": np.zeros((0, 3))}, compare, dy=np.zeros((0, 3)), tags=("empty",)
    )


def empty_binary() -> Case:
    """Return a case in which an axis of length 1 meets one of length 0."""
    return Case(
        "empty-axis-broadcast",
        "An axis of length 1 is stretched to length 0; its gradient is a sum over nothing, 0.",
        {"x": np.ones((2, 1)), "y": np.ones((2, 0))},
        Exact(),
        dy=np.zeros((2, 0)),
        tags=("broadcast", "empty"),
    )

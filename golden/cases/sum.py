"""Golden cases of the sum over axes."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import sum as oracle

ALGORITHM = Algorithm("sum", oracle, ("x",), reference="y = Σ x; the sum of nothing is 0")


def cases() -> list[Case]:
    return [
        Case(
            "rows",
            "Row sums of 0 … 5; every term receives the gradient of its row.",
            {"x": count((2, 3))},
            Exact(),
            {"axis": 1, "keepdims": False},
            dy=np.array([10.0, 20.0]),
            expected={
                "y": np.array([3.0, 12.0]),  # 0 + 1 + 2, 3 + 4 + 5
                "dx": np.array([[10.0, 10.0, 10.0], [20.0, 20.0, 20.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "everything",
            "Without an axis, one number.",
            {"x": dyadic("sum x", (2, 3, 4), unit=0.25)},
            Exact(),
            {"axis": None, "keepdims": False},
            dy=np.array(0.5),
            tags=("dyadic",),
        ),
        Case(
            "two-axes-kept",
            "Axes counted from the end, given out of order, and kept with length 1.",
            {"x": dyadic("sum x", (2, 3, 4), unit=0.25)},
            Exact(),
            {"axis": (-1, 0), "keepdims": True},
            dy=dyadic("sum dy", (1, 3, 1)),
            tags=("dyadic",),
        ),
        Case(
            "nothing",
            "A sum over an axis of length 0 is 0.",
            {"x": np.zeros((2, 0, 3))},
            Exact(),
            {"axis": 1, "keepdims": False},
            dy=np.ones((2, 3)),
            expected={"y": np.zeros((2, 3))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "cancellation",
            "Large terms of both signs and small ones: any order passes, an answer with fewer bits does not.",
            {"x": np.concatenate([reals("sum big", (200,), -1000, 1000), reals("sum small", (200,))])},
            Bound(401),
            {"axis": 0, "keepdims": False},
            dy=np.array(1.0),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64, reduced over a random axis."""
    shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    axis, keepdims = int(rng.integers(-3, 3)), bool(rng.integers(2))
    dy = rng.standard_normal(np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape)
    return Case("random", "", {"x": rng.standard_normal(shape)}, Bound(8), {"axis": axis, "keepdims": keepdims}, dy=dy)

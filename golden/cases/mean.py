"""Golden cases of the mean over axes."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import mean as oracle

ALGORITHM = Algorithm("mean", oracle, ("x",), reference="y = (1/n) Σ x; the mean of nothing is NaN")


def cases() -> list[Case]:
    return [
        Case(
            "pairs",
            "Column means of two rows; every term receives half the gradient.",
            {"x": count((2, 3))},
            Exact(),
            {"axis": 0, "keepdims": False},
            dy=np.array([1.0, 2.0, 4.0]),
            expected={
                "y": np.array([1.5, 2.5, 3.5]),  # (0 + 3)/2, (1 + 4)/2, (2 + 5)/2
                "dx": np.array([[0.5, 1.0, 2.0], [0.5, 1.0, 2.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "over-images-and-pixels",
            "The mean that batch normalisation takes: all axes but the channels', kept.",
            {"x": dyadic("mean x", (2, 3, 4, 4), unit=0.25)},
            Exact(),
            {"axis": (0, 2, 3), "keepdims": True},
            dy=dyadic("mean dy", (1, 3, 1, 1)),
            tags=("dyadic",),
        ),
        Case(
            "odd-number-of-terms",
            "Dividing by 15 rounds; multiplying by a rounded 1/15 rounds twice, and passes too.",
            {"x": reals("mean x", (3, 5))},
            Bound(18),
            {"axis": None, "keepdims": False},
            dy=np.array(1.0),
        ),
        Case(
            "nothing",
            "The mean over an axis of length 0 is 0/0, NaN.",
            {"x": np.zeros((2, 0))},
            Exact(),
            {"axis": 1, "keepdims": False},
            expected={"y": np.array([np.nan, np.nan])},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64, averaged over a random axis."""
    shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    axis, keepdims = int(rng.integers(-3, 3)), bool(rng.integers(2))
    dy = rng.standard_normal(np.sum(np.zeros(shape), axis=axis, keepdims=keepdims).shape)
    return Case("random", "", {"x": rng.standard_normal(shape)}, Bound(8), {"axis": axis, "keepdims": keepdims}, dy=dy)

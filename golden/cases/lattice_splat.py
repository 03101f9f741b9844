"""Golden cases of splatting."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, integers, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import lattice_splat as oracle

ALGORITHM = Algorithm(
    "lattice_splat",
    oracle,
    ("values", "weights", "ids"),
    ("z",),
    reference="deck 004; Adams, Baek & Davis (2010)",
)


def cases() -> list[Case]:
    ids = np.array([[2, 1], [1, 3]])
    return [
        Case(
            "two-points",
            "They meet in vertex 1; vertex 0 receives nothing.",
            {
                "values": np.array([[8.0, -4.0], [2.0, 6.0]]),
                "weights": np.array([[0.75, 0.25], [0.5, 0.5]]),
                "ids": ids,
            },
            Exact(),
            {"n_vertices": 4},
            dy=np.array([[1000.0, 1000.0], [1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]),
            expected={
                "z": np.array([[0.0, 0.0], [3.0, 2.0], [6.0, -3.0], [1.0, 3.0]]),
                "dvalues": np.array([[1.75, 17.5], [2.5, 25.0]]),
                "dweights": np.array([[-64.0, -32.0], [62.0, 248.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "one-vertex-twice",
            "Corners of one point that are one vertex add up.",
            {"values": np.array([[4.0]]), "weights": np.array([[0.5, 0.25, 0.25]]), "ids": np.array([[1, 1, 0]])},
            Exact(),
            {"n_vertices": 2},
            dy=np.array([[1.0], [2.0]]),
            expected={
                "z": np.array([[1.0], [3.0]]),
                "dvalues": np.array([[1.75]]),
                "dweights": np.array([[8.0, 8.0, 4.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "tie"),
        ),
        Case(
            "sums-are-float64",
            "2^24 + 1 + 1: in float32 each 1 is rounded away, in float64 both stay, and the sum is rounded once.",
            {
                "values": np.array([[2.0**24], [1.0], [1.0]]),
                "weights": np.ones((3, 1)),
                "ids": np.zeros((3, 1), np.int64),
            },
            Exact(),
            {"n_vertices": 1},
            expected={"z": np.array([[2.0**24 + 2]])},
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "any-order",
            "Dyadic numbers: the sum is exact whatever the order of the points.",
            {
                "values": dyadic("splat values", (20, 3)),
                "weights": dyadic("splat weights", (20, 4), 0, 8, 1 / 8),
                "ids": integers("splat ids", (20, 4), 0, 8),
            },
            Exact(),
            {"n_vertices": 9},
            dy=dyadic("splat dz", (9, 3)),
            tags=("dyadic",),
        ),
        Case(
            "rounded",
            "Numbers whose products are rounded.",
            {
                "values": reals("splat reals", (16, 3)),
                "weights": reals("splat shares", (16, 4), 0, 1),
                "ids": integers("splat corners", (16, 4), 0, 6),
            },
            {"z": Bound(64), "dvalues": Bound(8), "dweights": Bound(6)},
            {"n_vertices": 7},
            dy=reals("splat reals dz", (7, 3)),
        ),
        Case(
            "no-points",
            "All vertices are 0.",
            {"values": np.zeros((0, 2)), "weights": np.zeros((0, 3)), "ids": np.zeros((0, 3), np.int64)},
            Exact(),
            {"n_vertices": 2},
            dy=count((2, 2)),
            expected={"z": np.zeros((2, 2))},
            source="by hand",
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values in float64 and random corners."""
    inputs = {
        "values": rng.standard_normal((6, 2)),
        "weights": rng.standard_normal((6, 3)),
        "ids": rng.integers(0, 5, (6, 3)),
    }
    return Case("random", "", inputs, Bound(32), {"n_vertices": 5}, dy=rng.standard_normal((5, 2)))

"""Golden cases of indexing by arrays."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import gather as oracle

ALGORITHM = Algorithm(
    "gather", oracle, ("x",), reference="y = x[key] by the rules of NumPy; gradients of a repeated element add up"
)


def cases() -> list[Case]:
    return [
        Case(
            "repeated-rows-accumulate",
            "Row 2 is taken twice and receives both gradients; assigning instead of adding keeps only the last.",
            {"x": count((3, 2))},
            Exact(),
            {"key": (np.array([2, 0, 2]),)},
            dy=np.array([[1.0, 2.0], [4.0, 8.0], [16.0, 32.0]]),
            expected={
                "y": np.array([[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]),
                "dx": np.array([[4.0, 8.0], [0.0, 0.0], [17.0, 34.0]]),  # row 2: 1 + 16, 2 + 32
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "mask",
            "A boolean array picks in row-major order.",
            {"x": count((2, 3))},
            Exact(),
            {"key": (np.array([[True, False, True], [False, True, False]]),)},
            dy=np.array([10.0, 20.0, 30.0]),
            expected={
                "y": np.array([0.0, 2.0, 4.0]),
                "dx": np.array([[10.0, 0.0, 20.0], [0.0, 30.0, 0.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "pairs-of-coordinates",
            "Two integer arrays go hand in hand: element (row i, column i); negative ones count from the end.",
            {"x": count((3, 4))},
            Exact(),
            {"key": (np.array([0, 2, -1]), np.array([3, -4, 0]))},
            dy=np.array([1.0, 2.0, 4.0]),
            expected={
                "y": np.array([3.0, 8.0, 8.0]),
                "dx": np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [6.0, 0.0, 0.0, 0.0]]),  # 2 + 4
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "class-scores",
            "One array beside a slice: all rows, the columns of a matrix of indices.",
            {"x": dyadic("gather x", (3, 5))},
            Exact(),
            {"key": (slice(None), np.array([[4, 0], [0, 0]]))},
            dy=dyadic("gather dy", (3, 2, 2)),
            tags=("dyadic",),
        ),
        Case(
            "nothing",
            "No indices, no rows, gradient 0.",
            {"x": count((3, 2))},
            Exact(),
            {"key": (np.zeros(0, np.int64),)},
            dy=np.zeros((0, 2)),
            expected={"y": np.zeros((0, 2)), "dx": np.zeros((3, 2))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64 and random rows of it."""
    key = (rng.integers(-4, 4, 6),)
    return Case(
        "random", "", {"x": rng.standard_normal((4, 3))}, Bound(8), {"key": key}, dy=rng.standard_normal((6, 3))
    )

"""Golden cases of indexing by integers and slices."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import index as oracle

ALGORITHM = Algorithm(
    "index", oracle, ("x",), reference="y = x[key] by the rules of NumPy; what is not picked gets gradient 0"
)


def cases() -> list[Case]:
    return [
        Case(
            "row-and-every-other-column",
            "An integer drops its axis; a step of 2 picks columns 0 and 2.",
            {"x": count((3, 4))},
            Exact(),
            {"key": (1, slice(None, None, 2))},
            dy=np.array([10.0, 20.0]),
            expected={
                "y": np.array([4.0, 6.0]),
                "dx": np.array([[0.0, 0.0, 0.0, 0.0], [10.0, 0.0, 20.0, 0.0], [0.0, 0.0, 0.0, 0.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "backwards",
            "A negative step runs from the end; negative integers count from there.",
            {"x": count((5,))},
            Exact(),
            {"key": (slice(-1, 0, -2),)},
            dy=np.array([1.0, 2.0]),
            expected={"y": np.array([4.0, 2.0]), "dx": np.array([0.0, 0.0, 2.0, 0.0, 1.0])},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "ellipsis-and-new-axis",
            "The ellipsis stands for the axes that are not named; a new axis has length 1.",
            {"x": dyadic("index x", (2, 3, 4))},
            Exact(),
            {"key": (..., None, slice(1, 3))},
            dy=dyadic("index dy", (2, 3, 1, 2)),
        ),
        Case(
            "slice-beyond-the-end",
            "A slice is clipped to the axis, unlike an integer.",
            {"x": count((3,))},
            Exact(),
            {"key": (slice(1, 100),)},
            dy=np.array([1.0, 2.0]),
            expected={"y": np.array([1.0, 2.0]), "dx": np.array([0.0, 1.0, 2.0])},
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "nothing",
            "An empty slice gives an empty answer, and gradient 0 everywhere.",
            {"x": count((3, 2))},
            Exact(),
            {"key": (slice(2, 2),)},
            dy=np.zeros((0, 2)),
            expected={"y": np.zeros((0, 2)), "dx": np.zeros((3, 2))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64 and a random slice of it."""
    start, stop = sorted(int(i) for i in rng.integers(0, 6, 2))
    dy = rng.standard_normal((3, stop - start))
    return Case("random", "", {"x": rng.standard_normal((3, 6))}, Exact(), {"key": (..., slice(start, stop))}, dy=dy)

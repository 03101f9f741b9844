"""Golden cases of reshape."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import reshape as oracle

ALGORITHM = Algorithm("reshape", oracle, ("x",), reference="the same values in row-major order")


def cases() -> list[Case]:
    return [
        Case(
            "row-major",
            "The last axis runs fastest, as in C; Fortran and MATLAB would give 0 3 1 4 2 5.",
            {"x": count((2, 3))},
            Exact(),
            {"shape": (3, 2)},
            dy=count((3, 2)) * 10,
            expected={
                "y": np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
                "dx": np.array([[0.0, 10.0, 20.0], [30.0, 40.0, 50.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "flatten-images",
            "Before a fully connected layer, C × H × W become one axis, channels slowest.",
            {"x": dyadic("reshape x", (2, 3, 2, 2))},
            Exact(),
            {"shape": (2, 12)},
            dy=dyadic("reshape dy", (2, 12)),
        ),
        Case(
            "no-axes",
            "One element without axes becomes one element with two.",
            {"x": np.array(7.0)},
            Exact(),
            {"shape": (1, 1)},
            dy=np.array([[3.0]]),
            expected={"y": np.array([[7.0]]), "dx": np.array(3.0)},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "empty",
            "No elements in any shape.",
            {"x": np.zeros((0, 3))},
            Exact(),
            {"shape": (2, 0)},
            dy=np.zeros((2, 0)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64 whose axes become one."""
    shape = tuple(int(n) for n in rng.integers(1, 4, 3))
    x = rng.standard_normal(shape)
    return Case("random", "", {"x": x}, Exact(), {"shape": (x.size,)}, dy=rng.standard_normal(x.size))

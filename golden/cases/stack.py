"""Golden cases of stacking along a new axis."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import stack as oracle

ALGORITHM = Algorithm("stack", oracle, (), reference="the inputs side by side")


def cases() -> list[Case]:
    return [
        Case(
            "vectors-become-columns",
            "Along the last axis, vectors stand side by side as columns.",
            {"x0": np.array([1.0, 2.0]), "x1": np.array([3.0, 4.0]), "x2": np.array([5.0, 6.0])},
            Exact(),
            {"axis": -1},
            dy=count((2, 3)),
            expected={
                "y": np.array([[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]),
                "dx0": np.array([0.0, 3.0]),
                "dx1": np.array([1.0, 4.0]),
                "dx2": np.array([2.0, 5.0]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "images-become-a-batch",
            "Along a new first axis.",
            {f"x{i}": dyadic(f"stack {i}", (3, 2, 2)) for i in range(2)},
            Exact(),
            {"axis": 0},
            dy=dyadic("stack dy", (2, 3, 2, 2)),
        ),
        Case(
            "numbers",
            "Numbers without axes become a vector.",
            {"x0": np.array(1.0), "x1": np.array(2.0)},
            Exact(),
            {"axis": 0},
            dy=np.array([3.0, 4.0]),
            expected={"y": np.array([1.0, 2.0]), "dx0": np.array(3.0), "dx1": np.array(4.0)},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "empty-arrays",
            "Two arrays without elements become one without elements, of length 2 along the new axis.",
            {"x0": np.zeros((0, 3)), "x1": np.zeros((0, 3))},
            Exact(),
            {"axis": 1},
            dy=np.zeros((0, 2, 3)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random arrays in float64 and a random axis."""
    axis = int(rng.integers(-3, 3))
    inputs = {f"x{i}": rng.standard_normal((2, 3)) for i in range(int(rng.integers(1, 4)))}
    dy = rng.standard_normal(np.stack(list(inputs.values()), axis).shape)
    return Case("random", "", inputs, Exact(), {"axis": axis}, dy=dy)

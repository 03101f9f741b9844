"""Golden cases of transpose."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import transpose as oracle

ALGORITHM = Algorithm("transpose", oracle, ("x",), reference="axis i of y is axis axes[i] of x")


def cases() -> list[Case]:
    return [
        Case(
            "rows-become-columns",
            "A matrix; the gradient turns back.",
            {"x": count((2, 3))},
            Exact(),
            {"axes": (1, 0)},
            dy=count((3, 2)),
            expected={
                "y": np.array([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]),
                "dx": np.array([[0.0, 2.0, 4.0], [1.0, 3.0, 5.0]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "three-axes-in-a-cycle",
            "A cycle is not its own inverse: the gradient needs the inverse permutation, (2, 0, 1).",
            {"x": count((2, 3, 4))},
            Exact(),
            {"axes": (1, 2, 0)},
            dy=dyadic("transpose dy", (3, 4, 2)),
        ),
        Case(
            "channels-last-to-first",
            "Images as they are read, N × H × W × C, to N × C × H × W.",
            {"x": dyadic("transpose x", (2, 3, 4, 3))},
            Exact(),
            {"axes": (0, 3, 1, 2)},
            dy=dyadic("transpose dx", (2, 3, 3, 4)),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random array in float64 and a random order of its axes."""
    shape, axes = tuple(int(n) for n in rng.integers(1, 5, 3)), tuple(int(a) for a in rng.permutation(3))
    dy = rng.standard_normal(tuple(shape[a] for a in axes))
    return Case("random", "", {"x": rng.standard_normal(shape)}, Exact(), {"axes": axes}, dy=dy)

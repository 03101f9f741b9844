"""Golden cases of padding."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import pad as oracle

ALGORITHM = Algorithm("pad", oracle, ("x",), reference="the borders of numpy.pad: constant, edge, reflect")


def cases() -> list[Case]:
    return [
        Case(
            "reflect-does-not-repeat-the-edge",
            "Before 1 2 3 stand 3 2, not 2 1; the gradient of a mirrored pixel adds to its own.",
            {"x": np.array([1.0, 2.0, 3.0])},
            Exact(),
            {"padding": ((2, 1),), "border": "reflect", "value": 0.0},
            dy=np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
            expected={
                "y": np.array([3.0, 2.0, 1.0, 2.0, 3.0, 2.0]),
                "dx": np.array([4.0, 42.0, 17.0]),  # 4; 2 + 8 + 32; 1 + 16
            },
            source="by hand",
            tags=("hand", "border", "dyadic"),
        ),
        Case(
            "edge-repeats",
            "The edge pixel is repeated outwards, and receives the gradient of every copy.",
            {"x": np.array([1.0, 2.0, 3.0])},
            Exact(),
            {"padding": ((2, 1),), "border": "edge", "value": 0.0},
            dy=np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
            expected={
                "y": np.array([1.0, 1.0, 1.0, 2.0, 3.0, 3.0]),
                "dx": np.array([7.0, 8.0, 48.0]),  # 1 + 2 + 4; 8; 16 + 32
            },
            source="by hand",
            tags=("hand", "border", "dyadic"),
        ),
        Case(
            "constant-on-four-different-sides",
            "Top 1, bottom 0, left 0, right 2, with the value −3; what is added has no gradient.",
            {"x": count((2, 3))},
            Exact(),
            {"padding": ((1, 0), (0, 2)), "border": "constant", "value": -3.0},
            dy=count((3, 5)),
            expected={
                "y": np.array(
                    [[-3.0, -3.0, -3.0, -3.0, -3.0], [0.0, 1.0, 2.0, -3.0, -3.0], [3.0, 4.0, 5.0, -3.0, -3.0]]
                ),
                "dx": np.array([[5.0, 6.0, 7.0], [10.0, 11.0, 12.0]]),
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "corners-reflect-along-both-axes",
            "A corner is mirrored along rows and columns.",
            {"x": dyadic("pad x", (1, 2, 3, 4))},
            Exact(),
            {"padding": ((0, 0), (0, 0), (2, 1), (1, 3)), "border": "reflect", "value": 0.0},
            dy=dyadic("pad dy", (1, 2, 6, 8)),
            tags=("border", "dyadic"),
        ),
        Case(
            "around-nothing",
            "A constant border can be put around no pixels at all.",
            {"x": np.zeros((0, 2))},
            Exact(),
            {"padding": ((1, 1), (0, 0)), "border": "constant", "value": 0.5},
            dy=np.ones((2, 2)),
            expected={"y": np.full((2, 2), 0.5), "dx": np.zeros((0, 2))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random image in float64 with a random border."""
    padding = tuple((int(a), int(b)) for a, b in rng.integers(0, 3, (2, 2)))
    params = {"padding": padding, "border": str(rng.choice(["constant", "edge", "reflect"])), "value": 0.5}
    dy = rng.standard_normal(tuple(n + sum(p) for n, p in zip((4, 5), padding, strict=True)))
    return Case("random", "", {"x": rng.standard_normal((4, 5))}, Bound(10), params, dy=dy)

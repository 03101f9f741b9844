"""Golden cases of broadcasting to a shape."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import broadcast_to as oracle

ALGORITHM = Algorithm("broadcast_to", oracle, ("x",), reference="y repeats x along axes of length 1")


def cases() -> list[Case]:
    return [
        Case(
            "new-axis-and-old",
            "A column is repeated along its axis of length 1 and along a new one in front; the gradient sums both.",
            {"x": np.array([[1.0], [2.0]])},
            Exact(),
            {"shape": (2, 2, 3)},
            dy=count((2, 2, 3)),
            expected={
                "y": np.array([[[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]], [[1.0, 1.0, 1.0], [2.0, 2.0, 2.0]]]),
                "dx": np.array([[24.0], [42.0]]),  # 0+1+2 + 6+7+8, 3+4+5 + 9+10+11
            },
            source="by hand",
            tags=("hand", "broadcast", "dyadic"),
        ),
        Case(
            "number",
            "A number fills a whole array; its gradient is the sum of all.",
            {"x": np.array(3.0)},
            Exact(),
            {"shape": (3, 4)},
            dy=dyadic("broadcast_to dy", (3, 4)),
            tags=("broadcast", "dyadic"),
        ),
        Case(
            "to-nothing",
            "An axis of length 1 repeated 0 times: the gradient is a sum of nothing, 0.",
            {"x": np.array([[5.0], [6.0]])},
            Exact(),
            {"shape": (2, 0)},
            dy=np.zeros((2, 0)),
            expected={"y": np.zeros((2, 0)), "dx": np.zeros((2, 1))},
            source="by hand",
            tags=("hand", "broadcast", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random column in float64 and a random number of repeats."""
    n, repeats = int(rng.integers(1, 5)), int(rng.integers(0, 5))
    params = {"shape": (2, n, repeats)}
    return Case(
        "random", "", {"x": rng.standard_normal((n, 1))}, Exact(), params, dy=rng.standard_normal(params["shape"])
    )

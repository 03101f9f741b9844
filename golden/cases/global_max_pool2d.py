"""Golden cases of global max pooling."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import distinct, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import global_max_pool2d as oracle

ALGORITHM = Algorithm(
    "global_max_pool2d", oracle, ("x",), ("y", "switches"), reference="Oquab et al. (2015), section 3"
)


def cases() -> list[Case]:
    return [
        Case(
            "two-planes",
            "The maximum of each plane and its place h · W + w; at a tie the first in row-major order.",
            {"x": np.array([[[[1.0, 2.0, 0.0], [9.0, 5.0, 9.0]], [[-1.0, -1.0, -2.0], [-3.0, -1.0, -4.0]]]])},
            Exact(),
            {"keepdims": False},
            dy=np.array([[10.0, 20.0]]),
            expected={
                "y": np.array([[9.0, -1.0]]),
                "switches": np.array([[3, 0]]),  # (1, 0) = 1·3 + 0; (0, 0)
                "dx": np.array([[[[0.0, 0.0, 0.0], [10.0, 0.0, 0.0]], [[20.0, 0.0, 0.0], [0.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "kept-axes",
            "With axes of length 1 left, in the values and in the switches.",
            {"x": distinct("gmp x", (2, 3, 4, 5))},
            Exact(),
            {"keepdims": True},
            dy=dyadic("gmp dy", (2, 3, 1, 1)),
        ),
        Case(
            "nan-wins",
            "The first NaN is the maximum; a plane of −∞ has its first pixel.",
            {"x": np.array([[[[np.inf, np.nan], [np.nan, 0.0]], [[-np.inf, -np.inf], [-np.inf, -np.inf]]]])},
            Exact(),
            {"keepdims": False},
            dy=np.array([[1.0, 2.0]]),
            expected={
                "y": np.array([[np.nan, -np.inf]]),
                "switches": np.array([[1, 0]]),
                "dx": np.array([[[[0.0, 1.0], [0.0, 0.0]], [[2.0, 0.0], [0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "nan", "inf", "tie"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "no-pixels",
            "A plane without pixels: −∞, and no place.",
            {"x": np.zeros((1, 2, 0, 3))},
            Exact(),
            {"keepdims": False},
            dy=np.ones((1, 2)),
            expected={"y": np.full((1, 2), -np.inf), "switches": np.full((1, 2), -1), "dx": np.zeros((1, 2, 0, 3))},
            source="by hand",
            tags=("hand", "empty", "inf"),
            status="optional",
            status_reason="many implementations refuse a plane without pixels",
        ),
        Case(
            "no-columns",
            "The same for a plane of three rows without columns.",
            {"x": np.zeros((1, 1, 3, 0))},
            Exact(),
            {"keepdims": False},
            dy=np.ones((1, 1)),
            expected={"y": np.full((1, 1), -np.inf), "switches": np.full((1, 1), -1), "dx": np.zeros((1, 1, 3, 0))},
            source="by hand",
            tags=("hand", "empty", "inf"),
            status="optional",
            status_reason="many implementations refuse a plane without pixels",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64."""
    keepdims = bool(rng.integers(2))
    dy = rng.standard_normal((2, 3, 1, 1) if keepdims else (2, 3))
    return Case("random", "", {"x": rng.standard_normal((2, 3, 5, 4))}, Exact(), {"keepdims": keepdims}, dy=dy)

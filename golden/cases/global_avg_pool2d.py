"""Golden cases of global average pooling."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import global_avg_pool2d as oracle

ALGORITHM = Algorithm("global_avg_pool2d", oracle, ("x",), reference="Lin, Chen & Yan (2014), section 3.2")


def cases() -> list[Case]:
    return [
        Case(
            "two-planes",
            "The mean of each plane; every pixel receives 1/HW of the gradient.",
            {"x": count((1, 2, 2, 2))},
            Exact(),
            {"keepdims": False},
            dy=np.array([[4.0, 8.0]]),
            expected={
                "y": np.array([[1.5, 5.5]]),  # (0 + 1 + 2 + 3)/4, (4 + 5 + 6 + 7)/4
                "dx": np.array([[[[1.0, 1.0], [1.0, 1.0]], [[2.0, 2.0], [2.0, 2.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "kept-axes",
            "With axes of length 1 left, ready for a 1 × 1 convolution.",
            {"x": dyadic("gap x", (2, 3, 4, 8))},
            Exact(),
            {"keepdims": True},
            dy=dyadic("gap dy", (2, 3, 1, 1)),
            tags=("dyadic",),
        ),
        Case(
            "seven-by-seven",
            "ResNet's last map: dividing by 49 rounds.",
            {"x": reals("gap rounded", (1, 4, 7, 7))},
            Bound(52),
            {"keepdims": False},
            dy=reals("gap rounded dy", (1, 4)),
        ),
        Case(
            "no-pixels",
            "A plane without pixels has no mean: 0/0 is NaN.",
            {"x": np.zeros((1, 2, 0, 3))},
            Exact(),
            {"keepdims": False},
            expected={"y": np.full((1, 2), np.nan)},
            source="by hand",
            tags=("hand", "empty", "nan"),
            status="optional",
            status_reason="many implementations refuse a plane without pixels",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64."""
    keepdims = bool(rng.integers(2))
    dy = rng.standard_normal((2, 3, 1, 1) if keepdims else (2, 3))
    return Case("random", "", {"x": rng.standard_normal((2, 3, 5, 4))}, Bound(24), {"keepdims": keepdims}, dy=dy)

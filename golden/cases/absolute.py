"""Golden cases of the absolute value."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import absolute as oracle

ALGORITHM = Algorithm("absolute", oracle, ("x",), reference="y = |x|; gradient 0 at 0")


def cases() -> list[Case]:
    return [
        Case(
            "gradient-is-zero-at-zero",
            "The kink: the gradient is dy · sign x, which is 0 at +0 and −0.",
            {"x": np.array([1.5, -2.0, 0.0, -0.0])},
            Exact(),
            dy=np.array([1.0, 2.0, 3.0, 4.0]),
            expected={"y": np.array([1.5, 2.0, 0.0, 0.0]), "dx": np.array([1.0, -2.0, 0.0, 0.0])},
            source="by hand",
            tags=("hand", "kink"),
        ),
        Case(
            "infinities-and-nan",
            "|−∞| = ∞; a NaN stays one.",
            {"x": np.array([np.inf, -np.inf, np.nan])},
            Exact(),
            expected={"y": np.array([np.inf, np.inf, np.nan])},
            source="by hand",
            tags=("hand", "inf", "nan"),
        ),
        Case(
            "both-signs",
            "Nothing is rounded.",
            {"x": reals("absolute x", (3, 5))},
            Exact(),
            dy=reals("absolute dy", (3, 5)),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, Exact())

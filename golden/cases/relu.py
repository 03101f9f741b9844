"""Golden cases of the rectified linear unit."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import relu as oracle

ALGORITHM = Algorithm(
    "relu", oracle, ("x",), reference="Krizhevsky, Sutskever & Hinton (2012), section 3.1; gradient 0 at 0"
)


def cases() -> list[Case]:
    return [
        Case(
            "gradient-is-zero-at-zero",
            "The kink: at x = 0 the gradient is 0; some code has x ≥ 0 and gives 1.",
            {"x": np.array([-1.0, 0.0, -0.0, 2.0, 2.0**-100])},
            Exact(),
            dy=np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
            expected={"y": np.array([0.0, 0.0, 0.0, 2.0, 2.0**-100]), "dx": np.array([0.0, 0.0, 0.0, 4.0, 5.0])},
            source="by hand",
            tags=("hand", "kink"),
        ),
        Case(
            "nan-stays",
            "A NaN is not replaced by 0: a network that has diverged shows it.",
            {"x": np.array([np.nan, np.inf, -np.inf])},
            Exact(),
            expected={"y": np.array([np.nan, np.inf, 0.0])},
            source="by hand",
            tags=("hand", "nan", "inf"),
            status="optional",
            status_reason="max(0, x) is 0 for a NaN in several languages",
        ),
        Case(
            "image",
            "A small map of both signs.",
            {"x": reals("relu x", (2, 3, 4, 4))},
            Exact(),
            dy=reals("relu dy", (2, 3, 4, 4)),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, Exact())

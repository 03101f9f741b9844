"""Golden cases of negation."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import negative as oracle

ALGORITHM = Algorithm("negative", oracle, ("x",), reference="y = −x")


def cases() -> list[Case]:
    return [
        Case(
            "signs",
            "Every sign turns, of zeros and infinities too; a NaN stays one.",
            {"x": np.array([1.5, -2.0, 0.0, -0.0, np.inf, -np.inf, np.nan])},
            Exact(),
            dy=np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]),
            expected={
                "y": np.array([-1.5, 2.0, 0.0, 0.0, -np.inf, np.inf, np.nan]),
                "dx": np.array([-1.0, -2.0, -3.0, -4.0, -5.0, -6.0, -7.0]),
            },
            source="by hand",
            tags=("hand", "inf", "nan"),
        ),
        Case(
            "nothing-is-rounded",
            "Numbers that use all 24 bits come back with the sign turned.",
            {"x": reals("negative x", (3, 5))},
            Exact(),
            dy=reals("negative dy", (3, 5)),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, Exact())

"""Golden cases of the square root."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import sqrt as oracle

ALGORITHM = Algorithm("sqrt", oracle, ("x",), reference="y = √x")


ACCURATE = Ulp(4, 0.0)  # IEEE 754 rounds it correctly; its reciprocal in hardware does not


def cases() -> list[Case]:
    return [
        Case(
            "squares",
            "Roots of 0, 1, 4, ¼ and 16; the gradient is dy / 2√x, which at 0 is +∞.",
            {"x": np.array([0.0, 1.0, 4.0, 0.25, 16.0])},
            Exact(),
            dy=np.array([1.0, 1.0, 2.0, 1.0, -1.0]),
            expected={
                "y": np.array([0.0, 1.0, 2.0, 0.5, 4.0]),
                "dx": np.array([np.inf, 0.5, 0.5, 1.0, -0.125]),  # 1/0, 1/2, 2/4, 1/1, −1/8
            },
            source="by hand",
            tags=("hand", "dyadic", "kink", "inf"),
        ),
        Case(
            "ordinary-numbers",
            "Roots that round.",
            {"x": reals("sqrt x", (24,), 0.01, 100)},
            ACCURATE,
            dy=reals("sqrt dy", (24,)),
        ),
        Case(
            "edge-of-the-domain",
            "The root of −0 is −0, of a negative number NaN, of ∞ ∞.",
            {"x": np.array([-0.0, -1.0, np.inf, np.nan])},
            Exact(),
            expected={"y": np.array([0.0, np.nan, np.inf, np.nan])},
            source="by hand (IEEE 754)",
            tags=("hand", "inf", "nan"),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random positive operand in float64."""
    return random_unary(rng, ACCURATE, 0.1, 5.0)

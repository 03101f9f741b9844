"""Golden cases of the natural logarithm."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import log as oracle

ALGORITHM = Algorithm("log", oracle, ("x",), reference="y = ln x")


ACCURATE = Ulp(8, 2.0**-23)  # near x = 1 the logarithm is near 0, and its error is that of 1


def cases() -> list[Case]:
    return [
        Case(
            "known-values",
            "ln 1 = 0, ln 2, ln ½ = −ln 2, ln 10; the gradient is dy / x.",
            {"x": np.array([1.0, 2.0, 0.5, 10.0])},
            ACCURATE,
            dy=np.array([3.0, 3.0, 3.0, 5.0]),
            expected={
                "y": np.array([0.0, 0.6931471805599453, -0.6931471805599453, 2.302585092994046]),
                "dx": np.array([3.0, 1.5, 6.0, 0.5]),  # 3/1, 3/2, 3/½, 5/10
            },
            source="by hand (tables of logarithms)",
            tags=("hand",),
        ),
        Case(
            "positive-numbers",
            "Arguments of ordinary size.",
            {"x": reals("log x", (24,), 0.01, 100)},
            ACCURATE,
            dy=reals("log dy", (24,)),
        ),
        Case(
            "edge-of-the-domain",
            "ln 0 = −∞, ln of a negative number is NaN, ln ∞ = ∞.",
            {"x": np.array([0.0, -0.0, -1.0, np.inf, np.nan])},
            Exact(),
            expected={"y": np.array([-np.inf, -np.inf, np.nan, np.inf, np.nan])},
            source="by hand (IEEE 754)",
            tags=("hand", "inf", "nan"),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random positive operand in float64."""
    return random_unary(rng, ACCURATE, 0.1, 5.0)

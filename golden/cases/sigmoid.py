"""Golden cases of the logistic function."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import sigmoid as oracle

ALGORITHM = Algorithm("sigmoid", oracle, ("x",), reference="y = 1 / (1 + e⁻ˣ)")


# For large |x| the gradient y (1 − y) cancels: its absolute error is that of y, 2⁻²⁴.
ACCURATE = {"y": Ulp(16, 2.0**-126), "dx": Ulp(16, 2.0**-22)}


def cases() -> list[Case]:
    return [
        Case(
            "known-values",
            "σ(0) = ½ with slope ¼, σ(1) and σ(−1) = 1 − σ(1), slope σ(1) σ(−1).",
            {"x": np.array([0.0, 1.0, -1.0])},
            ACCURATE,
            dy=np.array([4.0, 1.0, 1.0]),
            expected={
                "y": np.array([0.5, 0.7310585786300049, 0.2689414213699951]),
                "dx": np.array([1.0, 0.19661193324148185, 0.19661193324148185]),
            },
            source="by hand (1 / (1 + 1/e), to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "ordinary-numbers",
            "Both signs.",
            {"x": reals("sigmoid x", (24,), -8, 8)},
            ACCURATE,
            dy=reals("sigmoid dy", (24,)),
        ),
        Case(
            "saturation",
            "Far out the value is 0 or 1 with gradient 0, and e^1000 must not turn it into NaN.",
            {"x": np.array([1000.0, -1000.0, 100.0, -50.0, np.inf, -np.inf])},
            ACCURATE,
            dy=np.ones(6),
            tags=("overflow", "inf"),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, Ulp(64, 1e-6))

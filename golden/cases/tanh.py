"""Golden cases of the hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import tanh as oracle

ALGORITHM = Algorithm("tanh", oracle, ("x",), reference="y = tanh x")


# For large |x| the gradient 1 − y² cancels: its absolute error is that of y, some 2⁻²⁴.
ACCURATE = {"y": Ulp(16, 2.0**-126), "dx": Ulp(16, 2.0**-22)}


def cases() -> list[Case]:
    return [
        Case(
            "known-values",
            "tanh 0 = 0 with slope 1; tanh 1 = (e² − 1)/(e² + 1) with slope 1 − tanh² 1; an odd function.",
            {"x": np.array([0.0, 1.0, -1.0])},
            ACCURATE,
            dy=np.array([3.0, 1.0, 1.0]),
            expected={
                "y": np.array([0.0, 0.7615941559557649, -0.7615941559557649]),
                "dx": np.array([3.0, 0.4199743416140261, 0.4199743416140261]),
            },
            source="by hand ((e² − 1)/(e² + 1), to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "ordinary-numbers",
            "Both signs.",
            {"x": reals("tanh x", (24,), -4, 4)},
            ACCURATE,
            dy=reals("tanh dy", (24,)),
        ),
        Case(
            "near-zero",
            "tanh x is x for tiny x; (e²ˣ − 1)/(e²ˣ + 1) written down as such loses all digits.",
            {"x": np.array([2.0**-20, -(2.0**-12), 2.0**-60])},
            ACCURATE,
            dy=np.ones(3),
        ),
        Case(
            "saturation",
            "Far out it is ±1 with gradient 0; e^1000 must not turn it into NaN.",
            {"x": np.array([1000.0, -1000.0, 50.0, np.inf, -np.inf])},
            ACCURATE,
            dy=np.ones(5),
            expected={"y": np.array([1.0, -1.0, 1.0, 1.0, -1.0])},
            source="by hand",
            tags=("hand", "overflow", "inf"),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, Ulp(64, 1e-6))

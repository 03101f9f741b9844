"""Golden cases of the exponential."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import empty_unary, random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import exp as oracle

ALGORITHM = Algorithm("exp", oracle, ("x",), reference="y = eˣ")


ACCURATE = Ulp(8, 2.0**-126)  # math libraries promise 1 to 4 ulp; numbers below the normal range may be flushed to 0


def cases() -> list[Case]:
    return [
        Case(
            "known-values",
            "e⁰ = 1, e, 1/e and √e to all digits of float32; the gradient is dy · eˣ.",
            {"x": np.array([0.0, 1.0, -1.0, 0.5])},
            ACCURATE,
            dy=np.array([1.0, 2.0, 1.0, -4.0]),
            expected={
                "y": np.array([1.0, 2.718281828459045, 0.36787944117144233, 1.6487212707001282]),
                "dx": np.array([1.0, 5.43656365691809, 0.36787944117144233, -6.594885082800513]),
            },
            source="by hand (tables of e)",
            tags=("hand",),
        ),
        Case(
            "both-signs",
            "Arguments of ordinary size.",
            {"x": reals("exp x", (24,), -10, 10)},
            ACCURATE,
            dy=reals("exp dy", (24,)),
        ),
        Case(
            "range",
            "e⁸⁹ is beyond the largest float32 and gives ∞; e⁻¹⁰⁴ is below the smallest and gives 0, as does e^−∞.",
            {"x": np.array([88.0, 89.0, -87.0, -104.0, np.inf, -np.inf, np.nan])},
            {"y": ACCURATE},
            tags=("overflow", "inf", "nan"),
        ),
        empty_unary(Exact()),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    return random_unary(rng, ACCURATE)

"""Golden cases of a constant power."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import power as oracle

ALGORITHM = Algorithm("power", oracle, ("x",), reference="y = xᵖ; for p = 0 the gradient is 0 everywhere")


ACCURATE = Ulp(32, 2.0**-126)  # a power computed as exp(p ln x) loses some bits to the size of p ln x


def cases() -> list[Case]:
    return [
        Case(
            "squares",
            "Negative bases have integer powers; the gradient is dy · 2x, and 0 at 0.",
            {"x": np.array([3.0, -2.0, 0.0, 0.5])},
            ACCURATE,
            {"exponent": 2.0},
            dy=np.array([1.0, 10.0, 5.0, -1.0]),
            expected={
                "y": np.array([9.0, 4.0, 0.0, 0.25]),
                "dx": np.array([6.0, -40.0, 0.0, -1.0]),  # 1·6, 10·−4, 5·0, −1·1
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "exponent-zero",
            "x⁰ is 1 everywhere, 0⁰ and NaN⁰ included; its gradient is 0 everywhere, not 0 · x⁻¹, which is NaN at 0.",
            {"x": np.array([2.0, 0.0, -3.0, np.inf, np.nan])},
            Exact(),
            {"exponent": 0.0},
            dy=np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
            expected={"y": np.ones(5), "dx": np.zeros(5)},
            source="by hand (IEEE 754 pow)",
            tags=("hand", "kink", "nan", "inf"),
        ),
        Case(
            "negative-exponent-at-zero",
            "0⁻¹ = ∞, and its gradient −x⁻² is −∞.",
            {"x": np.array([0.0, 2.0, -4.0])},
            ACCURATE,
            {"exponent": -1.0},
            dy=np.array([1.0, 1.0, 16.0]),
            expected={"y": np.array([np.inf, 0.5, -0.25]), "dx": np.array([-np.inf, -0.25, -1.0])},
            source="by hand",
            tags=("hand", "inf"),
        ),
        Case(
            "fractional-exponent",
            "The −¾ of local response normalisation.",
            {"x": reals("power x", (16,), 0.25, 8)},
            ACCURATE,
            {"exponent": -0.75},
            dy=reals("power dy", (16,)),
        ),
        Case(
            "fraction-of-a-negative-number",
            "It has no real value: NaN.",
            {"x": np.array([-1.0, -0.25, 0.0])},
            Exact(),
            {"exponent": 0.5},
            expected={"y": np.array([np.nan, np.nan, 0.0])},
            source="by hand",
            tags=("hand", "nan"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random positive operand in float64 and a random exponent."""
    case = random_unary(rng, ACCURATE, 0.25, 4.0)
    return Case(
        "random", "", case.inputs, ACCURATE, {"exponent": float(rng.choice([-0.75, 0.5, 2.0, 3.0]))}, dy=case.dy
    )

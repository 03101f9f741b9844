"""Golden cases of division."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import broadcasting, empty_binary, random_binary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import divide as oracle

ALGORITHM = Algorithm("divide", oracle, ("x", "y"), ("z",), "z = x / y; broadcasting as in NumPy")


def cases() -> list[Case]:
    return [
        Case(
            "by-powers-of-two",
            "Division by powers of two is exact, and so are its gradients 1/y and −x/y².",
            {"x": np.array([[1.0], [3.0]]), "y": np.array([2.0, -4.0])},
            Exact(),
            dy=np.array([[1.0, 2.0], [3.0, 4.0]]),
            expected={
                "z": np.array([[0.5, -0.25], [1.5, -0.75]]),
                "dx": np.array([[0.0], [0.5]]),  # 1/2 + 2/−4, 3/2 + 4/−4
                # −(1·1 + 3·3)/2², −(2·1 + 4·3)/4²
                "dy": np.array([-2.5, -0.875]),
            },
            source="by hand",
            tags=("hand", "dyadic", "broadcast"),
        ),
        broadcasting(y=np.array([[1.0], [-2.0], [0.5], [4.0]])),
        empty_binary(),
        Case(
            "quotients-that-round",
            "IEEE 754 rounds a quotient correctly; hardware that multiplies by a reciprocal is off by an ulp or two.",
            {"x": reals("divide x", (12,)), "y": reals("divide y", (12,), 0.5, 2.0)},
            Ulp(4, 0.0),
            dy=reals("divide dz", (12,)),
        ),
        Case(
            "zero-divisors",
            "x/0 is an infinity of the sign of x · 0, and 0/0 and ∞/∞ are NaN.",
            {"x": np.array([1.0, -1.0, 1.0, 0.0, np.inf]), "y": np.array([0.0, 0.0, -0.0, 0.0, np.inf])},
            Exact(),
            expected={"z": np.array([np.inf, -np.inf, -np.inf, np.nan, np.nan])},
            source="by hand (IEEE 754)",
            tags=("hand", "nan", "inf"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random operands in float64, the divisor away from 0."""
    return random_binary(rng, Ulp(64, 1e-6), 0.5, 3.0)

"""Golden cases of the rounding of one float type to another."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import cast as oracle

ALGORITHM = Algorithm("cast", oracle, ("x",), reference="IEEE 754, roundTiesToEven")


def cases() -> list[Case]:
    return [
        Case(
            "ties-to-even",
            "Between 1 and the next float32 the middle goes to 1, whose last bit is 0; above the next one it goes up.",
            {"x": np.array([1 + 2.0**-24, 1 + 3 * 2.0**-24, 1 + 2.0**-24 + 2.0**-50, -(1 + 2.0**-24)])},
            Exact(),
            {"dtype": "float32"},
            dy=np.array([1.0, 2.0, 3.0, 4.0]),
            expected={
                "y": np.array([1.0, 1 + 2.0**-22, 1 + 2.0**-23, -1.0]),
                "dx": np.array([1.0, 2.0, 3.0, 4.0]),
            },
            source="by hand (IEEE 754)",
            tags=("hand", "rounding", "tie"),
            dtypes={"x": "float64", "dx": "float64"},
        ),
        Case(
            "range-of-float32",
            "Beyond the largest float32 lies ∞; small numbers keep fewer and fewer bits, and then become 0.",
            {"x": np.array([1e39, -1e39, 2.0**128 - 2.0**103, 2.0**-149, 2.0**-150, 1.5 * 2.0**-149, np.nan, np.inf])},
            Exact(),
            {"dtype": "float32"},
            expected={
                # the fourth is the smallest float32, the fifth half of it (a tie, to 0), the sixth a tie too (to 2)
                "y": np.array([np.inf, -np.inf, np.inf, 2.0**-149, 0.0, 2.0**-148, np.nan, np.inf]),
            },
            source="by hand (IEEE 754)",
            tags=("hand", "rounding", "overflow", "inf", "nan"),
            dtypes={"x": "float64"},
        ),
        Case(
            "widening-is-exact",
            "Every float32 is a float64; the gradient is rounded on its way back.",
            {"x": reals("cast x", (3, 4))},
            {"y": Exact(), "dx": Ulp(1, 0.0)},
            {"dtype": "float64"},
            dy=np.full((3, 4), 1 + 2.0**-24),
            expected={"y": reals("cast x", (3, 4)), "dx": np.ones((3, 4))},
            source="by hand",
            tags=("hand", "rounding"),
            dtypes={"y": "float64", "dy": "float64"},
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    case = random_unary(rng, Exact())
    return Case("random", "", case.inputs, Exact(), {"dtype": "float64"}, dy=case.dy)

"""Golden cases of the leaky rectified linear unit."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import random_unary
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import leaky_relu as oracle

ALGORITHM = Algorithm(
    "leaky_relu", oracle, ("x",), reference="Maas, Hannun & Ng (2013), section 2; gradient negative_slope at 0"
)


def cases() -> list[Case]:
    return [
        Case(
            "slope-at-zero",
            "The kink: at x = 0 the gradient is the negative slope, not 1 and not 0.",
            {"x": np.array([-2.0, 0.0, -0.0, 2.0])},
            Exact(),
            {"negative_slope": 0.25},
            dy=np.array([1.0, 2.0, 4.0, 8.0]),
            expected={"y": np.array([-0.5, 0.0, 0.0, 2.0]), "dx": np.array([0.25, 0.5, 1.0, 8.0])},
            source="by hand",
            tags=("hand", "kink", "dyadic"),
        ),
        Case(
            "slope-that-rounds",
            "The slope 0.1 of YOLO is not a float32; whoever rounds it first is off by an ulp.",
            {"x": reals("leaky x", (2, 3, 4, 4))},
            Ulp(4, 0.0),
            {"negative_slope": 0.1},
            dy=reals("leaky dy", (2, 3, 4, 4)),
        ),
        Case(
            "nan-and-infinities",
            "A NaN stays one; −∞ keeps its sign.",
            {"x": np.array([np.nan, np.inf, -np.inf])},
            Exact(),
            {"negative_slope": 0.25},
            expected={"y": np.array([np.nan, np.inf, -np.inf])},
            source="by hand",
            tags=("hand", "nan", "inf"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random operand in float64."""
    case = random_unary(rng, Ulp(4, 0.0))
    return Case("random", "", case.inputs, Ulp(4, 0.0), {"negative_slope": float(rng.uniform(0, 0.5))}, dy=case.dy)

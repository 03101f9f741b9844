"""Golden cases of addition."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import broadcasting, empty_binary, random_binary
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import add as oracle

ALGORITHM = Algorithm("add", oracle, ("x", "y"), ("z",), "z = x + y; broadcasting as in NumPy")


def cases() -> list[Case]:
    return [
        Case(
            "row-plus-column",
            "A column and a row make a table of sums; the gradients are its row sums and its column sums.",
            {"x": np.array([[1.0], [2.0]]), "y": np.array([10.0, 20.0, 30.0])},
            Exact(),
            dy=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            expected={
                "z": np.array([[11.0, 21.0, 31.0], [12.0, 22.0, 32.0]]),
                "dx": np.array([[6.0], [15.0]]),  # 1 + 2 + 3, 4 + 5 + 6
                "dy": np.array([5.0, 7.0, 9.0]),  # 1 + 4, 2 + 5, 3 + 6
            },
            source="by hand",
            tags=("hand", "dyadic", "broadcast"),
        ),
        broadcasting(),
        empty_binary(),
        Case(
            "all-24-bits",
            "2²³ + 1 needs every bit of a float32; the shorter formats that matrix units offer lose the 1.",
            {"x": np.array([2.0**23, 2.0**23]), "y": np.array([1.0, 3.0])},
            Exact(),
            expected={"z": np.array([2.0**23 + 1, 2.0**23 + 3])},
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "infinities",
            "Infinities of one sign add up, of both signs give NaN, and NaN stays.",
            {"x": np.array([np.inf, np.inf, np.nan, -np.inf]), "y": np.array([np.inf, -np.inf, 1.0, 1.0])},
            Exact(),
            expected={"z": np.array([np.inf, np.nan, np.nan, -np.inf])},
            source="by hand",
            tags=("hand", "nan", "inf"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random operands in float64."""
    return random_binary(rng, Ulp(64, 1e-6))

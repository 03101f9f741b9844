"""Golden cases of subtraction."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import broadcasting, empty_binary, random_binary
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import subtract as oracle

ALGORITHM = Algorithm("subtract", oracle, ("x", "y"), ("z",), "z = x − y; broadcasting as in NumPy")


def cases() -> list[Case]:
    return [
        Case(
            "column-minus-row",
            "The gradient of what is subtracted is minus the column sums.",
            {"x": np.array([[1.0], [2.0]]), "y": np.array([10.0, 20.0, 30.0])},
            Exact(),
            dy=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            expected={
                "z": np.array([[-9.0, -19.0, -29.0], [-8.0, -18.0, -28.0]]),
                "dx": np.array([[6.0], [15.0]]),  # 1 + 2 + 3, 4 + 5 + 6
                "dy": np.array([-5.0, -7.0, -9.0]),  # −(1 + 4), −(2 + 5), −(3 + 6)
            },
            source="by hand",
            tags=("hand", "dyadic", "broadcast"),
        ),
        broadcasting(),
        empty_binary(),
        Case(
            "cancellation-is-exact",
            "Floats within a factor of two subtract without rounding, down to the smallest gap.",
            {"x": np.array([1.0, 1.0 + 2.0**-23]), "y": np.array([1.0 - 2.0**-24, 1.0])},
            Exact(),
            expected={"z": np.array([2.0**-24, 2.0**-23])},
            source="by hand (Sterbenz's lemma)",
            tags=("hand",),
        ),
        Case(
            "infinities",
            "Equal infinities give NaN.",
            {"x": np.array([np.inf, np.inf, np.nan]), "y": np.array([np.inf, -np.inf, 1.0])},
            Exact(),
            expected={"z": np.array([np.nan, np.inf, np.nan])},
            source="by hand",
            tags=("hand", "nan", "inf"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random operands in float64."""
    return random_binary(rng, Ulp(64, 1e-6))

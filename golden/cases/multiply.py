"""Golden cases of multiplication."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import broadcasting, empty_binary, random_binary
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import multiply as oracle

ALGORITHM = Algorithm("multiply", oracle, ("x", "y"), ("z",), "z = x · y; broadcasting as in NumPy")


def cases() -> list[Case]:
    return [
        Case(
            "column-times-row",
            "The gradient of each factor is the other factor, summed over the repeats.",
            {"x": np.array([[1.0], [2.0]]), "y": np.array([10.0, 20.0, 30.0])},
            Exact(),
            dy=np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]),
            expected={
                "z": np.array([[10.0, 20.0, 30.0], [20.0, 40.0, 60.0]]),
                "dx": np.array([[140.0], [320.0]]),  # 1·10 + 2·20 + 3·30, 4·10 + 5·20 + 6·30
                "dy": np.array([9.0, 12.0, 15.0]),  # 1·1 + 4·2, 2·1 + 5·2, 3·1 + 6·2
            },
            source="by hand",
            tags=("hand", "dyadic", "broadcast"),
        ),
        broadcasting(unit=0.25),
        empty_binary(),
        Case(
            "zero-times-infinity",
            "0 · ∞ is NaN.",
            {"x": np.array([0.0, -np.inf, np.nan]), "y": np.array([np.inf, 2.0, 0.0])},
            Exact(),
            expected={"z": np.array([np.nan, -np.inf, np.nan])},
            source="by hand",
            tags=("hand", "nan", "inf"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random operands in float64."""
    return random_binary(rng, Ulp(64, 1e-6))

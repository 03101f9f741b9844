"""Golden cases of the elementwise maximum."""

from __future__ import annotations

import numpy as np

from golden.cases._elementwise import broadcasting, empty_binary, random_binary
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import maximum as oracle

ALGORITHM = Algorithm("maximum", oracle, ("x", "y"), ("z",), "z = x if x ≥ y, else y; NaN propagates")


def cases() -> list[Case]:
    return [
        Case(
            "tie-goes-to-the-first",
            "The gradient goes to the larger operand, and at a tie, all of it, to x; some libraries halve it.",
            {"x": np.array([1.0, 2.0, 3.0]), "y": np.array([2.0, 2.0, 2.0])},
            Exact(),
            dy=np.array([10.0, 20.0, 30.0]),
            expected={
                "z": np.array([2.0, 2.0, 3.0]),
                "dx": np.array([0.0, 20.0, 30.0]),
                "dy": np.array([10.0, 0.0, 0.0]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        broadcasting(),
        empty_binary(),
        Case(
            "nan-propagates",
            "A NaN on either side is the result; x takes the gradient if it is NaN, else y.",
            {"x": np.array([np.nan, 1.0, np.nan, np.inf]), "y": np.array([1.0, np.nan, np.nan, -np.inf])},
            Exact(),
            dy=np.array([1.0, 2.0, 4.0, 8.0]),
            expected={
                "z": np.array([np.nan, np.nan, np.nan, np.inf]),
                "dx": np.array([1.0, 0.0, 4.0, 8.0]),
                "dy": np.array([0.0, 2.0, 0.0, 0.0]),
            },
            source="by hand",
            tags=("hand", "nan", "inf"),
            status="optional",
            status_reason="IEEE 754 has two kinds of maximum: one propagates a NaN, the other ignores it",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random operands in float64."""
    return random_binary(rng, Exact())

"""Golden cases of unary potentials from probabilities."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import unary_from_probabilities as oracle

ALGORITHM = Algorithm(
    "unary_from_probabilities",
    oracle,
    ("probabilities",),
    ("unary",),
    reference="deck 004, Unary models",
)
ACCURATE = Ulp(4, 2.0**-30)  # math libraries promise 1 to 2 ulp of the logarithm; the floor is rounded besides
LN2 = 0.6931471805599453


def cases() -> list[Case]:
    """Return the cases."""
    return [
        Case(
            "known-values",
            "−log 1 = 0, and a half, a quarter, an eighth cost ln 2, 2 ln 2, 3 ln 2: the natural logarithm.",
            {"probabilities": np.array([[1.0, 0.5], [0.25, 0.125]])},
            ACCURATE,
            {"floor": 1e-5},
            expected={"unary": np.array([[0.0, LN2], [2 * LN2, 3 * LN2]])},
            source="by hand (tables of ln 2)",
            tags=("hand",),
        ),
        Case(
            "floor",
            "Whatever is below 2⁻⁴ costs 4 ln 2, 0 included, and 2⁻⁴ itself too.",
            {"probabilities": np.array([[0.0, 2.0**-20, 2.0**-4, 2.0**-3]])},
            ACCURATE,
            {"floor": 2.0**-4},
            expected={"unary": np.array([[4 * LN2, 4 * LN2, 4 * LN2, 3 * LN2]])},
            source="by hand (tables of ln 2)",
            tags=("hand", "tie"),
        ),
        Case(
            "certainty-of-the-opposite",
            "p = 0 costs −log 10⁻⁵ = 5 ln 10 at the usual floor.",
            {"probabilities": np.array([[0.0, 1.0]])},
            ACCURATE,
            {"floor": 1e-5},
            expected={"unary": np.array([[11.512925464970229, 0.0]])},
            source="by hand (tables of ln 10)",
            tags=("hand",),
        ),
        Case(
            "a-little-above-one",
            "What rounding has brought above 1 costs 0, not less.",
            {"probabilities": np.array([[1 + 2.0**-23]])},
            Exact(),
            {"floor": 1e-5},
            expected={"unary": np.zeros((1, 1))},
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "rows-need-not-add-up-to-one",
            "Nothing is normalised.",
            {"probabilities": np.array([[0.5, 0.5, 0.5]])},
            ACCURATE,
            {"floor": 1e-5},
            expected={"unary": np.array([[LN2, LN2, LN2]])},
            source="by hand (tables of ln 2)",
            tags=("hand",),
        ),
        Case(
            "all-sizes",
            "Five points with 21 labels.",
            {"probabilities": reals("unary p", (5, 21), 0, 1)},
            ACCURATE,
            {"floor": 1e-5},
        ),
        Case(
            "nan",
            "What is no number stays none.",
            {"probabilities": np.array([[np.nan, 0.5]])},
            ACCURATE,
            {"floor": 1e-5},
            tags=("nan",),
            status="optional",
            status_reason="probabilities are finite; minima and maxima of some libraries drop NaN",
        ),
        Case(
            "no-points",
            "Nothing in, nothing out.",
            {"probabilities": np.zeros((0, 3))},
            Exact(),
            {"floor": 1e-5},
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random probabilities in float64."""
    return Case(
        "random",
        "",
        {"probabilities": rng.random((int(rng.integers(0, 5)), 4))},
        ACCURATE,
        {"floor": float(rng.choice([1e-5, 0.25]))},
    )

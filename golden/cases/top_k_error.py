"""Golden cases of the top-k error."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic, integers
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import top_k_error as oracle

ALGORITHM = Algorithm(
    "top_k_error",
    oracle,
    ("scores", "labels"),
    ("error",),
    reference="deck 003; Russakovsky et al. (2015), section 4.1",
)


def by_hand(
    name: str,
    why: str,
    scores: list[list[float]],
    labels: list[int],
    k: int,
    error: float,
    *tags: str,
    optional: str = "",
) -> Case:
    """Return a case of a few examples whose error is a dyadic number."""
    return Case(
        name,
        why,
        {"scores": np.array(scores, np.float64), "labels": np.array(labels, np.int64)},
        Exact(),
        {"k": k},
        expected={"error": np.array(error)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    ranked = [[0.5, 0.25, 0.125, 0.0625]] * 4
    return [
        by_hand("first-guess", "Only class 0 is the first guess.", ranked, [0, 1, 2, 3], 1, 0.75),
        by_hand("second-guess", "Classes 0 and 1 are among the first two.", ranked, [0, 1, 2, 3], 2, 0.5),
        by_hand("k-of-all-classes", "Every class is among the best four.", ranked, [0, 1, 2, 3], 4, 0.0),
        by_hand("k-beyond-the-classes", "There are not more than four guesses.", ranked, [3, 3, 3, 3], 5, 0.0),
        by_hand(
            "ties-lowest-class-first",
            "Four equal scores: the guesses are 0 and 1, so that of these labels only 3 is wrong. Highest class first "
            "has the error 3/4, and the rule that fewer than k scores exceed the label's own 0.",
            [[0.25] * 4] * 4,
            [0, 0, 1, 3],
            2,
            0.25,
            "tie",
            "convention",
        ),
        by_hand(
            "nan-last",
            "Behind −∞, of several in the order of the classes: the guesses are 1 and 0, and 2 is wrong. NaN first has "
            "the error 1/2; NaN last, the highest class first, 3/8; a NaN that is found, as nothing exceeds it, 0.",
            [[nan, -inf, nan]] * 8,
            [1, 1, 1, 1, 0, 0, 0, 2],
            2,
            0.125,
            "nan",
            "inf",
            optional="most implementations assume finite scores",
        ),
        Case(
            "no-examples",
            "A mean over nothing, 0/0.",
            {"scores": np.zeros((0, 3)), "labels": np.zeros(0, np.int64)},
            Exact(),
            {"k": 1},
            expected={"error": np.array(nan)},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
        Case(
            "five-of-twenty",
            "The error of ImageNet's tables, with ties at the border of the five.",
            {"scores": dyadic("top-5", (60, 20), 0, 12, 1 / 16), "labels": integers("top-5 labels", (60,), 0, 19)},
            Ulp(1, 0.0),
            {"k": 5},
            tags=("tie",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random scores in float64."""
    inputs = {"scores": rng.standard_normal((16, 6)), "labels": rng.integers(0, 6, 16)}
    return Case("random", "", inputs, Exact(), {"k": int(rng.integers(1, 6))})

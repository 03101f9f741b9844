"""Golden cases of precision and recall."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Ulp
from tests.oracles import precision_recall as oracle

ALGORITHM = Algorithm(
    "precision_recall",
    oracle,
    ("verdicts",),
    ("precision", "recall"),
    reference="deck 001; Everingham et al. (2010), section 4.2.1",
)
ONE_DIVISION = Ulp(1, 0.0)


def by_hand(
    name: str,
    why: str,
    verdicts: Sequence[int],
    n_positive: int,
    precision: Sequence[float],
    recall: Sequence[float],
    *,
    tags: tuple[str, ...] = (),
    source: str = "by hand",
) -> Case:
    """Return a case of a few detections."""
    return Case(
        name,
        why,
        {"verdicts": np.array(verdicts, np.int64)},
        ONE_DIVISION,
        {"n_positive": n_positive},
        expected={"precision": np.array(precision, np.float64), "recall": np.array(recall, np.float64)},
        source=source,
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    return [
        by_hand(
            "three-pretzels",
            "Points 1, 4 and 5 are printed in the deck: (1/1, 1/3), (2/4, 2/3), (3/5, 3/3). The order of the second "
            "to fourth is not; here the second is right.",
            [1, 1, 0, 0, 1],
            3,
            [1, 1, 2 / 3, 2 / 4, 3 / 5],
            [1 / 3, 2 / 3, 2 / 3, 2 / 3, 1],
            tags=("deck",),
            source="deck 001, and by hand",
        ),
        by_hand(
            "ignored-detections-have-no-point",
            "Two difficult objects are found, one of them first: three points are left, and no 0/0.",
            [-1, 1, 0, -1, 1],
            4,
            [1, 1 / 2, 2 / 3],
            [1 / 4, 1 / 4, 2 / 4],
        ),
        by_hand("all-wrong", "Nothing found: 0, never 0/0.", [0, 0], 2, [0, 0], [0, 0]),
        by_hand(
            "nothing-to-find",
            "No objects: each detection is wrong, and the recall 0/0 is NaN.",
            [0, 0],
            0,
            [0, 0],
            [nan, nan],
            tags=("empty", "nan"),
        ),
        by_hand("no-detections", "Nothing in, nothing out.", [], 3, [], [], tags=("empty",)),
        by_hand("all-ignored", "Nothing counts.", [-1, -1], 1, [], [], tags=("empty",)),
        Case(
            "two-hundred",
            "Many detections of every kind.",
            {"verdicts": integers("verdicts", (200,), -1, 1)},
            ONE_DIVISION,
            {"n_positive": 90},
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random verdicts."""
    return Case("random", "", {"verdicts": rng.integers(-1, 2, 20)}, ONE_DIVISION, {"n_positive": 25})

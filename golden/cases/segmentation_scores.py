"""Golden cases of the four scores of a segmentation."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Ulp
from tests.oracles import segmentation_scores as oracle

ALGORITHM = Algorithm(
    "segmentation_scores",
    oracle,
    ("confusion",),
    ("pixel_accuracy", "mean_accuracy", "mean_iu", "frequency_weighted_iu"),
    reference="Long, Shelhamer & Darrell (2015), section 5; deck 004",
)
SUM_OF_FEW = Ulp(8, 0.0)  # of positive quotients


def by_hand(name: str, why: str, confusion: list[list[int]], scores: tuple[float, ...], *tags: str) -> Case:
    """Return a case of a few classes."""
    return Case(
        name,
        why,
        {"confusion": np.array(confusion, np.int64).reshape(len(confusion), len(confusion))},
        SUM_OF_FEW,
        expected={output: np.array(score) for output, score in zip(ALGORITHM.outputs, scores, strict=True)},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    return [
        by_hand(
            "all-four-differ",
            "Class 0 has 6 of 8 pixels right, class 1 one of two: IU 6/9 and 1/4.",
            [[6, 2], [1, 1]],
            (7 / 10, (6 / 8 + 1 / 2) / 2, (6 / 9 + 1 / 4) / 2, (8 * 6 / 9 + 2 / 4) / 10),
        ),
        by_hand(
            "a-class-that-does-not-occur",
            "Class 2 is neither true nor predicted, and counts nowhere.",
            [[6, 2, 0], [1, 1, 0], [0, 0, 0]],
            (7 / 10, (6 / 8 + 1 / 2) / 2, (6 / 9 + 1 / 4) / 2, (8 * 6 / 9 + 2 / 4) / 10),
            "empty",
        ),
        by_hand(
            "a-class-that-is-only-predicted",
            "Class 1 has no pixels, so no accuracy; but its IU is 0, which the mean feels.",
            [[3, 1], [0, 0]],
            (3 / 4, 3 / 4, (3 / 4 + 0) / 2, 3 / 4),
            "convention",
        ),
        by_hand(
            "a-class-that-is-never-predicted",
            "Class 1 has one pixel, which is missed: accuracy and IU are 0 and count.",
            [[3, 0], [1, 0]],
            (3 / 4, 1 / 2, 3 / 8, 9 / 16),
            "convention",
        ),
        by_hand(
            "a-class-of-a-single-pixel",
            "Class 2 is one pixel, which is right: accuracy and IU are 1 and count.",
            [[2, 1, 0], [1, 1, 0], [0, 0, 1]],
            (4 / 6, (2 / 3 + 1 / 2 + 1) / 3, (2 / 4 + 1 / 3 + 1) / 3, (3 * 2 / 4 + 2 * 1 / 3 + 1) / 6),
        ),
        by_hand("all-right", "Every score is 1.", [[5, 0], [0, 7]], (1, 1, 1, 1)),
        by_hand("all-wrong", "Every score is 0.", [[0, 5], [7, 0]], (0, 0, 0, 0)),
        by_hand("no-pixels", "Four times 0/0.", [[0, 0], [0, 0]], (nan, nan, nan, nan), "empty", "nan"),
        by_hand("no-classes", "Four times 0/0.", [], (nan, nan, nan, nan), "empty", "nan"),
        Case(
            "twenty-one-classes",
            "A table of the size of PASCAL VOC's, with a strong diagonal.",
            {"confusion": integers("confusion", (21, 21), 0, 50) + np.diag(integers("hits", (21,), 500, 9000))},
            SUM_OF_FEW,
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random table."""
    return Case("random", "", {"confusion": rng.integers(0, 9, (5, 5))}, SUM_OF_FEW)

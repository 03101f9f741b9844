"""Golden cases of the confusion matrix."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import integers
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import confusion_matrix as oracle

ALGORITHM = Algorithm(
    "confusion_matrix",
    oracle,
    ("labels", "predictions"),
    ("confusion",),
    reference="Long, Shelhamer & Darrell (2015), section 5",
)


def by_hand(
    name: str,
    why: str,
    labels: list[list[int]],
    predictions: list[list[int]],
    confusion: list[list[int]],
    *tags: str,
    ignore_label: int | None = 255,
) -> Case:
    """Return a case of a few pixels."""
    return Case(
        name,
        why,
        {"labels": np.array(labels, np.int64), "predictions": np.array(predictions, np.int64)},
        Exact(),
        {"n_classes": len(confusion), "ignore_label": ignore_label},
        expected={"confusion": np.array(confusion, np.int64)},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    labels: Array = integers("labels", (3, 17, 13), 0, 20)
    labels = np.where(integers("border", labels.shape, 0, 9) == 0, 255, labels)
    return [
        by_hand(
            "rows-are-true-classes",
            "One pixel of class 0 is taken for class 2.",
            [[0, 0, 1]],
            [[0, 2, 1]],
            [[1, 0, 1], [0, 1, 0], [0, 0, 0]],
            "convention",
        ),
        by_hand(
            "ignored-whatever-is-predicted",
            "The border, 255, is not counted, not even where 255 is predicted or what is no class.",
            [[0, 255, 255, 255]],
            [[1, 0, 255, 99]],
            [[0, 1], [0, 0]],
            "border",
        ),
        by_hand(
            "a-class-may-be-ignored",
            "Background, 0, is left out as a true class; as a prediction it is still an error.",
            [[0, 0, 1, 1]],
            [[0, 1, 0, 1]],
            [[0, 0], [1, 1]],
            "convention",
            ignore_label=0,
        ),
        by_hand("nothing-ignored", "None counts every pixel.", [[0, 1]], [[1, 1]], [[0, 1], [0, 1]], ignore_label=None),
        Case(
            "no-pixels",
            "Nothing in, a table of zeros out.",
            {"labels": np.zeros((2, 0), np.int64), "predictions": np.zeros((2, 0), np.int64)},
            Exact(),
            {"n_classes": 2, "ignore_label": 255},
            expected={"confusion": np.zeros((2, 2), np.int64)},
            source="by hand",
            tags=("empty",),
        ),
        Case(
            "twenty-one-classes",
            "The classes of PASCAL VOC with its border, in three images at once.",
            {"labels": labels, "predictions": integers("predictions", labels.shape, 0, 20)},
            Exact(),
            {"n_classes": 21, "ignore_label": 255},
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random label maps."""
    inputs = {"labels": rng.integers(0, 5, (6, 7)), "predictions": rng.integers(0, 5, (6, 7))}
    return Case("random", "", inputs, Exact(), {"n_classes": 5, "ignore_label": int(rng.integers(0, 6))})

"""Golden cases of non-maximum suppression class by class."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._detections import heap_of_boxes, tied_scores
from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import class_nms as oracle

ALGORITHM = Algorithm(
    "class_nms",
    oracle,
    ("boxes", "scores", "classes"),
    ("kept",),
    reference="Girshick et al. (2014), section 2.2: suppression for each class independently",
)


def params(threshold: float = 0.5, offset: int = 0) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"threshold": threshold, "offset": offset}


def by_hand(
    name: str,
    why: str,
    boxes: list[list[float]],
    scores: list[float],
    classes: list[int],
    kept: list[int],
    *,
    tags: tuple[str, ...] = (),
    **options: Any,
) -> Case:
    """Return a case of a few boxes."""
    inputs = {
        "boxes": np.array(boxes, np.float64).reshape(-1, 4),
        "scores": np.array(scores, np.float64),
        "classes": np.array(classes, np.int64),
    }
    known = {"kept": np.array(kept, np.int64)}
    return Case(name, why, inputs, Exact(), params(**options), expected=known, source="by hand", tags=("hand", *tags))


def cases() -> list[Case]:
    """Return the cases."""
    unit = [0.0, 0.0, 1.0, 1.0]
    return [
        by_hand(
            "other-classes-do-not-suppress",
            "Three times the same box: one of each class stays, merged by score.",
            [unit, unit, unit],
            [0.5, 0.625, 0.75],
            [1, 1, 2],
            [2, 1],
        ),
        by_hand(
            "negative-coordinates-and-the-offset-trick",
            "Moved by class · (largest coordinate + 1) = 11, the second box would coincide with the first.",
            [[0, 0, 10, 10], [-11, -11, -1, -1]],
            [0.75, 0.5],
            [0, 1],
            [0, 1],
            tags=("convention", "border"),
        ),
        by_hand(
            "ties-across-classes",
            "Equal scores are merged lowest index first, whatever the class.",
            [unit, unit, [2, 2, 3, 3], [2, 2, 3, 3]],
            [0.5, 0.5, 0.5, 0.75],
            [7, 3, 7, 3],
            [3, 0, 1, 2],
            tags=("tie",),
        ),
        by_hand(
            "any-integers-are-classes",
            "Negative and far apart: only equality counts. IoU = 1/2 of the two of class −5 equals the threshold.",
            [[0, 0, 2, 1], [0, 0, 1, 1], [0, 0, 2, 1]],
            [0.75, 0.5, 0.25],
            [-5, -5, 1_000_000],
            [0, 1, 2],
            tags=("tie",),
        ),
        by_hand(
            "legacy-widths",
            "Width x2 − x1 + 1: IoU = 25/175 > 1/8 in class 0; the copy of the second box in class 1 stays.",
            [[0, 0, 9, 9], [5, 5, 14, 14], [5, 5, 14, 14]],
            [0.75, 0.5, 0.25],
            [0, 0, 1],
            [0, 2],
            threshold=0.125,
            offset=1,
            tags=("convention",),
        ),
        by_hand("no-boxes", "Nothing in, nothing out.", [], [], [], [], tags=("empty",)),
        Case(
            "heap-of-100-in-4-classes",
            "Many overlapping boxes with integer corners, scores in sixteenths.",
            {
                "boxes": heap_of_boxes("class nms", 100),
                "scores": tied_scores("class nms", 100),
                "classes": integers("class nms", (100,), 0, 3),
            },
            Exact(),
            params(0.4375),
            tags=("tie",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random boxes of three classes in float64."""
    corner = rng.random((20, 2)) * 4
    inputs = {
        "boxes": np.concatenate([corner, corner + rng.random((20, 2)) * 4], axis=1),
        "scores": rng.integers(0, 8, 20) / 8,
        "classes": rng.integers(0, 3, 20),
    }
    return Case("random", "", inputs, Exact(), params(float(rng.random()), int(rng.integers(2))))

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
    optional: str = "",
    **options: Any,
) -> Case:
    """Return a case of a few boxes."""
    inputs = {
        "boxes": np.array(boxes, np.float64).reshape(-1, 4),
        "scores": np.array(scores, np.float64),
        "classes": np.array(classes, np.int64),
    }
    known = {"kept": np.array(kept, np.int64)}
    return Case(
        name,
        why,
        inputs,
        Exact(),
        params(**options),
        expected=known,
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


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
        by_hand(
            "widths-one-and-two-smaller",
            "10 × 10 and 5 × 10 pixels: IoU = 1/2 > 13/32. A pixel less it is 36/81, more too; two less, 24/64, not.",
            [[0, 0, 9, 9], [0, 0, 4, 9]],
            [0.75, 0.5],
            [0, 0],
            [0],
            threshold=0.40625,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "a-victim-suppresses-nobody",
            "IoU is 3/5 between neighbours and 1/3 between the ends: the middle box is gone before it meets the last.",
            [[0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]],
            [0.75, 0.5, 0.25],
            [1, 1, 1],
            [0, 2],
        ),
        by_hand(
            "equal-scores-lowest-index-first",
            "Of equal boxes with equal scores the first stays.",
            [unit, unit],
            [0.5, 0.5],
            [1, 1],
            [0],
            tags=("tie",),
        ),
        by_hand(
            "iou-equal-to-the-threshold-survives",
            "[0, 0, 1, 0] is half of [0, 0, 3, 0] where x2 is the last pixel inside: IoU = 1/2, not > 1/2.",
            [[0, 0, 3, 0], [0, 0, 1, 0]],
            [0.75, 0.5],
            [1, 1],
            [0, 1],
            offset=1,
            tags=("tie", "convention"),
        ),
        by_hand(
            "three-tenths-equal-the-threshold",
            "The threshold is rounded as the IoU is: in float32 3/10 is 0.30000001, and not > 0.3.",
            [[0, 0, 9, 0], [0, 0, 2, 0]],
            [0.75, 0.5],
            [1, 1],
            [0, 1],
            threshold=0.3,
            offset=1,
            tags=("tie", "rounding", "convention"),
            optional="torchvision compares the quotient of float32 with 0.3 of float64, and suppresses",
        ),
        by_hand(
            "seven-tenths-equal-the-threshold",
            "Again equal, but here float32 rounds down: 0.69999999 is below the 0.7 of float64.",
            [[0, 0, 9, 0], [0, 0, 6, 0]],
            [0.75, 0.5],
            [1, 1],
            [0, 1],
            threshold=0.7,
            offset=1,
            tags=("tie", "rounding", "convention"),
            optional="whoever suppresses where IoU ≥ threshold differs, if both are float32",
        ),
        by_hand(
            "empty-boxes-suppress-nothing",
            "Two equal points of one class: IoU 0/0 = 0.",
            [[1, 1, 1, 1], [1, 1, 1, 1]],
            [0.75, 0.5],
            [1, 1],
            [0, 1],
            tags=("empty", "convention"),
            optional="OpenCV takes two empty boxes for duplicates",
        ),
        by_hand(
            "a-malformed-box-suppresses-nothing",
            "The corners of box 0 in the other order would be those of box 1.",
            [[3, 3, 0, 0], [0, 0, 3, 3]],
            [0.75, 0.5],
            [1, 1],
            [0, 1],
            tags=("empty", "convention"),
            optional="TensorFlow and ONNX put the corners of a box in order",
        ),
        by_hand(
            "a-nan-score-comes-last",
            "Behind the 1/2 of a box that does not touch its box.",
            [[0, 0, 1, 1], [2, 2, 3, 3]],
            [np.nan, 0.5],
            [1, 1],
            [1, 0],
            tags=("nan", "convention"),
            optional="torch sorts NaN first; most implementations assume finite scores",
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

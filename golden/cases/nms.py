"""Golden cases of greedy non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._detections import heap_of_boxes, tied_scores
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import nms as oracle

ALGORITHM = Algorithm(
    "nms",
    oracle,
    ("boxes", "scores"),
    ("kept",),
    reference="deck 001; Girshick et al. (2014), section 2.2",
)
DESCENDING = np.array([0.875, 0.75, 0.625, 0.5])


def params(threshold: float = 0.5, offset: int = 0) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"threshold": threshold, "offset": offset}


def by_hand(
    name: str,
    why: str,
    boxes: list[list[float]],
    kept: list[int],
    *,
    scores: np.typing.ArrayLike = DESCENDING,
    tags: tuple[str, ...] = (),
    optional: str = "",
    **options: Any,
) -> Case:
    """Return a case of a few boxes; unless `scores` are given, they descend."""
    inputs = {"boxes": np.array(boxes, np.float64), "scores": np.array(scores)[: len(boxes)]}
    return Case(
        name,
        why,
        inputs,
        Exact(),
        params(**options),
        expected={"kept": np.array(kept, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    return [
        by_hand(
            "a-victim-suppresses-nobody",
            "IoU is 3/5 between neighbours and 1/3 between the ends: the middle box is gone before it meets the last.",
            [[0, 0, 4, 1], [1, 0, 5, 1], [2, 0, 6, 1]],
            [0, 2],
        ),
        by_hand(
            "kept-in-descending-score",
            "The indices come in the order of the scores, not in that of the boxes.",
            [[0, 0, 1, 1], [2, 0, 3, 1], [4, 0, 5, 1]],
            [2, 0, 1],
            scores=[0.5, 0.25, 0.75],
        ),
        by_hand(
            "iou-equal-to-the-threshold-survives",
            "Half of box 0 is box 1: IoU = 0.5, not > 0.5. Box 2 has 3/4.",
            [[0, 0, 4, 1], [0, 0, 2, 1], [0, 0, 3, 1]],
            [0, 1],
            scores=[0.875, 0.75, 0.625],
            tags=("tie", "convention"),
        ),
        by_hand(
            "three-tenths-equal-the-threshold",
            "The threshold is rounded as the IoU is: in float32 3/10 is 0.30000001, and not > 0.3.",
            [[0, 0, 10, 1], [0, 0, 3, 1]],
            [0, 1],
            threshold=0.3,
            tags=("tie", "rounding", "convention"),
            optional="torchvision compares the quotient of float32 with 0.3 of float64, and suppresses",
        ),
        by_hand(
            "seven-tenths-equal-the-threshold",
            "Again equal, but here float32 rounds down: 0.69999999 is below the 0.7 of float64.",
            [[0, 0, 9, 0], [0, 0, 6, 0]],
            [0, 1],
            threshold=0.7,
            offset=1,
            tags=("tie", "rounding", "convention"),
            optional="whoever suppresses where IoU ≥ threshold differs, if both are float32",
        ),
        by_hand(
            "threshold-one-keeps-duplicates",
            "No IoU is > 1.",
            [[0, 0, 3, 2], [0, 0, 3, 2]],
            [0, 1],
            threshold=1.0,
            tags=("tie",),
        ),
        by_hand(
            "threshold-zero-keeps-what-only-touches",
            "Box 1 shares an edge with box 0, box 2 shares 1/7 with both.",
            [[0, 0, 2, 2], [2, 0, 4, 2], [1, 1, 3, 3]],
            [0, 1],
            threshold=0.0,
            tags=("border",),
        ),
        by_hand(
            "equal-scores-lowest-index-first",
            "Of two equal boxes the first stays, and of two equal scores the first comes first.",
            [[0, 0, 2, 2], [5, 5, 7, 7], [0, 0, 2, 2], [5, 5, 7, 7]],
            [0, 1],
            scores=[0.5, 0.5, 0.5, 0.5],
            tags=("tie",),
        ),
        by_hand(
            "continuous-widths",
            "With width x2 − x1 they share 4 × 4 of 81 + 81 − 16: IoU = 16/146, not > 1/8.",
            [[0, 0, 9, 9], [5, 5, 14, 14]],
            [0, 1],
            threshold=0.125,
            tags=("convention",),
        ),
        by_hand(
            "legacy-widths",
            "The same boxes with width x2 − x1 + 1: IoU = 25/175 = 1/7 > 1/8.",
            [[0, 0, 9, 9], [5, 5, 14, 14]],
            [0],
            threshold=0.125,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "widths-one-and-two-smaller",
            "10 × 10 and 5 × 10 pixels: IoU = 1/2 > 13/32. A pixel less it is 36/81, more too; two less, 24/64, not.",
            [[0, 0, 9, 9], [0, 0, 4, 9]],
            [0],
            threshold=0.40625,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "negative-coordinates",
            "Boxes may reach beyond the image.",
            [[-4, -4, 0, 0], [-4, -4, 0, -1], [0, 0, 4, 4]],
            [0, 2],
            tags=("border",),
        ),
        by_hand(
            "empty-boxes-suppress-nothing",
            "Two equal points, IoU 0/0 = 0, and a box whose corners are swapped: area 0.",
            [[1, 1, 1, 1], [1, 1, 1, 1], [3, 3, 0, 0], [0, 0, 3, 3]],
            [0, 1, 2, 3],
            tags=("empty", "convention"),
            optional="OpenCV takes two empty boxes for duplicates",
        ),
        by_hand(
            "a-malformed-box-suppresses-nothing",
            "The corners of box 0 in the other order would be those of box 1.",
            [[3, 3, 0, 0], [0, 0, 3, 3]],
            [0, 1],
            tags=("empty", "convention"),
            optional="TensorFlow and ONNX put the corners of a box in order",
        ),
        by_hand(
            "a-nan-coordinate-suppresses-nothing",
            "IoU with the first box is NaN, which is not > 0.5; the third is a copy of the second.",
            [[nan, 0, 2, 2], [0, 0, 2, 2], [0, 0, 2, 2]],
            [0, 1],
            tags=("nan", "convention"),
            optional="implementations that keep where IoU ≤ threshold drop at NaN; most assume finite boxes",
        ),
        by_hand(
            "a-nan-score-comes-last",
            "Behind −∞; the box of the NaN is suppressed by its copy, that of the other NaN is kept.",
            [[0, 0, 2, 2], [5, 0, 7, 2], [0, 0, 2, 2], [9, 0, 10, 2]],
            [2, 3, 1],
            scores=[nan, nan, 0.5, -inf],
            tags=("nan", "inf", "convention"),
            optional="torch sorts NaN first; most implementations assume finite scores",
        ),
        Case(
            "no-boxes",
            "Nothing in, nothing out.",
            {"boxes": np.zeros((0, 4)), "scores": np.zeros(0)},
            Exact(),
            params(),
            expected={"kept": np.zeros(0, np.int64)},
            source="by hand",
            tags=("empty",),
        ),
        *(
            Case(
                f"heap-of-100-threshold-{round(16 * threshold)}-of-16",
                "Many overlapping boxes with integer corners, scores in sixteenths: long chains and ties. The "
                "threshold is exact in every floating-point type.",
                {"boxes": heap_of_boxes("nms", 100), "scores": tied_scores("nms", 100)},
                Exact(),
                params(threshold),
                tags=("tie",),
            )
            for threshold in (0.3125, 0.5, 0.6875)
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random boxes in float64, with ties of their scores."""
    corner = rng.random((20, 2)) * 4
    boxes = np.concatenate([corner, corner + rng.random((20, 2)) * 4], axis=1)
    inputs = {"boxes": boxes, "scores": rng.integers(0, 8, 20) / 8}
    return Case("random", "", inputs, Exact(), params(float(rng.random()), int(rng.integers(2))))

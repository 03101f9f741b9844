"""Golden cases of the labels of R-CNN's proposals."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import match_rcnn as oracle

ALGORITHM = Algorithm(
    "match_rcnn",
    oracle,
    ("iou",),
    ("labels", "matches"),
    reference="Girshick et al. (2014), section 2.3; Girshick (2015), section 2.3; deck 001",
)
# best IoU: below, at and above 1/8; on both sides of 0.3; below, at and above 1/2
BANDS = np.array([[0.0625], [0.125], [0.25], [0.375], [0.4375], [0.5], [0.75]])


def params(
    positive: float = 0.5, negative_low: float = 0.125, negative_high: float = 0.5, comparison: str = ">="
) -> dict[str, Any]:
    """Return the parameters, complete; by default Fast R-CNN's, with 1/8 for 0.1, which is no binary fraction."""
    return {
        "positive": positive,
        "negative_low": negative_low,
        "negative_high": negative_high,
        "comparison": comparison,
    }


def known(
    name: str,
    why: str,
    iou: Any,
    labels: list[int],
    matches: list[int],
    source: str,
    *tags: str,
    optional: str = "",
    **options: Any,
) -> Case:
    """Return a case whose answer is known."""
    return Case(
        name,
        why,
        {"iou": np.array(iou, np.float64)},
        Exact(),
        params(**options),
        expected={"labels": np.array(labels, np.int64), "matches": np.array(matches, np.int64)},
        source=source,
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    return [
        known(
            "fast-rcnn",
            "Negatives lie in [1/8, 1/2), positives from 1/2: both lower ends belong to their band.",
            BANDS,
            [-1, 0, 0, 0, 0, 1, 1],
            [0] * 7,
            "by hand",
            "tie",
            "convention",
        ),
        known(
            "faster-rcnn",
            "Every other proposal is negative.",
            BANDS,
            [0, 0, 0, 0, 0, 1, 1],
            [0] * 7,
            "by hand",
            "tie",
            "convention",
            negative_low=0.0,
        ),
        known(
            "deck-001",
            "Positive > 0.5, negative < 0.3; 0.5 itself is neither, nor is anything between.",
            BANDS,
            [0, 0, 0, -1, -1, -1, 1],
            [0] * 7,
            "deck 001",
            "deck",
            "tie",
            "convention",
            negative_low=0.0,
            negative_high=0.3,
            comparison=">",
        ),
        known(
            "a-gap-between-the-bands",
            "Negatives lie in [1/8, 3/8): 3/8 itself is neither, nor is anything up to 1/2.",
            BANDS,
            [-1, 0, 0, -1, -1, 1, 1],
            [0] * 7,
            "by hand",
            "tie",
            negative_high=0.375,
        ),
        known(
            "positives-override",
            "The bands overlap between 1/4 and 1/2.",
            BANDS,
            [0, 0, 1, 1, 1, 1, 1],
            [0] * 7,
            "by hand",
            "convention",
            positive=0.25,
            negative_low=0.0,
        ),
        known(
            "own-ground-truth",
            "The one of highest IoU, the first of equals, whatever the label.",
            [[0.25, 0.75, 0.5], [0.5, 0.25, 0.5], [0.0, 0.0625, 0.0], [0.0, 0.0, 0.0]],
            [1, 1, -1, -1],
            [1, 0, 1, 0],
            "by hand",
            "tie",
        ),
        known(
            "nan-counts-as-zero",
            "The first row has no other overlap, the second has one.",
            [[nan, nan], [nan, 0.5]],
            [-1, 1],
            [0, 1],
            "by hand",
            "nan",
            "convention",
            optional="most implementations assume finite overlaps",
        ),
        known(
            "no-ground-truth-fast-rcnn",
            "A best IoU of 0 is below the band of negatives: everything is ignored.",
            np.zeros((3, 0)),
            [-1, -1, -1],
            [-1, -1, -1],
            "by hand",
            "empty",
            "convention",
        ),
        known(
            "no-ground-truth-faster-rcnn",
            "A best IoU of 0 is in the band: everything is background.",
            np.zeros((3, 0)),
            [0, 0, 0],
            [-1, -1, -1],
            "by hand",
            "empty",
            negative_low=0.0,
        ),
        known("no-proposals", "Nothing in, nothing out.", np.zeros((0, 2)), [], [], "by hand", "empty"),
        Case(
            "sixteenths",
            "100 proposals and 6 ground truths, overlaps in sixteenths.",
            {"iou": dyadic("match_rcnn", (100, 6), 0, 12, 1 / 16) * dyadic("match_rcnn mask", (100, 6), 0, 1)},
            Exact(),
            params(),
            tags=("tie", "dyadic"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random overlaps in float64, in eighths."""
    chosen = params(comparison=str(rng.choice([">=", ">"])))
    return Case("random", "", {"iou": rng.integers(0, 8, (12, 3)) / 8}, Exact(), chosen)

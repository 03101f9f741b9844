"""Golden cases of the labels of a region proposal network's anchors."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import match_rpn as oracle

ALGORITHM = Algorithm(
    "match_rpn",
    oracle,
    ("iou", "inside"),
    ("labels", "matches"),
    reference="Ren, He, Girshick & Sun (2015), section 3.1.2; decks 000 and 001",
)


def params(
    positive: float = 0.7,
    negative: float = 0.3,
    comparison: str = ">=",
    force_best: bool = True,
    guard_zero: bool = True,
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "positive": positive,
        "negative": negative,
        "comparison": comparison,
        "force_best": force_best,
        "guard_zero": guard_zero,
    }


def by_hand(
    name: str,
    why: str,
    iou: list[list[float]],
    labels: list[int],
    matches: list[int],
    *tags: str,
    inside: list[bool] | None = None,
    optional: str = "",
    **options: Any,
) -> Case:
    """Return a case of a few anchors, one per row of `iou`."""
    return Case(
        name,
        why,
        {
            "iou": np.array(iou, np.float64).reshape(len(labels), -1 if labels else 2),
            "inside": None if inside is None else np.array(inside),
        },
        Exact(),
        params(**options),
        expected={"labels": np.array(labels, np.int64), "matches": np.array(matches, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    bands = [[0.875], [0.75], [0.5], [0.25], [0.125]]
    untouched = [[0.5, 0.0], [0.0, 0.0], [0.25, 0.0]]
    return [
        by_hand(
            "bands",
            "Positive from 0.7, negative below 0.3, neither between.",
            bands,
            [1, 1, -1, 0, 0],
            [0, 0, 0, 0, 0],
        ),
        by_hand(
            "the-best-is-forced-though-zeros-would-be",
            "Without the guard the best anchor of a truth is forced all the same; a lesser one and a zero are not.",
            [[0.5], [0.25], [0.0]],
            [1, 0, 0],
            [0, 0, 0],
            "convention",
            guard_zero=False,
        ),
        by_hand(
            "at-least-or-more-than-at-least",
            "Anchor 1 equals the positive threshold (deck 001: ≥), anchor 3 the negative one, which is not below it.",
            bands,
            [1, 1, -1, -1, 0],
            [0, 0, 0, 0, 0],
            "tie",
            "convention",
            positive=0.75,
            negative=0.25,
        ),
        by_hand(
            "at-least-or-more-than-more-than",
            "The same by deck 000, > : anchor 1 is neither.",
            bands,
            [1, -1, -1, -1, 0],
            [0, 0, 0, 0, 0],
            "tie",
            "convention",
            positive=0.75,
            negative=0.25,
            comparison=">",
            optional="all known code uses ≥",
        ),
        by_hand(
            "the-best-of-a-ground-truth-is-positive",
            "0.25 is below the negative threshold, yet the best that ground truth 1 has: positives override negatives.",
            [[0.875, 0.0], [0.0, 0.25], [0.0, 0.125]],
            [1, 1, 0],
            [0, 1, 1],
        ),
        by_hand(
            "all-ties-for-the-best",
            "Three anchors share the best IoU of the only ground truth.",
            [[0.5], [0.25], [0.5], [0.5]],
            [1, 0, 1, 1],
            [0, 0, 0, 0],
            "tie",
            "convention",
        ),
        by_hand(
            "without-forcing",
            "No anchor reaches 0.7, and none is positive.",
            [[0.5], [0.25], [0.5], [0.5]],
            [-1, 0, -1, -1],
            [0, 0, 0, 0],
            force_best=False,
        ),
        by_hand(
            "a-ground-truth-that-nothing-touches",
            "Its best IoU is 0, and forces nothing.",
            untouched,
            [1, 0, 0],
            [0, 0, 0],
            "convention",
            "kink",
        ),
        by_hand(
            "a-ground-truth-that-nothing-touches-unguarded",
            "By plain equality every anchor attains that best of 0, and all become positive.",
            untouched,
            [1, 1, 1],
            [0, 0, 0],
            "convention",
            "kink",
            guard_zero=False,
            optional="an oversight of py-faster-rcnn, torchvision and Detectron2, kept to be compared with",
        ),
        by_hand(
            "a-forced-positive-keeps-its-own-ground-truth",
            "Anchor 0 is the best of both; it is matched to ground truth 1, its own, also on behalf of ground truth 0.",
            [[0.5, 0.625], [0.25, 0.0]],
            [1, 0],
            [1, 0],
            "convention",
        ),
        by_hand(
            "first-of-equal-ground-truths",
            "Both overlaps are 0.75.",
            [[0.75, 0.75], [0.0, 0.0]],
            [1, 0],
            [0, 0],
            "tie",
        ),
        by_hand(
            "anchors-across-the-boundary",
            "Anchor 0 is ignored though it has 0.875, and so anchor 1 becomes the best of the ground truth.",
            [[0.875], [0.5], [0.25], [0.0]],
            [-1, 1, 0, -1],
            [0, 0, 0, 0],
            "border",
            inside=[False, True, True, False],
        ),
        by_hand(
            "all-anchors-across-the-boundary",
            "Nobody is the best.",
            [[0.875], [0.5]],
            [-1, -1],
            [0, 0],
            "border",
            "empty",
            inside=[False, False],
        ),
        by_hand(
            "nan-counts-as-zero",
            "Anchor 0 touches nothing that is a number, and anchor 1 has 0.5 besides a NaN.",
            [[nan, nan], [nan, 0.5]],
            [0, 1],
            [0, 1],
            "nan",
            "convention",
            optional="most implementations assume finite overlaps",
        ),
        Case(
            "no-ground-truth",
            "Every anchor inside is background.",
            {"iou": np.zeros((3, 0)), "inside": np.array([True, False, True])},
            Exact(),
            params(),
            expected={"labels": np.array([0, -1, 0]), "matches": np.array([-1, -1, -1])},
            source="by hand",
            tags=("hand", "empty"),
        ),
        by_hand("no-anchors", "Nothing in, nothing out.", [], [], [], "empty"),
        Case(
            "sixteenths",
            "120 anchors and 5 ground truths, overlaps in sixteenths, some anchors outside.",
            {
                "iou": dyadic("match_rpn", (120, 5), 0, 15, 1 / 16) * dyadic("match_rpn mask", (120, 5), 0, 1),
                "inside": integers("match_rpn inside", (120,), 0, 3) > 0,
            },
            Exact(),
            params(0.875, 0.5),
            tags=("tie", "dyadic"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random overlaps in float64, in eighths."""
    inputs = {"iou": rng.integers(0, 8, (12, 3)) / 8, "inside": rng.random(12) < 0.8}
    chosen = params(0.75, 0.375, str(rng.choice([">=", ">"])), bool(rng.integers(2)), bool(rng.integers(2)))
    return Case("random", "", inputs, Exact(), chosen)

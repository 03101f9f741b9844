"""Golden cases of matching detections with ground truths."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from golden.cases._detections import heap_of_boxes
from golden.cases._numbers import integers
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import match_detections as oracle

ALGORITHM = Algorithm(
    "match_detections",
    oracle,
    ("boxes", "image_ids", "truths", "truth_image_ids", "difficult"),
    ("verdicts",),
    reference="deck 001; Everingham et al. (2010), section 4.2",
)


def params(
    threshold: float = 0.5, comparison: str = ">", candidates: str = "unmatched", offset: int = 0
) -> dict[str, Any]:
    """Return the parameters, complete, with those of the deck as defaults."""
    return {"threshold": threshold, "comparison": comparison, "candidates": candidates, "offset": offset}


def inputs_of(
    boxes: ArrayLike,
    truths: ArrayLike,
    image_ids: ArrayLike | None = None,
    truth_image_ids: ArrayLike | None = None,
    difficult: ArrayLike | None = None,
) -> dict[str, Array]:
    """Return the inputs, in one image unless told otherwise, and not difficult."""
    rows, columns = (np.array(x, np.float64).reshape(-1, 4) for x in (boxes, truths))
    return {
        "boxes": rows,
        "image_ids": np.zeros(len(rows), np.int64) if image_ids is None else np.array(image_ids, np.int64),
        "truths": columns,
        "truth_image_ids": np.zeros(len(columns), np.int64)
        if truth_image_ids is None
        else np.array(truth_image_ids, np.int64),
        "difficult": np.zeros(len(columns), bool) if difficult is None else np.array(difficult, bool),
    }


def by_hand(
    name: str,
    why: str,
    inputs: dict[str, Array],
    verdicts: list[int],
    *tags: str,
    optional: str = "",
    **options: Any,
) -> Case:
    """Return a case of a few boxes."""
    return Case(
        name,
        why,
        inputs,
        Exact(),
        params(**options),
        expected={"verdicts": np.array(verdicts, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    crowded = inputs_of([[0, 0, 100, 100], [10, 0, 110, 100]], [[0, 0, 100, 100], [30, 0, 130, 100]])
    half = inputs_of([[0, 0, 2, 1]], [[0, 0, 4, 1]])
    legacy = inputs_of([[0, 0, 9, 4]], [[0, 0, 9, 9]])
    difficult = inputs_of([[0, 0, 4, 4]] * 2 + [[8, 0, 12, 4]] * 2, [[0, 0, 4, 4], [8, 0, 12, 4]], difficult=[1, 0])
    shadow = inputs_of([[0, 0, 4, 4], [0, 0, 4, 3]], [[0, 0, 4, 4], [0, 0, 4, 3]], difficult=[0, 1])
    many = inputs_of(
        heap_of_boxes("detections", 120, 12),
        heap_of_boxes("truths", 60, 12),
        integers("detections in", (120,), 1, 6),
        integers("truths in", (60,), 0, 5),
        integers("difficult", (60,), 0, 3) == 0,
    )
    return [
        by_hand(
            "threshold-zero",
            "An IoU of 0 is enough for the threshold 0: the second detection finds what the first has left.",
            inputs_of([[0, 0, 1, 1]] * 2, [[5, 0, 6, 1], [7, 0, 8, 1]]),
            [1, 1],
            "tie",
            threshold=0.0,
            comparison=">=",
        ),
        by_hand(
            "forty-in-two-images",
            "Twenty equal detections in either image, in turn: the first of each finds the only object there.",
            inputs_of([[0, 0, 2, 2]] * 40, [[0, 0, 2, 2]] * 2, [7, 5] * 20, [5, 7]),
            [1, 1] + [0] * 38,
            "tie",
        ),
        by_hand(
            "a-second-look-in-a-crowd-unmatched",
            "The second detection has IoU 0.818 with the object that is taken and 0.667 with the other, which it gets.",
            crowded,
            [1, 1],
            "convention",
        ),
        by_hand(
            "a-second-look-in-a-crowd-all",
            "The same boxes: the best object is taken, so that the detection is a false positive.",
            crowded,
            [1, 0],
            "convention",
            candidates="all",
        ),
        by_hand("one-half-is-not-more", "IoU = 1/2, not > 1/2.", half, [0], "tie", "convention"),
        by_hand("one-half-is-as-much", "IoU = 1/2 ≥ 1/2.", half, [1], "tie", "convention", comparison=">="),
        by_hand(
            "continuous-widths", "36/81 < 1/2.", legacy, [0], "convention", comparison=">=", candidates="all", offset=0
        ),
        by_hand(
            "legacy-widths",
            "The same boxes with width x2 − x1 + 1: 50/100.",
            legacy,
            [1],
            "convention",
            comparison=">=",
            candidates="all",
            offset=1,
        ),
        by_hand(
            "a-difficult-object-excuses-all-who-find-it",
            "It is never taken; the other object is.",
            difficult,
            [-1, -1, 1, 0],
        ),
        by_hand(
            "a-copy-of-a-difficult-object-is-ignored",
            "The second detection has IoU 3/4 with the object that is taken, and 1 with the difficult one.",
            shadow,
            [1, -1],
        ),
        by_hand(
            "a-repetition-falls-back-on-a-difficult-object",
            "The first object is taken, and the difficult one has IoU 3/4.",
            inputs_of([[0, 0, 4, 4]] * 2, [[0, 0, 4, 4], [0, 0, 4, 3]], difficult=[0, 1]),
            [1, -1],
            "convention",
        ),
        by_hand(
            "a-repetition-is-false-though-a-difficult-object-is-near",
            "The same boxes where every object is a candidate: the best one is taken.",
            inputs_of([[0, 0, 4, 4]] * 2, [[0, 0, 4, 4], [0, 0, 4, 3]], difficult=[0, 1]),
            [1, 0],
            "convention",
            candidates="all",
        ),
        by_hand(
            "of-equal-overlaps-the-first",
            "IoU 2/3 with both: the first, difficult object decides.",
            inputs_of([[1, 0, 6, 1]], [[0, 0, 5, 1], [2, 0, 7, 1]], difficult=[1, 0]),
            [-1],
            "tie",
        ),
        by_hand(
            "of-equal-overlaps-the-first-is-taken",
            "IoU 2/3 with both objects; the second detection, the same as the first object, finds it taken, and has "
            "IoU 1/3 with the other.",
            inputs_of([[2, 0, 10, 1], [0, 0, 8, 1]], [[0, 0, 8, 1], [4, 0, 12, 1]]),
            [1, 0],
            "tie",
        ),
        by_hand(
            "a-difficult-object-is-a-candidate-like-any-other",
            "IoU 8/10 with the difficult object, 6/10 with the other, which does not come into it.",
            inputs_of([[0, 0, 10, 1]], [[0, 0, 8, 1], [4, 0, 10, 1]], difficult=[1, 0]),
            [-1],
            "convention",
        ),
        by_hand(
            "images-do-not-meet",
            "The object is in image 7; image 9 has none. The detections of both come mixed.",
            inputs_of([[0, 0, 4, 4]] * 4, [[0, 0, 4, 4]], [9, 7, 9, 7], [7]),
            [0, 1, 0, 0],
        ),
        by_hand(
            "a-nan-coordinate-matches-nothing",
            "An object without a place is passed over for one that has one.",
            inputs_of([[0.0, 0, 4, 4], [0, 0, np.nan, 4]], [[0.0, np.nan, 4, 4], [0.0, 0, 4, 4]]),
            [1, 0],
            "nan",
            optional="implementations assume finite boxes",
        ),
        *(
            by_hand(
                f"boxes-that-touch-at-threshold-0-{name}",
                "Their IoU is 0.",
                inputs_of([[4, 0, 8, 4]], [[0, 0, 4, 4]]),
                [verdict],
                "tie",
                "convention",
                optional="nobody evaluates at threshold 0, and some pass over boxes that do not meet",
                threshold=0.0,
                comparison=comparison,
            )
            for name, comparison, verdict in (("more-than", ">", 0), ("at-least", ">=", 1))
        ),
        by_hand("nothing-to-find", "Every detection is wrong.", inputs_of([[0, 0, 4, 4]] * 2, []), [0, 0], "empty"),
        by_hand("no-detections", "Nothing in, nothing out.", inputs_of([], [[0, 0, 4, 4]]), [], "empty"),
        *(
            Case(
                f"many-{'at-least' if comparison == '>=' else 'more-than'}-{candidates}-offset-{offset}",
                "Small boxes with integer corners in a few images, so that IoUs tie with each other and with 1/2.",
                many,
                Exact(),
                params(0.5, comparison, candidates, offset),
                tags=("tie", "convention"),
            )
            for comparison in (">", ">=")
            for candidates in ("unmatched", "all")
            for offset in (0, 1)
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random boxes in three images."""
    corners = rng.random((30, 2)) * 4
    boxes = np.concatenate([corners, corners + 1 + rng.random((30, 2)) * 4], axis=1)
    inputs = inputs_of(boxes[:20], boxes[20:], rng.integers(0, 3, 20), rng.integers(0, 3, 10), rng.random(10) < 0.2)
    candidates = str(rng.choice(["unmatched", "all"]))
    return Case("random", "", inputs, Exact(), params(float(rng.random()), ">", candidates, int(rng.integers(2))))

"""Golden cases of soft non-maximum suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._detections import heap_of_boxes
from golden.cases._numbers import distinct
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import soft_nms as oracle

ALGORITHM = Algorithm(
    "soft_nms",
    oracle,
    ("boxes", "scores"),
    ("indices", "decayed"),
    reference="Bodla, Singh, Chellappa & Davis (2017), section 3",
)
ROUNDED: dict[str, Compare] = {"indices": Exact(), "decayed": Ulp(64, 2.0**-40)}
QUARTERS = [[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 3.0, 1.0], [5.0, 0.0, 6.0, 1.0]]  # IoU 3/4 of the first two


def params(
    method: str = "linear", threshold: float = 0.25, sigma: float = 0.5, min_score: float = 0.0078125, offset: int = 0
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"method": method, "threshold": threshold, "sigma": sigma, "min_score": min_score, "offset": offset}


def by_hand(
    name: str,
    why: str,
    boxes: list[list[float]],
    scores: list[float],
    indices: list[int],
    decayed: list[float],
    *,
    tags: tuple[str, ...] = (),
    optional: str = "",
    compare: Compare | dict[str, Compare] | None = None,
    **options: Any,
) -> Case:
    """Return a case of a few boxes."""
    return Case(
        name,
        why,
        {"boxes": np.array(boxes, np.float64).reshape(-1, 4), "scores": np.array(scores, np.float64)},
        compare or Exact(),
        params(**options),
        expected={"indices": np.array(indices, np.int64), "decayed": np.array(decayed, np.float64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    return [
        by_hand(
            "linear-changes-the-order",
            "0.75 · (1 − 3/4) = 0.1875: the second box falls behind the third.",
            QUARTERS,
            [1.0, 0.75, 0.5],
            [0, 2, 1],
            [1.0, 0.5, 0.1875],
        ),
        by_hand(
            "decays-multiply",
            "Box 1 loses half to box 0, and half of the rest to box 2, which box 0 overlaps too little (1/4) to touch.",
            [[0, 0, 8, 1], [0, 0, 4, 1], [0, 0, 2, 1]],
            [1.0, 0.5, 0.5],
            [0, 2, 1],
            [1.0, 0.5, 0.125],
            threshold=0.375,
            tags=("tie",),
        ),
        by_hand(
            "linear-at-the-threshold-is-untouched",
            "IoU 3/4 is not > 3/4.",
            QUARTERS,
            [1.0, 0.75, 0.5],
            [0, 1, 2],
            [1.0, 0.75, 0.5],
            threshold=0.75,
            tags=("tie", "convention"),
        ),
        by_hand(
            "gaussian",
            "IoU 1/2: the score becomes 0.5 · exp(−(1/4) / (1/4)), where exp(−o²/2σ²) would give 0.5 · exp(−2). "
            "Without overlap it stays, whatever the threshold.",
            [[0, 0, 2, 1], [0, 0, 1, 1], [3, 0, 4, 1]],
            [1.0, 0.5, 0.125],
            [0, 1, 2],
            [1.0, 0.18393972058572117, 0.125],
            method="gaussian",
            threshold=1.0,
            sigma=0.25,
            tags=("convention",),
            compare={"indices": Exact(), "decayed": Ulp(4, 2.0**-40)},
        ),
        by_hand(
            "hard-is-greedy",
            "Overlapping boxes fall to 0 and below the least score.",
            QUARTERS,
            [1.0, 0.75, 0.5],
            [0, 2],
            [1.0, 0.5],
            method="hard",
        ),
        by_hand(
            "hard-without-a-least-score",
            "0 is not < 0: the eliminated box comes last, with score 0.",
            QUARTERS,
            [1.0, 0.75, 0.5],
            [0, 2, 1],
            [1.0, 0.5, 0.0],
            method="hard",
            min_score=0.0,
            tags=("kink",),
        ),
        by_hand(
            "least-score-at-the-start-and-later",
            "Box 2 is too low from the start, box 1 decays to 0.1875; box 3 equals the least score and stays.",
            [*QUARTERS[:2], [5, 0, 6, 1], [7, 0, 8, 1]],
            [1.0, 0.75, 0.125, 0.25],
            [0, 3],
            [1.0, 0.25],
            min_score=0.25,
            tags=("tie", "convention"),
        ),
        by_hand(
            "nothing-reaches-the-least-score",
            "Not even the best box, which no decay has touched, is selected.",
            QUARTERS,
            [0.1875, 0.125, 0.0625],
            [],
            [],
            min_score=0.25,
            tags=("empty", "convention"),
        ),
        by_hand(
            "equal-scores-lowest-index-first",
            "Also where the tie arises by decay: 0.75 · 1/4 = 0.1875.",
            [*QUARTERS, [7, 0, 8, 1]],
            [0.75, 0.75, 0.1875, 0.1875],
            [0, 1, 2, 3],
            [0.75, 0.1875, 0.1875, 0.1875],
            tags=("tie",),
        ),
        by_hand(
            "equal-scores-behind-a-better-box",
            "Box 2 comes first, then the lowest index; if box 2 were exchanged with box 0, box 1 would come next.",
            [[0, 0, 1, 1], [3, 0, 4, 1], [6, 0, 7, 1]],
            [0.25, 0.25, 0.5],
            [2, 0, 1],
            [0.5, 0.25, 0.25],
            tags=("tie", "convention"),
        ),
        by_hand(
            "empty-boxes-decay-nothing",
            "Two equal points: IoU 0/0 = 0.",
            [[1, 1, 1, 1], [1, 1, 1, 1]],
            [1.0, 0.5],
            [0, 1],
            [1.0, 0.5],
            tags=("empty", "convention"),
            optional="OpenCV takes two empty boxes for duplicates",
        ),
        by_hand(
            "a-malformed-box-decays-nothing",
            "The corners of box 0 in the other order would be those of box 1.",
            [[3, 3, 0, 0], [0, 0, 3, 3]],
            [1.0, 0.5],
            [0, 1],
            [1.0, 0.5],
            tags=("empty", "convention"),
            optional="TensorFlow puts the corners of a box in order",
        ),
        by_hand(
            "legacy-threshold",
            "[0, 0, 2, 0] is 3/4 of [0, 0, 3, 0] where x2 is the last pixel inside: IoU = 3/4, not > 3/4.",
            [[0, 0, 3, 0], [0, 0, 2, 0]],
            [1.0, 0.5],
            [0, 1],
            [1.0, 0.5],
            threshold=0.75,
            offset=1,
            tags=("tie", "convention"),
        ),
        by_hand(
            "legacy-widths",
            "[0, 0, 3, 0] is 4 × 1 and [0, 0, 1, 0] 2 × 1: IoU 1/2. Continuous, both would be empty.",
            [[0, 0, 3, 0], [0, 0, 1, 0]],
            [1.0, 0.5],
            [0, 1],
            [1.0, 0.25],
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "widths-one-and-two-smaller",
            "10 × 10 and 5 × 10 pixels: IoU = 1/2 > 13/32. A pixel less it is 36/81, more too; two less, 24/64, not.",
            [[0, 0, 9, 9], [0, 0, 4, 9]],
            [1.0, 0.5],
            [0],
            [1.0],
            method="hard",
            threshold=0.40625,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "a-nan-iou-decays-nothing",
            "Neither does the Gaussian, whose exponential would be NaN.",
            [[nan, 0, 2, 1], [0, 0, 2, 1]],
            [1.0, 0.5],
            [0, 1],
            [1.0, 0.5],
            method="gaussian",
            tags=("nan", "convention"),
            optional="most implementations assume finite boxes",
        ),
        by_hand(
            "a-nan-score-comes-last",
            "A score that is NaN is below no least score, and is selected when no number is left.",
            [[0, 0, 1, 1], [2, 0, 3, 1]],
            [nan, 0.5],
            [1, 0],
            [0.5, nan],
            tags=("nan", "convention"),
            optional="most implementations assume finite scores",
        ),
        by_hand("no-boxes", "Nothing in, nothing out.", [], [], [], [], tags=("empty",)),
        *(
            Case(
                f"heap-of-40-{method}",
                "Many overlapping boxes with integer corners; most scores decay several times.",
                {"boxes": heap_of_boxes(f"soft {method}", 40), "scores": distinct(f"soft {method}", (40,), 1 / 64)},
                ROUNDED,
                params(method, 0.3125, 0.75, 0.001),
            )
            for method in ("linear", "gaussian", "hard")
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random boxes in float64."""
    corner = rng.random((20, 2)) * 4
    boxes = np.concatenate([corner, corner + rng.random((20, 2)) * 4], axis=1)
    chosen = params(str(rng.choice(["linear", "gaussian", "hard"])), float(rng.random()), 0.4, 0.01, 1)
    return Case("random", "", {"boxes": boxes, "scores": rng.random(20)}, ROUNDED, chosen)

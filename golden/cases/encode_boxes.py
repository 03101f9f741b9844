"""Golden cases of the box transform, from boxes to targets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._boxes import on_quarters
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import encode_boxes as oracle

Four = tuple[float, float, float, float]

ALGORITHM = Algorithm(
    "encode_boxes",
    oracle,
    ("proposals", "targets"),
    ("deltas",),
    reference="deck 001; Girshick et al. (2014), appendix C",
)

# Corners are multiples of 1/4, so that centres and sizes are exact. What is rounded: a quotient, the logarithm of one
# (whose error is absolute where the logarithm is near 0), and the three operations that change the scale.
RATIO = Ulp(4, 2.0**-22)


def params(
    convention: str = "continuous",
    weights: Four = (1.0, 1.0, 1.0, 1.0),
    mean: Four = (0.0, 0.0, 0.0, 0.0),
    std: Four = (1.0, 1.0, 1.0, 1.0),
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"convention": convention, "weights": weights, "mean": mean, "std": std}


def cases() -> list[Case]:
    pair = {"proposals": np.array([[0.0, 0, 10, 20]]), "targets": np.array([[2.0, 1, 14, 31]])}
    legacy = np.array([[3 / 11, 6 / 21, math.log(13 / 11), math.log(31 / 21)]])
    many = {"proposals": on_quarters("encode p", 12), "targets": on_quarters("encode b", 12)}
    return [
        Case(
            "by-hand",
            "A proposal of 10 × 20 around (5, 10), a target of 12 × 30 around (8, 16).",
            pair,
            RATIO,
            params(),
            expected={"deltas": np.array([[0.3, 0.3, math.log(1.2), math.log(1.5)]])},
            source="by hand",
            tags=("hand", "deck", "convention"),
        ),
        Case(
            "py-faster",
            "The same corners where x2 is the last pixel: 11 × 21 around (5.5, 10.5), 13 × 31 around (8.5, 16.5).",
            pair,
            RATIO,
            params("py-faster"),
            expected={"deltas": legacy},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "detectron1",
            "Encodes as Faster R-CNN does; only the way back differs.",
            pair,
            RATIO,
            params("detectron1"),
            expected={"deltas": legacy},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "same-box",
            "A target that is the proposal: no correction, exactly.",
            {"proposals": many["proposals"], "targets": many["proposals"]},
            Exact(),
            params(),
            expected={"deltas": np.zeros((12, 4))},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "moved-only",
            "Widths of 8, moved by 2 and −4: quarters and halves, and log 1 = 0.",
            {"proposals": np.array([[0.0, 0, 8, 8]]), "targets": np.array([[2.0, -4, 10, 4]])},
            Exact(),
            params(),
            expected={"deltas": np.array([[0.25, -0.5, 0.0, 0.0]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "weights",
            "The weights (10, 10, 5, 5) of torchvision's heads multiply.",
            pair,
            Ulp(8, 2.0**-19),
            params(weights=(10.0, 10.0, 5.0, 5.0)),
            expected={"deltas": np.array([[3.0, 3.0, 5 * math.log(1.2), 5 * math.log(1.5)]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "mean-and-std",
            "Subtract the mean, then divide by the standard deviation: (0.25 − 0.5)/0.25, (−0.5 + 0.5)/2, (0 − 1)/0.5.",
            {"proposals": np.array([[0.0, 0, 8, 8]]), "targets": np.array([[2.0, -4, 10, 4]])},
            Exact(),
            params(mean=(0.5, -0.5, 1.0, 2.0), std=(0.25, 2.0, 0.5, 4.0)),
            expected={"deltas": np.array([[-1.0, 0.0, -2.0, -0.5]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "weights-then-mean-then-std",
            "All of them: (t · 2 − 1)/4, which another order would change.",
            {"proposals": np.array([[0.0, 0, 8, 8]]), "targets": np.array([[2.0, -4, 10, 4]])},
            Exact(),
            params(weights=(2.0, 2.0, 2.0, 2.0), mean=(1.0, 1.0, 1.0, 1.0), std=(4.0, 4.0, 4.0, 4.0)),
            expected={"deltas": np.array([[-0.125, -0.5, -0.25, -0.25]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "many",
            "Twelve pairs of boxes with corners at quarters of a pixel, in SSD's scale.",
            many,
            Ulp(8, 2.0**-18),
            params(std=(0.1, 0.1, 0.2, 0.2)),
            tags=("rounding",),
        ),
        Case(
            "empty-target",
            "A target without width: its logarithm is −∞. refdet's public function refuses it.",
            {"proposals": np.array([[0.0, 0, 8, 8]]), "targets": np.array([[4.0, 0, 4, 8]])},
            Exact(),
            params(),
            expected={"deltas": np.array([[0.0, 0.0, -np.inf, 0.0]])},
            source="by hand",
            tags=("hand", "inf", "empty"),
            status="optional",
            status_reason="implementations may refuse it, or add a small number to the width as R-CNN did",
        ),
        Case(
            "nan",
            "A NaN in x reaches t_x and t_w.",
            {"proposals": np.array([[0.0, 0, 8, 8]]), "targets": np.array([[np.nan, 0, 8, 8]])},
            Exact(),
            params(),
            expected={"deltas": np.array([[np.nan, 0.0, np.nan, 0.0]])},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "no-boxes",
            "None in, none out.",
            {"proposals": np.zeros((0, 4)), "targets": np.zeros((0, 4))},
            Exact(),
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return pairs of boxes and a random convention."""
    proposals, targets = (on_quarters(str(rng.integers(2**31)), 5) for _ in range(2))
    chosen = params(str(rng.choice(["continuous", "py-faster", "detectron1"])), std=(0.1, 0.1, 0.2, 0.2))
    return Case("random", "", {"proposals": proposals, "targets": targets}, Ulp(8, 2.0**-18), chosen)

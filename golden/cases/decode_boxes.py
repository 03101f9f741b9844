"""Golden cases of the box transform, from predictions to boxes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._boxes import on_quarters
from golden.cases._numbers import dyadic
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import decode_boxes as oracle

Four = tuple[float, float, float, float]

ALGORITHM = Algorithm(
    "decode_boxes",
    oracle,
    ("proposals", "deltas"),
    ("boxes",),
    reference="deck 001; Girshick et al. (2014), appendix C",
)

SCALE_CLAMP = math.log(1000 / 16)
# The corner is a sum of numbers below 256, each with a few rounding errors and one exponential: 32 · 2⁻²⁴ · 256.
CORNER = Ulp(4, 2.0**-11)


def params(
    convention: str = "continuous",
    weights: Four = (1.0, 1.0, 1.0, 1.0),
    mean: Four = (0.0, 0.0, 0.0, 0.0),
    std: Four = (1.0, 1.0, 1.0, 1.0),
    clamp: float | None = None,
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"convention": convention, "weights": weights, "mean": mean, "std": std, "clamp": clamp}


def cases() -> list[Case]:
    proposal = np.array([[0.0, 0, 9, 9]])
    square = np.array([[0.0, 0, 8, 8]])
    return [
        Case(
            "no-correction",
            "t = 0 gives the proposal back.",
            {"proposals": proposal, "deltas": np.zeros((1, 4))},
            Exact(),
            params(),
            expected={"boxes": proposal},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "py-faster-does-not-return",
            "Widths with + 1 that is not taken back: t = 0 turns [0, 0, 9, 9] into [0, 0, 10, 10].",
            {"proposals": proposal, "deltas": np.zeros((1, 4))},
            Exact(),
            params("py-faster"),
            expected={"boxes": np.array([[0.0, 0, 10, 10]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "detectron1-returns",
            "Detectron takes it back.",
            {"proposals": proposal, "deltas": np.zeros((1, 4))},
            Exact(),
            params("detectron1"),
            expected={"boxes": proposal},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "detectron1-moves-by-its-own-width",
            "[0, 0, 7, 7] is 8 wide, so that t_x = 0.5 moves it by 4, not by 3.5.",
            {"proposals": np.array([[0.0, 0, 7, 7]]), "deltas": np.array([[0.5, 0, 0, 0]])},
            Exact(),
            params("detectron1"),
            expected={"boxes": np.array([[4.0, 0, 11, 7]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "moved",
            "The centre moves by a quarter of the width and minus half of the height.",
            {"proposals": square, "deltas": np.array([[0.25, -0.5, 0, 0]])},
            Exact(),
            params(),
            expected={"boxes": np.array([[2.0, -4, 10, 4]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "twice-as-wide",
            "t_w = log 2, as near as float32 comes to it.",
            {"proposals": square, "deltas": np.array([[0, 0, float(np.float32(math.log(2))), 0]])},
            Ulp(4, 2.0**-20),
            params(),
            expected={"boxes": np.array([[-4.0, 0, 12, 8]])},
            source="by hand",
            tags=("hand", "deck"),
        ),
        Case(
            "std-and-mean-before-weights",
            "t = (δ · std + mean)/weights: (1 · 0.5 + 1)/2 = 0.75 of the width, (−1 · 0.5 + 1)/2 = 0.25 of the height.",
            {"proposals": square, "deltas": np.array([[1.0, -1.0, -2.0, -2.0]])},
            Exact(),
            params(weights=(2.0, 2.0, 2.0, 2.0), mean=(1.0, 1.0, 1.0, 1.0), std=(0.5, 0.5, 0.5, 0.5)),
            expected={"boxes": np.array([[6.0, 2, 14, 10]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "classes-side-by-side",
            "Three classes in a row: the proposal moved by 0, by 1 width, and by 1 height.",
            {"proposals": square, "deltas": np.array([[0.0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0]])},
            Exact(),
            params(),
            expected={"boxes": np.array([[0.0, 0, 8, 8, 8, 0, 16, 8, 0, 8, 8, 16]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "clamp",
            "t_w = 9 grows the width 62.5-fold, not 8103-fold; t_h = −9 is not clamped, and t_x = 9 is not either.",
            {"proposals": square, "deltas": np.array([[9.0, 0, 9, -9]])},
            Ulp(4, 2.0**-14),
            params(clamp=SCALE_CLAMP),
            expected={"boxes": np.array([[76 - 250, 4 - 4 * math.exp(-9), 76 + 250, 4 + 4 * math.exp(-9)]])},
            source="by hand",
            tags=("hand", "convention", "overflow"),
        ),
        Case(
            "no-clamp-detectron1",
            "Where no clamp is asked 8 × 8 pixels grow e⁹-fold, 8103-fold.",
            {"proposals": np.array([[0.0, 0, 7, 7]]), "deltas": np.array([[0.0, 0, 9, 9]])},
            Ulp(16, 0.0),
            params("detectron1"),
            expected={"boxes": np.array([[4 - 4 * math.exp(9)] * 2 + [4 + 4 * math.exp(9) - 1] * 2])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "clamp-after-weights",
            "The same limit with weights of 5: δ_w = 9 is t_w = 1.8, far below it; δ_h = 45 is not.",
            {"proposals": square, "deltas": np.array([[0.0, 0, 9, 45]])},
            Ulp(8, 2.0**-14),
            params(weights=(10.0, 10.0, 5.0, 5.0), clamp=SCALE_CLAMP),
            expected={"boxes": np.array([[4 - 4 * math.exp(1.8), 4 - 250, 4 + 4 * math.exp(1.8), 4 + 250]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "overflow",
            "Without a limit, e¹⁰⁰⁰ is beyond every float: the box covers everything.",
            {"proposals": square, "deltas": np.array([[0.0, 0, 1000, 0]])},
            Exact(),
            params(),
            expected={"boxes": np.array([[-np.inf, 0, np.inf, 8]])},
            source="by hand",
            tags=("hand", "overflow", "inf"),
            status="optional",
            status_reason="implementations may refuse it",
        ),
        Case(
            "many",
            "Ten proposals, two classes, the scale of torchvision's heads.",
            {"proposals": on_quarters("decode p", 10), "deltas": dyadic("decode d", (10, 8), -16, 16, 0.25)},
            CORNER,
            params(weights=(10.0, 10.0, 5.0, 5.0), clamp=SCALE_CLAMP),
            tags=("rounding",),
        ),
        Case(
            "many-py-faster",
            "The same under the convention of Faster R-CNN, whose scale is that by std.",
            {"proposals": on_quarters("decode p", 10), "deltas": dyadic("decode d", (10, 8), -16, 16, 0.25)},
            CORNER,
            params("py-faster", std=(0.1, 0.1, 0.2, 0.2)),
            tags=("rounding", "convention"),
        ),
        Case(
            "nan",
            "A NaN stays in its class and on its axis, clamp or not.",
            {"proposals": square, "deltas": np.array([[0.0, 0, np.nan, 0, 0, 0, 0, 0]])},
            Exact(),
            params(clamp=SCALE_CLAMP),
            expected={"boxes": np.array([[np.nan, 0, np.nan, 8, 0, 0, 8, 8]])},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="a minimum that drops NaN makes it a large box",
        ),
        Case(
            "no-proposals",
            "None in, none out, with two classes.",
            {"proposals": np.zeros((0, 4)), "deltas": np.zeros((0, 8))},
            Exact(),
            params(),
            tags=("empty",),
        ),
        Case(
            "no-classes",
            "Rows without a class.",
            {"proposals": square, "deltas": np.zeros((1, 0))},
            Exact(),
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return proposals, two transforms each, and a random convention."""
    chosen = params(str(rng.choice(["continuous", "py-faster", "detectron1"])), std=(0.1, 0.1, 0.2, 0.2), clamp=1.0)
    proposals, deltas = on_quarters(str(rng.integers(2**31)), 5), rng.integers(-16, 16, (5, 8)) / 4
    return Case("random", "", {"proposals": proposals, "deltas": deltas}, CORNER, chosen)

"""Golden cases of non-maximum suppression from a matrix of overlaps."""

from __future__ import annotations

import numpy as np

from golden.cases._detections import in_float32, tied_scores
from golden.cases._numbers import dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import nms_from_iou as oracle

ALGORITHM = Algorithm("nms_from_iou", oracle, ("iou", "scores"), ("kept",), reference="deck 001")


def overlaps(n: int, **pairs: float) -> np.typing.NDArray[np.float64]:
    """Return a symmetric matrix with 1 on the diagonal and the IoU of some pairs, such as `_01=0.5`."""
    iou = np.eye(n)
    for name, value in pairs.items():
        i, j = int(name[1]), int(name[2])
        iou[i, j] = iou[j, i] = value
    return iou


def cases() -> list[Case]:
    """Return the cases."""
    deck = overlaps(4, **dict(zip(("_01", "_02", "_03", "_23"), in_float32(0.8, 0.03, 0.05, 0.85), strict=True)))
    half = overlaps(3, _01=0.5, _02=0.5 + 2.0**-20, _12=1.0)
    lopsided = np.array([[1.0, 0.875], [0.0, 1.0]])
    return [
        Case(
            "deck-001-walk-through",
            "The first of four boxes overlaps the others by 0.8, 0.03, 0.05; then the third the fourth by 0.85.",
            {"iou": deck, "scores": in_float32(0.9, 0.8, 0.75, 0.7)},
            Exact(),
            {"threshold": 0.7},
            expected={"kept": np.array([0, 2])},
            source="deck 001",
            tags=("deck", "hand"),
        ),
        Case(
            "equality-survives",
            "IoU 1/2 stays, 1/2 + 2⁻²⁰ goes; and box 2, which is gone, does not take box 1 with it.",
            {"iou": half, "scores": np.array([0.75, 0.25, 0.5])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([0, 1])},
            source="by hand",
            tags=("hand", "tie", "convention"),
        ),
        Case(
            "the-row-of-the-better-box-is-read",
            "The matrix is not symmetric: row 1, which has the higher score, says 0, and row 0 is never asked.",
            {"iou": lopsided, "scores": np.array([0.25, 0.75])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([1, 0])},
            source="by hand",
            tags=("hand", "convention"),
            status="optional",
            status_reason="IoU is symmetric; only other overlaps are not",
        ),
        Case(
            "nan-suppresses-nothing",
            "NaN is not > 0, anywhere in the matrix.",
            {"iou": np.full((3, 3), np.nan), "scores": np.array([0.5, 0.5, 0.75])},
            Exact(),
            {"threshold": 0.0},
            expected={"kept": np.array([2, 0, 1])},
            source="by hand",
            tags=("hand", "nan", "tie"),
            status="optional",
            status_reason="most implementations assume finite overlaps",
        ),
        Case(
            "a-victim-suppresses-nobody",
            "Neighbours overlap by 3/4, the ends not at all: the middle one is gone before it meets the last.",
            {"iou": overlaps(3, _01=0.75, _12=0.75), "scores": np.array([0.75, 0.5, 0.25])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([0, 2])},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "overlap-equal-to-the-threshold-survives",
            "1/2 is not > 1/2.",
            {"iou": overlaps(2, _01=0.5), "scores": np.array([0.75, 0.5])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([0, 1])},
            source="by hand",
            tags=("hand", "tie", "convention"),
        ),
        Case(
            "equal-scores-lowest-index-first",
            "Of a pair with equal scores the first stays.",
            {"iou": overlaps(2, _01=1.0), "scores": np.array([0.5, 0.5])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([0])},
            source="by hand",
            tags=("hand", "tie"),
        ),
        Case(
            "kept-in-descending-score",
            "The indices come in the order of the scores.",
            {"iou": overlaps(2), "scores": np.array([0.25, 0.5])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([1, 0])},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "a-nan-score-comes-last",
            "Behind 1/2.",
            {"iou": overlaps(2), "scores": np.array([np.nan, 0.5])},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.array([1, 0])},
            source="by hand",
            tags=("hand", "nan", "convention"),
            status="optional",
            status_reason="torch sorts NaN first; most implementations assume finite scores",
        ),
        Case(
            "no-boxes",
            "Nothing in, nothing out.",
            {"iou": np.zeros((0, 0)), "scores": np.zeros(0)},
            Exact(),
            {"threshold": 0.5},
            expected={"kept": np.zeros(0, np.int64)},
            source="by hand",
            tags=("empty",),
        ),
        Case(
            "sixteenths",
            "Overlaps and scores in sixteenths: many equal the threshold, and many scores tie.",
            {"iou": _symmetric("sixteenths", 40), "scores": tied_scores("nms_from_iou", 40)},
            Exact(),
            {"threshold": 0.9375},
            tags=("tie", "dyadic"),
        ),
    ]


def _symmetric(seed: str, n: int) -> np.typing.NDArray[np.float64]:
    half = np.tril(dyadic(seed, (n, n), 0, 16, 1 / 16))
    return np.maximum(half, half.T)


def random_case(rng: np.random.Generator) -> Case:
    """Return a random matrix, not symmetric, in float64."""
    inputs = {"iou": rng.random((12, 12)), "scores": rng.integers(0, 8, 12) / 8}
    return Case("random", "", inputs, Exact(), {"threshold": float(rng.random())})

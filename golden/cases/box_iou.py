"""Golden cases of intersection over union."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._boxes import malformed, well_formed
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import box_iou as oracle

ALGORITHM = Algorithm(
    "box_iou",
    oracle,
    ("boxes", "others", "crowd"),
    ("iou",),
    reference="deck 001; Everingham et al. (2010), section 4.2; crowds: Lin et al. (2014)",
)

# Sides, areas and union are sums and products of a few terms, and the union is at least half of what it is taken from.
ROUNDED = Ulp(16, 0.0)
DIVISION = Ulp(1, 0.0)  # coordinates are small integers: nothing is rounded but the quotient


def params(offset: int = 0, empty: str = "zero") -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"offset": offset, "empty": empty}


def cases() -> list[Case]:
    corner = np.array([[0.0, 0, 4, 4]])
    touching = {"boxes": np.array([[0.0, 0, 9, 9]]), "others": np.array([[9.0, 0, 18, 9], [5, 5, 14, 14]])}
    flat = np.array([[1.0, 1, 1, 3]])
    return [
        Case(
            "quarters",
            "Areas that are powers of two: the same box, half of it, a quarter of it, and a box elsewhere.",
            {"boxes": corner, "others": np.array([[0.0, 0, 4, 4], [0, 0, 2, 4], [2, 2, 4, 4], [9, 9, 10, 10]])},
            Exact(),
            params(),
            expected={"iou": np.array([[1.0, 0.5, 0.25, 0.0]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "touching-continuous",
            "Boxes that share an edge do not overlap; the others share 4 × 4 of 81 + 81.",
            touching,
            DIVISION,
            params(),
            expected={"iou": np.array([[0.0, 16 / 146]])},
            source="by hand",
            tags=("hand", "convention", "border"),
        ),
        Case(
            "touching-legacy",
            "Where x2 is the last pixel inside, boxes with the same edge share a column: 10 of 190; 25 of 175.",
            touching,
            DIVISION,
            params(offset=1),
            expected={"iou": np.array([[10 / 190, 25 / 175]])},
            source="by hand",
            tags=("hand", "convention", "border"),
        ),
        Case(
            "legacy-single-pixel",
            "With the offset a box [3, 3, 3, 3] is one pixel, not nothing.",
            {"boxes": np.array([[3.0, 3, 3, 3]]), "others": np.array([[3.0, 3, 3, 3], [2, 2, 3, 3]])},
            Exact(),
            params(offset=1),
            expected={"iou": np.array([[1.0, 0.25]])},
            source="by hand",
            tags=("hand", "convention", "dyadic"),
        ),
        Case(
            "left-of-and-above-the-origin",
            "Coordinates may be negative, and nothing is cut off at 0: 12 × 16 and 20 × 8 share 8 × 8, IoU = 64/288.",
            {"boxes": np.array([[-16.0, -20, -4, -4]]), "others": np.array([[-12.0, -12, 8, -4], [-16, -20, -4, -4]])},
            Ulp(1, 0.0),
            params(),
            expected={"iou": np.array([[64 / 288, 1.0]])},
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "nothing-beside-a-unit-box",
            "One of the two has area, and that is 1: IoU is 0/1, though 0/0 would be NaN.",
            {"boxes": np.array([[0.0, 0, 1, 1]]), "others": np.array([[2.0, 2, 2, 2]])},
            Exact(),
            params(empty="nan"),
            expected={"iou": np.array([[0.0]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "two-empty-boxes-are-zero",
            "0/0 is 0, even for a box without area and itself; against a box with area it is 0 in any case.",
            {"boxes": flat, "others": np.concatenate([flat, corner])},
            Exact(),
            params(),
            expected={"iou": np.zeros((1, 2))},
            source="by hand",
            tags=("hand", "empty", "convention"),
        ),
        Case(
            "two-empty-boxes-are-nan",
            "The same under the convention of torchvision: 0/0 is NaN, 0/16 is still 0.",
            {"boxes": flat, "others": np.concatenate([flat, corner])},
            Exact(),
            params(empty="nan"),
            expected={"iou": np.array([[np.nan, 0.0]])},
            source="by hand",
            tags=("hand", "empty", "convention", "nan"),
        ),
        Case(
            "small-boxes",
            "Boxes in units of the image, with an area of 2⁻²⁰: what guards a union of 0 must not change one of 10⁻⁶.",
            {"boxes": corner / 4096, "others": np.array([[0.0, 0, 4, 4], [0, 0, 2, 4]]) / 4096},
            Exact(),
            params(),
            expected={"iou": np.array([[1.0, 0.5]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "two-malformed-boxes",
            "A box that ends before it begins is nothing, also together with itself: 0/0.",
            {"boxes": np.array([[1.0, 1, 0, 3]]), "others": np.array([[1.0, 1, 0, 3]])},
            Exact(),
            params(),
            expected={"iou": np.zeros((1, 1))},
            source="by hand",
            tags=("hand", "empty", "convention"),
        ),
        Case(
            "malformed",
            "A box that ends before it begins, along one axis or both, has no area and no overlap.",
            {"boxes": np.array([[4.0, 4, 0, 0], [4, 0, 0, 4]]), "others": corner},
            Exact(),
            params(),
            expected={"iou": np.zeros((2, 1))},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "crowd",
            "The second of two equal regions is a crowd: 4 of 16 + 64 − 4, but 4 of the 16 of the box, not of the 64.",
            {
                "boxes": corner,
                "others": np.array([[2.0, 2, 10, 10], [2, 2, 10, 10]]),
                "crowd": np.array([False, True]),
            },
            DIVISION,
            params(),
            expected={"iou": np.array([[1 / 19, 0.25]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "crowd-and-an-empty-box",
            "A box without area in a crowd is 0/0, whatever the crowd's area.",
            {"boxes": flat, "others": corner, "crowd": np.array([True])},
            Exact(),
            params(empty="nan"),
            expected={"iou": np.array([[np.nan]])},
            source="by hand",
            tags=("hand", "empty", "nan", "convention"),
        ),
        Case(
            "nan",
            "A NaN coordinate gives NaN with every box, also in a crowd and far away; its neighbours are not affected.",
            {
                "boxes": np.array([[0.0, 0, np.nan, 4], [0, 0, 4, 4]]),
                "others": np.array([[0.0, 0, 4, 4], [9, 9, 10, np.nan], [50, 50, 60, 60]]),
                "crowd": np.array([False, True, False]),
            },
            Exact(),
            params(),
            expected={"iou": np.array([[np.nan] * 3, [1.0, np.nan, 0.0]])},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="many implementations assume finite input, and a maximum that drops NaN gives numbers here",
        ),
        Case(
            "fractions",
            "Coordinates that use all of float32's digits, some boxes malformed.",
            {
                "boxes": np.concatenate([well_formed("iou p", 11), malformed("iou r", 2)]),
                "others": well_formed("iou q", 9),
            },
            ROUNDED,
            params(),
            tags=("rounding",),
        ),
        Case(
            "fractions-legacy",
            "The same with the offset.",
            {"boxes": well_formed("iou p", 11), "others": well_formed("iou q", 9)},
            ROUNDED,
            params(offset=1),
            tags=("rounding", "convention"),
        ),
        Case(
            "no-boxes",
            "No rows, three columns.",
            {"boxes": np.zeros((0, 4)), "others": np.zeros((3, 4))},
            Exact(),
            params(),
            tags=("empty",),
        ),
        Case(
            "no-others",
            "Two rows, no columns.",
            {"boxes": np.zeros((2, 4)), "others": np.zeros((0, 4)), "crowd": np.zeros(0, bool)},
            Exact(),
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return boxes on a coarse grid, so that some coincide, touch, or are empty."""
    start = rng.integers(0, 8, (9, 2)).astype(np.float64)
    boxes = np.concatenate([start, start + rng.integers(-1, 6, (9, 2))], axis=1)
    crowd = rng.random(4) < 0.3 if rng.integers(2) else None
    chosen = params(int(rng.integers(2)), str(rng.choice(["zero", "nan"])))
    return Case("random", "", {"boxes": boxes[:5], "others": boxes[5:], "crowd": crowd}, ROUNDED, chosen)

"""Golden cases of joints as places on a grid."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, integers, reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import encode_keypoints as oracle

ALGORITHM = Algorithm(
    "encode_keypoints",
    oracle,
    ("joints", "visible", "boxes"),
    ("positions", "valid"),
    reference="He et al. (2017), section 5; code of Detectron, Detectron2 and torchvision",
)
BELOW, ABOVE = 2.0**-12, 2.0**-12


def by_hand(
    name: str,
    why: str,
    joints: list[list[list[float]]],
    boxes: list[list[float]],
    positions: list[list[int]],
    valid: list[list[int]],
    *tags: str,
    side: int = 4,
    visible: list[list[int]] | None = None,
    undefined: str = "",
) -> Case:
    """Return a case of a few joints; all of them can be seen unless `visible` says otherwise."""
    shape = (len(joints), len(joints[0]))
    return Case(
        name,
        why,
        {
            "joints": np.array(joints, np.float64),
            "visible": np.ones(shape, bool) if visible is None else np.array(visible, bool),
            "boxes": np.array(boxes, np.float64),
        },
        Exact(),
        {"side": side},
        expected={"positions": np.array(positions), "valid": np.array(valid, bool)},
        source="by hand",
        tags=("hand", *tags),
        status="undefined" if undefined else "required",
        status_reason=undefined,
    )


def cases() -> list[Case]:
    """Return the cases."""
    return [
        by_hand(
            "rows-before-columns",
            "Places of 2 × 1 pixels: (7, 2) is in column 3 of row 2, and its position 2 · 4 + 3.",
            [[[7, 2], [2, 3.5], [0.5, 0.25]]],
            [[0, 0, 8, 4]],
            [[11, 13, 0]],
            [[1, 1, 1]],
        ),
        by_hand(
            "rounded-down",
            "1.75 and 1.25 places from the edge are in place 1, as is 1.",
            [[[5.5, 4.5], [4.5, 5.5], [4, 4]]],
            [[2, 2, 10, 10]],
            [[5, 5, 5]],
            [[1, 1, 1]],
            "rounding",
        ),
        by_hand(
            "on-the-edges",
            "The left and upper edges are in place 0; the right and lower ones, which are outside by the formula, in "
            "the last.",
            [[[2, 3], [10, 11], [2, 11], [10, 3], [10, 5], [5, 11]]],
            [[2, 3, 10, 11]],
            [[0, 15, 12, 3, 7, 13]],
            [[1, 1, 1, 1, 1, 1]],
            "border",
            "tie",
        ),
        by_hand(
            "just-outside",
            "2⁻¹² of a pixel beyond each edge; the other coordinate is on an edge or inside.",
            [[[2 - BELOW, 3], [10, 3 - BELOW], [10 + ABOVE, 5], [5, 11 + ABOVE], [-90, 90]]],
            [[2, 3, 10, 11]],
            [[0, 0, 0, 0, 0]],
            [[0, 0, 0, 0, 0]],
            "border",
        ),
        by_hand(
            "just-inside",
            "2⁻¹² of a pixel within each edge: the first and the last place.",
            [[[2 + BELOW, 3 + BELOW], [10 - ABOVE, 11 - ABOVE]]],
            [[2, 3, 10, 11]],
            [[0, 15]],
            [[1, 1]],
            "border",
        ),
        by_hand(
            "hidden",
            "A joint that cannot be seen has no place, wherever it is.",
            [[[4, 4], [4, 4], [8, 8]], [[4, 4], [8, 0], [4, 0]]],
            [[0, 0, 8, 8], [0, 0, 8, 8]],
            [[10, 0, 0], [0, 0, 2]],
            [[1, 0, 0], [0, 0, 1]],
            visible=[[1, 0, 0], [0, 0, 1]],
        ),
        by_hand(
            "each-region-its-own-box",
            "The same two joints in two boxes; the second is outside one of them.",
            [[[3, 3], [7, 1]], [[3, 3], [7, 1]]],
            [[0, 0, 4, 4], [0, 0, 8, 16]],
            [[15, 0], [1, 3]],
            [[1, 0], [1, 1]],
        ),
        by_hand(
            "in-the-middle-of-46-pixels",
            "23 · 28/46 is 14, but 23 times the float32 nearest to 28/46 is less. The product comes first.",
            [[[23, 23], [0, 45]]],
            [[0, 0, 46, 46]],
            [[14 * 28 + 14, 27 * 28]],
            [[1, 1]],
            "rounding",
            "convention",
            side=28,
        ),
        by_hand(
            "in-sevenths-of-49-pixels",
            "7 · 28/49 is 4, but 7 · 28 times the float32 nearest to 1/49 is less. Multiplied before they are divided, "
            "whole numbers stay whole.",
            [[[7, 14], [21, 42]]],
            [[0, 0, 49, 49]],
            [[8 * 28 + 4, 24 * 28 + 12]],
            [[1, 1]],
            "rounding",
            "convention",
            side=28,
        ),
        by_hand(
            "one-place",
            "On a grid of 1 × 1 whatever is inside is in place 0.",
            [[[1, 2], [4, 4], [5, 2]]],
            [[0, 0, 4, 4]],
            [[0, 0, 0]],
            [[1, 1, 0]],
            side=1,
        ),
        by_hand(
            "a-box-without-area",
            "Only a joint on the point itself, which is the right and lower edge, has a place: the last.",
            [[[2, 2], [3, 2], [1, 1]]],
            [[2, 2, 2, 2]],
            [[15, 0, 0]],
            [[1, 0, 0]],
            "empty",
            undefined="a division by 0 that only the rule for the edge hides",
        ),
        by_hand(
            "a-box-that-ends-before-it-begins",
            "Both differences are negative, and the quotient is not: mirrored.",
            [[[7, 7], [1, 1], [0, 0], [9, 1]]],
            [[8, 8, 0, 0]],
            [[0, 15, 15, 0]],
            [[1, 1, 1, 0]],
            undefined="no detector makes such boxes",
        ),
        by_hand(
            "beyond-a-box-that-ends-before-it-begins",
            "Mirrored, it ends at its lesser edge: what is less than that is outside, what is on it in the last place.",
            [[[-1, 1], [1, -2], [0, 1]]],
            [[8, 8, 0, 0]],
            [[0, 0, 15]],
            [[0, 0, 1]],
            "border",
            undefined="no detector makes such boxes",
        ),
        by_hand(
            "nan",
            "A joint that is NaN has no place, even if it is said to be seen.",
            [[[np.nan, 2], [2, np.nan], [2, 2]]],
            [[0, 0, 8, 8]],
            [[0, 0, 5]],
            [[0, 0, 1]],
            "nan",
            undefined="a NaN converts to any integer",
        ),
        Case(
            "no-regions",
            "None in, none out.",
            {"joints": np.zeros((0, 3, 2)), "visible": np.zeros((0, 3), bool), "boxes": np.zeros((0, 4))},
            Exact(),
            {"side": 4},
            expected={"positions": np.zeros((0, 3), np.int64), "valid": np.zeros((0, 3), bool)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "no-joints",
            "Regions of something that has no joints.",
            {"joints": np.zeros((2, 0, 2)), "visible": np.zeros((2, 0), bool), "boxes": np.ones((2, 4))},
            Exact(),
            {"side": 4},
            expected={"positions": np.zeros((2, 0), np.int64), "valid": np.zeros((2, 0), bool)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "on-56-by-56",
            "Mask R-CNN's grid, over boxes with fractional corners; some joints are outside.",
            {
                "joints": reals("joints on a map", (5, 17, 2), 0, 100),
                "visible": integers("encode visible", (5, 17), 0, 3) > 0,
                "boxes": np.concatenate(
                    [reals("encode starts", (5, 2), 0, 30), reals("encode ends", (5, 2), 70, 100)], axis=1
                ),
            },
            Exact(),
            {"side": 56},
        ),
        Case(
            "on-quarters",
            "Joints and boxes on a grid of quarters: many are on a border between places, or on an edge.",
            {
                "joints": dyadic("encode quarters", (6, 12, 2), 0, 40, 0.25),
                "visible": integers("encode quarters seen", (6, 12), 0, 5) > 0,
                "boxes": np.concatenate(
                    [dyadic("encode left", (6, 2), 0, 12, 0.25), dyadic("encode right", (6, 2), 24, 40, 0.25)], axis=1
                ),
            },
            Exact(),
            {"side": 8},
            tags=("tie", "border", "rounding"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return joints and boxes on a grid of quarters."""
    start = rng.integers(-8, 16, (4, 2)) / 4
    inputs: dict[str, Any] = {
        "joints": rng.integers(-12, 48, (4, 5, 2)) / 4,
        "visible": rng.random((4, 5)) < 0.8,
        "boxes": np.concatenate([start, start + rng.integers(1, 32, (4, 2)) / 4], axis=1),
    }
    return Case("random", "", inputs, Exact(), {"side": int(rng.choice([1, 2, 4, 7, 8]))})

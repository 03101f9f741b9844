"""Golden cases of the overlap of run-length encoded masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import rle_encode
from tests.oracles import rle_iou as oracle

ALGORITHM = Algorithm(
    "rle_iou",
    oracle,
    ("counts", "starts", "other_counts", "other_starts", "crowd"),
    ("iou",),
    reference="Lin et al. (2014); COCO API, maskApi.c",
)
DIVISION = Ulp(1, 0.0)  # a quotient of whole numbers


def inputs(detections: list[list[int]], truths: list[list[int]], crowd: list[bool] | None) -> dict[str, Array | None]:
    """Return the counts of all masks one after the other, and where each mask starts."""
    arrays: dict[str, Array | None] = {}
    for prefix, masks in (("", detections), ("other_", truths)):
        arrays[f"{prefix}counts"] = np.array([c for counts in masks for c in counts], np.int64)
        arrays[f"{prefix}starts"] = np.cumsum([0, *map(len, masks)]).astype(np.int64)
    return {**arrays, "crowd": None if crowd is None else np.array(crowd, bool)}


def known(
    name: str,
    why: str,
    detections: list[list[int]],
    truths: list[list[int]],
    iou: Any,
    *tags: str,
    crowd: list[bool] | None = None,
    size: tuple[int, int] = (3, 2),
    compare: Compare = DIVISION,
) -> Case:
    """Return a case worked out by hand, of six pixels unless said otherwise."""
    expected = np.array(iou, np.float64).reshape(len(detections), len(truths))
    arrays = inputs(detections, truths, crowd)
    return Case(
        name, why, arrays, compare, {"size": size}, expected={"iou": expected}, source="by hand", tags=("hand", *tags)
    )


def cases() -> list[Case]:
    """Return the cases."""
    first_three, two_to_four, none, every = [0, 3, 3], [2, 3, 1], [6], [0, 6]
    return [
        known("one-pixel-of-five", "The pixels 0 to 2 and 2 to 4 share one of five.",
              [first_three], [two_to_four], [[1 / 5]]),
        known("halves", "The same mask, half of everything, and a mask elsewhere.",
              [first_three], [first_three, every, [3, 3]], [[1, 0.5, 0]], "dyadic", compare=Exact()),
        known("crowd", "Of a crowd region, the intersection is divided by the detection: 1 of 3, not of 5, and 3 of 6.",
              [first_three, every], [two_to_four, two_to_four], [[1 / 5, 1 / 3], [3 / 6, 3 / 6]], "convention",
              crowd=[False, True]),
        known("empty-masks", "Nothing is shared with a mask of nothing, not even by another one, crowd or not.",
              [none, first_three], [none, none], np.zeros((2, 2)), "empty", "convention", crowd=[False, True],
              compare=Exact()),
        known("one-pixel", "The same pixel twice, 1 of 1, also where it is a crowd; and nothing of it.",
              [[4, 1, 1]], [[4, 1, 1], [4, 1, 1], none], [[1, 1, 0]], "dyadic", crowd=[False, True, False],
              compare=Exact()),
        known("empty-runs", "Runs of length 0: both detections are the pixels 0 to 2, of which two are shared.",
              [[0, 2, 0, 1, 3], [0, 3, 3, 0]], [[1, 2, 3]], [[2 / 3], [2 / 3]], "empty"),
        known("no-detections", "Shape (0, 1).", [], [first_three], [], "empty", compare=Exact()),
        known("no-pixels", "Masks of three rows and no columns.", [[0]], [[0], [0]], [[0, 0]], "empty", size=(3, 0),
              compare=Exact()),
        Case("blots", "Three masks of many runs against four, one of them a crowd.",
             inputs(blots("d", 3), blots("g", 4), [False, True, False, False]), DIVISION, {"size": (9, 13)}),
    ]  # fmt: skip


def blots(seed: str, n: int) -> list[list[int]]:
    """Return the counts of n masks of 9 × 13 pixels, of which about two thirds are true."""
    return [[int(c) for c in rle_encode.forward(mask)] for mask in integers(f"rle iou {seed}", (n, 9, 13), 0, 2) > 0]


def random_case(rng: np.random.Generator) -> Case:
    """Return random masks."""
    masks = [[int(c) for c in rle_encode.forward(mask)] for mask in rng.random((5, 6, 4)) < 0.5]
    crowd = [bool(c) for c in rng.integers(0, 2, 3)]
    return Case("random", "", inputs(masks[:2], masks[2:], crowd), DIVISION, {"size": (6, 4)})

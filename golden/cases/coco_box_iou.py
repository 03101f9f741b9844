"""Golden cases of the overlap of COCO's boxes (x, y, w, h)."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import coco_box_iou as oracle

ALGORITHM = Algorithm(
    "coco_box_iou",
    oracle,
    ("detections", "ground_truths", "crowd"),
    ("iou",),
    reference="Lin et al. (2014); COCO API, maskApi.c",
)
DIVISION = Ulp(1, 0.0)  # coordinates are small integers: nothing is rounded but the quotient
# sides and areas are sums and products of a few terms; the boxes below share a good part of their area
ROUNDED = Ulp(32, 0.0)


def known(
    name: str, why: str, detections: Any, truths: Any, iou: Any, *tags: str, crowd: Any = None, compare: Compare
) -> Case:
    """Return a case worked out by hand."""
    crowd = [False] * len(truths) if crowd is None else crowd
    return Case(
        name,
        why,
        {
            "detections": np.array(detections, np.float64).reshape(-1, 4),
            "ground_truths": np.array(truths, np.float64).reshape(-1, 4),
            "crowd": np.array(crowd, bool),
        },
        compare,
        expected={"iou": np.array(iou, np.float64).reshape(-1, len(truths))},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    square = [[2, 3, 4, 4]]
    return [
        known("quarters", "The same box, half of it, a quarter of it, and one elsewhere.",
              square, [[2, 3, 4, 4], [2, 3, 2, 4], [4, 5, 2, 2], [20, 3, 4, 4]], [[1, 0.5, 0.25, 0]], "dyadic",
              compare=Exact()),
        known("not-corners", "The last two numbers are width and height: as corners, the boxes would share nothing.",
              square, [[5, 6, 4, 4]], [[1 / 31]], "convention", compare=DIVISION),
        known("touching", "Boxes that share an edge or a corner do not overlap.",
              square, [[6, 3, 4, 4], [6, 7, 4, 4]], [[0, 0]], "border", compare=Exact()),
        known("crowd", "The second of two equal regions is a crowd: 2 of 16 + 4 − 2, but 2 of the 16 of the detection.",
              square, [[5, 3, 2, 2], [5, 3, 2, 2]], [[2 / 18, 2 / 16]], "convention", crowd=[False, True],
              compare=DIVISION),
        known("without-area", "Boxes of no width or height, also with themselves: 0, not 0/0.",
              [[2, 3, 0, 4], [2, 3, 4, 4]], [[2, 3, 0, 4], [3, 4, 2, 0]], np.zeros((2, 2)), "empty", "convention",
              crowd=[False, True], compare=Exact()),
        known("no-detections", "Shape (0, 1).", [], square, [], "empty", compare=Exact()),
        known("without-height", "Boxes of no height that lie on each other: 0, not 0/0.",
              [[2, 3, 4, 0]], [[2, 3, 4, 0]], [[0]], "empty", "convention", compare=Exact()),
        known("half-a-pixel-above", "Boxes that miss each other by less than a pixel: 0, nothing negative.",
              square, [[2, 7.5, 4, 4], [6.5, 3, 4, 4]], [[0, 0]], "border", compare=Exact()),
        Case("nan", "A NaN in x alone, and boxes that are apart in y: still unknown.",
             {"detections": np.array([[np.nan, 3.0, 4, 4]]), "ground_truths": np.array([[2.0, 20, 4, 4]]),
              "crowd": np.array([False])}, Exact(), expected={"iou": np.array([[np.nan]])}, source="by hand",
             tags=("hand", "nan"), status="optional", status_reason="most implementations assume finite boxes"),
        Case("no-ground-truths", "Shape (2, 0).",
             {"detections": np.array([[2.0, 3, 4, 4]] * 2), "ground_truths": np.zeros((0, 4)),
              "crowd": np.zeros(0, bool)}, Exact(), expected={"iou": np.zeros((2, 0))}, source="by hand",
             tags=("hand", "empty")),
        Case("fractions", "Boxes that lie anywhere, two of the truths crowds.",
             {"detections": boxes("coco d", 6), "ground_truths": boxes("coco g", 5),
              "crowd": np.array([False, True, False, False, True])}, ROUNDED, tags=("rounding",)),
    ]  # fmt: skip


def boxes(seed: str, n: int) -> Array:
    """Return boxes that begin within a unit of each other and are 2 to 5 long."""
    return np.concatenate([dyadic(seed, (n, 2), 0, 64, 2.0**-6), reals(seed, (n, 2), 2, 5)], axis=1)


def random_case(rng: np.random.Generator) -> Case:
    """Return random boxes."""
    detections, truths = rng.uniform(0, 3, (5, 4)), rng.uniform(0, 3, (4, 4))
    return Case(
        "random", "", {"detections": detections, "ground_truths": truths, "crowd": rng.random(4) < 0.5}, ROUNDED
    )

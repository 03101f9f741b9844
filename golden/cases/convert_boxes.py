"""Golden cases of box layouts."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._boxes import on_quarters
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import convert_boxes as oracle

ALGORITHM = Algorithm("convert_boxes", oracle, ("boxes",), ("converted",), reference="COCO's files; SSD; YOLO")

LAYOUTS = ("xyxy", "xywh", "cxcywh")
SAME_BOX = {"xyxy": [10.0, 20.0, 31.0, 60.0], "xywh": [10.0, 20.0, 21.0, 40.0], "cxcywh": [20.5, 40.0, 21.0, 40.0]}


def params(source: str, target: str) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"source": source, "target": target}


def cases() -> list[Case]:
    by_hand = [
        Case(
            f"{source}-to-{target}",
            "One box, 21 wide and 40 high, whose centre lies between two pixels; a change of layout keeps it.",
            {"boxes": np.array([SAME_BOX[source]])},
            Exact(),
            params(source, target),
            expected={"converted": np.array([SAME_BOX[target]])},
            source="by hand",
            tags=("hand", "dyadic"),
        )
        for source in LAYOUTS
        for target in LAYOUTS
    ]
    return [
        *by_hand,
        Case(
            "malformed-xyxy-to-xywh",
            "Sizes may come out negative: nothing is put in order or clamped.",
            {"boxes": np.array([[5.0, 7.0, 1.0, 9.0]])},
            Exact(),
            params("xyxy", "xywh"),
            expected={"converted": np.array([[5.0, 7.0, -4.0, 2.0]])},
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "nan-stays-on-its-axis",
            "A NaN reaches the numbers that are computed from it, along x, and none along y.",
            {"boxes": np.array([[np.nan, 0.0, 4.0, 2.0]])},
            Exact(),
            params("xyxy", "cxcywh"),
            expected={"converted": np.array([[np.nan, 1.0, np.nan, 2.0]])},
            source="by hand",
            tags=("hand", "nan"),
        ),
        Case(
            "no-boxes",
            "None in, none out.",
            {"boxes": np.zeros((0, 4))},
            Exact(),
            params("xywh", "xyxy"),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return boxes in a random layout, for another."""
    source, target = rng.choice(LAYOUTS, 2)
    boxes = on_quarters(str(rng.integers(2**31)), 4)
    return Case("random", "", {"boxes": boxes}, Exact(), params(str(source), str(target)))

"""Golden cases of clipping boxes to the image."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import clip_boxes as oracle

ALGORITHM = Algorithm(
    "clip_boxes", oracle, ("boxes",), ("clipped",), reference="R-CNN, Fast R-CNN, Faster R-CNN and torchvision: code"
)

# Over every border of an image 20 wide and 10 high; inside; beyond it to the right; malformed.
BOXES = np.array([[-3.5, -2.0, 25.0, 12.5], [1.5, 2.0, 19.5, 9.5], [30.0, 3.0, 40.0, 8.0], [22.0, 5.0, -1.0, 4.0]])


def params(height: int = 10, width: int = 20, convention: str = "continuous") -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"height": height, "width": width, "convention": convention}


def cases() -> list[Case]:
    return [
        Case(
            "continuous",
            "x into 0 … 20, y into 0 … 10; the box beyond the image has no width any more, the malformed one stays so.",
            {"boxes": BOXES},
            Exact(),
            params(),
            expected={"clipped": np.array([[0.0, 0, 20, 10], [1.5, 2, 19.5, 9.5], [20, 3, 20, 8], [20, 5, 0, 4]])},
            source="by hand",
            tags=("hand", "border", "convention"),
        ),
        Case(
            "legacy",
            "x into 0 … 19, y into 0 … 9: the last pixel has the index W − 1, and 19.5 lies beyond it.",
            {"boxes": BOXES},
            Exact(),
            params(convention="legacy"),
            expected={"clipped": np.array([[0.0, 0, 19, 9], [1.5, 2, 19, 9], [19, 3, 19, 8], [19, 5, 0, 4]])},
            source="by hand",
            tags=("hand", "border", "convention"),
        ),
        Case(
            "matlab",
            "x into 1 … 20, y into 1 … 10: pixels are counted from 1.",
            {"boxes": BOXES},
            Exact(),
            params(convention="matlab"),
            expected={"clipped": np.array([[1.0, 1, 20, 10], [1.5, 2, 19.5, 9.5], [20, 3, 20, 8], [20, 5, 1, 4]])},
            source="by hand",
            tags=("hand", "border", "convention"),
        ),
        Case(
            "infinities-and-nan",
            "±∞ go to the border; NaN is not a place, and stays.",
            {"boxes": np.array([[-np.inf, np.nan, np.inf, 4.0]])},
            Exact(),
            params(),
            expected={"clipped": np.array([[0.0, np.nan, 20.0, 4.0]])},
            source="by hand",
            tags=("hand", "inf", "nan"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case("no-boxes", "None in, none out.", {"boxes": np.zeros((0, 4))}, Exact(), params(), tags=("empty",)),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return boxes in and around a small image."""
    convention = str(rng.choice(["continuous", "legacy", "matlab"]))
    boxes = rng.integers(-8, 20, (6, 4)) / 2
    return Case("random", "", {"boxes": boxes}, Exact(), params(5, int(rng.integers(1, 8)), convention))

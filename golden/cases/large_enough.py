"""Golden cases of the smallest box that is kept."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import large_enough as oracle

ALGORITHM = Algorithm(
    "large_enough",
    oracle,
    ("boxes",),
    ("kept",),
    reference="Ren et al. (2015); code of Faster R-CNN, torchvision and Detectron2",
)

# 16 × 20; 15 × 20; 15.5 × 20; 16 wide but 3 high; malformed; 20 × 15.
BOXES = np.array([[0.0, 0, 16, 20], [4, 0, 19, 20], [0, 0, 15.5, 20], [0, 0, 16, 3], [16, 16, 0, 0], [0, 4, 20, 19]])


def params(min_size: float, convention: str) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"min_size": min_size, "convention": convention}


def cases() -> list[Case]:
    return [
        Case(
            "torchvision",
            "A side of exactly the least size is enough.",
            {"boxes": BOXES},
            Exact(),
            params(16.0, "torchvision"),
            expected={"kept": np.array([True, False, False, False, False, False])},
            source="by hand",
            tags=("hand", "tie", "convention"),
        ),
        Case(
            "detectron2",
            "A side of exactly the least size is not enough: 15.5 > 15, but not 15 > 15.",
            {"boxes": BOXES},
            Exact(),
            params(15.0, "detectron2"),
            expected={"kept": np.array([True, False, True, False, False, False])},
            source="by hand",
            tags=("hand", "tie", "convention"),
        ),
        Case(
            "py-faster",
            "x2 and y2 are the last pixel inside, so that 15 is 16 pixels.",
            {"boxes": BOXES},
            Exact(),
            params(16.0, "py-faster"),
            expected={"kept": np.array([True, True, True, False, False, True])},
            source="by hand",
            tags=("hand", "tie", "convention"),
        ),
        Case(
            "py-faster-a-pixel-short",
            "15 pixels, from 0 to the 14th, are one too few: a side is x2 − x1 + 1, and no more.",
            {"boxes": np.array([[0.0, 0, 14, 20]])},
            Exact(),
            params(16.0, "py-faster"),
            expected={"kept": np.array([False])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "not-empty",
            "Detectron2's threshold 0: both sides must be positive.",
            {"boxes": np.array([[0.0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 1, 0], [1, 0, 0, 1]])},
            Exact(),
            params(0.0, "detectron2"),
            expected={"kept": np.array([True, False, False, False])},
            source="by hand",
            tags=("hand", "empty", "convention"),
        ),
        Case(
            "nan",
            "A side that is NaN is not large enough, even for a least size of 0.",
            {"boxes": np.array([[0.0, 0, 9, np.nan], [0, 0, 9, 9]])},
            Exact(),
            params(0.0, "torchvision"),
            expected={"kept": np.array([False, True])},
            source="by hand",
            tags=("hand", "nan"),
        ),
        Case(
            "no-boxes",
            "None in, none out.",
            {"boxes": np.zeros((0, 4))},
            Exact(),
            params(1.0, "torchvision"),
            expected={"kept": np.zeros(0, bool)},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return boxes with sides around the least size."""
    start = rng.integers(0, 9, (8, 2)).astype(np.float64)
    boxes = np.concatenate([start, start + rng.integers(-1, 6, (8, 2))], axis=1)
    chosen = params(float(rng.integers(0, 5)), str(rng.choice(["torchvision", "detectron2", "py-faster"])))
    return Case("random", "", {"boxes": boxes}, Exact(), chosen)

"""Golden cases of the anchors around one point."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import base_anchors as oracle

ALGORITHM = Algorithm(
    "base_anchors", oracle, (), ("anchors",), reference="decks 000 and 001; Ren et al. (2015), section 3.1.1"
)

ROUNDED = Ulp(4, 0.0)  # a square root, a product or quotient, a half


def params(
    sizes: tuple[float, ...],
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0),
    base_size: int | None = None,
    convention: str = "detectron2",
) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"sizes": sizes, "ratios": ratios, "base_size": base_size, "convention": convention}


def cases() -> list[Case]:
    return [
        Case(
            "py-faster",
            "The nine anchors of Faster R-CNN, 23 × 12, 16 × 16 and 11 × 22 times 8, 16 and 32. The table in a comment "
            "of that code is larger by 1 throughout: MATLAB counts from 1.",
            {},
            Exact(),
            params((8.0, 16.0, 32.0), base_size=16, convention="py-faster"),
            expected={
                "anchors": np.array(
                    [
                        [-84.0, -40, 99, 55],
                        [-176, -88, 191, 103],
                        [-360, -184, 375, 199],
                        [-56, -56, 71, 71],
                        [-120, -120, 135, 135],
                        [-248, -248, 263, 263],
                        [-36, -80, 51, 95],
                        [-80, -168, 95, 183],
                        [-168, -344, 183, 359],
                    ]
                )
            },
            source="by hand; printed by many programs that run generate_anchors.py of Faster R-CNN",
            tags=("hand", "deck", "convention", "rounding"),
        ),
        Case(
            "py-faster-rounds-half-to-even",
            "Base 8 and ratio 2.5: width √(64/2.5) = 5.06 → 5, height 5 · 2.5 = 12.5 → 12, not 13.",
            {},
            Exact(),
            params((1.0,), (2.5,), 8, "py-faster"),
            expected={"anchors": np.array([[1.5, -2.0, 5.5, 9.0]])},  # around 3.5: ± (5 − 1)/2, ± (12 − 1)/2
            source="by hand",
            tags=("hand", "rounding", "tie"),
        ),
        Case(
            "py-faster-base",
            "The base itself, 16 × 16: pixels 0 … 15, in the middle of the first cell.",
            {},
            Exact(),
            params((1.0,), (1.0,), 16, "py-faster"),
            expected={"anchors": np.array([[0.0, 0, 15, 15]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "torchvision",
            "The nine of the paper's sizes, rounded to pixels, ratio by ratio.",
            {},
            Exact(),
            params((128.0, 256.0, 512.0), convention="torchvision"),
            expected={
                "anchors": np.array(
                    [
                        [-91.0, -45, 91, 45],
                        [-181, -91, 181, 91],
                        [-362, -181, 362, 181],
                        [-64, -64, 64, 64],
                        [-128, -128, 128, 128],
                        [-256, -256, 256, 256],
                        [-45, -91, 45, 91],
                        [-91, -181, 91, 181],
                        [-181, -362, 181, 362],
                    ]
                )
            },
            source="by hand: 64√2 = 90.5, 64/√2 = 45.3, 128√2 = 181.02, 128/√2 = 90.5, 256√2 = 362.04",
            tags=("hand", "deck", "convention", "rounding"),
        ),
        Case(
            "torchvision-rounds-half-to-even",
            "Sides of 33 and 35: half of them is 16.5 and 17.5, which go to 16 and 18.",
            {},
            Exact(),
            params((33.0, 35.0), (1.0,), convention="torchvision"),
            expected={"anchors": np.array([[-16.0, -16, 16, 16], [-18, -18, 18, 18]])},
            source="by hand",
            tags=("hand", "rounding", "tie", "convention"),
        ),
        Case(
            "detectron2-size-by-size",
            "Ratios with exact roots, in the other order: all ratios of the first size, then of the second.",
            {},
            Exact(),
            params((8.0, 16.0), (0.25, 1.0, 4.0)),
            expected={
                "anchors": np.array(
                    [
                        [-8.0, -2, 8, 2],
                        [-4, -4, 4, 4],
                        [-2, -8, 2, 8],
                        [-16, -4, 16, 4],
                        [-8, -8, 8, 8],
                        [-4, -16, 4, 16],
                    ]
                )
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "detectron2",
            "The nine of the paper's sizes, as they are.",
            {},
            ROUNDED,
            params((128.0, 256.0, 512.0)),
            tags=("deck", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return sizes, ratios and a convention."""
    convention = str(rng.choice(["py-faster", "torchvision", "detectron2"]))
    sizes = tuple(float(s) for s in rng.integers(1, 40, 2))
    ratios = tuple(float(r) for r in rng.integers(1, 9, 3) / 4)
    base_size = int(rng.integers(4, 20)) if convention == "py-faster" else None
    return Case("random", "", {}, ROUNDED, params(sizes, ratios, base_size, convention))

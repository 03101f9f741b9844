"""Golden cases of SPP-net's window projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import project_windows as oracle

ALGORITHM = Algorithm(
    "project_windows",
    oracle,
    ("boxes",),
    ("windows",),
    reference="He, Zhang, Ren & Sun (2014), appendix A, and their released code; deck 000",
)


def params(convention: str, stride: int = 16, size: tuple[int, int] = (20, 20)) -> dict[str, Any]:
    """Return the parameters, complete, with the constants of ZF-5."""
    return {"stride": stride, "size": size, "convention": convention, "first_centre": 21.0, "margin": 6.5}


def cases() -> list[Case]:
    spread = integers("windows", (24, 4), -40, 360).astype(np.float64)
    return [
        Case(
            "released-code",
            "Pixels 1 … 224, 100 … 200 and 33 … 48, counted from 1: responses 0 … 13 (cut to 1 … 13), 6 … 12, 2 … 2.",
            {"boxes": np.array([[0.0, 0.0, 224.0, 224.0], [99.0, 99.0, 200.0, 200.0], [32.0, 32.0, 48.0, 48.0]])},
            Exact(),
            params("released"),
            expected={"windows": np.array([[0, 0, 13, 13], [5, 5, 12, 12], [1, 1, 2, 2]])},
            source="by hand",
            tags=("hand", "convention", "border"),
        ),
        Case(
            "strictly-inside",
            "The paper keeps responses centred strictly between the first and the last pixel: 16 and 32 are not.",
            {"boxes": np.array([[16.0, 15.0, 65.0, 66.0]])},
            Exact(),
            params("paper"),
            expected={"windows": np.array([[2, 1, 4, 5]])},  # 16 < 32, 48 < 64; 15 < 16, 32, 48, 64 < 65
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "between-two-responses",
            "No response is centred inside: left exceeds right, and both become their mean, rounded towards zero.",
            {"boxes": np.array([[33.0, 16.0, 47.0, 17.0]])},
            Exact(),
            params("paper"),
            expected={"windows": np.array([[2, 1, 3, 2]])},  # 3 and 2 give 2; 2 and 0 give 1
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "outside-the-map",
            "Boxes beside the image are moved to the nearest response.",
            {"boxes": np.array([[-100.0, -90.0, -50.0, -40.0], [900.0, 900.0, 990.0, 990.0]])},
            Exact(),
            params("paper", size=(6, 9)),
            expected={"windows": np.array([[0, 0, 1, 1], [8, 5, 9, 6]])},
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "many-by-the-paper",
            "Corners anywhere, also malformed boxes.",
            {"boxes": spread},
            Exact(),
            params("paper", 8, (30, 40)),
            tags=("convention",),
        ),
        Case(
            "many-by-the-released-code",
            "The same boxes by the other rule.",
            {"boxes": spread},
            Exact(),
            params("released", 8, (30, 40)),
            tags=("convention",),
        ),
        Case(
            "no-boxes",
            "No boxes, no windows.",
            {"boxes": np.zeros((0, 4))},
            Exact(),
            params("paper"),
            expected={"windows": np.zeros((0, 4), np.int64)},
            source="by hand",
            tags=("empty", "hand"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return boxes at random; multiples of 1/4, so that no rounding decides."""
    boxes = rng.integers(-80, 1600, (int(rng.integers(1, 20)), 4)) / 4
    return Case("random", "-", {"boxes": boxes}, Exact(), params(str(rng.choice(["paper", "released"]))))

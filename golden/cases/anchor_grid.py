"""Golden cases of the anchors of a whole feature map."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import anchor_grid as oracle

Pair = tuple[int, int]

ALGORITHM = Algorithm("anchor_grid", oracle, ("base",), ("anchors",), reference="Ren et al. (2015), section 3.1.1")

TWO = np.array([[-8.0, -4, 8, 4], [0, 0, 15, 15]])


def params(size: Pair, stride: Pair, offset: float = 0.0) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"size": size, "stride": stride, "offset": offset}


def cases() -> list[Case]:
    return [
        Case(
            "order",
            "Two anchors at 1 × 2 positions: both anchors of the first position, then both of the second.",
            {"base": TWO},
            Exact(),
            params((1, 2), (16, 16)),
            expected={"anchors": np.array([[-8.0, -4, 8, 4], [0, 0, 15, 15], [8, -4, 24, 4], [16, 0, 31, 15]])},
            source="by hand",
            tags=("hand", "convention", "stride"),
        ),
        Case(
            "rows-before-columns",
            "2 × 2 positions with unequal strides: x moves first, by the horizontal stride 10; y by the vertical 100.",
            {"base": np.array([[0.0, 0, 1, 1]])},
            Exact(),
            params((2, 2), (100, 10)),
            expected={"anchors": np.array([[0.0, 0, 1, 1], [10, 0, 11, 1], [0, 100, 1, 101], [10, 100, 11, 101]])},
            source="by hand",
            tags=("hand", "stride"),
        ),
        Case(
            "offset",
            "Anchors in the middle of their cells, half a stride further.",
            {"base": np.array([[-1.0, -1, 1, 1]])},
            Exact(),
            params((1, 2), (8, 16), 0.5),
            expected={"anchors": np.array([[7.0, 3, 9, 5], [23, 3, 25, 5]])},
            source="by hand",
            tags=("hand", "stride", "convention"),
        ),
        Case(
            "map-without-positions",
            "No rows: no anchors.",
            {"base": TWO},
            Exact(),
            params((0, 3), (16, 16)),
            expected={"anchors": np.zeros((0, 4))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "no-anchors",
            "No anchors at each of 2 × 3 positions.",
            {"base": np.zeros((0, 4))},
            Exact(),
            params((2, 3), (16, 16)),
            tags=("empty",),
        ),
        Case(
            "map",
            "Five by seven positions of stride 16, as over an image of 80 × 112.",
            {"base": np.array([[-84.0, -40, 99, 55], [-56, -56, 71, 71], [-36, -80, 51, 95]])},
            Exact(),
            params((5, 7), (16, 16)),
            tags=("stride", "dyadic"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a few anchors over a small map."""
    base = rng.integers(-64, 64, (int(rng.integers(1, 4)), 4)) / 2
    size, stride = (int(rng.integers(1, 4)), 3), (int(rng.integers(1, 33)), 8)
    return Case("random", "", {"base": base}, Exact(), params(size, stride, float(rng.choice([0.0, 0.5]))))

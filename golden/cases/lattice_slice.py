"""Golden cases of slicing."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, integers, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import lattice_slice as oracle

ALGORITHM = Algorithm(
    "lattice_slice",
    oracle,
    ("z", "weights", "ids"),
    reference="deck 004; Adams, Baek & Davis (2010); the scale: Kraehenbuehl & Koltun (2011)",
)


def cases() -> list[Case]:
    return [
        Case(
            "two-points",
            "A quarter of the way from vertex 0 to 1, half-way between 2 and 1; twice that. Vertex 1 is read by both.",
            {
                "z": np.array([[0.0, 4.0], [8.0, 0.0], [4.0, 2.0]]),
                "weights": np.array([[0.75, 0.25], [0.5, 0.5]]),
                "ids": np.array([[0, 1], [2, 1]]),
            },
            Exact(),
            {"scale": 2.0},
            dy=np.array([[1.0, 0.0], [10.0, 100.0]]),
            expected={
                "y": np.array([[4.0, 6.0], [12.0, 2.0]]),
                "dz": np.array([[1.5, 0.0], [10.5, 100.0], [10.0, 100.0]]),
                "dweights": np.array([[0.0, 16.0], [480.0, 160.0]]),  # 2 · (10 · 4 + 100 · 2), 2 · (10 · 8 + 100 · 0)
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "the-scale-of-a-filter",
            "Three dimensions: 1/(1 + 1/8) = 8/9, which is no float32, times 9.",
            {
                "z": np.array([[9.0], [18.0]]),
                "weights": np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.25, 0.25, 0.0]]),
                "ids": np.array([[0, 1, 1, 1], [0, 1, 0, 1]]),
            },
            Bound(12),
            {"scale": 8 / 9},
            dy=np.array([[9.0], [18.0]]),
            expected={"y": np.array([[8.0], [10.0]])},  # 8/9 of 9 and of 9/2 + 18/4 + 9/4 = 45/4
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "any-order",
            "Dyadic numbers: sums are exact in any order.",
            {
                "z": dyadic("slice z", (9, 3)),
                "weights": dyadic("slice weights", (20, 4), 0, 8, 1 / 8),
                "ids": integers("slice ids", (20, 4), 0, 8),
            },
            Exact(),
            {"scale": 0.5},
            dy=dyadic("slice dy", (20, 3)),
            tags=("dyadic",),
        ),
        Case(
            "rounded",
            "Numbers whose products are rounded.",
            {
                "z": reals("slice reals", (7, 3)),
                "weights": reals("slice shares", (16, 6), 0, 1),
                "ids": integers("slice corners", (16, 6), 0, 6),
            },
            {"y": Bound(16), "dz": Bound(128), "dweights": Bound(8)},
            {"scale": 32 / 33},
            dy=reals("slice reals dy", (16, 3)),
        ),
        Case(
            "no-points",
            "Nothing out, and no gradient for the vertices.",
            {"z": count((2, 2)), "weights": np.zeros((0, 3)), "ids": np.zeros((0, 3), np.int64)},
            Exact(),
            {"scale": 1.0},
            dy=np.zeros((0, 2)),
            expected={"y": np.zeros((0, 2)), "dz": np.zeros((2, 2))},
            source="by hand",
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values in float64 and random corners."""
    inputs = {
        "z": rng.standard_normal((5, 2)),
        "weights": rng.standard_normal((6, 3)),
        "ids": rng.integers(0, 5, (6, 3)),
    }
    params = {"scale": float(rng.standard_normal())}
    return Case("random", "", inputs, Bound(40), params, dy=rng.standard_normal((6, 2)))

"""Golden cases of spatial pyramid pooling."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, distinct, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import spatial_pyramid_pool as oracle

ALGORITHM = Algorithm(
    "spatial_pyramid_pool",
    oracle,
    ("x",),
    ("y", "switches"),
    reference='deck 000; He, Zhang, Ren & Sun, "Spatial pyramid pooling" (2014), sections 2.2 and 2.3',
)


def cases() -> list[Case]:
    return [
        Case(
            "one-and-four-bins",
            "Three pixels in two bins: rows 0 … 1 and 1 … 2, which share the middle one.",
            {"x": count((1, 1, 3, 3))},
            Exact(),
            {"levels": (1, 2)},
            dy=np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]),
            expected={
                "y": np.array([[8.0, 4.0, 5.0, 7.0, 8.0]]),
                "switches": np.array([[8, 4, 5, 7, 8]]),
                "dx": np.array([[[[0.0, 0.0, 0.0], [0.0, 2.0, 4.0], [0.0, 8.0, 17.0]]]]),  # 1 + 16 where 8 won twice
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "levels-in-order-each-by-channel",
            "A row is level after level, as given; in a level the bins of channel 0 come before those of channel 1.",
            {"x": np.array([[[[1.0, 2.0], [3.0, 4.0]], [[80.0, 70.0], [60.0, 50.0]]]])},
            Exact(),
            {"levels": (2, 1)},
            dy=count((1, 10)),
            expected={
                "y": np.array([[1.0, 2.0, 3.0, 4.0, 80.0, 70.0, 60.0, 50.0, 4.0, 80.0]]),
                "switches": np.array([[0, 1, 2, 3, 0, 1, 2, 3, 3, 0]]),
                "dx": np.array([[[[0.0, 1.0], [2.0, 11.0]], [[13.0, 5.0], [6.0, 7.0]]]]),  # 3 + 8, and 4 + 9
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "more-bins-than-pixels",
            "Three bins over two pixels: ⌊p·2/3⌋ … ⌈(p + 1)·2/3⌉ is 0, then 0 … 1, then 1; no bin is empty.",
            {"x": np.array([[[[1.0, 2.0], [4.0, 3.0]]]])},
            Exact(),
            {"levels": (3,)},
            dy=np.array([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]]),
            expected={
                "y": np.array([[1.0, 2.0, 2.0, 4.0, 4.0, 3.0, 4.0, 4.0, 3.0]]),
                "switches": np.array([[0, 1, 1, 2, 2, 3, 2, 2, 3]]),
                "dx": np.array([[[[1.0, 5.0], [24.0, 15.0]]]]),  # 1, 2 + 3, 4 + 5 + 7 + 8, 6 + 9
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "negative-features",
            "The maximum does not start from 0, as it may behind a ReLU.",
            {"x": np.array([[[[-4.0, -3.0], [-2.0, -1.0]]]])},
            Exact(),
            {"levels": (1, 2)},
            dy=np.array([[1.0, 2.0, 3.0, 4.0, 5.0]]),
            expected={
                "y": np.array([[-1.0, -4.0, -3.0, -2.0, -1.0]]),
                "switches": np.array([[3, 0, 1, 2, 3]]),
                "dx": np.array([[[[2.0, 3.0], [4.0, 6.0]]]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "tie-goes-to-the-first",
            "Equal pixels: the first in row-major order has the switch and the whole gradient.",
            {"x": np.array([[[[5.0, 7.0, 7.0], [7.0, 7.0, 7.0]]]])},
            Exact(),
            {"levels": (1, 2)},
            dy=np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]),
            expected={
                "y": np.full((1, 5), 7.0),
                "switches": np.array([[1, 1, 1, 3, 4]]),
                "dx": np.array([[[[0.0, 7.0, 0.0], [8.0, 16.0, 0.0]]]]),  # 1 + 2 + 4
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "detection-pyramid",
            "SPP-net's 1 + 4 + 9 + 36 = 50 bins over a map that no level but the first divides.",
            {"x": distinct("pyramid", (2, 2, 13, 10))},
            Exact(),
            {"levels": (1, 2, 3, 6)},
            dy=dyadic("pyramid dy", (2, 100)),
            tags=("dyadic", "border"),
        ),
        Case(
            "nan-wins",
            "A NaN beats every number, and the first NaN of its bin has the switch.",
            {"x": np.array([[[[np.inf, np.nan], [np.nan, 1.0]]]])},
            Exact(),
            {"levels": (1, 2)},
            dy=np.array([[1.0, 2.0, 4.0, 8.0, 16.0]]),
            expected={
                "y": np.array([[np.nan, np.inf, np.nan, np.nan, 1.0]]),
                "switches": np.array([[1, 0, 1, 2, 3]]),
                "dx": np.array([[[[2.0, 5.0], [8.0, 16.0]]]]),
            },
            source="by hand",
            tags=("hand", "nan", "inf", "tie"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "empty-batch",
            "No images in, none out.",
            {"x": np.zeros((0, 2, 4, 4))},
            Exact(),
            {"levels": (1, 2)},
            dy=np.zeros((0, 10)),
            tags=("empty",),
        ),
        Case(
            "no-rows",
            "A bin without pixels is −∞, and has no place.",
            {"x": np.zeros((1, 1, 0, 2))},
            Exact(),
            {"levels": (1,)},
            dy=np.array([[1.0]]),
            expected={"y": np.array([[-np.inf]]), "switches": np.array([[-1]]), "dx": np.zeros((1, 1, 0, 2))},
            source="by hand",
            tags=("hand", "empty", "inf"),
            status="optional",
            status_reason="many implementations refuse a plane without pixels",
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64 and two random levels."""
    levels = (int(rng.integers(1, 5)), int(rng.integers(1, 8)))
    n_bins = 3 * sum(k * k for k in levels)
    x, dy = rng.standard_normal((2, 3, 6, 5)), rng.standard_normal((2, n_bins))
    return Case("random", "", {"x": x}, Exact(), {"levels": levels}, dy=dy)

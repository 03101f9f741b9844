"""Golden cases of max unpooling."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, integers
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import max_unpool2d as oracle

ALGORITHM = Algorithm("max_unpool2d", oracle, ("x", "switches"), reference="Zeiler & Fergus (2014), section 2.1")


def cases() -> list[Case]:
    overlapping = {
        "x": np.array([[[[1.0, 2.0], [4.0, 8.0]]]]),
        "switches": np.array([[[[4, 4], [4, 8]]]]),  # three values want the middle of a 3 × 3 plane
    }
    return [
        Case(
            "back-to-the-switches",
            "Every value goes back to where it was the maximum; the rest is 0.",
            {"x": np.array([[[[5.0, 8.0]]]]), "switches": np.array([[[[1, 6]]]])},
            Exact(),
            {"output_size": (2, 4), "overlap": "add"},
            dy=count((1, 1, 2, 4)),
            expected={
                "y": np.array([[[[0.0, 5.0, 0.0, 0.0], [0.0, 0.0, 8.0, 0.0]]]]),
                "dx": np.array([[[[1.0, 6.0]]]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "overlap-adds",
            "Values that meet in one pixel add up, as the gradient of max pooling does.",
            overlapping,
            Exact(),
            {"output_size": (3, 3), "overlap": "add"},
            dy=count((1, 1, 3, 3)),
            expected={
                "y": np.array([[[[0.0, 0.0, 0.0], [0.0, 7.0, 0.0], [0.0, 0.0, 8.0]]]]),  # 1 + 2 + 4
                "dx": np.array([[[[4.0, 4.0], [4.0, 8.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention", "dyadic"),
        ),
        Case(
            "overlap-last",
            "The last in row-major order overwrites, as in torch; only it receives a gradient.",
            overlapping,
            Exact(),
            {"output_size": (3, 3), "overlap": "last"},
            dy=count((1, 1, 3, 3)),
            expected={
                "y": np.array([[[[0.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 8.0]]]]),
                "dx": np.array([[[[0.0, 0.0], [4.0, 8.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "last-in-a-wide-plane",
            "Two values that do not meet, in a plane of 2 × 4: rows are four pixels long, and the first value counts.",
            {"x": np.array([[[[5.0, 8.0]]]]), "switches": np.array([[[[6, 1]]]])},
            Exact(),
            {"output_size": (2, 4), "overlap": "last"},
            dy=count((1, 1, 2, 4)),
            expected={
                "y": np.array([[[[0.0, 8.0, 0.0, 0.0], [0.0, 0.0, 5.0, 0.0]]]]),
                "dx": np.array([[[[6.0, 1.0]]]]),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "no-place",
            "A switch of −1 comes from a window without pixels: its value is dropped.",
            {"x": np.array([[[[3.0, -9.0]]]]), "switches": np.array([[[[2, -1]]]])},
            Exact(),
            {"output_size": (2, 2), "overlap": "add"},
            dy=count((1, 1, 2, 2)),
            expected={
                "y": np.array([[[[0.0, 0.0], [3.0, 0.0]]]]),
                "dx": np.array([[[[2.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "planes-are-separate",
            "Images and channels have their own switches.",
            {
                "x": dyadic("unpool x", (2, 3, 3, 2)),
                "switches": integers("unpool switches", (2, 3, 3, 2), 0, 29),
            },
            Exact(),
            {"output_size": (5, 6), "overlap": "add"},
            dy=dyadic("unpool dy", (2, 3, 5, 6)),
            tags=("dyadic",),
        ),
        Case(
            "empty-batch",
            "No images in, none out.",
            {"x": np.zeros((0, 1, 2, 2)), "switches": np.zeros((0, 1, 2, 2), np.int64)},
            Exact(),
            {"output_size": (4, 4), "overlap": "add"},
            dy=np.zeros((0, 1, 4, 4)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values in float64 and random switches."""
    inputs = {"x": rng.standard_normal((2, 2, 3, 3)), "switches": rng.integers(-1, 30, (2, 2, 3, 3))}
    params = {"output_size": (5, 6), "overlap": str(rng.choice(["add", "last"]))}
    return Case("random", "", inputs, Bound(10), params, dy=rng.standard_normal((2, 2, 5, 6)))

"""Golden cases of RoI pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import count, distinct, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import roi_pool as oracle

ALGORITHM = Algorithm(
    "roi_pool",
    oracle,
    ("x", "rois"),
    ("y", "switches"),
    reference='deck 001; Girshick, "Fast R-CNN" (2015), section 2.1; Caffe roi_pooling_layer.cpp',
)


def params(output_size: tuple[int, int], scale: float = 1.0, convention: str = "exact") -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"output_size": output_size, "scale": scale, "convention": convention}


def cases() -> list[Case]:
    row = np.array([[[[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]], [[5.0, 4.0, 3.0, 2.0, 1.0, 0.0]]]])
    column, square = count((1, 1, 58, 1)), count((1, 1, 4, 4))
    return [
        Case(
            "two-by-two",
            "Scale ½ gives corners (1, ½, 4½, 3½), rounded to columns 1 … 5 and rows 1 … 4; two bins share column 3.",
            {"x": count((1, 1, 5, 6)), "rois": np.array([[0.0, 2.0, 1.0, 9.0, 7.0]])},
            Exact(),
            params((2, 2), 0.5),
            dy=np.array([[[[1.0, 2.0], [4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[15.0, 17.0], [27.0, 29.0]]]]),
                "switches": np.array([[[[15, 17], [27, 29]]]]),
                "dx": np.pad(
                    np.array([[[[1.0, 0.0, 2.0], [0.0, 0.0, 0.0], [4.0, 0.0, 8.0]]]]), ((0, 0), (0, 0), (2, 0), (3, 0))
                ),
            },
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "halves-round-away-from-zero",
            "½ → 1, 2½ → 3, −½ → −1, 1½ → 2: columns 1 … 3, then −1 … 2, whose first bin keeps one real column. "
            "Rounding to even gives 0 … 2 twice.",
            {"x": row, "rois": np.array([[0.0, 0.5, 0.0, 2.5, 0.0], [0.0, -0.5, 0.0, 1.5, 0.0]])},
            Exact(),
            params((1, 2)),
            dy=np.array([[[[1.0, 2.0]], [[4.0, 8.0]]], [[[16.0, 32.0]], [[64.0, 128.0]]]]),
            expected={
                "y": np.array([[[[2.0, 3.0]], [[4.0, 3.0]]], [[[0.0, 2.0]], [[5.0, 4.0]]]]),
                "switches": np.array([[[[2, 3]], [[1, 2]]], [[[0, 2]], [[0, 1]]]]),
                "dx": np.array([[[[16.0, 0.0, 33.0, 2.0, 0.0, 0.0]], [[64.0, 132.0, 8.0, 0.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "rounding", "tie", "border"),
        ),
        Case(
            "corners-at-three-quarters",
            "Rounded to columns 1 … 5 and rows 1 … 3; cut off they were 0 … 4 and 0 … 2. Bins share the middle ones.",
            {"x": count((1, 1, 6, 6)), "rois": np.array([[0.0, 0.75, 0.75, 4.75, 2.75]])},
            Exact(),
            params((2, 2)),
            dy=np.array([[[[1.0, 2.0], [4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[15.0, 17.0], [21.0, 23.0]]]]),
                "switches": np.array([[[[15, 17], [21, 23]]]]),
            },
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "both-corners-belong",
            "A point is one pixel; columns 1 … 2 are two; x2 < x1 leaves one pixel, at x1.",
            {"x": row, "rois": np.array([[0.0, 3.0, 0.0, 3.0, 0.0], [0.0, 1.0, 0.0, 2.0, 0.0], [0.0, 4.0, 0, 2.0, 0]])},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[1.0]], [[2.0]]], [[[4.0]], [[8.0]]], [[[16.0]], [[32.0]]]]),
            expected={
                "y": np.array([[[[3.0]], [[2.0]]], [[[2.0]], [[4.0]]], [[[4.0]], [[1.0]]]]),
                "switches": np.array([[[[3]], [[3]]], [[[2]], [[1]]], [[[4]], [[4]]]]),
                "dx": np.array([[[[0.0, 0.0, 4.0, 1.0, 16.0, 0.0]], [[0.0, 8.0, 0.0, 2.0, 32.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "both-corners-belong-down",
            "The same for rows: a point is one pixel, and y2 < y1 leaves one, at y1.",
            {"x": count((1, 1, 6, 1)), "rois": np.array([[0.0, 0.0, 3.0, 0.0, 3.0], [0.0, 0.0, 4.0, 0.0, 2.0]])},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[1.0]]], [[[2.0]]]]),
            expected={
                "y": np.array([[[[3.0]]], [[[4.0]]]]),
                "switches": np.array([[[[3]]], [[[4]]]]),
                "dx": np.array([0.0, 0.0, 0.0, 1.0, 2.0, 0.0]).reshape(1, 1, 6, 1),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "float32-bins-overlap",
            "Two bins of 2½ pixels, in float32 as well: pixels 0 … 2 and 2 … 4, which share the middle one.",
            {"x": np.array([[[[5.0, 4.0, 3.0, 2.0, 1.0]]]]), "rois": np.array([[0.0, 0.0, 0.0, 4.0, 0.0]])},
            Exact(),
            params((1, 2), convention="float32-bins"),
            expected={"y": np.array([[[[5.0, 3.0]]]]), "switches": np.array([[[[0, 2]]]])},
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "outside-the-map",
            "Two bins over columns 4 … 7 of six, then over 9 … 12: bins without a pixel are 0, switch −1, no gradient.",
            {"x": row - 8, "rois": np.array([[0.0, 4.0, 0.0, 7.0, 0.0], [0.0, 9.0, 0.0, 12.0, 0.0]])},
            Exact(),
            params((1, 2)),
            dy=np.array([[[[1.0, 2.0]], [[4.0, 8.0]]], [[[16.0, 32.0]], [[64.0, 128.0]]]]),
            expected={
                "y": np.array([[[[-3.0, 0.0]], [[-7.0, 0.0]]], [[[0.0, 0.0]], [[0.0, 0.0]]]]),
                "switches": np.array([[[[5, -1]], [[4, -1]]], [[[-1, -1]], [[-1, -1]]]]),
                "dx": np.array([[[[0.0, 0.0, 0.0, 0.0, 0.0, 1.0]], [[0.0, 0.0, 0.0, 0.0, 4.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "border", "empty"),
        ),
        Case(
            "tie-goes-to-the-first",
            "Equal pixels: the first in row-major order has the switch and the whole gradient, of both bins it is in.",
            {"x": np.array([[[[7.0, 9.0, 9.0], [7.0, 9.0, 7.0]]]]), "rois": np.array([[0.0, 0.0, 0.0, 2.0, 1.0]])},
            Exact(),
            params((1, 2)),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={
                "y": np.array([[[[9.0, 9.0]]]]),
                "switches": np.array([[[[1, 1]]]]),
                "dx": np.array([[[[0.0, 3.0, 0.0], [0.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "more-bins-than-pixels",
            "Two pixels in three bins: 1, 1 … 2, 2.",
            {"x": row, "rois": np.array([[0.0, 1.0, 0.0, 2.0, 0.0]])},
            Exact(),
            params((1, 3)),
            dy=np.array([[[[1.0, 2.0, 4.0]], [[8.0, 16.0, 32.0]]]]),
            expected={
                "y": np.array([[[[1.0, 2.0, 2.0]], [[4.0, 4.0, 3.0]]]]),
                "switches": np.array([[[[1, 2, 2]], [[1, 1, 2]]]]),
                "dx": np.array([[[[0.0, 1.0, 6.0, 0.0, 0.0, 0.0]], [[0.0, 24.0, 32.0, 0.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "bins-end-with-the-region",
            "57 rows in 7 bins: the last ends at 7 · 57/7 = 57, so that row 56 is its last.",
            {"x": column, "rois": np.array([[0.0, 0.0, 0.0, 0.0, 56.0]])},
            Exact(),
            params((7, 1)),
            dy=dyadic("exact bins dy", (1, 1, 7, 1)),
            expected={"y": np.array([8.0, 16.0, 24.0, 32.0, 40.0, 48.0, 56.0]).reshape(1, 1, 7, 1)},
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "bins-of-29-rows",
            "29 rows in 7 bins: the last ends at 7 · 29/7 = 29, which is 29.000000000000004 if it is multiplied out.",
            {"x": count((1, 1, 30, 1)), "rois": np.array([[0.0, 0.0, 0.0, 0.0, 28.0]])},
            Exact(),
            params((7, 1)),
            dy=dyadic("29 rows dy", (1, 1, 7, 1)),
            expected={"y": np.array([4.0, 8.0, 12.0, 16.0, 20.0, 24.0, 28.0]).reshape(1, 1, 7, 1)},
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "three-quarters-round-up",
            "¾ → 1 and 2¾ → 3: rows and columns 1 … 3 of a map that falls, whose largest pixel is the first.",
            {"x": -square, "rois": np.array([[0.0, 0.75, 0.75, 2.75, 2.75]])},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[2.0]]]]),
            expected={"y": np.array([[[[-5.0]]]]), "switches": np.array([[[[5]]]])},
            source="by hand",
            tags=("hand", "rounding"),
        ),
        Case(
            "one-half-rounds-up",
            "½ → 1 and 2½ → 3, away from zero: the same rows and columns.",
            {"x": -square, "rois": np.array([[0.0, 0.5, 0.5, 2.5, 2.5]])},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[2.0]]]]),
            expected={"y": np.array([[[[-5.0]]]]), "switches": np.array([[[[5]]]])},
            source="by hand",
            tags=("hand", "rounding", "tie", "convention"),
        ),
        Case(
            "last-pixel-belongs",
            "Corners 0 and 2 are three rows and columns.",
            {"x": square, "rois": np.array([[0.0, 0.0, 0.0, 2.0, 2.0]])},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[2.0]]]]),
            expected={"y": np.array([[[[10.0]]]]), "switches": np.array([[[[10]]]])},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "neighbouring-bins-share-a-pixel",
            "Three columns in two bins: 0 … 1 and 1 … 2, so that column 1, the largest, wins both.",
            {"x": np.array([[[[1.0, 4.0, 2.0]]]]), "rois": np.array([[0.0, 0.0, 0.0, 2.0, 0.0]])},
            Exact(),
            params((1, 2)),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={
                "y": np.array([[[[4.0, 4.0]]]]),
                "switches": np.array([[[[1, 1]]]]),
                "dx": np.array([[[[0.0, 3.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "bins-of-float32-kernels",
            "In float32, 7 · (57/7) is greater than 57, and the last bin has one row too many, as in Caffe.",
            {"x": column, "rois": np.array([[0.0, 0.0, 0.0, 0.0, 56.0]])},
            Exact(),
            params((7, 1), convention="float32-bins"),
            dy=dyadic("exact bins dy", (1, 1, 7, 1)),
            expected={"y": np.array([8.0, 16.0, 24.0, 32.0, 40.0, 48.0, 57.0]).reshape(1, 1, 7, 1)},
            source="by hand; Caffe roi_pooling_layer.cpp",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "several-regions-and-images",
            "Regions in any order of their images, overlapping, reaching beyond the map; scale 1/16 and 7 × 7 bins.",
            {
                "x": distinct("roi pool", (2, 3, 9, 12)),
                "rois": np.array(
                    [
                        [1.0, 17.0, 5.0, 150.0, 130.0],
                        [0.0, 40.0, 33.0, 90.0, 141.0],
                        [1.0, -30.0, 60.0, 70.0, 171.0],
                        [1.0, 64.0, 64.0, 80.0, 80.0],
                    ]
                ),
            },
            Exact(),
            params((7, 7), 1 / 16),
            dy=dyadic("roi pool dy", (4, 3, 7, 7)),
            tags=("dyadic", "border"),
        ),
        Case(
            "nan-wins",
            "A NaN beats every number, as in max pooling; a bin of −∞ alone is −∞, with the switch of its first pixel.",
            {
                "x": np.array([[[[np.inf, np.nan, np.nan], [-np.inf, -np.inf, 1.0]]]]),
                "rois": np.array([[0.0, 0.0, 0.0, 2.0, 0.0], [0.0, 0.0, 1.0, 1.0, 1.0]]),
            },
            Exact(),
            params((1, 1)),
            dy=np.array([[[[1.0]]], [[[2.0]]]]),
            expected={
                "y": np.array([[[[np.nan]]], [[[-np.inf]]]]),
                "switches": np.array([[[[1]]], [[[3]]]]),
                "dx": np.array([[[[0.0, 1.0, 0.0], [2.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "nan", "inf", "tie", "convention"),
            status="optional",
            status_reason="Caffe and torchvision start from the lowest finite number, so that neither NaN nor −∞ wins",
        ),
        Case(
            "no-regions",
            "No regions in, no crops out, and a gradient of zeros.",
            {"x": count((1, 2, 3, 3)), "rois": np.zeros((0, 5))},
            Exact(),
            params((2, 2)),
            dy=np.zeros((0, 2, 2, 2)),
            expected={
                "y": np.zeros((0, 2, 2, 2)),
                "switches": np.zeros((0, 2, 2, 2), np.int64),
                "dx": np.zeros((1, 2, 3, 3)),
            },
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64, and random regions that reach beyond it."""
    corners = rng.uniform(-20, 100, (5, 4))
    rois = np.concatenate([rng.integers(0, 2, (5, 1)), corners], axis=1)
    chosen = params((int(rng.integers(1, 5)), 3), 1 / 8)
    x, dy = rng.standard_normal((2, 2, 9, 10)), rng.standard_normal((5, 2, *chosen["output_size"]))
    return Case("random", "", {"x": x, "rois": rois}, Exact(), chosen, dy=dy)

"""Golden cases of RoIAlign."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats, count, dyadic, reals
from golden.cases._resizing import with_coordinate_rounding
from refdet.verify.case import Algorithm, Bound, Case, Exact, Ulp
from tests.oracles import roi_align as oracle

ALGORITHM = Algorithm(
    "roi_align",
    oracle,
    ("x", "rois"),
    reference='deck 001; He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), section 3',
)


def params(
    output_size: tuple[int, int],
    scale: float = 1.0,
    sampling_ratio: int = 2,
    aligned: bool = True,
    border: str = "kernel",
    reduction: str = "mean",
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "output_size": output_size,
        "scale": scale,
        "sampling_ratio": sampling_ratio,
        "aligned": aligned,
        "border": border,
        "reduction": reduction,
    }


def bound(x: Floats, rois: Floats, dy: Floats, n: int, chosen: dict[str, Any]) -> Bound:
    """Return the bound for |x|, |dy| ≤ 1 and points at coordinates of at most 8, whose rounding moves weights.

    Along each axis a feature changes by at most 2 per pixel of displacement, and the weight of a pixel at a bin by 1.
    """
    y = oracle.forward(abs(x), rois, **chosen)
    dx, _ = oracle.backward(x, rois, dy=abs(dy), **chosen)
    n_bins = dy.shape[0] * dy.shape[2] * dy.shape[3]
    scale = {
        "y": with_coordinate_rounding(y, n, 4.0, 8.0),
        "dx": with_coordinate_rounding(dx, n, 2.0 * n_bins, 8.0),
    }
    return Bound(n, scale)


def cases() -> list[Case]:
    return [*_by_hand(), *_at_the_border(), *_rounded()]


def _by_hand() -> list[Case]:
    plane = count((1, 1, 4, 4))  # 4·y + x: a plane, which interpolation reproduces
    box = np.array([[0.0, 0.5, 0.5, 3.5, 3.5]])
    backwards = np.array([[0.0, 3.5, 0.5, 1.5, 3.5]])
    peaks = np.array([[[[0.0, 8.0, 0.0, 0.0], [0.0, 0.0, 0.0, 8.0], [8.0, 0.0, 0.0, 0.0], [8.0, 0.0, 4.0, 0.0]]]])
    corner = np.array([1.0, 3.0, 3.0, 1.0]) / 8  # weights of the points ¾ and 2¼, and the mean of both
    return [
        Case(
            "aligned",
            "Points at ¾ and 2¼ of both axes; their mean is the middle, 4 · 1½ + 1½.",
            {"x": plane, "rois": box},
            Exact(),
            params((1, 1)),
            dy=np.array([[[[64.0]]]]),
            expected={"y": np.array([[[[7.5]]]]), "dx": 64 * np.outer(corner, corner)[None, None]},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "not-aligned",
            "The same box half a pixel further: points at 1¼ and 2¾, with the mean 4 · 2 + 2.",
            {"x": plane, "rois": box},
            Exact(),
            params((1, 1), aligned=False),
            dy=np.array([[[[64.0]]]]),
            expected={
                "y": np.array([[[[10.0]]]]),
                "dx": 64 * np.outer([0.0, 0.375, 0.25, 0.375], [0.0, 0.375, 0.25, 0.375])[None, None],
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "adaptive",
            "⌈3/2⌉ = 2 points per bin across, ⌈3/4⌉ = 1 down: columns ⅜, 1⅛ | 1⅞, 2⅝ and rows ⅜, 1⅛, 1⅞, 2⅝.",
            {"x": plane, "rois": box},
            Exact(),
            params((4, 2), sampling_ratio=0),
            dy=dyadic("adaptive align dy", (1, 1, 4, 2)),
            expected={
                "y": np.array([[[[2.25, 3.75], [5.25, 6.75], [8.25, 9.75], [11.25, 12.75]]]])  # 4·y + ¾, 4·y + 2¼
            },
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "without-area",
            "A point, at (1, 2): aligned, all four samples of each bin lie there.",
            {"x": plane, "rois": np.array([[0.0, 1.5, 2.5, 1.5, 2.5]])},
            Exact(),
            params((1, 2)),
            dy=np.array([[[[2.0, 4.0]]]]),
            expected={
                "y": np.array([[[[9.0, 9.0]]]]),
                "dx": np.pad(np.array([[[[6.0]]]]), ((0, 0), (0, 0), (2, 1), (1, 2))),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "at-least-one-pixel",
            "Not aligned, a box without area has sides of 1: from (1, 2) to (2, 3), whose middle is (1½, 2½).",
            {"x": plane, "rois": np.array([[0.0, 1.0, 2.0, 1.0, 2.0]])},
            Exact(),
            params((1, 1), aligned=False),
            dy=np.array([[[[4.0]]]]),
            expected={
                "y": np.array([[[[11.5]]]]),
                "dx": np.pad(np.ones((1, 1, 2, 2)), ((0, 0), (0, 0), (2, 0), (1, 1))),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "backwards",
            "x2 < x1, aligned: bins run from column 3 back to 1, with points at 2½ and 1½.",
            {"x": plane, "rois": backwards},
            Exact(),
            params((1, 2), sampling_ratio=1),
            dy=np.array([[[[4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[8.5, 7.5]]]]),  # row 1½
                "dx": np.array([[[[0.0, 0.0, 0.0, 0.0], [0.0, 2.0, 3.0, 1.0], [0.0, 2.0, 3.0, 1.0], [0.0] * 4]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "backwards-and-adaptive",
            "⌈−2/2⌉ < 1: no points, so that every bin is 0 and nothing has a gradient.",
            {"x": plane, "rois": backwards},
            Exact(),
            params((1, 2), sampling_ratio=0),
            dy=np.array([[[[4.0, 8.0]]]]),
            expected={"y": np.zeros((1, 1, 1, 2)), "dx": np.zeros((1, 1, 4, 4))},
            source="by hand",
            tags=("hand", "empty", "convention"),
            status="optional",
            status_reason="implementations give 0 or NaN, or refuse",
        ),
        Case(
            "largest-point",
            "The largest of the interpolated points, not of weighted pixels: points (½, ½), (½, 2½), (2½, ½), (2½, 2½) "
            "of one bin are 2, 2, 4 and 1, and the third has the gradient.",
            {"x": peaks, "rois": np.array([[0.0, 0.0, 0.0, 4.0, 4.0]])},
            Exact(),
            params((1, 1), reduction="max"),
            dy=np.array([[[[4.0]]]]),
            expected={
                "y": np.array([[[[4.0]]]]),
                "dx": np.array([[[[0.0] * 4, [0.0] * 4, [1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "tie-goes-to-the-first-point",
            "The upper half of the same map: points (½, ½) and (½, 2½), per bin twice, are both 2.",
            {"x": peaks, "rois": np.array([[0.0, 0.0, 1.0, 4.0, 1.0]])},
            Exact(),
            params((1, 1), reduction="max"),
            dy=np.array([[[[4.0]]]]),
            expected={
                "y": np.array([[[[2.0]]]]),
                "dx": np.array([[[[1.0, 1.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0], [0.0] * 4, [0.0] * 4]]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "tie", "kink"),
        ),
        Case(
            "a-quarter-of-a-pixel-aligned",
            "A region from 1 to 1¼ on the map: one point, at 1⅛ of both axes, 4 · 1⅛ + 1⅛. A region of at least a "
            "pixel would have it at 1½.",
            {"x": plane, "rois": np.array([[0.0, 1.5, 1.5, 1.75, 1.75]])},
            Exact(),
            params((1, 1), sampling_ratio=1),
            expected={"y": np.array([[[[5.625]]]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "a-quarter-of-a-pixel-not-aligned",
            "The same quarter becomes a whole pixel: one point, at 1½ of both axes, 4 · 1½ + 1½.",
            {"x": plane, "rois": np.array([[0.0, 1.0, 1.0, 1.25, 1.25]])},
            Exact(),
            params((1, 1), sampling_ratio=1, aligned=False),
            expected={"y": np.array([[[[7.5]]]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "a-point-at-a-quarter-of-the-scale",
            "(4, 4) of an image four times as large is (1, 1), and becomes the pixel from 1 to 2, whose middle is 1½.",
            {"x": plane, "rois": np.array([[0.0, 4.0, 4.0, 4.0, 4.0]])},
            Exact(),
            params((1, 1), 0.25, 1, aligned=False),
            expected={"y": np.array([[[[7.5]]]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "largest-of-equal-features",
            "A map of fours: every interpolated point is 4, whereas the largest weighted pixel of the point ⅝ is "
            "4 · ⅝ · ⅝.",
            {"x": np.full((1, 1, 4, 4), 4.0), "rois": np.array([[0.0, 0.625, 0.625, 1.625, 1.625]])},
            Exact(),
            params((1, 1), sampling_ratio=1, reduction="max"),
            expected={"y": np.array([[[[4.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "equal-features-at-the-border",
            "A map of eights: points a quarter of a pixel beyond the outermost centres are 8 as well.",
            {"x": np.full((1, 1, 4, 4), 8.0), "rois": np.array([[0.0, 0.0, 0.0, 1.0, 1.0]])},
            Exact(),
            params((1, 1)),
            expected={"y": np.array([[[[8.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "two-points-of-one-row",
            "Points ¼ and ¾ of a single row 0, 1, 4, 9: the mean of their features, ¼ and ¾.",
            {"x": np.array([[[[0.0, 1.0, 4.0, 9.0]]]]), "rois": np.array([[0.0, 0.0, -0.5, 1.0, 0.5]])},
            Exact(),
            params((1, 1), aligned=False),
            expected={"y": np.array([[[[0.5]]]])},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "several-regions-and-images",
            "Regions in any order of their images, overlapping; scale ¼, and coordinates in quarters of a pixel.",
            {
                "x": dyadic("roi align", (2, 3, 6, 7)),
                "rois": np.array(
                    [[1.0, 2.0, 6.0, 18.0, 22.0], [0.0, 3.0, 1.0, 19.0, 13.0], [1.0, 8.0, 8.0, 24.0, 20.0]]
                ),
            },
            Exact(),
            params((2, 4), 0.25),
            dy=dyadic("roi align dy", (3, 3, 2, 4)),
            tags=("dyadic",),
        ),
        Case(
            "nan-reaches-its-neighbours",
            "A NaN in column 2: the points 1 and 2½ have it among their pixels, 1 with weight 0; −½ and 4 have not.",
            {
                "x": np.array([[[[1.0, 2.0, np.nan, 4.0, 5.0, 6.0]]]]),
                "rois": np.array([[0.0, -1.25, -0.5, 4.75, 0.5]]),
            },
            Exact(),
            params((1, 4), sampling_ratio=1, aligned=False),
            dy=np.ones((1, 1, 1, 4)),
            expected={"y": np.array([[[[1.0, np.nan, np.nan, 5.0]]]])},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "largest-of-three-points",
            "One bin of 1 × 3 points, at ½, 1½ and 2½ of a single row: 1, 3 and 10, and the third has the gradient.",
            {"x": np.array([[[[0.0, 2.0, 4.0, 16.0]]]]), "rois": np.array([[0.0, 0.0, -0.5, 3.0, 0.5]])},
            Exact(),
            params((1, 1), sampling_ratio=0, aligned=False, reduction="max"),
            dy=np.array([[[[4.0]]]]),
            expected={"y": np.array([[[[10.0]]]]), "dx": np.array([[[[0.0, 0.0, 2.0, 2.0]]]])},
            source="by hand",
            tags=("hand", "dyadic"),
            status="optional",
            status_reason="few implementations take the largest of interpolated points",
        ),
        Case(
            "largest-of-no-points",
            "As for the mean, a region that runs backwards has no points: 0, and no gradient.",
            {"x": plane, "rois": backwards},
            Exact(),
            params((1, 1), sampling_ratio=0, reduction="max"),
            dy=np.array([[[[4.0]]]]),
            expected={"y": np.zeros((1, 1, 1, 1)), "dx": np.zeros((1, 1, 4, 4))},
            source="by hand",
            tags=("hand", "empty", "convention"),
            status="optional",
            status_reason="implementations give 0 or −∞, or refuse",
        ),
        Case(
            "nan-is-the-largest",
            "Points 0 and 2 of a row whose third feature is NaN: NaN beats the 5 before it.",
            {"x": np.array([[[[5.0, 0.0, np.nan, 0.0]]]]), "rois": np.array([[0.0, -1.0, -0.5, 3.0, 0.5]])},
            Exact(),
            params((1, 1), aligned=False, reduction="max"),
            expected={"y": np.array([[[[np.nan]]]])},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "before-the-first-centre-the-second-is-read",
            "A point at −½ becomes 0, and has pixel 1 as a neighbour, with weight 0: 0 · NaN is NaN.",
            {"x": np.array([[[[4.0, np.nan, 8.0]]]]), "rois": np.array([[0.0, -1.0, -0.5, 0.0, 0.5]])},
            Exact(),
            params((1, 1), sampling_ratio=1, aligned=False),
            expected={"y": np.array([[[[np.nan]]]])},
            source="by hand",
            tags=("hand", "nan", "border"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "after-the-last-centre-the-last-is-read-twice",
            "A point at 2½ of three columns becomes 2, and has column 2 with the weights 1 and 0: ∞ + 0 · ∞ is NaN. It "
            "lies between the rows, and has half of each.",
            {"x": np.array([[[[4.0, 8.0, np.inf]] * 2]]), "rois": np.array([[0.0, 2.0, 0.0, 3.0, 1.0]])},
            Exact(),
            params((1, 1), sampling_ratio=1, aligned=False, reduction="max"),
            expected={"y": np.array([[[[np.nan]]]])},
            source="by hand",
            tags=("hand", "inf", "nan", "border"),
            status="optional",
            status_reason="many implementations assume finite input",
        ),
        Case(
            "no-rows",
            "A map without rows has 0 everywhere, also less than a pixel above where they would be.",
            {"x": np.zeros((1, 1, 0, 3)), "rois": np.array([[0.0, 0.5, 0.0, 2.5, 0.5]])},
            Exact(),
            params((1, 1)),
            dy=np.ones((1, 1, 1, 1)),
            expected={"y": np.zeros((1, 1, 1, 1)), "dx": np.zeros((1, 1, 0, 3))},
            source="by hand",
            tags=("hand", "empty"),
            status="optional",
            status_reason="many implementations refuse a map without pixels",
        ),
        *(
            Case(
                f"largest-without-{what}",
                f"The largest of points of a map without {what} is 0.",
                {"x": np.zeros((1, 1, *size)), "rois": box},
                Exact(),
                params((1, 1), reduction="max"),
                dy=np.ones((1, 1, 1, 1)),
                expected={"y": np.zeros((1, 1, 1, 1)), "dx": np.zeros((1, 1, *size))},
                source="by hand",
                tags=("hand", "empty"),
                status="optional",
                status_reason="many implementations refuse a map without pixels",
            )
            for what, size in (("rows", (0, 3)), ("columns", (3, 0)))
        ),
        Case(
            "no-regions",
            "No regions in, no crops out, and a gradient of zeros.",
            {"x": plane, "rois": np.zeros((0, 5))},
            Exact(),
            params((2, 2)),
            dy=np.zeros((0, 1, 2, 2)),
            expected={"y": np.zeros((0, 1, 2, 2)), "dx": np.zeros((1, 1, 4, 4))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def _at_the_border() -> list[Case]:
    """One point per bin, half a pixel apart, from −1½ to 4½ of four columns, in the only row."""
    inputs = {"x": np.array([[[[4.0, 8.0, 16.0, 32.0]]]]), "rois": np.array([[0.0, -1.75, -0.5, 4.75, 0.5]])}
    chosen: dict[str, Any] = {"output_size": (1, 13), "sampling_ratio": 1, "aligned": False}
    dy = np.full((1, 1, 1, 13), 2.0)
    between = [4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0]  # at 0, ½ … 3
    return [
        Case(
            "border-of-kernels",
            "Up to a pixel beyond the outermost centres a point has the feature there, further out 0.",
            inputs,
            Exact(),
            params(**chosen),
            dy=dy,
            expected={
                "y": np.array([[[[0.0, 4.0, 4.0, *between, 32.0, 32.0, 0.0]]]]),
                "dx": np.array([[[[7.0, 4.0, 4.0, 7.0]]]]),  # twice 1 + 1 + 1 + ½, ½ + 1 + ½, …
            },
            source="by hand; Detectron and torchvision",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "border-of-the-equation",
            "Deck 001's sum over the pixels there are: features decay to 0 within a pixel.",
            inputs,
            Exact(),
            params(**chosen, border="zero_decay"),
            dy=dy,
            expected={
                "y": np.array([[[[0.0, 0.0, 2.0, *between, 16.0, 0.0, 0.0]]]]),
                "dx": np.array([[[[4.0, 4.0, 4.0, 4.0]]]]),
            },
            source="by hand; deck 001",
            tags=("hand", "dyadic", "border", "convention", "deck"),
        ),
        Case(
            "border-of-the-equation-aligned",
            "The same points, of a region half a pixel further that is moved back by as much.",
            {**inputs, "rois": np.array([[0.0, -1.25, 0.0, 5.25, 1.0]])},
            Exact(),
            params(**{**chosen, "aligned": True}, border="zero_decay"),
            dy=dy,
            expected={
                "y": np.array([[[[0.0, 0.0, 2.0, *between, 16.0, 0.0, 0.0]]]]),
                "dx": np.array([[[[4.0, 4.0, 4.0, 4.0]]]]),
            },
            source="by hand; deck 001",
            tags=("hand", "dyadic", "border", "convention", "deck"),
        ),
        Case(
            "outside-counts",
            "Points −2 and −½ in one bin: the one too far out is a 0 in the mean, of features that are 4.",
            {**inputs, "rois": np.array([[0.0, -2.75, -0.5, 0.25, 0.5]])},
            Exact(),
            params((1, 1), aligned=False),
            dy=np.array([[[[8.0]]]]),
            expected={"y": np.array([[[[2.0]]]]), "dx": np.array([[[[4.0, 0.0, 0.0, 0.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "border"),
        ),
        Case(
            "outside-may-be-the-largest",
            "The same bin over negative features: the 0 outside is larger, and has no gradient to give.",
            {"x": np.array([[[[-4.0, -8.0, -16.0, -32.0]]]]), "rois": np.array([[0.0, -2.75, -0.5, 0.25, 0.5]])},
            Exact(),
            params((1, 1), aligned=False, reduction="max"),
            dy=np.array([[[[8.0]]]]),
            expected={"y": np.array([[[[0.0]]]]), "dx": np.zeros((1, 1, 1, 4))},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
            status="optional",
            status_reason="few implementations take the largest of interpolated points",
        ),
    ]


def _rounded() -> list[Case]:
    n = 96  # 3 regions · 6 bins · 4 points that may all meet in a pixel, and 24 for weights and products
    ten_by_ten, point = 1 + count((1, 1, 10, 10)), np.array([[0.0, 60.0, 53.0, 70.0, 63.0]])
    one_point = params((1, 1), 0.1, 1, aligned=False)
    x, dy = reals("align x", (2, 2, 6, 7)), reals("align dy", (3, 2, 3, 2))
    rois = np.array([[1.0, 9.0, 14.0, 83.0, 71.0], [0.0, 21.0, 8.0, 61.0, 87.0], [1.0, 33.0, 25.0, 50.0, 47.0]])
    fixed, adaptive, largest = (
        params((3, 2), 1 / 15),
        params((3, 2), 1 / 15, 0, aligned=False),
        params((3, 2), 1 / 15, reduction="max"),
    )
    weights = np.zeros((1, 1, 10, 10))
    weights[0, 0, 5:7, 6:8] = [[0.1, 0.1], [0.4, 0.4]]  # rows 5 and 6, columns 6 and 7
    return [
        Case(
            "deck-example",
            "f at x = 6.5, y = 5.8 is 0.1 f(6, 5) + 0.1 f(7, 5) + 0.4 f(6, 6) + 0.4 f(7, 6), where f(x, y) is column x "
            "of row y: 65.5 among 1 … 100.",
            {"x": ten_by_ten, "rois": point},
            Bound(
                12,
                {
                    # the plane rises by 10 and by 1
                    "y": with_coordinate_rounding(np.full((1, 1, 1, 1), 65.5), 12, 11.0, 8.0),
                    "dx": with_coordinate_rounding(weights, 12, 2.0, 8.0),
                },
            ),
            one_point,
            dy=np.ones((1, 1, 1, 1)),
            expected={"y": np.array([[[[65.5]]]]), "dx": weights},
            source="deck 001",
            tags=("hand", "deck", "convention"),
        ),
        Case(
            "four-points",
            "Mask R-CNN's four points per bin, on coordinates that round.",
            {"x": x, "rois": rois},
            bound(x, rois, dy, n, fixed),
            fixed,
            dy=dy,
        ),
        Case(
            "adaptive-points",
            "Between one and three points per bin and axis, none of these numbers near the next.",
            {"x": x, "rois": rois},
            bound(x, rois, dy, n, adaptive),
            adaptive,
            dy=dy,
        ),
        Case(
            "largest-of-four-points",
            "The points of the case before last; the largest of a bin leads by at least 1/200.",
            {"x": x, "rois": rois},
            bound(x, rois, dy, n, largest),
            largest,
            dy=dy,
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random map in float64, random regions that reach beyond it, and random options."""
    corners = np.sort(rng.uniform(-20, 100, (4, 2, 2)), axis=1).reshape(4, 4)
    rois = np.concatenate([rng.integers(0, 2, (4, 1)), corners], axis=1)
    chosen = params(
        (int(rng.integers(1, 5)), 3),
        1 / 8,
        int(rng.integers(0, 3)),
        bool(rng.integers(2)),
        str(rng.choice(["kernel", "zero_decay"])),
        str(rng.choice(["mean", "max"])),
    )
    x, dy = rng.standard_normal((2, 2, 9, 10)), rng.standard_normal((4, 2, *chosen["output_size"]))
    return Case("random", "", {"x": x, "rois": rois}, Ulp(64, 1e-5), chosen, dy=dy)

"""Golden cases of R-CNN's warped regions."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats, dyadic, reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import warp_regions as oracle

ALGORITHM = Algorithm(
    "warp_regions",
    oracle,
    ("image", "boxes", "mean"),
    ("windows",),
    reference="Girshick, Donahue, Darrell & Malik (2014), appendix A, and rcnn_im_crop.m; decks 000 and 001",
)
INTERPOLATED = Ulp(64, 1e-3)  # of pixels up to 255, whose weights are divided by sizes that are no powers of two


def params(side: int, padding: int, convention: str = "warp") -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"side": side, "padding": padding, "convention": convention}


def no_mean(side: int, channels: int = 1) -> Floats:
    """Return a mean of 0."""
    return np.zeros((side, side, channels))


def columns(width: int, height: int = 2) -> Floats:
    """Return a picture whose pixels count their columns from 1."""
    return np.tile(np.arange(1.0, width + 1)[None, :, None], (height, 1, 1))


def cases() -> list[Case]:
    photo = dyadic("warp photo", (24, 30, 3), 0, 255)
    real = reals("warp real", (20, 26, 3), 0, 255)
    real_mean = reals("warp mean", (9, 9, 3), 100, 130)
    return [
        Case(
            "without-context",
            "No padding: the box alone, twice as large, its border pixels repeated whatever lies beyond.",
            {
                "image": np.array([[9.0, 9, 9, 9], [9, 0, 8, 9], [9, 16, 24, 9]])[:, :, None],
                "boxes": np.array([[1.0, 1, 3, 3]]),
                "mean": no_mean(4),
            },
            Exact(),
            params(4, 0),
            expected={
                "windows": np.array([[[0.0, 2, 6, 8], [4, 6, 10, 12], [12, 14, 18, 20], [16, 18, 22, 24]]])[..., None]
            },
            source="by hand",
            tags=("hand", "dyadic", "border"),
        ),
        Case(
            "last-pixel-inside",
            "A box of 4 with s = 2: −4 … 4 about its centre, both inside, are 9 pixels on 8.",
            {"image": columns(20), "boxes": np.array([[6.0, 0, 10, 2]]), "mean": no_mean(8)},
            Exact(),
            params(8, 2),
            # pixels 4 … 12 of the row, counted from 0; rows −1 … 3, of which 0 and 1 are there: 5 on 8, pad round(1.6)
            expected={"windows": _rows(5 + (np.arange(8) + 0.5) * 9 / 8 - 0.5, 8, first=2, n=3)},
            source="by hand",
            tags=("hand", "dyadic", "padding"),
        ),
        Case(
            "halves-away-from-zero",
            "A box of 3 with s = 2: 1.5 ± 3 is −1.5 … 4.5, rounded to −2 … 5, not −2 … 4; 6 of its 8 pixels are there.",
            {"image": columns(9, 9), "boxes": np.array([[0.0, 0, 3, 3]]), "mean": no_mean(8)},
            INTERPOLATED,
            params(8, 2),
            # pad 2 · 8/8, size 6 · 8/8: one to one
            expected={"windows": _rows(np.array([0.0, 0, 1, 2, 3, 4, 5, 6]), 8, first=2, n=6)},
            source="by hand",
            tags=("hand", "rounding", "padding", "border"),
        ),
        Case(
            "right-border",
            "Windows that leave the picture to the right and below: what is there ends at the last pixel.",
            {"image": columns(8, 8), "boxes": np.array([[4.0, 4, 8, 8]]), "mean": no_mean(8)},
            INTERPOLATED,
            params(8, 2),
            # 2 … 10 are 9 pixels, 6 of them there: round(6 · 8/9) = 5
            expected={
                "windows": _rows(
                    np.concatenate([np.clip(3 + (np.arange(5) + 0.5) * 6 / 5 - 0.5, 3, 8), np.zeros(3)]), 8, 0, 5
                )
            },
            source="by hand",
            tags=("hand", "border", "padding"),
        ),
        Case(
            "square",
            "The longer side counts for both axes.",
            {
                "image": photo,
                "boxes": np.array([[8.0, 9, 16, 13], [9, 6, 13, 14], [8, 8, 16, 16]]),
                "mean": np.broadcast_to(np.array([104.0, 117.0, 123.0]), (8, 8, 3)).copy(),
            },
            Exact(),
            params(8, 2, "square"),
            tags=("dyadic", "convention"),
        ),
        Case(
            "square-each-by-its-own-side",
            "Windows of 4 × 4 pixels about a box of 3 × 1, and of 2 × 2 about one of 1 × 1: the longer side is that of "
            "the box, not of all boxes.",
            {"image": _counted(8), "boxes": np.array([[1.0, 2, 4, 3], [3, 3, 4, 4]]), "mean": no_mean(4)},
            Exact(),
            params(4, 0, "square"),
            # rows and columns 1 … 4, one to one; and 3 … 4, at −1/4, 1/4, 3/4 and 5/4 of a pixel from the first
            expected={
                "windows": np.stack([_places(8, axis)[:, :, None] for axis in ([1.0, 2, 3, 4], [3, 3.25, 3.75, 4])])
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "one-row-or-one-column",
            "All that the picture has of the first window is its last row, of the second its first column.",
            {"image": _counted(4), "boxes": np.array([[0.0, 3, 4, 7], [-3, 0, 1, 4]]), "mean": no_mean(4)},
            Exact(),
            params(4, 0),
            expected={
                "windows": np.array(
                    [
                        [[12.0, 13, 14, 15], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]],
                        [[0, 0, 0, 0], [0, 0, 0, 4], [0, 0, 0, 8], [0, 0, 0, 12]],
                    ]
                )[..., None]
            },
            source="by hand",
            tags=("hand", "dyadic", "border"),
        ),
        Case(
            "mean-of-the-place",
            "The mean differs from place to place, and belongs to the square: nothing is subtracted where nothing is.",
            {"image": np.full((4, 4, 1), 100.0), "boxes": np.array([[0.0, 0, 2, 2]]), "mean": _ramp(8)},
            Exact(),
            params(8, 2),
            # −1 … 3 are 5 pixels, 4 of them there: pad round(8/5), size round(32/5)
            expected={"windows": np.pad(100 - _ramp(8)[2:, 2:], ((2, 0), (2, 0), (0, 0)))[None]},
            source="by hand",
            tags=("hand", "dyadic", "padding"),
        ),
        Case(
            "boxes-between-pixels",
            "Corners anywhere, at and beyond the border.",
            {
                "image": real,
                "boxes": np.array(
                    [
                        [3.25, 4.5, 9.75, 12.0],
                        [-2.5, -1.25, 5.75, 8.25],
                        [15.0, 9.5, 27.75, 22.5],
                        [0.25, 0.25, 25.5, 19.5],
                    ]
                ),
                "mean": real_mean,
            },
            INTERPOLATED,
            params(9, 2),
            tags=("padding", "border"),
        ),
        Case(
            "nothing-there",
            "Beside the picture; inside out; and all but two of a thousand pixels beside it, which round to none.",
            {
                "image": np.ones((6, 6, 1)),
                "boxes": np.array([[30.0, 0, 40, 6], [5, 0, 1, 6], [-999, 0, 2, 6]]),
                "mean": np.ones((8, 8, 1)),
            },
            Exact(),
            params(8, 0),
            expected={"windows": np.zeros((3, 8, 8, 1))},
            source="by hand",
            tags=("hand", "empty", "border"),
        ),
        Case(
            "no-row-there",
            "Columns that the picture has, in no row: below it; upside down; and all but two of a thousand rows above.",
            {
                "image": np.ones((6, 6, 1)),
                "boxes": np.array([[0.0, 30, 6, 40], [0, 5, 6, 1], [0, -999, 6, 2]]),
                "mean": np.ones((8, 8, 1)),
            },
            Exact(),
            params(8, 0),
            expected={"windows": np.zeros((3, 8, 8, 1))},
            source="by hand",
            tags=("hand", "empty", "border"),
        ),
        Case(
            "no-boxes",
            "None in, none out.",
            {"image": np.ones((6, 6, 1)), "boxes": np.zeros((0, 4)), "mean": no_mean(5)},
            Exact(),
            params(5, 1),
            expected={"windows": np.zeros((0, 5, 5, 1))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def _counted(side: int) -> Floats:
    """Return a square picture whose pixels count themselves, row by row from 0."""
    return np.arange(float(side * side)).reshape(side, side, 1)


def _places(side: int, axis: list[float]) -> Floats:
    """Return what such a picture is at these rows, and at the same columns: there it is linear."""
    pixels: Floats = side * np.array(axis)[:, None] + np.array(axis)
    return pixels


def _rows(row: Floats, side: int, first: int, n: int) -> Floats:
    """Return (1, side, side, 1): the row in n rows from `first` on, and zeros."""
    window = np.zeros((1, side, side, 1))
    window[0, first : first + n, :, 0] = row
    return window


def _ramp(side: int) -> Floats:
    return np.arange(float(side * side)).reshape(side, side, 1)


def random_case(rng: np.random.Generator) -> Case:
    """Return a picture of 1 to 9 pixels a side, and boxes about it, at quarters of pixels."""
    height, width = (int(n) for n in rng.integers(1, 10, 2))
    side, padding = [(5, 0), (6, 1), (8, 2)][int(rng.integers(3))]
    inputs = {
        "image": rng.integers(0, 256, (height, width, 2)).astype(np.float64),
        "boxes": rng.integers(-20, 60, (3, 4)) / 4,
        "mean": rng.integers(0, 256, (side, side, 2)).astype(np.float64),
    }
    return Case("random", "", inputs, INTERPOLATED, params(side, padding, str(rng.choice(["warp", "square"]))))

"""Golden cases of pasting masks."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats, dyadic, reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import paste_masks as oracle

ALGORITHM = Algorithm(
    "paste_masks",
    oracle,
    ("masks", "boxes"),
    ("pasted",),
    reference="He et al. (2017), section 3.1; code of Detectron, Detectron2 and torchvision",
)
CONVENTIONS = ("detectron2", "detectron1", "torchvision")
DIAGONAL = [[1.0, 0.0], [0.0, 1.0]]
FULL = [[1.0, 1.0], [1.0, 1.0]]
HALF = [[0.5, 0.5], [0.5, 0.5]]


def params(size: tuple[int, int], convention: str, threshold: float = 0.5) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"size": size, "convention": convention, "threshold": threshold}


def pictures(*rows: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Return pictures that stand side by side, rows of which are written with # for an object's pixel."""
    by_row = [[[pixel == "#" for pixel in part] for part in row.split()] for row in rows]
    return np.array([[row[i] for row in by_row] for i in range(len(by_row[0]))])


def by_hand(
    name: str,
    why: str,
    masks: list[Any],
    boxes: list[list[float]],
    convention: str,
    pasted: Any,
    *tags: str,
    threshold: float = 0.5,
    undefined: str = "",
) -> Case:
    """Return a case of small masks whose answer can be seen; every coordinate and weight is a dyadic number."""
    return Case(
        name,
        why,
        {"masks": np.array(masks, np.float64), "boxes": np.array(boxes, np.float64)},
        Exact(),
        params(pasted.shape[1:], convention, threshold),
        expected={"pasted": pasted},
        source="by hand",
        tags=("hand", *tags),
        status="undefined" if undefined else "required",
        status_reason=undefined,
    )


def cases() -> list[Case]:
    """Return the cases."""
    # with the cells' centres 2 pixels apart, their weights are 1/4, 3/4, 3/4, 1/4 from one pixel to the next
    corners = pictures("......", ".##...", ".##...", "...##.", "...##.", "......")
    framed = pictures("........", "........", "..##....", "..##....", "....##..", "....##..", "........", "........")
    return [
        by_hand(
            "two-cells-on-the-diagonal",
            "A box of 4 × 4 pixels, half a cell a pixel: 9/16 in two pixels a side, 3/8 where the cells meet.",
            [DIAGONAL],
            [[1, 1, 5, 5]],
            "detectron2",
            corners,
            "convention",
        ),
        *(
            by_hand(
                f"in-a-frame-{convention}",
                "The box doubles to [0, 7], which is 8 pixels for 4 cells with the frame.",
                [DIAGONAL],
                [[1.75, 1.75, 5.25, 5.25]],
                convention,
                framed,
                "convention",
            )
            for convention in CONVENTIONS[1:]
        ),
        *(
            by_hand(
                f"equal-to-the-threshold-{convention}",
                f"A mask of ½ everywhere: where it is whole, ½ is {'not ' * (convention == 'detectron1')}enough.",
                [HALF],
                [[1.75, 1.75, 5.25, 5.25]] if convention != "detectron2" else [[2, 2, 6, 6]],
                convention,
                pictures(*["........"] * 8)
                if convention == "detectron1"
                else pictures(*["........"] * 3, *["...##..."] * 2, *["........"] * 3),
                "tie",
                "convention",
            )
            for convention in CONVENTIONS
        ),
        by_hand(
            "certain-everywhere",
            "The threshold may be 1: a mask of 1 reaches it where all cells that are read exist.",
            [FULL],
            [[2, 2, 6, 6]],
            "detectron2",
            pictures(*["........"] * 3, *["...##..."] * 2, *["........"] * 3),
            "tie",
            threshold=1.0,
        ),
        by_hand(
            "fading-beyond-the-box",
            "One cell over two pixels: 1/4, 3/4, 3/4, 1/4, of which the outer two are outside the box; their product "
            "with the row's 3/4 is above 1/8, and with 1/4 below.",
            [[[1.0]]],
            [[2, 2, 4, 4]],
            "detectron2",
            pictures("......", "..##..", ".####.", ".####.", "..##..", "......"),
            "border",
            "convention",
            threshold=0.125,
        ),
        by_hand(
            "fading-within-the-frame",
            "One cell and its frame over six pixels: 1/4, 3/4, 3/4, 1/4 in the middle four.",
            [[[1.0]]],
            [[1.875, 1.875, 3.5, 3.5]],
            "torchvision",
            pictures("......", "..##..", ".####.", ".####.", "..##..", "......"),
            "border",
            "convention",
            threshold=0.125,
        ),
        *(
            by_hand(
                f"truncated-towards-zero-{convention}",
                "The box doubles to [−½, 7½]: pixels 0 to 7, as −½ is truncated to 0 and 7½ to 7.",
                [DIAGONAL],
                [[1.5, 1.5, 5.5, 5.5]],
                convention,
                framed,
                "rounding",
                "border",
                "convention",
            )
            for convention in CONVENTIONS[1:]
        ),
        *(
            by_hand(
                f"last-pixel-truncated-towards-zero-{convention}",
                "The box doubles to [−1½, −½] × [0, 7], and has pixels −1 and 0, of which one is in the picture.",
                [FULL],
                [[-1.25, 1.75, -0.75, 5.25]],
                convention,
                pictures(*["...."] * 2, *["#..."] * 4, *["...."] * 2),
                "rounding",
                "border",
                "convention",
                threshold=0.25,
            )
            for convention in CONVENTIONS[1:]
        ),
        *(
            Case(
                f"over-every-border-{convention}",
                "Boxes across each side of a picture of 5 × 7, around all of it, and beyond each side.",
                {
                    "masks": dyadic("borders c", (9, 2, 2), 0, 8, 0.125),
                    "boxes": np.array(
                        [
                            [-3.75, 0.25, 3.25, 3.75],
                            [5.25, 0.25, 8.75, 3.75],
                            [1.25, -2.75, 4.75, 0.75],
                            [1.25, 2.25, 4.75, 5.75],
                            [-2.75, -2.75, 11.25, 11.25],
                            [-16.75, 0.25, -9.75, 3.75],
                            [16.25, 0.25, 19.75, 3.75],
                            [1.25, -19.75, 4.75, -16.25],
                            [1.25, 16.25, 4.75, 19.75],
                        ]
                    ),
                },
                Exact(),
                params((5, 7), convention, 0.1875),
                tags=("border", "convention"),
            )
            for convention in CONVENTIONS
        ),
        by_hand(
            "without-area",
            "No width, no height, neither, and a box that ends before it begins: no pixel.",
            [FULL] * 4,
            [[2, 1, 2, 3], [1, 2, 3, 2], [2, 2, 2, 2], [3, 3, 1, 1]],
            "detectron2",
            pictures(*[".... .... .... ...."] * 4),
            "empty",
            "convention",
        ),
        *(
            by_hand(
                f"without-area-{convention}",
                "A box without area is a pixel, the middle of the mask. One that ends half a pixel before it begins is "
                "too, if both are in one pixel, and else has none.",
                [FULL] * 4,
                [[2.25, 2.25, 2.25, 2.25], [2.75, 1.75, 2.5, 1.5], [2.25, 1.25, 1.75, 1.0], [3, 3, 1, 1]],
                convention,
                pictures(".... .... .... ....", ".... ..#. .... ....", "..#. .... .... ....", ".... .... .... ...."),
                "empty",
                "convention",
            )
            for convention in CONVENTIONS[1:]
        ),
        *(
            by_hand(
                f"boxes-that-are-not-finite-{convention}",
                "No pixel.",
                [FULL] * 3,
                [[np.nan, 0, 4, 4], [0, 0, 4, np.inf], [-np.inf, 0, np.inf, 4]],
                convention,
                pictures(*[".... .... ...."] * 4),
                "nan",
                "inf",
                undefined="detectors drop them before, and a NaN converts to any integer",
            )
            for convention in CONVENTIONS[:2]
        ),
        by_hand(
            "a-mask-that-is-nan",
            "NaN is no object.",
            [[[np.nan]]],
            [[0, 0, 4, 4]],
            "detectron2",
            pictures("....", "....", "....", "...."),
            "nan",
        ),
        Case(
            "no-masks",
            "None in, none out.",
            {"masks": np.zeros((0, 2, 2)), "boxes": np.zeros((0, 4))},
            Exact(),
            params((3, 4), "detectron2"),
            expected={"pasted": np.zeros((0, 3, 4), bool)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "a-picture-without-pixels",
            "A picture of no rows and four columns.",
            {"masks": np.ones((1, 2, 2)), "boxes": np.array([[0.0, 0, 4, 4]])},
            Exact(),
            params((0, 4), "torchvision"),
            expected={"pasted": np.zeros((1, 0, 4), bool)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        *(
            Case(
                f"seven-by-seven-{convention}",
                "Masks of 7 × 7 over boxes of all proportions: no pixel is within a thousandth of the threshold.",
                {"masks": smooth_masks(), "boxes": some_boxes()},
                Exact(),
                params((12, 15), convention),
                tags=("convention",),
            )
            for convention in CONVENTIONS
        ),
    ]


def smooth_masks() -> Floats:
    """Return three masks of 7 × 7 with an object in each: probabilities that fall off from a point."""
    centres, y = reals("paste centres", (3, 2), 1.5, 5.5), np.arange(7.0)
    squares = (y[:, None] - centres[:, :1, None]) ** 2 + (y - centres[:, 1:, None]) ** 2
    noise = reals("paste noise", (3, 7, 7), -0.125, 0.125)
    return np.clip(1.25 - squares / 8 + noise, 0, 1).astype(np.float32).astype(np.float64)


def some_boxes() -> Floats:
    """Return boxes in a picture of 12 × 15 with fractional corners."""
    return np.array(
        [[1.3125, 2.1875, 13.5625, 9.8125], [3.4375, -2.3125, 8.8125, 7.0625], [6.6875, 4.5625, 17.3125, 10.1875]]
    )


def random_case(rng: np.random.Generator) -> Case:
    """Return masks and boxes on a grid of quarters, so that there are pixels on every border."""
    m = int(rng.choice([1, 2, 4]))
    start = rng.integers(-12, 24, (3, 2)) / 4
    boxes = np.concatenate([start, start + rng.integers(-4, 36, (3, 2)) / 4], axis=1)
    chosen = params((int(rng.integers(1, 8)), int(rng.integers(1, 8))), str(rng.choice(CONVENTIONS)))
    chosen["threshold"] = float(rng.choice([0.125, 0.25, 0.5, 0.75]))
    return Case("random", "", {"masks": rng.integers(0, 9, (3, m, m)) / 8, "boxes": boxes}, Exact(), chosen)

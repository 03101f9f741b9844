"""Golden cases of SSD's default boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import default_boxes as oracle

ALGORITHM = Algorithm(
    "default_boxes", oracle, (), ("boxes",), reference="Liu et al. (2016), section 2.2, and their code"
)

CORNER = Ulp(1, 2.0**-20)  # eight roundings of numbers below 2

SSD300 = {
    "image_size": 300,
    "map_sizes": (38, 19, 10, 5, 3, 1),
    "min_sizes": (30.0, 60.0, 111.0, 162.0, 213.0, 264.0),
    "max_sizes": (60.0, 111.0, 162.0, 213.0, 264.0, 315.0),
    "steps": (8.0, 16.0, 32.0, 64.0, 100.0, 300.0),
    "ratios": ((2.0,), (2.0, 3.0), (2.0, 3.0), (2.0, 3.0), (2.0,), (2.0,)),
}
# Image 8, one position, squares of 2 and 4, and 4 × 1 and 1 × 4.
ONE = {
    "image_size": 8,
    "map_sizes": (1,),
    "min_sizes": (2.0,),
    "max_sizes": (8.0,),
    "steps": (8.0,),
    "ratios": ((4.0,),),
}
SQUARES = [[3.0, 3, 5, 5], [2, 2, 6, 6]]
OBLONG = [[2.0, 3.5, 6, 4.5], [3.5, 2, 4.5, 6]]


def params(maps: dict[str, Any], order: str = "caffe", clip: str = "none", **changed: Any) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {**maps, "order": order, "clip": clip, **changed}


def last_maps(n: int) -> dict[str, Any]:
    """Return the last maps of SSD300."""
    return {name: value[-n:] if isinstance(value, tuple) else value for name, value in SSD300.items()}


def cases() -> list[Case]:
    large = {**ONE, "min_sizes": (8.0,), "max_sizes": (32.0,)}  # squares of 8 and 16, and 16 × 4 and 4 × 16
    return [
        Case(
            "order-of-caffe",
            "Both squares first, then the ratio and its reciprocal.",
            {},
            Exact(),
            params(ONE),
            expected={"boxes": np.array([*SQUARES, *OBLONG]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "steps-that-leave-a-margin",
            "Two positions 3 apart on 8 pixels, not 4; boxes reach over the border, or are larger than the image.",
            {},
            CORNER,
            params({**large, "map_sizes": (2,), "steps": (3.0,)}),
            tags=("border", "stride"),
        ),
        Case(
            "order-of-paddle",
            "The larger square last.",
            {},
            Exact(),
            params(ONE, order="paddle"),
            expected={"boxes": np.array([SQUARES[0], *OBLONG, SQUARES[1]]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "positions-and-step",
            "Two by two positions, 3 apart although 8 / 2 = 4: centres at 1.5 and 4.5, row by row.",
            {},
            Exact(),
            params(ONE, map_sizes=(2,), steps=(3.0,), max_sizes=(2.0,), ratios=((),)),
            expected={
                "boxes": np.repeat(
                    np.array([[0.5, 0.5, 2.5, 2.5], [3.5, 0.5, 5.5, 2.5], [0.5, 3.5, 2.5, 5.5], [3.5, 3.5, 5.5, 5.5]]),
                    2,
                    axis=0,
                )
                / 8
            },
            source="by hand",
            tags=("hand", "dyadic", "stride"),
        ),
        Case(
            "boxes-leave-the-image",
            "Nothing is clipped in the released networks.",
            {},
            Exact(),
            params(large),
            expected={"boxes": np.array([[0.0, 0, 8, 8], [-4, -4, 12, 12], [-4, 2, 12, 6], [2, -4, 6, 12]]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "clipped-corners",
            "The same with corners clamped to the image.",
            {},
            Exact(),
            params(large, clip="corners"),
            expected={"boxes": np.array([[0.0, 0, 8, 8], [0, 0, 8, 8], [0, 2, 8, 6], [2, 0, 6, 8]]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "clipped-corners-off-centre",
            "The same around a centre at a quarter of the image, where clamping the size gives other boxes.",
            {},
            Exact(),
            params(large, clip="corners", steps=(4.0,)),
            expected={"boxes": np.array([[0.0, 0, 6, 6], [0, 0, 8, 8], [0, 0, 8, 4], [0, 0, 4, 8]]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "clipped-size",
            "Width and height clamped to those of the image, around a centre at a quarter of it: corners may leave it.",
            {},
            Exact(),
            params(large, clip="size", steps=(4.0,)),
            expected={"boxes": np.array([[-2.0, -2, 6, 6], [-2, -2, 6, 6], [-2, 0, 6, 4], [0, -2, 4, 6]]) / 8},
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "centres-outside-the-image",
            "Two by two positions, as far apart as the image is wide: centres at 4 and 12, and nothing is clipped.",
            {},
            Exact(),
            params(ONE, map_sizes=(2,), max_sizes=(2.0,), ratios=((),)),
            expected={
                "boxes": np.repeat(
                    np.array([[3.0, 3, 5, 5], [11, 3, 13, 5], [3, 11, 5, 13], [11, 11, 13, 13]]), 2, axis=0
                )
                / 8
            },
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "ssd300-smallest-maps",
            "The maps of 5 × 5, 3 × 3 and 1 of the released SSD300: 150 + 36 + 4 boxes.",
            {},
            CORNER,
            params(last_maps(3)),
            tags=("rounding",),
        ),
        Case(
            "ssd300",
            "All 8732 boxes of the released SSD300.",
            {},
            CORNER,
            params(SSD300),
            tags=("rounding",),
        ),
        Case(
            "ssd300-paddle-size",
            "The smallest maps in the other order, sizes clamped as torchvision does: 315 is wider than the image.",
            {},
            CORNER,
            params(last_maps(3), order="paddle", clip="size"),
            tags=("rounding", "convention", "border"),
        ),
        Case(
            "no-positions",
            "A map without positions adds none.",
            {},
            Exact(),
            params(ONE, map_sizes=(0,)),
            expected={"boxes": np.zeros((0, 4))},
            source="by hand",
            tags=("hand", "empty"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return two maps of a small image."""
    chosen = {
        "image_size": 32,
        "map_sizes": (int(rng.integers(1, 4)), 1),
        "min_sizes": tuple(float(s) for s in rng.integers(2, 10, 2)),
        "max_sizes": tuple(float(s) for s in rng.integers(10, 40, 2)),
        "steps": (8.0, 32.0),
        "ratios": ((2.0,), (2.0, 3.0)),
    }
    order, clip = str(rng.choice(["caffe", "paddle"])), str(rng.choice(["none", "corners", "size"]))
    return Case("random", "", {}, CORNER, params(chosen, order, clip))

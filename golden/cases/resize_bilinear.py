"""Golden cases of bilinear resizing."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic, reals
from golden.cases._resizing import params, random_params, with_coordinate_rounding
from refdet.verify.case import Algorithm, Bound, Case, Exact, Ulp
from tests.oracles import resize_bilinear as oracle

ALGORITHM = Algorithm("resize_bilinear", oracle, ("x",), reference="ONNX Resize, mode linear")


def cases() -> list[Case]:
    row = np.array([[[[0.0, 4.0, 8.0, 12.0]]]])
    x, dy = reals("bilinear x", (1, 2, 6, 7)), reals("bilinear dy", (1, 2, 7, 6))
    rounded = params((7, 6), (6 / 7, 7 / 6))
    n = 16
    return [
        Case(
            "half-pixel-times-two",
            "Coordinates −¼, ¼, ¾ …, the outer ones clamped to the border pixel.",
            {"x": row},
            Exact(),
            params((1, 8), (1.0, 0.5)),
            dy=np.array([[[[4.0, 0.0, 0.0, 0.0, 4.0, 0.0, 0.0, 8.0]]]]),
            expected={
                "y": np.array([[[[0.0, 1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 12.0]]]]),
                "dx": np.array([[[[4.0, 1.0, 3.0, 8.0]]]]),  # coordinate 1¾ gives ¼ to pixel 1 and ¾ to pixel 2
            },
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "asymmetric-times-two",
            "Coordinates 0, ½, 1 …: TensorFlow 1's default, shifted by a quarter of a pixel.",
            {"x": row},
            Exact(),
            params((1, 8), (1.0, 0.5), "asymmetric"),
            dy=np.array([[[[1.0, 2.0, 0.0, 0.0, 0.0, 0.0, 4.0, 8.0]]]]),
            expected={
                "y": np.array([[[[0.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0, 12.0]]]]),
                "dx": np.array([[[[2.0, 1.0, 0.0, 12.0]]]]),  # 1 + ½·2, ½·2, 0, 4 + 8
            },
            source="by hand",
            tags=("hand", "dyadic", "border", "convention"),
        ),
        Case(
            "align-corners",
            "The corners stay: coordinates 0, ¾, 1½, 2¼, 3; the ratio 4/5 is not read.",
            {"x": row},
            Exact(),
            params((1, 5), (1.0, 0.8), "align_corners"),
            dy=np.array([[[[1.0, 4.0, 2.0, 4.0, 1.0]]]]),
            expected={
                "y": np.array([[[[0.0, 3.0, 6.0, 9.0, 12.0]]]]),
                "dx": np.array([[[[2.0, 4.0, 4.0, 2.0]]]]),  # 1 + ¼·4, ¾·4 + ½·2, ½·2 + ¾·4, ¼·4 + 1
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
        Case(
            "halving-is-the-mean-of-four",
            "Half-pixel centres at half the size fall between four pixels; no antialiasing beyond that.",
            {"x": dyadic("bilinear half", (1, 2, 4, 6))},
            Exact(),
            params((2, 3), (2.0, 2.0)),
            dy=dyadic("bilinear half dy", (1, 2, 2, 3)),
            tags=("dyadic",),
        ),
        Case(
            "single-output-align-corners",
            "One output pixel: 0/0 in the ratio is taken as 0, and the first pixel is the answer.",
            {"x": row},
            Exact(),
            params((1, 1), (1.0, 4.0), "align_corners"),
            dy=np.array([[[[5.0]]]]),
            expected={"y": np.array([[[[0.0]]]]), "dx": np.array([[[[5.0, 0.0, 0.0, 0.0]]]])},
            source="by hand",
            tags=("hand", "convention", "border"),
        ),
        Case(
            "single-pixel",
            "One pixel fills any size, by any convention.",
            {"x": np.array([[[[3.0]]]])},
            Exact(),
            params((2, 4), (0.5, 0.25)),
            dy=count((1, 1, 2, 4)),
            expected={"y": np.full((1, 1, 2, 4), 3.0), "dx": np.array([[[[28.0]]]])},  # 0 + 1 + … + 7
            source="by hand",
            tags=("hand", "dyadic", "border"),
        ),
        Case(
            "ratio-given-by-a-scale",
            "A scale of 1.5 on three pixels gives ⌊4.5⌋ = 4, and the ratio stays 1/1.5; 3/4 would be another grid.",
            {"x": reals("bilinear scaled", (1, 1, 2, 3))},
            Bound(
                n,
                {
                    name: with_coordinate_rounding(scale, n, 8.0, 4.0)
                    for name, scale in (("y", np.ones((1, 1, 3, 4))), ("dx", np.full((1, 1, 2, 3), 6.0)))
                },
            ),
            params((3, 4), (1 / 1.5, 1 / 1.5)),
            dy=reals("bilinear scaled dy", (1, 1, 3, 4)),
            tags=("convention", "rounding"),
        ),
        Case(
            "up-and-down",
            "6 × 7 to 7 × 6: coordinates that round, none within a thousandth of a pixel's centre.",
            {"x": x},
            Bound(
                n,
                {
                    "y": with_coordinate_rounding(oracle.forward(abs(x), **rounded), n, 4.0, 7.0),
                    # every pixel lends to at most 3 × 3 outputs
                    "dx": with_coordinate_rounding(oracle.backward(x, dy=abs(dy), **rounded)[0], n, 18.0, 7.0),
                },
            ),
            rounded,
            dy=dy,
        ),
        Case(
            "align-corners-to-two",
            "Of four pixels nothing but the corners is left.",
            {"x": row},
            Exact(),
            params((1, 2), (1.0, 2.0), "align_corners"),
            dy=np.array([[[[1.0, 2.0]]]]),
            expected={"y": np.array([[[[0.0, 12.0]]]]), "dx": np.array([[[[1.0, 0.0, 0.0, 2.0]]]])},
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random image in float64, a random size and convention."""
    chosen = random_params(rng, (5, 6))
    dy = rng.standard_normal((1, 2, *chosen["size"]))
    return Case("random", "", {"x": rng.standard_normal((1, 2, 5, 6))}, Ulp(64, 1e-5), chosen, dy=dy)

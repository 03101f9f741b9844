"""Golden cases of bicubic resizing."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic, reals
from golden.cases._resizing import params, random_params, with_coordinate_rounding
from refdet.verify.case import Algorithm, Bound, Case, Exact, Ulp
from tests.oracles import resize_bicubic as oracle

ALGORITHM = Algorithm("resize_bicubic", oracle, ("x",), reference="Keys (1981), equation 4; ONNX Resize, mode cubic")


def cases() -> list[Case]:
    x, dy = reals("bicubic x", (1, 2, 6, 7)), reals("bicubic dy", (1, 2, 7, 6))
    n, rounded = 48, params((7, 6), (6 / 7, 7 / 6), a=-0.75)
    # W(5/4), W(1/4), W(3/4), W(7/4) for a = −½ and a = −¾
    half, three_quarters = np.array([-9.0, 111.0, 29.0, -3.0]) / 128, np.array([-27.0, 225.0, 67.0, -9.0]) / 256
    impulse = np.zeros((1, 1, 1, 8))
    impulse[..., 3] = 1
    return [
        *(
            Case(
                f"impulse-{name}",
                f"One bright pixel, doubled: the outputs are the values of Keys' kernel with a = {a}.",
                {"x": impulse},
                Exact(),
                params((1, 16), (1.0, 0.5), a=a),
                expected={
                    # output j lies at (j + ½)/2 − ½; those at distance 7/4, 5/4, 3/4, 1/4 before and after pixel 3
                    "y": np.concatenate([np.zeros(3), w[[3, 0, 2, 1, 1, 2, 0, 3]], np.zeros(5)]).reshape(1, 1, 1, 16)
                },
                source="by hand; Keys (1981), equation 4",
                tags=("hand", "dyadic", "convention"),
            )
            for name, a, w in (("keys", -0.5, half), ("torch", -0.75, three_quarters))
        ),
        *(
            Case(
                f"times-two-{coordinates.replace('_', '-')}",
                "All sixteen taps, clamped at the border with their weights unchanged; steps of half a pixel.",
                {"x": dyadic("bicubic exact", (1, 2, 5, 5), -8, 8)},
                Exact(),
                params(size, (5 / size[0], 5 / size[1]), coordinates, a=-0.75),
                dy=dyadic("bicubic exact dy", (1, 2, *size), -8, 8),
                tags=("dyadic", "convention", "border"),
            )
            for coordinates, size in (("half_pixel", (10, 10)), ("asymmetric", (10, 10)), ("align_corners", (9, 9)))
        ),
        Case(
            "constant-stays",
            "The weights sum to 1, at the border too.",
            {"x": np.full((1, 1, 2, 2), 5.0)},
            Exact(),
            params((4, 4), (0.5, 0.5), a=-0.5),
            dy=np.ones((1, 1, 4, 4)),
            expected={"y": np.full((1, 1, 4, 4), 5.0), "dx": np.full((1, 1, 2, 2), 4.0)},
            source="by hand",
            tags=("hand", "dyadic", "border"),
        ),
        Case(
            "up-and-down",
            "6 × 7 to 7 × 6: coordinates that round, none within a thousandth of a pixel's centre.",
            {"x": x},
            Bound(
                n,
                {
                    # |weights| sum to less than 1.5 along an axis, and their slopes to less than 4
                    "y": with_coordinate_rounding(np.full((1, 2, 7, 6), 1.5**2), n, 12.0, 7.0),
                    # every pixel lends to at most 6 × 6 outputs
                    "dx": with_coordinate_rounding(np.full((1, 2, 6, 7), 6.0**2), n, 72.0, 7.0),
                },
            ),
            rounded,
            dy=dy,
        ),
        Case(
            "ratio-given-by-a-scale",
            "One bright pixel among eight, by the scale 1.6: ⌊12.8⌋ = 12 outputs at steps of ⅝, not of ⅔.",
            {"x": impulse},
            Exact(),
            params((1, 12), (1.0, 0.625), a=-0.75),
            tags=("dyadic", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random image in float64, a random size and convention."""
    chosen = {**random_params(rng, (5, 6)), "a": float(rng.choice([-0.5, -0.75]))}
    dy = rng.standard_normal((1, 2, *chosen["size"]))
    return Case("random", "", {"x": rng.standard_normal((1, 2, 5, 6))}, Ulp(64, 1e-5), chosen, dy=dy)

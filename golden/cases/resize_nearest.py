"""Golden cases of nearest-neighbour resizing."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import count, dyadic
from golden.cases._resizing import params, random_params
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import resize_nearest as oracle

ALGORITHM = Algorithm("resize_nearest", oracle, ("x",), reference="ONNX Resize, mode nearest")


def cases() -> list[Case]:
    row = count((1, 1, 1, 4)) * 10

    def asymmetric(rounding: str, columns: list[int]) -> Case:
        y = np.array([[[[10.0 * c for c in columns]]]])
        dx = np.array([[[[float(sum(j for j, c in enumerate(columns) if c == source)) for source in range(3)]]]])
        return Case(
            f"asymmetric-{rounding.replace('_', '-')}",
            "Coordinates 0, ¼, ½, ¾, 1 …: nearer to the one pixel, nearer to the other, and a tie.",
            {"x": count((1, 1, 1, 3)) * 10},
            Exact(),
            params((1, 12), (1.0, 0.25), "asymmetric", rounding=rounding),
            dy=count((1, 1, 1, 12)),
            expected={"y": y, "dx": dx},
            source="by hand",
            tags=("hand", "convention", "rounding", "tie", "border"),
        )

    return [
        asymmetric("floor", [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]),
        asymmetric("ceil", [0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2]),  # the last three go to 3 and are clamped to 2
        asymmetric("round_prefer_floor", [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2]),
        asymmetric("round_prefer_ceil", [0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]),
        *(
            Case(
                f"halving-{rounding.replace('_', '-')}",
                "Half-pixel centres at half the size: ½ and 2½ lie exactly between two pixels.",
                {"x": row},
                Exact(),
                params((1, 2), (1.0, 2.0), rounding=rounding),
                dy=np.array([[[[1.0, 2.0]]]]),
                expected={"y": np.array([[[y]]]), "dx": np.array([[[dx]]])},
                source="by hand",
                tags=("hand", "convention", "rounding", "tie"),
            )
            for rounding, y, dx in (
                ("round_prefer_floor", [0.0, 20.0], [1.0, 0.0, 2.0, 0.0]),
                ("round_prefer_ceil", [10.0, 30.0], [0.0, 1.0, 0.0, 2.0]),
            )
        ),
        Case(
            "half-pixel-times-two",
            "Coordinates −¼, ¼, ¾ …: every pixel becomes two by two.",
            {"x": dyadic("nearest x", (2, 2, 3, 4))},
            Exact(),
            params((6, 8), (0.5, 0.5), rounding="round_prefer_floor"),
            dy=dyadic("nearest dy", (2, 2, 6, 8)),
            tags=("dyadic", "border"),
        ),
        Case(
            "align-corners",
            "The first and the last pixel stay where they are; the ratio 4/2 follows from the sizes, 5/3 is not read.",
            {"x": count((1, 1, 5, 1))},
            Exact(),
            params((3, 1), (5 / 3, 1.0), "align_corners", rounding="floor"),
            dy=np.array([[[[1.0], [2.0], [4.0]]]]),
            expected={
                "y": np.array([[[[0.0], [2.0], [4.0]]]]),
                "dx": np.array([[[[1.0], [0.0], [2.0], [0.0], [4.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "empty-batch",
            "No images in, none out.",
            {"x": np.zeros((0, 1, 2, 2))},
            Exact(),
            params((4, 4), (0.5, 0.5), rounding="floor"),
            dy=np.zeros((0, 1, 4, 4)),
            tags=("empty",),
        ),
        Case(
            "ratio-given-by-a-scale",
            "Five pixels by the scale 4/3 are ⌊6⅔⌋ = 6, at steps of ¾, not of ⅚.",
            {"x": count((1, 1, 1, 5)) * 10},
            Exact(),
            params((1, 6), (1.0, 0.75), "asymmetric", rounding="floor"),
            dy=np.array([[[[1.0, 2.0, 4.0, 8.0, 16.0, 32.0]]]]),
            expected={
                "y": np.array([[[[0.0, 0.0, 10.0, 20.0, 30.0, 30.0]]]]),  # 0, 0.75, 1.5, 2.25, 3, 3.75
                "dx": np.array([[[[3.0, 4.0, 8.0, 48.0, 0.0]]]]),
            },
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "the-middle-of-fifteen-pixels",
            "Of eleven pixels the middle one looks at (5 + ½) · 15/11 − ½ = 7, the middle of fifteen; 5½ times the "
            "float64 nearest to 15/11 is less than 7½. The product comes first.",
            {"x": count((1, 1, 1, 15)) * 10},
            Exact(),
            params((1, 11), (1.0, 15 / 11), rounding="floor"),
            dy=count((1, 1, 1, 11)) + 1,
            expected={
                "y": np.array([[[[0.0, 10, 20, 40, 50, 70, 80, 90, 110, 120, 130]]]]),  # steps of 1 4/11 from 2/11
                "dx": np.array([[[[1.0, 2, 3, 0, 4, 5, 0, 6, 7, 8, 0, 9, 10, 11, 0]]]]),
            },
            source="by hand",
            tags=("hand", "convention", "rounding"),
        ),
        Case(
            "align-corners-at-a-half",
            "Two pixels become three: the one in the middle lies at ½, and a half goes up.",
            {"x": count((1, 1, 1, 2)) * 10},
            Exact(),
            params((1, 3), (1.0, 2 / 3), "align_corners", rounding="round_prefer_ceil"),
            dy=np.array([[[[1.0, 2.0, 4.0]]]]),
            expected={"y": np.array([[[[0.0, 10.0, 10.0]]]]), "dx": np.array([[[[1.0, 6.0]]]])},
            source="by hand",
            tags=("hand", "convention", "rounding", "tie"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random image in float64, a random size and convention."""
    chosen = random_params(rng, (5, 6))
    chosen["rounding"] = str(rng.choice(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]))
    dy = rng.standard_normal((1, 2, *chosen["size"]))
    return Case("random", "", {"x": rng.standard_normal((1, 2, 5, 6))}, Bound(70), chosen, dy=dy)

"""Golden cases of the truncated Gaussian filter."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import truncated_gaussian as oracle

ALGORITHM = Algorithm(
    "truncated_gaussian",
    oracle,
    ("values",),
    reference='deck 004, "Edge potentials as convolutions"; Krähenbühl & Koltun (2011), section 3',
)
# One rounding for each tap down and along, and four for each of the two weights, which are exponentials.
TAPS = Bound(2 * 9 + 8)


def params(sigma: tuple[float, float], truncate: float = 4.0) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"sigma": sigma, "truncate": truncate}


def cases() -> list[Case]:
    """Return the cases."""
    e_half, e_2 = 0.6065306597126334, 0.1353352832366127
    impulse = np.zeros((5, 5, 1))
    impulse[2, 2] = 1
    row = np.array([e_2, e_half, 1.0, e_half, e_2])
    return [
        Case(
            "an-impulse",
            "The kernel itself, 1 at its centre: e^−½ at distance 1, e⁻² at distance 2, and their products.",
            {"values": impulse},
            TAPS,
            params((1.0, 1.0), 2.0),
            expected={"y": np.outer(row, row)[:, :, None]},
            source="by hand (e^−½ and e⁻², to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "radius-is-rounded-up",
            "σ = 1 and truncate = 1¼: ⌈1¼⌉ = 2 pixels count, though the second lies beyond 1¼.",
            {"values": np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1)},
            TAPS,
            params((1.0, 1.0), 1.25),
            expected={"y": np.array([1.0, e_half, e_2, 0.0]).reshape(1, 4, 1)},
            source="by hand (e^−½ and e⁻², to 16 digits)",
            tags=("hand", "rounding", "convention"),
        ),
        Case(
            "a-radius-of-seven-quarters",
            "σ = 1 and truncate = 1¾: ⌈1¾⌉ = 2 pixels count; it is the nearest integer too.",
            {"values": np.array([1.0, 0.0, 0.0, 0.0]).reshape(1, 4, 1)},
            TAPS,
            params((1.0, 1.0), 1.75),
            expected={"y": np.array([1.0, e_half, e_2, 0.0]).reshape(1, 4, 1)},
            source="by hand (e^−½ and e⁻², to 16 digits)",
            tags=("hand", "rounding"),
        ),
        Case(
            "an-impulse-whose-radius-is-rounded-up",
            "In both directions: 2 pixels count at truncate = 1¼, and the middle itself with weight 1.",
            {"values": impulse},
            TAPS,
            params((1.0, 1.0), 1.25),
            expected={"y": np.outer(row, row)[:, :, None]},
            source="by hand (e^−½ and e⁻², to 16 digits)",
            tags=("hand", "rounding", "convention"),
        ),
        Case(
            "vertical-before-horizontal",
            "sigma is (vertical, horizontal): along a row, with σ = 1/16, the next pixel has e⁻¹²⁸.",
            {"values": impulse},
            TAPS,
            params((1.0, 0.0625), 2.0),
            expected={"y": np.concatenate([np.zeros((5, 2)), row[:, None], np.zeros((5, 2))], axis=1)[:, :, None]},
            source="by hand (e^−½ and e⁻², to 16 digits; e^−128 is below float32's least normal number)",
            tags=("hand", "convention"),
        ),
        Case(
            "truncate-zero",
            "Radius 0: the filter does nothing.",
            {"values": dyadic("truncated nothing", (3, 4, 2))},
            Exact(),
            params((2.0, 3.0), 0.0),
            dy=dyadic("truncated nothing dy", (3, 4, 2)),
            tags=("dyadic",),
        ),
        Case(
            "zeros-beyond-the-edge",
            "Ones: less than the mass of the kernel arrives near the border, and nothing is divided by it.",
            {"values": np.ones((4, 6, 1))},
            TAPS,
            params((1.0, 2.0), 2.0),
            dy=np.ones((4, 6, 1)),
            tags=("border",),
        ),
        Case(
            "channels",
            "Three channels of an image, each by itself.",
            {"values": reals("truncated channels", (5, 6, 3))},
            TAPS,
            params((0.75, 1.5)),
            dy=reals("truncated channels dy", (5, 6, 3)),
        ),
        Case(
            "larger-than-the-image",
            "A radius of 40 pixels over 3 × 2 of them.",
            {"values": reals("truncated small", (3, 2, 2))},
            TAPS,
            params((10.0, 10.0)),
            dy=reals("truncated small dy", (3, 2, 2)),
            tags=("border",),
        ),
        Case(
            "no-channels",
            "Nothing in, nothing out.",
            {"values": np.zeros((2, 3, 0))},
            Exact(),
            params((1.0, 1.0)),
            dy=np.zeros((2, 3, 0)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random image in float64."""
    vertical, horizontal = (float(s) for s in rng.uniform(0.3, 2.0, 2))
    inputs = {"values": rng.standard_normal((4, 5, 2))}
    return Case("random", "", inputs, Bound(32), params((vertical, horizontal), 3.0), dy=rng.standard_normal((4, 5, 2)))

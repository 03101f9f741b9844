"""Golden cases of the matrix of a Gaussian kernel."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import gaussian_kernel as oracle

ALGORITHM = Algorithm(
    "gaussian_kernel",
    oracle,
    ("features",),
    ("matrix",),
    reference="deck 004; Krähenbühl & Koltun (2011), equation 3",
)
# An exponent of size 30 loses log2(30) bits to its rounding; gradients cancel, to the size of dK times the distance.
ACCURATE = {"matrix": Ulp(64, 2.0**-126), "dfeatures": Ulp(64, 2.0**-18)}


def cases() -> list[Case]:
    """Return the cases."""
    e_half, e_2 = 0.6065306597126334, 0.1353352832366127
    return [
        Case(
            "a-line",
            "Three points at 0, 1 and 2, at distances 1 and 2.",
            {"features": np.array([[0.0], [1.0], [2.0]])},
            {"matrix": ACCURATE["matrix"]},
            {"exclude_self": False},
            expected={"matrix": np.array([[1.0, e_half, e_2], [e_half, 1.0, e_half], [e_2, e_half, 1.0]])},
            source="by hand (e^−½ and e⁻², to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "points-pull-each-other",
            "dK = 1 at one entry: both its points feel it, k (f_j − f_i) and the opposite; distance 2 in direction y.",
            {"features": np.array([[1.0, 0.0], [1.0, 2.0], [1.0, 0.0]])},
            ACCURATE,
            {"exclude_self": False},
            dy=np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),
            expected={"dfeatures": np.array([[0.0, 2 * e_2], [0.0, -2 * e_2], [0.0, 0.0]])},
            source="by hand (2 e⁻², to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "without-the-point-itself",
            "The diagonal is 0, though two points at the same place still have k = 1.",
            {"features": np.array([[3.0, 4.0], [3.0, 4.0]])},
            Exact(),
            {"exclude_self": True},
            dy=np.array([[5.0, 6.0], [7.0, 8.0]]),
            expected={"matrix": np.array([[0.0, 1.0], [1.0, 0.0]]), "dfeatures": np.zeros((2, 2))},
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "far-from-the-origin",
            "Around 4096, where |f_i|² + |f_j|² − 2 f_i·f_j has nothing left of the distances.",
            {"features": 4096 + dyadic("gaussian far", (5, 3), -16, 16, 0.0625)},
            ACCURATE,
            {"exclude_self": False},
            dy=dyadic("gaussian far dK", (5, 5)),
            tags=("overflow",),
        ),
        Case(
            "position-and-colour",
            "Five features, as of a bilateral kernel.",
            {"features": reals("gaussian bilateral", (8, 5), 0, 3)},
            ACCURATE,
            {"exclude_self": False},
            dy=reals("gaussian bilateral dK", (8, 8)),
        ),
        Case(
            "far-apart",
            "Distances whose squares leave float32: k = 0, and no gradient.",
            {"features": np.array([[0.0], [2.0**100]])},
            Exact(),
            {"exclude_self": False},
            dy=np.ones((2, 2)),
            expected={"matrix": np.eye(2), "dfeatures": np.zeros((2, 1))},
            source="by hand",
            tags=("hand", "overflow"),
        ),
        Case(
            "no-points",
            "Nothing in, nothing out.",
            {"features": np.zeros((0, 2))},
            Exact(),
            {"exclude_self": False},
            dy=np.zeros((0, 0)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random points in float64."""
    features = rng.standard_normal((6, int(rng.integers(1, 5))))
    chosen = {"exclude_self": bool(rng.integers(2))}
    return Case("random", "", {"features": features}, Ulp(64, 1e-5), chosen, dy=rng.standard_normal((6, 6)))

"""Golden cases of embedding points in the permutohedral lattice."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import lattice_embed as oracle

ALGORITHM = Algorithm(
    "lattice_embed",
    oracle,
    ("features",),
    ("weights", "keys"),
    reference="deck 004; Adams, Baek & Davis (2010); Kraehenbuehl & Koltun (2011)",
)

# Everything is computed in float64 and rounded once; a weight of 0 may be left with what float64 rounds.
ROUNDED = Ulp(1, 2.0**-36)
COMPARE: dict[str, Compare] = {"weights": ROUNDED, "keys": Exact(), "dfeatures": ROUNDED}


def cases() -> list[Case]:
    bilateral = np.concatenate(
        [integers("lattice position", (12, 2), 0, 40) / 8, reals("lattice colours", (12, 3), 0, 13)], axis=1
    )
    return [
        Case(
            "half-way-along-an-edge",
            "e = (1/2, 1/2, -1): half-way between the corners (0, 0, 0) of colour 0 and (1, 1, -2) of colour 1. The "
            "third corner is a vertex all the same, with weight 0.",
            {"features": np.array([[0.0, 0.5]])},
            COMPARE,
            dy=np.array([[1.0, 2.0, 4.0]]),
            expected={
                "weights": np.array([[0.5, 0.5, 0.0]]),
                "keys": np.array([[[0, 0], [1, 1], [2, -1]]]),
            },
            source="by hand",
            tags=("hand", "tie"),
        ),
        Case(
            "origin",
            "All coordinates tie: the first rank is that of the first. The weight is all the origin's.",
            {"features": np.zeros((1, 3))},
            COMPARE,
            dy=np.array([[1.0, 2.0, 4.0, 8.0]]),
            expected={
                "weights": np.array([[1.0, 0.0, 0.0, 0.0]]),
                "keys": np.array([[[0, 0, 0], [1, 1, 1], [2, 2, -2], [3, -1, -1]]]),
            },
            source="by hand",
            tags=("hand", "tie", "kink"),
        ),
        Case(
            "rounding-misses-the-plane",
            "e = (1.9, 1.9, -3.8) or its negative rounds to multiples of 3 whose sum is not 0; a coordinate steps "
            "back, and ranks move up or down by one, around the end.",
            {"features": np.array([[0.0, 1.875], [0.0, -1.875], [0.0625, 1.875], [-0.0625, -1.875]])},
            COMPARE,
            dy=reals("lattice plane dy", (4, 3)),
            tags=("rounding", "tie"),
        ),
        Case(
            "one-dimension",
            "Vertices are sqrt(3)/2 apart, of alternating colour: column k holds the corner of colour k on whichever "
            "side it is.",
            {"features": np.array([[0.25], [1.0], [2.0], [-0.25], [-1.0], [-2.0]])},
            COMPARE,
            dy=reals("lattice 1 dy", (6, 2)),
        ),
        Case(
            "position-and-colour",
            "Five dimensions, as of a pixel: x and y over their standard deviation, three colours over theirs.",
            {"features": bilateral},
            COMPARE,
            dy=reals("lattice 5 dy", (12, 6)),
        ),
        Case(
            "far-from-the-origin",
            "Keys beyond 16 bits, which the authors' code wraps around. Only float64 leaves fractions for the weights.",
            {"features": reals("lattice far", (6, 4), -40000, 40000)},
            COMPARE,
            dy=reals("lattice far dy", (6, 5)),
            tags=("overflow",),
        ),
        Case(
            "many-dimensions",
            "Twelve dimensions: thirteen corners.",
            {"features": reals("lattice 12", (3, 12), -3, 3)},
            COMPARE,
            dy=reals("lattice 12 dy", (3, 13)),
        ),
        Case(
            "no-points",
            "Nothing in, nothing out.",
            {"features": np.zeros((0, 2))},
            COMPARE,
            dy=np.zeros((0, 3)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random points in float64 that keep away from the faces of their simplices."""
    d = int(rng.integers(1, 7))
    points = 3 * rng.standard_normal((100, d))
    weights, _ = oracle.forward(points)
    tolerant = Ulp(64, 1e-9)
    return Case(
        "random",
        "",
        {"features": points[np.min(weights, axis=1) > 0.01][:5]},
        {"weights": tolerant, "keys": Exact(), "dfeatures": tolerant},
        dy=rng.standard_normal((5, d + 1)),
    )

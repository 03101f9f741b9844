"""Golden cases of the percentage of detected joints."""

from __future__ import annotations

import numpy as np

from golden.cases._poses import poses
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import pdj as oracle

ALGORITHM = Algorithm(
    "pdj",
    oracle,
    ("predictions", "truths", "visible"),
    ("fractions",),
    reference="Sapp & Taskar (2013); Toshev & Szegedy (2014), section 4.1; deck 002",
)
TORSO = (0, 1)


def by_hand(
    name: str,
    why: str,
    errors: list[list[float]],
    fractions: list[float],
    *tags: str,
    visible: list[list[int]] | None = None,
    diameter: float = 16.0,
) -> Case:
    """Return images of three joints, the torso from (0, 0) to (diameter, 0) and one at (0, 8), off to the right."""
    truths = np.array([[[0.0, 0.0], [diameter, 0.0], [0.0, 8.0]]] * len(errors))
    off = np.stack([np.array(errors), np.zeros((len(errors), 3))], axis=2)  # (N, 3, 2)
    inputs: dict[str, Array] = {
        "predictions": truths + off,
        "truths": truths,
        "visible": np.ones((len(errors), 3), bool) if visible is None else np.array(visible, bool),
    }
    return Case(
        name,
        why,
        inputs,
        Exact(),
        {"torso": TORSO, "fraction": 0.25},
        expected={"fractions": np.array(fractions)},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    return [
        by_hand(
            "a-quarter-of-the-torso-is-near-enough",
            "The third joint is 4 off, a quarter of 16, and then 4.125: ≤ is the comparison.",
            [[0, 0, 4], [0, 0, 4.125]],
            [1, 1, 0.5],
            "tie",
        ),
        by_hand(
            "the-torso-is-the-true-one",
            "The ends of the torso are predicted 32 apart, which would let the third joint pass.",
            [[-8, 8, 8]],
            [0, 0, 0],
        ),
        by_hand(
            "an-image-without-torso-does-not-count",
            "Joints 0 and 2 are visible in the first image, but joint 1 is not, so that there is no diameter.",
            [[9, 9, 9], [0, 9, 0]],
            [1, 0, 1],
            visible=[[1, 0, 1], [1, 1, 1]],
        ),
        by_hand(
            "a-joint-hidden-everywhere",
            "0/0 for the third joint.",
            [[0, 0, 0]],
            [1, 1, nan],
            "empty",
            "nan",
            visible=[[1, 1, 0]],
        ),
        by_hand(
            "a-torso-of-no-length", "No error is ≤ 0 but 0.", [[0, 0, 0], [0, 0.5, 0]], [1, 0.5, 1], "tie", diameter=0.0
        ),
        by_hand("a-nan-is-not-found", "The other joints are.", [[0, 0, nan]], [1, 1, 0], "nan"),
        Case(
            "no-images",
            "0/0 for each joint.",
            {"predictions": np.zeros((0, 3, 2)), "truths": np.zeros((0, 3, 2)), "visible": np.zeros((0, 3), bool)},
            Exact(),
            {"torso": TORSO, "fraction": 0.25},
            expected={"fractions": np.full(3, nan)},
            source="by hand",
            tags=("empty", "nan"),
        ),
        Case(
            "fourteen-joints",
            "The joints of deck 002, with a torso between neighbours, so that it is often as long as an error.",
            poses("pdj", 40, 14),
            Ulp(1, 0.0),
            {"torso": (6, 7), "fraction": 0.5},
            tags=("tie",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random joints in float64."""
    truths = rng.standard_normal((6, 4, 2))
    predictions = truths + rng.standard_normal((6, 4, 2)) / 2
    inputs = {"predictions": predictions, "truths": truths, "visible": rng.random((6, 4)) < 0.8}
    return Case("random", "", inputs, Exact(), {"torso": (0, 3), "fraction": 0.25})

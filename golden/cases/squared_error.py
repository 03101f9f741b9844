"""Golden cases of the squared difference."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE, random_reduction, random_upstream
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import squared_error as oracle

ALGORITHM = Algorithm(
    "squared_error",
    oracle,
    ("x", "target"),
    ("loss",),
    reference="(x − t)²; deck 001, L2 loss; deck 003, box regression",
)


def cases() -> list[Case]:
    return [
        *(
            Case(
                f"reduction-{reduction}",
                "d² = 4, 0, 1, 9 without a factor ½, so that the gradient is 2d.",
                {"x": np.array([2.0, 3.0, -1.0, 2.0]), "target": np.array([0.0, 3.0, 0.0, 5.0])},
                Exact(),
                {"reduction": reduction},
                dy=np.array(upstream),
                expected={
                    "loss": np.array(loss),
                    "dx": np.array([4.0, 0.0, -2.0, -6.0]),
                    "dtarget": np.array([-4.0, 0.0, 2.0, 6.0]),
                },
                source="by hand",
                tags=("hand", "dyadic", "convention"),
            )
            for reduction, upstream, loss in (
                ("mean", 4.0, 3.5),
                ("sum", 1.0, 14.0),
                ("none", [1.0] * 4, [4.0, 0.0, 1.0, 9.0]),
            )
        ),
        Case(
            "box-edges",
            "OverFeat's ℓ2 loss on box edges, deck 003, in numbers that round.",
            {"x": reals("l2 loss x", (5, 4)), "target": reals("l2 loss t", (5, 4))},
            ACCURATE,
            {"reduction": "sum"},
            dy=np.array(1.0),
            tags=("deck",),
        ),
        Case(
            "mean-of-nothing",
            "No elements: the mean is 0/0, NaN.",
            {"x": np.zeros((0, 4)), "target": np.zeros((0, 4))},
            Exact(),
            {"reduction": "mean"},
            dy=np.array(1.0),
            expected={"loss": np.array(np.nan), "dx": np.zeros((0, 4)), "dtarget": np.zeros((0, 4))},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
        Case(
            "mean-of-two-boxes",
            "The mean is over all eight numbers, not over the two boxes.",
            {"x": np.array([[1.0, -2.0, 0.5, 3.0], [2.0, 1.0, -1.0, 4.0]]), "target": np.zeros((2, 4))},
            Exact(),
            {"reduction": "mean"},
            dy=np.array(8.0),
            expected={
                "loss": np.array(4.53125),  # (1 + 4 + 1/4 + 9 + 4 + 1 + 1 + 16)/8
                "dx": np.array([[2.0, -4.0, 1.0, 6.0], [4.0, 2.0, -2.0, 8.0]]),
                "dtarget": np.array([[-2.0, 4.0, -1.0, -6.0], [-4.0, -2.0, 2.0, -8.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random predictions and targets in float64."""
    reduction = random_reduction(rng)
    inputs = {"x": rng.standard_normal((3, 4)), "target": rng.standard_normal((3, 4))}
    return Case("random", "", inputs, ACCURATE, {"reduction": reduction}, dy=random_upstream(rng, (3, 4), reduction))

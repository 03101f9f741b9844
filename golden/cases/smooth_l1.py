"""Golden cases of smooth L1."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE, random_reduction, random_upstream
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import smooth_l1 as oracle

ALGORITHM = Algorithm(
    "smooth_l1", oracle, ("x", "target"), ("loss",), reference="Girshick (2015), Fast R-CNN, equation 3"
)


def cases() -> list[Case]:
    x, target = np.array([0.5, 1.0, -3.0, 2.0]), np.array([0.0, 0.0, 0.0, 2.0])
    return [
        *(
            Case(
                f"fast-rcnn-{reduction}",
                "β = 1 as in the paper: ½d² inside, |d| − ½ outside, and at |d| = 1 they meet with slope 1.",
                {"x": x, "target": target},
                Exact(),
                {"beta": 1.0, "reduction": reduction},
                dy=np.array(upstream),
                expected={
                    "loss": np.array(loss),  # 0.125, 0.5, 2.5, 0: in sum 3.125
                    "dx": np.array([0.5, 1.0, -1.0, 0.0]),
                    "dtarget": np.array([-0.5, -1.0, 1.0, 0.0]),
                },
                source="by hand",
                tags=("hand", "dyadic", "kink"),
            )
            for reduction, upstream, loss in (
                ("mean", 4.0, 0.78125),
                ("sum", 1.0, 3.125),
                ("none", [1.0] * 4, [0.125, 0.5, 2.5, 0.0]),
            )
        ),
        Case(
            "small-beta",
            "β = ¼: d²/2β inside, |d| − β/2 outside; code that forgets to divide by β has half the slope at ⅛.",
            {"x": np.array([0.125, 0.25, -1.0]), "target": np.zeros(3)},
            Exact(),
            {"beta": 0.25, "reduction": "none"},
            dy=np.array([1.0, 2.0, 4.0]),
            expected={
                "loss": np.array([0.03125, 0.125, 0.875]),  # (1/64)/(1/2), 1/4 − 1/8, 1 − 1/8
                "dx": np.array([0.5, 2.0, -4.0]),
                "dtarget": np.array([-0.5, -2.0, 4.0]),
            },
            source="by hand",
            tags=("hand", "dyadic", "kink"),
        ),
        Case(
            "beta-zero-is-l1",
            "β = 0: |d|, with gradient 0 at d = 0, and no division by 0.",
            {"x": np.array([2.0, 0.0, -1.5]), "target": np.zeros(3)},
            Exact(),
            {"beta": 0.0, "reduction": "none"},
            dy=np.array([1.0, 2.0, 4.0]),
            expected={
                "loss": np.array([2.0, 0.0, 1.5]),
                "dx": np.array([1.0, 0.0, -4.0]),
                "dtarget": np.array([-1.0, 0.0, 4.0]),
            },
            source="by hand",
            tags=("hand", "dyadic", "kink"),
        ),
        Case(
            "box-targets",
            "Four numbers per box, by the β = 1/9 of the RPN.",
            {"x": reals("smooth x", (6, 4)), "target": reals("smooth t", (6, 4))},
            ACCURATE,
            {"beta": 1 / 9, "reduction": "sum"},
            dy=np.array(1.0),
        ),
        Case(
            "mean-of-nothing",
            "No boxes: the mean is 0/0, NaN.",
            {"x": np.zeros((0, 4)), "target": np.zeros((0, 4))},
            Exact(),
            {"beta": 1.0, "reduction": "mean"},
            dy=np.array(1.0),
            expected={"loss": np.array(np.nan), "dx": np.zeros((0, 4)), "dtarget": np.zeros((0, 4))},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
        Case(
            "sum-of-nothing",
            "No boxes: the sum is 0.",
            {"x": np.zeros((0, 4)), "target": np.zeros((0, 4))},
            Exact(),
            {"beta": 1.0, "reduction": "sum"},
            dy=np.array(1.0),
            expected={"loss": np.array(0.0)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "mean-of-two-boxes",
            "The mean is over all eight numbers, not over the two boxes.",
            {"x": np.array([[0.5, 2.0, -1.5, 3.0], [-2.0, 0.25, 4.0, 1.5]]), "target": np.zeros((2, 4))},
            Exact(),
            {"beta": 1.0, "reduction": "mean"},
            dy=np.array(8.0),
            expected={
                "loss": np.array(1.39453125),  # (0.125 + 1.5 + 1 + 2.5 + 1.5 + 0.03125 + 3.5 + 1)/8
                "dx": np.array([[0.5, 1.0, -1.0, 1.0], [-1.0, 0.25, 1.0, 1.0]]),
                "dtarget": np.array([[-0.5, -1.0, 1.0, -1.0], [1.0, -0.25, -1.0, -1.0]]),
            },
            source="by hand",
            tags=("hand", "dyadic", "convention"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random predictions and targets in float64."""
    reduction = random_reduction(rng)
    inputs = {"x": rng.standard_normal((3, 4)), "target": rng.standard_normal((3, 4))}
    params = {"beta": float(rng.choice([0.0, 0.5, 1.0])), "reduction": reduction}
    return Case("random", "", inputs, ACCURATE, params, dy=random_upstream(rng, (3, 4), reduction))

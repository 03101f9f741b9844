"""Golden cases of the absolute difference."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE, random_reduction, random_upstream
from golden.cases._numbers import reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import l1 as oracle

ALGORITHM = Algorithm("l1", oracle, ("x", "target"), ("loss",), reference="|x − t|; gradient 0 at 0")


def cases() -> list[Case]:
    return [
        *(
            Case(
                f"reduction-{reduction}",
                "|d| = 2, 0, 1, 5: the gradient is the sign of d, and 0 where prediction and target are equal.",
                {"x": np.array([2.0, 3.0, -1.0, 0.0]), "target": np.array([0.0, 3.0, 0.0, 5.0])},
                Exact(),
                {"reduction": reduction},
                dy=np.array(upstream),
                expected={
                    "loss": np.array(loss),
                    "dx": np.array([1.0, 0.0, -1.0, -1.0]),
                    "dtarget": np.array([-1.0, 0.0, 1.0, 1.0]),
                },
                source="by hand",
                tags=("hand", "dyadic", "kink"),
            )
            for reduction, upstream, loss in (
                ("mean", 4.0, 2.0),
                ("sum", 1.0, 8.0),
                ("none", [1.0] * 4, [2.0, 0.0, 1.0, 5.0]),
            )
        ),
        Case(
            "mean-that-rounds",
            "15 elements: dividing by 15, and multiplying by a rounded 1/15.",
            {"x": reals("l1 x", (3, 5)), "target": reals("l1 t", (3, 5))},
            ACCURATE,
            {"reduction": "mean"},
            dy=np.array(1.0),
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
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random predictions and targets in float64."""
    reduction = random_reduction(rng)
    inputs = {"x": rng.standard_normal((3, 4)), "target": rng.standard_normal((3, 4))}
    return Case("random", "", inputs, ACCURATE, {"reduction": reduction}, dy=random_upstream(rng, (3, 4), reduction))

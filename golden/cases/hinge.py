"""Golden cases of the hinge loss."""

from __future__ import annotations

import numpy as np

from golden.cases._losses import ACCURATE, random_reduction, random_upstream
from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import hinge as oracle

ALGORITHM = Algorithm("hinge", oracle, ("scores", "signs"), ("loss",), reference="Cortes & Vapnik (1995)")


def cases() -> list[Case]:
    # margins 1 − t s: 1 − 0.5, 1 − 1 (the kink), 1 − 2, 1 + 0.5
    scores, signs = np.array([0.5, 1.0, -2.0, 0.5]), np.array([1.0, 1.0, -1.0, -1.0])
    return [
        *(
            Case(
                f"power-one-{reduction}",
                "Violations ½, 0, −1, 1½: on the margin there is neither loss nor gradient.",
                {"scores": scores, "signs": signs},
                Exact(),
                {"margin": 1.0, "power": 1, "reduction": reduction},
                dy=np.array(upstream),
                expected={"loss": np.array(loss), "dscores": np.array([-1.0, 0.0, 0.0, 1.0])},
                source="by hand",
                tags=("hand", "dyadic", "kink"),
            )
            for reduction, upstream, loss in (
                ("mean", 4.0, 0.5),
                ("sum", 1.0, 2.0),
                ("none", [1.0] * 4, [0.5, 0.0, 0.0, 1.5]),
            )
        ),
        Case(
            "power-two",
            "The squared hinge of L2-loss support vector machines: v², gradient −2 t v.",
            {"scores": scores, "signs": signs},
            Exact(),
            {"margin": 1.0, "power": 2, "reduction": "none"},
            dy=np.ones(4),
            expected={
                "loss": np.array([0.25, 0.0, 0.0, 2.25]),
                "dscores": np.array([-1.0, 0.0, 0.0, 3.0]),
            },
            source="by hand",
            tags=("hand", "dyadic", "kink"),
        ),
        Case(
            "margin-zero",
            "The perceptron: a right sign costs nothing, a score of 0 lies on the margin.",
            {"scores": np.array([2.0, 0.0, -2.0]), "signs": np.array([1.0, 1.0, 1.0])},
            Exact(),
            {"margin": 0.0, "power": 1, "reduction": "sum"},
            dy=np.array(1.0),
            expected={"loss": np.array(2.0), "dscores": np.array([0.0, 0.0, -1.0])},
            source="by hand",
            tags=("hand", "dyadic", "kink"),
        ),
        Case(
            "scores-that-round",
            "Twenty scores of one class against the rest.",
            {
                "scores": reals("hinge x", (5, 4), -2, 2),
                "signs": 2.0 * integers("hinge t", (5, 4), 0, 1) - 1.0,
            },
            ACCURATE,
            {"margin": 1.0, "power": 2, "reduction": "mean"},
            dy=np.array(1.0),
        ),
        Case(
            "mean-of-nothing",
            "No elements: the mean is 0/0, NaN.",
            {"scores": np.zeros(0), "signs": np.zeros(0)},
            Exact(),
            {"margin": 1.0, "power": 1, "reduction": "mean"},
            dy=np.array(1.0),
            expected={"loss": np.array(np.nan), "dscores": np.zeros(0)},
            source="by hand",
            tags=("hand", "empty", "nan"),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random scores and signs in float64."""
    reduction = random_reduction(rng)
    inputs = {"scores": rng.standard_normal((3, 4)), "signs": rng.choice([-1.0, 1.0], (3, 4))}
    params = {"margin": 1.0, "power": int(rng.integers(1, 3)), "reduction": reduction}
    return Case("random", "", inputs, ACCURATE, params, dy=random_upstream(rng, (3, 4), reduction))

"""Golden cases of sequential mean-field inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._mean_field import evaluation, potts, scattered
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Spread, Ulp
from tests.oracles import mean_field_sequential as oracle

ALGORITHM = Algorithm(
    "mean_field_sequential",
    oracle,
    ("unary", "features", "compatibilities"),
    ("q",),
    reference="Koller & Friedman (2009), section 11.5; deck 004 for the model",
)
NORMALISATIONS = ("none", "before", "after", "symmetric")
ONE_SIDED = np.array([[0.0, 2.0], [0.0, 0.0]])
ASYMMETRIC = np.array([[0.0, 1.5, 0.25], [0.5, -0.5, 2.0], [1.0, 0.75, 0.125]])


def params(
    dimensions: tuple[int, ...] = (2,),
    normalisation: tuple[str, ...] = ("none",),
    exclude_self: bool = True,
    sweeps: int = 2,
) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {
        "dimensions": dimensions,
        "normalisation": normalisation,
        "exclude_self": exclude_self,
        "sweeps": sweeps,
    }


def measured(name: str, why: str, features: list[Floats], compatibilities: list[Floats], given: dict[str, Any]) -> Case:
    """Return a case with random unaries whose tolerance is measured on `_mean_field.evaluation`."""
    n_points, n_labels = len(features[0]), len(compatibilities[0])
    inputs = {
        "unary": reals(f"sequential {name}", (n_points, n_labels), -2, 2),
        "features": np.concatenate(features, axis=1),
        "compatibilities": np.stack(compatibilities),
    }
    return Case(name, why, inputs, Spread(evaluation(inputs, None, given)), given)


def cases() -> list[Case]:
    """Return the cases."""
    plane = scattered("sequential plane", 9, 2)
    logistic_1, logistic_2, logistic_3_tanh_1 = 0.7310585786300049, 0.8807970779778823, 0.9076088633209787
    return [
        Case(
            "the-second-point-sees-the-first",
            "Point 0 prefers label 0 by 2, point 1 nothing, point 1 comes second: one sweep of Potts with weight 3 is "
            "as far as one parallel update, since point 1 was undecided.",
            {
                "unary": np.array([[0.0, 2.0], [0.0, 0.0]]),
                "features": np.zeros((2, 1)),
                "compatibilities": potts(2, 3.0)[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), sweeps=1),
            expected={"q": np.array([[logistic_2, 1 - logistic_2], [logistic_3_tanh_1, 1 - logistic_3_tanh_1]])},
            source="by hand (1 / (1 + e⁻²) and 1 / (1 + e^(−3 tanh 1)), to 16 digits)",
            tags=("hand",),
        ),
        Case(
            "the-first-point-uses-the-newest-second",
            "The preference is at point 1: point 0 is updated first and sees it, by then point 1 sees point 0 decided.",
            {
                "unary": np.array([[0.0, 0.0], [0.0, 2.0]]),
                "features": np.zeros((2, 1)),
                "compatibilities": potts(2, 3.0)[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), sweeps=1),
            expected={
                "q": np.array(
                    [
                        [logistic_3_tanh_1, 1 - logistic_3_tanh_1],
                        # logits differ by 2 + 3 tanh((3 tanh 1) / 2)
                        [0.9884065426939853, 0.011593457306014687],
                    ]
                )
            },
            source="by hand (1 / (1 + e^(−2 − 3 tanh(3/2 tanh 1))))",
            tags=("hand",),
        ),
        Case(
            "alone-and-normalised",
            "A point whose neighbourhood is empty and yet normalised: nothing but its unary potentials, and no 0/0.",
            {"unary": np.array([[0.0, 2.0]]), "features": np.zeros((1, 1)), "compatibilities": potts(2, 3.0)[None]},
            Ulp(16, 2.0**-20),
            params((1,), ("symmetric",), sweeps=1),
            expected={"q": np.array([[logistic_2, 1 - logistic_2]])},
            source="by hand (1 / (1 + e⁻²), to 16 digits)",
            tags=("hand", "empty"),
        ),
        Case(
            "the-row-pays-alone",
            "One point without a preference, with itself for a neighbour. μ(0, 1) = 2 makes label 0 cost 2 · 1/2: row "
            "0 of μ is the label that pays.",
            {
                "unary": np.zeros((1, 2)),
                "features": np.zeros((1, 1)),
                "compatibilities": ONE_SIDED[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), exclude_self=False, sweeps=1),
            expected={"q": np.array([[1 - logistic_1, logistic_1]])},
            source="by hand (1 / (1 + e⁻¹), to 16 digits)",
            tags=("hand", "convention"),
        ),
        Case(
            "the-row-pays-the-other",
            "Two points at one place, without themselves: label 0 costs 2 · 1/2 at point 0, then 2 / (1 + e⁻¹) at 1.",
            {
                "unary": np.zeros((2, 2)),
                "features": np.zeros((2, 1)),
                "compatibilities": ONE_SIDED[None],
            },
            Ulp(16, 2.0**-20),
            params((1,), sweeps=1),
            expected={"q": np.array([[1 - logistic_1, logistic_1], [0.18814372508706223, 0.8118562749129378]])},
            source="by hand (1 / (1 + e^(−2 / (1 + e⁻¹))), to 16 digits)",
            tags=("hand", "convention"),
        ),
        *(
            Case(
                f"two-points-at-one-place-{name}",
                "Label 0 is rewarded where a neighbour has it: by 1 at point 0, by more at point 1, which sees that.",
                {
                    "unary": np.zeros((2, 2)),
                    "features": np.zeros((2, 1)),
                    "compatibilities": np.array([[[-weight, 0.0], [0.0, 0.0]]]),
                },
                Ulp(16, 2.0**-20),
                params((1,), exclude_self=exclude_self, sweeps=1),
                expected={"q": np.array([[logistic_1, 1 - logistic_1], [second, 1 - second]])},
                source=f"by hand (1 / (1 + e⁻¹) = s and 1 / (1 + e^(−{reward})), to 16 digits)",
                tags=("hand", "convention"),
            )
            for name, weight, exclude_self, second, reward in (
                ("without-themselves", 2.0, True, 0.8118562749129378, "2 s"),
                ("with-themselves", 1.0, False, 0.7740037965825926, "1/2 − s"),
            )
        ),
        measured(
            "no-sweeps",
            "The softmax of the negated unaries.",
            [plane],
            [potts(3, 2.0)],
            params(sweeps=0),
        ),
        *(
            measured(
                f"potts-{how}",
                "Each normalisation of K, with the point itself left out of it.",
                [plane],
                [potts(3, 1.0 if how == "none" else 1.5)],
                params(normalisation=(how,)),
            )
            for how in NORMALISATIONS
        ),
        *(
            measured(
                f"full-compatibility-{how}",
                "μ(l, l') is not symmetric: its rows belong to the label that is updated.",
                [plane],
                [ASYMMETRIC],
                params(normalisation=(how,)),
            )
            for how in ("none", "after", "symmetric")
        ),
        measured(
            "with-the-point-itself",
            "The old q of a point is among its messages.",
            [plane],
            [ASYMMETRIC],
            params(exclude_self=False),
        ),
        measured(
            "repulsion",
            "Positive weights of equal labels, with which the parallel updates oscillate; two kernels.",
            [plane, scattered("sequential line", 9, 1)],
            [2 * np.eye(2), np.diag([1.0, 0.5])],
            params((2, 1), ("none", "symmetric"), sweeps=3),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random problem of two kernels in float64."""
    inputs = {
        "unary": rng.standard_normal((6, 3)),
        "features": rng.standard_normal((6, 3)),
        "compatibilities": rng.standard_normal((2, 3, 3)),
    }
    normalisation = tuple(str(how) for how in rng.choice(NORMALISATIONS, 2))
    chosen = params((2, 1), normalisation, bool(rng.integers(2)), int(rng.integers(3)))
    return Case("random", "", inputs, Ulp(64, 1e-5), chosen)

"""Golden cases of the percentage of correct parts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from golden.cases._poses import poses
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import pcp as oracle

ALGORITHM = Algorithm(
    "pcp",
    oracle,
    ("predictions", "truths", "visible"),
    ("fractions",),
    reference="Ferrari et al. (2008); Toshev & Szegedy (2014), section 4.1; deck 002",
)
LIMB = ((0, 1),)


def one_limb(
    errors: Sequence[Sequence[Sequence[float]]], length: float = 10.0, *, visible: list[list[int]]
) -> dict[str, Array]:
    """Return images of one limb, from (0, 0) to (length, 0), whose ends are predicted with these errors."""
    truths = np.array([[[0.0, 0.0], [length, 0.0]]] * len(errors))
    return {
        "predictions": truths + np.array(errors, np.float64),
        "truths": truths,
        "visible": np.array(visible, bool),
    }


def by_hand(name: str, why: str, inputs: dict[str, Array], fraction: float, *tags: str, alpha: float = 0.5) -> Case:
    """Return a case of one limb."""
    return Case(
        name,
        why,
        inputs,
        Exact(),
        {"limbs": LIMB, "alpha": alpha},
        expected={"fractions": np.array([fraction])},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    both = [[1, 1]]
    return [
        by_hand(
            "half-the-limb-is-near-enough",
            "Ends that are 5 off, exactly half of 10, and 6 off: ≤ is the comparison.",
            one_limb([[[3, 4], [0, 0]], [[0, 6], [0, 0]]], visible=both * 2),
            0.5,
            "tie",
        ),
        by_hand(
            "both-ends-must-be-near",
            "0 and 8 off: the mean, 4, would be near enough.",
            one_limb([[[0, 0], [8, 0]]], visible=both),
            0.0,
            "convention",
        ),
        by_hand(
            "a-hidden-end-hides-the-limb",
            "One of four images shows both ends, and there the limb is found.",
            one_limb([[[0, 0], [0, 0]]] + [[[9, 9], [9, 9]]] * 3, visible=[[1, 1], [0, 1], [1, 0], [0, 0]]),
            1.0,
        ),
        by_hand("hidden-everywhere", "0/0.", one_limb([[[0, 0], [0, 0]]], visible=[[0, 1]]), np.nan, "empty", "nan"),
        by_hand(
            "a-limb-of-no-length",
            "No error is ≤ 0 but 0.",
            one_limb([[[0, 0], [0, 0]], [[0, 0], [0.125, 0]]], 0.0, visible=both * 2),
            0.5,
            "tie",
        ),
        by_hand(
            "a-nan-is-not-found",
            "Whatever the other coordinates are.",
            one_limb([[[0, 0], [0, np.nan]]], visible=both),
            0.0,
            "nan",
        ),
        Case(
            "no-limbs",
            "Nothing asked, nothing answered.",
            one_limb([[[0, 0], [0, 0]]], visible=both),
            Exact(),
            {"limbs": (), "alpha": 0.5},
            expected={"fractions": np.zeros(0)},
            source="by hand",
            tags=("empty",),
        ),
        Case(
            "fourteen-joints",
            "The joints of deck 002, with many errors of exactly half a limb.",
            poses("pcp", 40, 14),
            Ulp(1, 0.0),
            {"limbs": tuple((j, j + 1) for j in range(13)), "alpha": 0.5},
            tags=("tie",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random joints in float64."""
    truths = rng.standard_normal((6, 4, 2))
    predictions = truths + rng.standard_normal((6, 4, 2)) / 2
    inputs = {"predictions": predictions, "truths": truths, "visible": rng.random((6, 4)) < 0.8}
    return Case("random", "", inputs, Exact(), {"limbs": ((0, 1), (1, 2), (3, 1)), "alpha": 0.5})

"""Golden cases of dropout."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Case, Exact, Ulp
from tests.oracles import dropout as oracle

ALGORITHM = Algorithm(
    "dropout",
    oracle,
    ("x", "keep"),
    reference="Srivastava et al. (2014), sections 4 and 10; Krizhevsky, Sutskever & Hinton (2012), section 4.2",
)


def cases() -> list[Case]:
    x, keep, dy = np.array([4.0, 8.0, -2.0]), np.array([True, False, True]), np.array([1.0, 2.0, 4.0])

    def case(
        name: str,
        why: str,
        params: tuple[float, bool, str],
        factor: list[float],
        tags: tuple[str, ...],
    ) -> Case:
        p, training, convention = params
        return Case(
            name,
            why,
            {"x": x, "keep": keep},
            Exact(),
            {"p": p, "training": training, "convention": convention},
            dy=dy,
            expected={"y": x * factor, "dx": dy * factor},
            source="by hand",
            tags=("hand", "dyadic", *tags),
        )

    return [
        case(
            "inverted-training",
            "What is kept is divided by 1 − p = ¼, so that nothing has to be done at test time.",
            (0.75, True, "inverted"),
            [4.0, 0.0, 4.0],
            ("convention",),
        ),
        case(
            "inverted-inference",
            "At test time, the identity.",
            (0.75, False, "inverted"),
            [1.0, 1.0, 1.0],
            ("convention",),
        ),
        case(
            "original-training",
            "AlexNet's form: what is kept stays as it is.",
            (0.75, True, "original"),
            [1.0, 0.0, 1.0],
            ("convention",),
        ),
        case(
            "original-inference",
            "And at test time everything is multiplied by 1 − p = ¼.",
            (0.75, False, "original"),
            [0.25, 0.25, 0.25],
            ("convention",),
        ),
        case(
            "everything-dropped",
            "p = 1: zeros, kept or not, and not 0/0.",
            (1.0, True, "inverted"),
            [0.0, 0.0, 0.0],
            (),
        ),
        case(
            "nothing-dropped",
            "p = 0: the mask still decides.",
            (0.0, True, "inverted"),
            [1.0, 0.0, 1.0],
            (),
        ),
        case(
            "everything-dropped-in-training-alone",
            "p = 1 at test time: still the identity.",
            (1.0, False, "inverted"),
            [1.0, 1.0, 1.0],
            ("convention",),
        ),
        Case(
            "factor-that-rounds",
            "1 / (1 − 0.3) is not a float32.",
            {"x": reals("dropout x", (3, 5)), "keep": integers("dropout keep", (3, 5), 0, 1).astype(bool)},
            Ulp(4, 0.0),
            {"p": 0.3, "training": True, "convention": "inverted"},
            dy=reals("dropout dy", (3, 5)),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values in float64 and a random mask."""
    inputs = {"x": rng.standard_normal((3, 4)), "keep": rng.random((3, 4)) < 0.5}
    params = {
        "p": float(rng.uniform(0, 0.9)),
        "training": bool(rng.integers(2)),
        "convention": str(rng.choice(["inverted", "original"])),
    }
    return Case("random", "", inputs, Ulp(4, 0.0), params, dy=rng.standard_normal((3, 4)))

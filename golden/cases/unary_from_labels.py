"""Golden cases of unary potentials from labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Ulp
from tests.oracles import unary_from_labels as oracle

ALGORITHM = Algorithm(
    "unary_from_labels",
    oracle,
    ("labels",),
    ("unary",),
    reference="deck 004, Unary models; as in pydensecrf's utils.unary_from_labels",
)
ACCURATE = Ulp(4, 2.0**-30)
LN2 = 0.6931471805599453


def params(n_labels: int, gt_probability: float, unsure: int | None = None, dtype: str = "float32") -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"n_labels": n_labels, "gt_probability": gt_probability, "unsure": unsure, "dtype": dtype}


def by_hand(
    name: str, why: str, labels: list[int], powers_of_two: list[list[float]], *tags: str, **options: Any
) -> Case:
    """Return a case whose potentials are multiples of ln 2."""
    return Case(
        name,
        why,
        {"labels": np.array(labels, np.int64)},
        ACCURATE,
        params(**options),
        expected={"unary": np.array(powers_of_two, np.float64).reshape(len(labels), options["n_labels"]) * LN2},
        source="by hand (tables of ln 2)",
        tags=("hand", *tags),
        dtypes={"unary": options.get("dtype", "float32")},
    )


def cases() -> list[Case]:
    """Return the cases."""
    return [
        by_hand(
            "the-rest-is-shared",
            "Half for the given label, a quarter for each of the two others.",
            [1, 0, 2],
            [[2, 1, 2], [1, 2, 2], [2, 2, 1]],
            n_labels=3,
            gt_probability=0.5,
        ),
        by_hand(
            "unsure",
            "255 says nothing: each of four labels has a quarter.",
            [255, 3],
            [[2, 2, 2, 2], [np.log2(6)] * 3 + [1]],
            n_labels=4,
            gt_probability=0.5,
            unsure=255,
        ),
        by_hand(
            "unsure-may-be-one-of-the-labels",
            "0 says nothing here, although it counts as one of the two labels.",
            [0, 1],
            [[1, 1], [2, 2 - np.log2(3)]],
            "convention",
            n_labels=2,
            gt_probability=0.75,
            unsure=0,
        ),
        by_hand(
            "unsure-may-be-negative",
            "−1, as in label maps that count background from −1.",
            [-1, 0],
            [[1, 1], [1, 1]],
            n_labels=2,
            gt_probability=0.5,
            unsure=-1,
        ),
        by_hand(
            "less-likely-than-chance",
            "A given label that is right in one of eight cases costs more than the other.",
            [0],
            [[3, 3 - np.log2(7)]],
            n_labels=2,
            gt_probability=0.125,
        ),
        by_hand(
            "one-label",
            "There is no other label to share the rest: −log p stands alone.",
            [0, 0],
            [[1], [1]],
            "border",
            n_labels=1,
            gt_probability=0.5,
        ),
        by_hand(
            "in-float64",
            "The type of the answer is a parameter, as labels have none to give.",
            [1],
            [[2, 1, 2]],
            n_labels=3,
            gt_probability=0.5,
            dtype="float64",
        ),
        by_hand("no-points", "Nothing in, nothing out.", [], [], "empty", n_labels=3, gt_probability=0.5),
        Case(
            "voc",
            "Twenty-one labels and 255 for unsure, p = 0.7.",
            {"labels": np.where(integers("voc unsure", (12,), 0, 3) == 0, 255, integers("voc", (12,), 0, 20))},
            ACCURATE,
            params(21, 0.7, 255),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random labels."""
    n_labels = int(rng.integers(2, 6))
    chosen = params(n_labels, float(rng.uniform(0.05, 0.95)), n_labels, "float64")
    labels = {"labels": rng.integers(0, n_labels + 1, int(rng.integers(0, 6)))}
    return Case("random", "", labels, ACCURATE, chosen, dtypes={"unary": "float64"})

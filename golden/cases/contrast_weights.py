"""Golden cases of contrast-sensitive weights."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._graphs import Edges, grid
from golden.cases._numbers import dyadic, reals
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import contrast_weights as oracle

ALGORITHM = Algorithm(
    "contrast_weights",
    oracle,
    ("colours", "edges", "lengths"),
    ("weights",),
    reference="deck 004, Adjacency CRFs; Boykov & Jolly (2001)",
)
ACCURATE = Ulp(8, 2.0**-30)
IN_ANY_ORDER = Ulp(64, 2.0**-24)  # the mean over the edges, in any order, is part of every exponent
EXP_1 = 0.36787944117144233  # e⁻¹


def params(w1: float = 1.0, w2: float = 0.0, beta: float | None = None) -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"w1": w1, "w2": w2, "beta": beta}


def by_hand(
    name: str,
    why: str,
    colours: list[list[float]],
    edges: Edges,
    weights: list[float],
    *tags: str,
    lengths: list[float] | None = None,
    compare: Compare | None = None,
    **options: Any,
) -> Case:
    """Return a case of a few pixels; unless `compare` is given, the weights are exact."""
    return Case(
        name,
        why,
        {
            "colours": np.array(colours, np.float64),
            "edges": np.array(edges, np.int64).reshape(-1, 2),
            "lengths": None if lengths is None else np.array(lengths, np.float64),
        },
        compare or Exact(),
        params(**options),
        expected={"weights": np.array(weights, np.float64)},
        source="by hand (tables of e)" if compare else "by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    return [
        by_hand(
            "beta-from-the-mean",
            "Squared differences 0 and 4, their mean 2, β = 1/4: e⁰ and e⁻¹.",
            [[0], [0], [2]],
            [(0, 1), (1, 2)],
            [1.0, EXP_1],
            compare=ACCURATE,
        ),
        by_hand(
            "beta-given",
            "|(1, 1, 0) − 0|² = 2, and β = 1/2: 2 e⁻¹ + 1/4. The square of the distance, not the distance.",
            [[0, 0, 0], [1, 1, 0]],
            [(0, 1)],
            [2 * EXP_1 + 0.25],
            compare=ACCURATE,
            w1=2.0,
            w2=0.25,
            beta=0.5,
        ),
        by_hand(
            "beta-zero",
            "Contrast does not count.",
            [[0], [100]],
            [(0, 1)],
            [0.75],
            w1=0.5,
            w2=0.25,
            beta=0.0,
        ),
        by_hand(
            "a-constant-picture",
            "The mean is 0; β is 0 then, not infinite, and 0 · ∞ is not met.",
            [[3, 3], [3, 3], [3, 3]],
            [(0, 1), (1, 2)],
            [1.5, 1.5],
            "border",
            w1=1.0,
            w2=0.5,
        ),
        by_hand(
            "lengths-divide-both-terms",
            "(1 + 1/2) / 1 and (1 + 1/2) / 2.",
            [[3], [3], [3]],
            [(0, 1), (1, 2)],
            [1.5, 0.75],
            lengths=[1, 2],
            w1=1.0,
            w2=0.5,
        ),
        by_hand(
            "lengths-do-not-enter-the-mean",
            "Squared differences 0 and 4 as before: β = 1/4 whatever the lengths, e⁰/4 and e⁻¹/2.",
            [[0], [0], [2]],
            [(0, 1), (1, 2)],
            [0.25, EXP_1 / 2],
            "convention",
            lengths=[4, 2],
            compare=ACCURATE,
        ),
        by_hand(
            "a-pair-given-twice-counts-twice",
            "0, 4 and 4, the last the other way round: their mean is 8/3, β = 3/16, and the exponent 3/4.",
            [[0], [0], [2]],
            [(0, 1), (1, 2), (2, 1)],
            [1.0, 0.4723665527410147, 0.4723665527410147],
            compare=ACCURATE,
        ),
        by_hand(
            "a-step-far-beyond-the-mean",
            "e⁻¹⁰⁰⁰⁰ is 0 in any precision: w₂ alone is left.",
            [[0], [100]],
            [(0, 1)],
            [0.25],
            w2=0.25,
            beta=1.0,
        ),
        by_hand("no-edges", "A mean over nothing: no weights.", [[1], [2]], [], [], "empty"),
        by_hand("no-colours", "Points without channels are all alike.", [[], []], [(0, 1)], [1.0], "empty"),
        Case(
            "picture",
            "Colours of 4 × 5 pixels, β from their contrast, both terms.",
            {"colours": reals("contrast picture", (20, 3), 0, 1), "edges": np.array(grid(4, 5)), "lengths": None},
            IN_ANY_ORDER,
            params(2.0, 0.5),
        ),
        Case(
            "picture-with-lengths",
            "The same pixels, edges of many lengths.",
            {
                "colours": reals("contrast picture", (20, 3), 0, 1),
                "edges": np.array(grid(4, 5)),
                "lengths": dyadic("contrast lengths", (len(grid(4, 5)),), 1, 6, 0.5),
            },
            IN_ANY_ORDER,
            params(2.0, 0.5, 1.5),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random colours and edges in float64."""
    n, n_edges = int(rng.integers(2, 7)), int(rng.integers(0, 9))
    inputs = {
        "colours": rng.random((n, int(rng.integers(1, 4)))),
        "edges": (rng.integers(0, n, (n_edges, 1)) + np.arange(2)) % n,
        "lengths": rng.uniform(0.5, 2, n_edges) if rng.random() < 0.5 else None,
    }
    beta = None if rng.random() < 0.5 else float(rng.uniform(0, 3))
    return Case("random", "", inputs, IN_ANY_ORDER, params(float(rng.random()), float(rng.random()), beta))

"""Golden cases of the energy of a labelling."""

from __future__ import annotations

import numpy as np

from golden.cases._graphs import Inputs, clutter, graph, grid, path, potts, random_graph, truncated_linear
from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import crf_energy as oracle

ALGORITHM = Algorithm(
    "crf_energy",
    oracle,
    ("unary", "edges", "weights", "compatibility", "labels"),
    ("energy",),
    reference="deck 004, Conditional Random Fields and Adjacency CRFs",
)


def by_hand(name: str, why: str, inputs: Inputs, energy: float, *tags: str) -> Case:
    """Return a case of a few points."""
    return Case(
        name,
        why,
        inputs,
        Exact(),
        expected={"energy": np.array(energy)},
        source="by hand",
        tags=("hand", "dyadic", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    costs = [[1, 9], [9, 2], [4, 9]]
    asymmetric_costs = [[0, 1, 5], [1, 0, 2], [5, 2, 0]]
    size = (6, 7)
    return [
        by_hand(
            "each-edge-once",
            "1 + 2 + 4, and 8 + 16 for two unequal pairs. The deck's Σ_i Σ_j∈N(i) would have 7 + 48.",
            graph(costs, path(3), [8, 16], potts(2), [0, 1, 0]),
            31.0,
            "deck",
            "convention",
        ),
        by_hand(
            "equal-labels-cost-no-edge",
            "Potts: 1 + 9 + 4.",
            graph(costs, path(3), [8, 16], potts(2), [0, 0, 0]),
            14.0,
        ),
        by_hand(
            "compatibility-of-each-pair",
            "Labels 0, 1 and 1, 2 and 2, 0: 1 + 2 + 5 times 1, 2, 4.",
            graph(np.zeros((3, 3)), [(0, 1), (1, 2), (2, 0)], [1, 2, 4], asymmetric_costs, [0, 1, 2]),
            25.0,
        ),
        by_hand(
            "a-cost-of-equal-labels",
            "Nothing says that the diagonal is 0: one label, three points, 2 · (−1) + 3 · (−1).",
            graph(np.zeros((3, 1)), path(3), [2, 3], [[-1]], [0, 0, 0]),
            -5.0,
        ),
        by_hand(
            "a-pair-given-twice-pays-twice",
            "Once in each direction: 1 + 2 and 8 + 16.",
            graph(costs[:2], [(0, 1), (1, 0)], [8, 16], potts(2), [0, 1]),
            27.0,
        ),
        by_hand(
            "negative-weights-and-potentials",
            "−1 − 2 − 4.",
            graph([[-1, 0], [0, -2]], path(2), [-4], potts(2), [0, 1]),
            -7.0,
        ),
        by_hand(
            "no-edges",
            "The unary model.",
            graph(costs, [], [], potts(2), [1, 0, 0]),
            22.0,
            "empty",
            "deck",
        ),
        by_hand("no-points", "A sum of nothing.", graph(np.zeros((0, 2)), [], [], potts(2), []), 0.0, "empty"),
        Case(
            "grid",
            "Thirty pixels, four labels, a truncated linear compatibility; dyadic.",
            clutter("energy", (5, 6), truncated_linear(4, 2.0), labels=True),
            Exact(),
            tags=("dyadic",),
        ),
        Case(
            "sums-of-both-signs",
            "Potentials and weights of both signs that cancel in part, added in any order.",
            graph(
                reals("energy unary", (42, 3), -4, 4),
                grid(*size),
                reals("energy weights", (71,), -1, 1),
                potts(3),
                integers("energy labels", (42,), 0, 2),
            ),
            Bound(42 + 71 + 2),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a small random graph."""
    return Case("random", "", random_graph(rng, labels=True), Exact())

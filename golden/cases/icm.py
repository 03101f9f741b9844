"""Golden cases of iterated conditional modes."""

from __future__ import annotations

import numpy as np

from golden.cases._graphs import Inputs, clutter, graph, path, potts, random_graph, truncated_linear
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import icm as oracle

ALGORITHM = Algorithm(
    "icm",
    oracle,
    ("unary", "edges", "weights", "compatibility", "labels"),
    ("found", "energies"),
    reference="Besag (1986), section 2.5",
)


def by_hand(
    name: str, why: str, inputs: Inputs, found: list[int], energies: list[float], *tags: str, sweeps: int = 100
) -> Case:
    """Return a case of a few points."""
    return Case(
        name,
        why,
        inputs,
        Exact(),
        {"sweeps": sweeps},
        expected={"found": np.array(found, np.int64), "energies": np.array(energies, np.float64)},
        source="by hand",
        tags=("hand", "dyadic", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    prefers_zero, prefers_one, indifferent = [0.0, 4.0], [4.0, 0.0], [0.0, 0.0]
    return [
        by_hand(
            "a-lone-pixel-gives-in",
            "It prefers label 1 by 1, but its neighbours, joined by 3/4 each, have label 0. The second sweep changes "
            "nothing, and is the last.",
            graph([[0, 5], [1, 0], [0, 5]], path(3), [0.75, 0.75], potts(2), [0, 1, 0]),
            [0, 0, 0],
            [1.5, 1.0, 1.0],
        ),
        by_hand(
            "the-newest-labels-count",
            "Point 0 takes its neighbour's label, which then has no reason to change. All at once they would swap.",
            graph([indifferent, indifferent], path(2), [1], potts(2), [0, 1]),
            [1, 1],
            [1.0, 0.0, 0.0],
            "convention",
        ),
        by_hand(
            "ascending-order",
            "From 0 to 2 the label 1 of the last point travels one point a sweep; downwards it takes one sweep.",
            graph([indifferent, indifferent, prefers_one], path(3), [1, 2], potts(2), [0, 0, 1]),
            [1, 1, 1],
            [2.0, 1.0, 0.0, 0.0],
            "convention",
        ),
        by_hand(
            "a-tie-keeps-the-current-label",
            "The middle one has a neighbour of either label: it keeps label 1 although 0 comes first.",
            graph([prefers_zero, indifferent, prefers_one], path(3), [1, 1], potts(2), [0, 1, 1]),
            [0, 1, 1],
            [1.0, 1.0],
            "tie",
        ),
        by_hand(
            "a-tie-of-others-goes-to-the-lowest",
            "Labels 1 and 2 both cost less than the current 0 and the last 3.",
            graph([[2, 1, 1, 3]], [], [], potts(4), [0]),
            [1],
            [2.0, 1.0, 1.0],
            "tie",
        ),
        by_hand(
            "stuck-where-two-would-have-to-change",
            "The inner two prefer 1 by 1 each and hold together by 9; both changed would cost 2 instead of 3.",
            graph([[0, 5], [1, 0], [1, 0], [0, 5]], path(4), [1.5, 9, 1.5], potts(2), [0, 1, 1, 0]),
            [0, 1, 1, 0],
            [3.0, 3.0],
        ),
        by_hand(
            "no-more-sweeps-than-allowed",
            "The travelling label again, stopped after one sweep.",
            graph([indifferent, indifferent, prefers_one], path(3), [1, 2], potts(2), [0, 0, 1]),
            [0, 1, 1],
            [2.0, 1.0],
            sweeps=1,
        ),
        by_hand(
            "no-sweeps",
            "What it starts from, and its energy.",
            graph([prefers_zero, prefers_zero], path(2), [1], potts(2), [0, 1]),
            [0, 1],
            [5.0],
            sweeps=0,
        ),
        by_hand(
            "neighbours-that-repel",
            "Unequal labels are rewarded by 1: 0 0 0 becomes 1 0 1.",
            graph([indifferent] * 3, path(3), [-1, -1], potts(2), [0, 0, 0]),
            [1, 0, 1],
            [0.0, -2.0, -2.0],
        ),
        by_hand(
            "edges-given-either-way-and-twice",
            "Both edges of weight 1 count for point 0, which prefers label 0 by 3/2.",
            graph([[0, 1.5], prefers_one], [(1, 0), (0, 1)], [1, 1], potts(2), [0, 1]),
            [1, 1],
            [2.0, 1.5, 1.5],
        ),
        by_hand(
            "one-label",
            "There is nothing to change; equal labels cost 2.",
            graph(np.zeros((2, 1)), path(2), [1], [[2]], [0, 0]),
            [0, 0],
            [2.0, 2.0],
            "border",
        ),
        by_hand(
            "no-points",
            "One sweep, which changes nothing.",
            graph(np.zeros((0, 2)), [], [], potts(2), []),
            [],
            [0.0, 0.0],
            "empty",
        ),
        *(
            Case(
                name,
                why,
                clutter(name, (5, 6), compatibility, labels=True),
                Exact(),
                {"sweeps": 100},
                tags=("dyadic",),
            )
            for name, why, compatibility in (
                ("grid-potts", "Thirty pixels, three labels, all costs dyadic.", potts(3)),
                (
                    "grid-truncated-linear",
                    "Labels that are ordered: neighbours may differ a little.",
                    truncated_linear(4, 2.0),
                ),
            )
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a small random graph."""
    return Case("random", "", random_graph(rng, labels=True), Exact(), {"sweeps": int(rng.integers(0, 4))})

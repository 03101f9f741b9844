"""Golden cases of α-expansion; of ten points at most, as the oracle tries every move."""

from __future__ import annotations

import numpy as np

from golden.cases._graphs import Inputs, clutter, graph, path, potts, random_graph, truncated_linear
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import alpha_expansion as oracle

ALGORITHM = Algorithm(
    "alpha_expansion",
    oracle,
    ("unary", "edges", "weights", "compatibility", "labels"),
    ("found", "energy"),
    reference="Boykov, Veksler & Zabih (2001); Kolmogorov & Zabih (2004)",
)


def by_hand(
    name: str,
    why: str,
    inputs: Inputs,
    found: list[int],
    energy: float,
    *tags: str,
    cycles: int = 20,
    scale: float = 1e4,
) -> Case:
    """Return a case of a few points."""
    return Case(
        name,
        why,
        inputs,
        Exact(),
        {"cycles": cycles, "scale": scale},
        expected={"found": np.array(found, np.int64), "energy": np.array(energy)},
        source="by hand",
        tags=("hand", "dyadic", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    prefers_zero, prefers_one, indifferent = [0.0, 4.0], [4.0, 0.0], [0.0, 0.0]
    return [
        by_hand(
            "two-change-at-once",
            "The inner two prefer 1 by 1 each and hold together by 9; no single change helps, both together do.",
            graph([[0, 5], [1, 0], [1, 0], [0, 5]], path(4), [1.5, 9, 1.5], potts(2), [0, 1, 1, 0]),
            [0, 0, 0, 0],
            2.0,
        ),
        by_hand(
            "the-cheapest-place-to-cut",
            "Ends that differ, and between them edges of 3, 1 and 2: the boundary goes where it costs 1.",
            graph([prefers_zero, indifferent, indifferent, prefers_one], path(4), [3, 1, 2], potts(2), [0, 0, 0, 0]),
            [0, 0, 1, 1],
            1.0,
        ),
        by_hand(
            "of-equal-cuts-as-many-as-possible-take-the-label",
            "Point 1 has no edge and no preference; when point 0 moves to label 1 it goes along.",
            graph([[1, 0], indifferent], [], [], potts(2), [0, 0]),
            [1, 1],
            0.0,
            "tie",
            "convention",
        ),
        by_hand(
            "of-equal-edges-the-farthest-is-cut",
            "The edges weigh the same: label 1 expands up to where its enemy sits.",
            graph([prefers_zero, indifferent, indifferent, prefers_one], path(4), [1, 1, 1], potts(2), [0, 0, 0, 0]),
            [0, 1, 1, 1],
            1.0,
            "tie",
            "convention",
        ),
        by_hand(
            "no-gain-no-move",
            "Every move costs the same as staying: the labels stay, tie or not.",
            graph([indifferent, indifferent, indifferent], path(3), [1, 1], potts(2), [1, 1, 1]),
            [1, 1, 1],
            0.0,
            "tie",
        ),
        by_hand(
            "no-gain-no-last-move",
            "Label 1, which is tried last, costs as much as label 0: it is not taken.",
            graph([indifferent, indifferent], [], [], potts(2), [0, 0]),
            [0, 0],
            0.0,
            "tie",
        ),
        by_hand(
            "an-edge-that-costs-before-the-move",
            "Labels 1 and 2 differ, and so do 1 and 0: when point 1 takes label 0, the edge costs 2 as before, and a "
            "preference of 2 decides.",
            graph([[9, 0, 9], [0, 9, 2]], path(2), [2], potts(3), [1, 2]),
            [1, 0],
            2.0,
        ),
        by_hand(
            "labels-in-ascending-order",
            "Labels 0, 1 and 2 cost 3, 1 and 2: from 0 to 1, then 2 does not lower it.",
            graph([[3, 1, 2]], [], [], potts(3), [0]),
            [1],
            1.0,
        ),
        by_hand(
            "costs-are-rounded",
            "At scale 1 the cost of 1/4 is 0, so that point 0 takes 1 along with point 1: the true energy falls, from "
            "1 to 1/4. One cycle.",
            graph([[0, 0.25], [1, 0]], [], [], potts(2), [0, 0]),
            [1, 1],
            0.25,
            "rounding",
            cycles=1,
            scale=1.0,
        ),
        by_hand(
            "half-is-rounded-to-even",
            "At scale 1 taking label 1 costs point 0 1/2, which becomes 0, and point 1 3/4, which becomes 1; point 2 "
            "gains 8.",
            graph([[0, 0.5], [0, 0.75], [8, 0]], [], [], potts(2), [0, 0, 0]),
            [1, 0, 1],
            0.5,
            "rounding",
            "tie",
            cycles=1,
            scale=1.0,
        ),
        by_hand(
            "a-second-cycle",
            "In the next cycle the saving of 1/4 is rounded to 0 as well, and a tie takes label 0: mended.",
            graph([[0, 0.25], [1, 0]], [], [], potts(2), [0, 0]),
            [0, 1],
            0.0,
            "rounding",
            cycles=2,
            scale=1.0,
        ),
        by_hand(
            "no-cycles",
            "What it starts from, and its energy.",
            graph([prefers_zero, prefers_zero], path(2), [1], potts(2), [0, 1]),
            [0, 1],
            5.0,
            cycles=0,
        ),
        by_hand(
            "three-labels-in-order",
            "|l − l'| with ends that want 0 and 2: each step of 1 costs as much, wherever it is.",
            graph([[0, 8, 8], [1, 0, 1], [8, 8, 0]], path(3), [1, 1], truncated_linear(3, 2.0), [0, 0, 2]),
            [0, 1, 2],
            2.0,
        ),
        by_hand(
            "labels-that-may-meet-for-nothing",
            "μ(0, 1) = 0 off the diagonal is allowed: only 2 is kept apart.",
            graph([[4, 0, 4], [0, 4, 4], [4, 4, 0]], path(3), [9, 1], [[0, 0, 1], [0, 0, 1], [1, 1, 0]], [2, 2, 2]),
            [1, 0, 2],
            1.0,
        ),
        by_hand(
            "edges-given-either-way-and-twice",
            "Both edges of weight 1 count: 2 together outweigh what point 0 prefers, 3/2.",
            graph([[0, 1.5], prefers_one], [(1, 0), (0, 1)], [1, 1], potts(2), [0, 1]),
            [1, 1],
            1.5,
        ),
        by_hand(
            "one-label",
            "There is nothing to choose.",
            graph([[1], [2]], path(2), [1], [[0]], [0, 0]),
            [0, 0],
            3.0,
            "border",
        ),
        by_hand("no-points", "Nothing in, nothing out.", graph(np.zeros((0, 2)), [], [], potts(2), []), [], 0, "empty"),
        *(
            Case(
                name,
                why,
                clutter(name, (3, 3), compatibility, labels=True),
                Exact(),
                {"cycles": 20, "scale": 1e4},
                tags=("dyadic",),
            )
            for name, why, compatibility in (
                ("grid-binary", "Nine pixels, two labels: the lowest energy there is.", potts(2)),
                ("grid-potts", "Nine pixels, three labels.", potts(3)),
                (
                    "grid-truncated-linear",
                    "Nine pixels, four labels: edges whose three costs differ.",
                    truncated_linear(4, 2.0),
                ),
            )
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a small random graph."""
    chosen = {"cycles": int(rng.integers(0, 4)), "scale": float(rng.choice([1.0, 64.0]))}
    return Case("random", "", random_graph(rng, labels=True), Exact(), chosen)

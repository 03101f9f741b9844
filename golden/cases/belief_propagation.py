"""Golden cases of min-sum belief propagation."""

from __future__ import annotations

import numpy as np

from golden.cases._graphs import Inputs, clutter, graph, grid, path, potts, random_graph, truncated_linear
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import belief_propagation as oracle

ALGORITHM = Algorithm(
    "belief_propagation",
    oracle,
    ("unary", "edges", "weights", "compatibility"),
    ("labels", "beliefs"),
    reference="Pearl (1988); Felzenszwalb & Huttenlocher (2006), section 2",
)


def by_hand(
    name: str,
    why: str,
    inputs: Inputs,
    labels: list[int],
    beliefs: list[list[float]],
    *tags: str,
    iterations: int = 1,
    damping: float = 0.0,
) -> Case:
    """Return a case of a few points."""
    n_labels = inputs["unary"].shape[1]
    return Case(
        name,
        why,
        inputs,
        Exact(),
        {"iterations": iterations, "damping": damping},
        expected={
            "labels": np.array(labels, np.int64),
            "beliefs": np.array(beliefs, np.float64).reshape(len(labels), n_labels),
        },
        source="by hand",
        tags=("hand", "dyadic", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    prefers_one, indifferent = [4.0, 0.0], [0.0, 0.0]
    return [
        by_hand(
            "what-an-edge-passes-on",
            "The first point prefers label 1 by 4; of that an edge of weight 3 passes on 3.",
            graph([prefers_one, indifferent], path(2), [3], potts(2)),
            [1, 1],
            [[4, 0], [3, 0]],
        ),
        by_hand(
            "all-at-once",
            "After one iteration the last of three has not heard of the first: messages come from those of before.",
            graph([prefers_one, indifferent, indifferent], path(3), [3, 2], potts(2)),
            [1, 1, 0],
            [[4, 0], [3, 0], [0, 0]],
            "convention",
        ),
        by_hand(
            "as-many-iterations-as-edges",
            "After two it has: of 4 the edges pass on 3 and then 2.",
            graph([prefers_one, indifferent, indifferent], path(3), [3, 2], potts(2)),
            [1, 1, 1],
            [[4, 0], [3, 0], [2, 0]],
            iterations=2,
        ),
        by_hand(
            "nobody-hears-itself",
            "What the first point said does not come back to it, however long they talk.",
            graph([prefers_one, indifferent], path(2), [3], potts(2)),
            [1, 1],
            [[4, 0], [3, 0]],
            iterations=5,
        ),
        by_hand(
            "around-a-triangle-it-does",
            "A loop: in two iterations the first point's preference of 4 reaches the others twice. In the third it "
            "comes back to itself, by either way.",
            graph([prefers_one, indifferent, indifferent], [(0, 1), (1, 2), (2, 0)], [3, 3, 3], potts(2)),
            [1, 1, 1],
            [[10, 0], [6, 0], [6, 0]],
            iterations=3,
        ),
        by_hand(
            "lowest-energies-on-a-path",
            "The best labelling is 1 1 1; with label 0 at the first, second or third point the best one costs 1, 1 or "
            "4 more, which are the differences of the beliefs.",
            graph([[0, 1], [1, 0], [4, 0]], path(3), [2, 1], potts(2)),
            [1, 1, 1],
            [[2, 1], [2, 1], [4, 0]],
            iterations=2,
        ),
        by_hand(
            "damping",
            "A quarter of the last message stays: 3/4 of the 3, then 3/4 of it and a quarter of that.",
            graph([prefers_one, indifferent], path(2), [3], potts(2)),
            [1, 1],
            [[4, 0], [2.8125, 0]],
            iterations=2,
            damping=0.25,
        ),
        by_hand(
            "messages-lose-their-minimum",
            "All labels of the first point cost 10 more, and the equal ones 2 as well: nothing of it is passed on.",
            graph([[14, 10], indifferent], path(2), [1], [[2, 5], [5, 2]]),
            [1, 1],
            [[14, 10], [3, 0]],
            "convention",
        ),
        by_hand(
            "of-equal-beliefs-the-first",
            "Nothing is known.",
            graph([[1, 0, 0]], [], [], potts(3)),
            [1],
            [[1, 0, 0]],
            "tie",
        ),
        by_hand(
            "no-iterations",
            "The unary potentials are the beliefs.",
            graph([prefers_one, [0, 1]], path(2), [9], potts(2)),
            [1, 0],
            [[4, 0], [0, 1]],
            iterations=0,
        ),
        by_hand(
            "two-edges-between-the-same-points",
            "Two paths: what arrives along one goes back along the other, so that in the second iteration the first "
            "point hears itself.",
            graph([prefers_one, indifferent], [(0, 1), (1, 0)], [3, 1], potts(2)),
            [1, 1],
            [[6, 0], [4, 0]],
            iterations=2,
        ),
        by_hand(
            "neighbours-that-repel",
            "Unequal labels are rewarded by 2: the second takes the other label.",
            graph([prefers_one, indifferent], path(2), [-2], potts(2)),
            [1, 0],
            [[4, 0], [0, 2]],
        ),
        by_hand(
            "one-label",
            "Messages are 0.",
            graph([[5], [6]], path(2), [1], [[7]]),
            [0, 0],
            [[5], [6]],
            "border",
            iterations=3,
        ),
        by_hand("no-points", "Nothing in, nothing out.", graph(np.zeros((0, 2)), [], [], potts(2)), [], [], "empty"),
        Case(
            "grid-potts",
            "Twelve pixels, three labels, four iterations, half damped; all exact in float32.",
            clutter("belief potts", (3, 4), potts(3), labels=False),
            Exact(),
            {"iterations": 4, "damping": 0.5},
            tags=("dyadic",),
        ),
        Case(
            "grid-truncated-linear",
            "Costs that grow with the difference of the labels.",
            clutter("belief linear", (3, 4), truncated_linear(4, 2.0), labels=False),
            Exact(),
            {"iterations": 6, "damping": 0.0},
            tags=("dyadic",),
        ),
        Case(
            "grid-of-edges-turned-round",
            "The first grid with the ends of each edge exchanged: nothing changes.",
            clutter("belief potts", (3, 4), potts(3), labels=False)
            | {"edges": np.array(grid(3, 4), np.int64)[:, ::-1]},
            Exact(),
            {"iterations": 4, "damping": 0.5},
            tags=("dyadic",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a small random graph."""
    chosen = {"iterations": int(rng.integers(0, 4)), "damping": float(rng.choice([0.0, 0.5]))}
    return Case("random", "", random_graph(rng, labels=False), Exact(), chosen)

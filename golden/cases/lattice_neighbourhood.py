"""Golden cases of the neighbourhoods on the permutohedral lattice."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from golden.cases._numbers import Integers, integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import lattice_neighbourhood as oracle

ALGORITHM = Algorithm(
    "lattice_neighbourhood",
    oracle,
    ("vertices",),
    ("taps",),
    reference="deck 004; Jampani, Kiefel & Gehler (2016)",
)
HEXAGON = [[-2, 1], [-1, -1], [-1, 2], [0, 0], [1, -2], [1, 1], [2, -1]]  # the origin and its six neighbours, d = 2


def params(size: int = 1, traversal: str = "exact") -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"size": size, "traversal": traversal}


def by_hand(
    name: str, why: str, vertices: list[list[int]], taps: list[list[int]], *, tags: tuple[str, ...] = (), **options: Any
) -> Case:
    """Return a case whose taps are known."""
    return Case(
        name,
        why,
        {"vertices": np.array(vertices)},
        Exact(),
        params(**options),
        expected={"taps": np.array(taps)},
        source="by hand",
        tags=("hand", *tags),
    )


def some_vertices(seed: str, d: int, radius: int, share: int) -> Integers:
    """Return `share` of ten of the vertices within `radius` steps of the origin, in order."""
    steps = np.array(list(itertools.product(range(radius + 1), repeat=d + 1)))
    steps = steps[steps.min(axis=1) == 0]
    keys = (d + 1) * steps[:, :d] - steps.sum(axis=1, keepdims=True)
    kept = keys[integers(seed, (len(keys),), 1, 10) <= share]
    in_order: Integers = kept[np.lexsort(kept.T[::-1])]
    return in_order


def cases() -> list[Case]:
    """Return the cases."""
    return [
        by_hand(
            "line",
            "One dimension: the vertex itself, the one at 1 less and the one at 1 more. 1 is not in use.",
            [[-1], [0], [2], [3]],
            [[0, 1, 2, 3], [-1, 0, -1, 2], [1, -1, 3, -1]],
        ),
        by_hand(
            "no-steps-walked",
            "A neighbourhood of no steps is the vertex itself.",
            [[0], [1]],
            [[0, 1]],
            size=0,
            traversal="walk",
        ),
        by_hand(
            "far-apart",
            "Coordinates of 2⁴⁰ along two axes: too many places between them to be numbered in 64 bits. Each vertex is "
            "its own only neighbour.",
            [[-(2**40), 0, 0], [0, 0, 0], [0, 0, 2**40]],
            [[0, 1, 2]] + 14 * [[-1, -1, -1]],
        ),
        by_hand(
            "line-of-two-steps",
            "One dimension, two steps either way, in the order 00, 01, 02, 10, 20 of the steps along the two axes.",
            [[0], [1], [2]],
            [[0, 1, 2], [-1, 0, 1], [-1, -1, 0], [1, 2, -1], [2, -1, -1]],
            size=2,
        ),
        by_hand(
            "hexagon",
            "Two dimensions: 7 taps, the last axis counted first. The rows are the steps 000, 001, 010, 011, 100, 101, "
            "110, each in its column of the seven vertices; the origin, column 3, has them all.",
            HEXAGON,
            [
                [0, 1, 2, 3, 4, 5, 6],
                [-1, -1, 0, 1, -1, 3, 4],  # (−1, −1)
                [-1, 0, -1, 2, 3, -1, 5],  # (−1, 2)
                [-1, -1, -1, 0, 1, 2, 3],  # (−2, 1)
                [3, 4, 5, 6, -1, -1, -1],  # (2, −1)
                [1, -1, 3, 4, -1, 6, -1],  # (1, −2)
                [2, 3, -1, 5, 6, -1, -1],  # (1, 1)
            ],
        ),
        by_hand(
            "centre-alone",
            "Size 0: one tap, the vertex itself.",
            HEXAGON,
            [[0, 1, 2, 3, 4, 5, 6]],
            size=0,
        ),
        by_hand(
            "exact-over-a-hole",
            "(−2, 1) is a step along axis 1 and one along axis 2 from the origin, over a vertex that is not in use; "
            "the origin is one step along axis 0 from (−2, 1).",
            [[-2, 1], [0, 0]],
            [[0, 1], [-1, -1], [-1, -1], [-1, 0], [1, -1], [-1, -1], [-1, -1]],
            tags=("convention",),
        ),
        by_hand(
            "walk-stops-at-a-hole",
            "The same two vertices, walked: the one step is taken, the two are not.",
            [[-2, 1], [0, 0]],
            [[0, 1], [-1, -1], [-1, -1], [-1, -1], [1, -1], [-1, -1], [-1, -1]],
            traversal="walk",
            tags=("convention",),
        ),
        by_hand(
            "walk-takes-the-first-axis-first",
            "From the origin (number 2) to (−2, 1) over (−1, 2), which is in use. From (−1, 2) to the origin first "
            "along axis 0 to (1, 1), which is not; along axis 2 first would have led over (−2, 1).",
            [[-2, 1], [-1, 2], [0, 0]],
            [[0, 1, 2], [-1, 0, -1], [-1, -1, 1], [-1, -1, 0], [2, -1, -1], [-1, -1, -1], [1, -1, -1]],
            traversal="walk",
            tags=("convention",),
        ),
        by_hand(
            "keys-that-do-not-pack",
            "Three coordinates of 2⁴⁰ either way: their product passes 2⁶⁴, and two of the vertices are neighbours.",
            [[-(2**40), 0, 0], [-1, -1, 2**40 - 1], [0, 0, 2**40], [2**40, -(2**40), 0]],
            [
                [0, 1, 2, 3],
                [-1, -1, 1, -1],  # 0001, all coordinates one less
                *([[-1, -1, -1, -1]] * 12),
                [-1, 2, -1, -1],  # 1110, all coordinates one more
            ],
            tags=("overflow",),
        ),
        Case(
            "no-vertices",
            "As many taps, none of them of a vertex.",
            {"vertices": np.zeros((0, 2), np.int64)},
            Exact(),
            params(),
            expected={"taps": np.zeros((7, 0), np.int64)},
            source="by hand",
            tags=("hand", "empty"),
        ),
        *(
            Case(
                f"with-holes-size-{size}-{traversal}",
                "Seven of ten vertices near the origin of three dimensions are in use.",
                {"vertices": some_vertices("neighbourhood", 3, 2, 7)},
                Exact(),
                params(size, traversal),
            )
            for size in (1, 2)
            for traversal in ("exact", "walk")
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random part of a small lattice."""
    d = int(rng.integers(1, 4))
    vertices = some_vertices(f"random {rng.integers(1000)}", d, 2, int(rng.integers(1, 10)))
    return Case(
        "random",
        "",
        {"vertices": vertices},
        Exact(),
        params(int(rng.integers(0, 3)), str(rng.choice(["exact", "walk"]))),
    )

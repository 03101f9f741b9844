"""Golden cases of blurring on a permutohedral lattice."""

from __future__ import annotations

import itertools

import numpy as np

from golden.cases._numbers import dyadic, reals
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Bound, Case, Exact
from tests.oracles import lattice_blur as oracle
from tests.oracles import lattice_embed, lattice_index

ALGORITHM = Algorithm(
    "lattice_blur",
    oracle,
    ("z", "neighbours"),
    reference="deck 004; Adams, Baek & Davis (2010); Kraehenbuehl & Koltun (2011)",
)

CHAIN = np.array([[[1, 2, 3, -1], [-1, 0, 1, 2]]])
RING = np.concatenate([CHAIN, [[[3, -1, -1, -1], [-1, -1, -1, 0]]]])  # a second axis joins the ends of the first


def around_the_origin(d: int) -> tuple[Array, Array]:
    """Return the vertices that blurring an impulse at the origin reaches, and their neighbours."""
    axes = (d + 1) * np.eye(d + 1, d, dtype=np.int64) - 1
    keys = [np.array(steps) @ axes for steps in itertools.product((-1, 0, 1), repeat=d + 1)]
    vertices, _, neighbours = lattice_index.forward(np.array(keys)[:, None])
    return vertices, neighbours


def with_holes(d: int, n_points: int) -> Array:
    """Return the neighbours in the lattice of a few points."""
    _, keys = lattice_embed.forward(reals(f"lattice with holes {d}", (n_points, d), -2, 2))
    neighbours: Array = lattice_index.forward(keys)[2]
    return neighbours


def cases() -> list[Case]:
    vertices, hexagons = around_the_origin(2)
    square = np.sum(vertices**2, axis=1) + np.sum(vertices, axis=1) ** 2  # of the length in three coordinates
    response = np.select([square == 0, square == 6, square == 18, square == 24], [1.25, 0.75, 0.25, 0.125])
    _, polytopes = around_the_origin(3)
    sparse = with_holes(3, 12)
    M = sparse.shape[2]
    return [
        Case(
            "one-axis",
            "Each vertex keeps its value and adds half of its neighbours'; beyond the ends there is 0.",
            {"z": np.array([[0.0], [8.0], [0.0], [2.0]]), "neighbours": CHAIN},
            Exact(),
            {"reverse": False},
            dy=np.array([[1.0], [0.0], [0.0], [0.0]]),
            expected={
                "y": np.array([[4.0], [8.0], [5.0], [2.0]]),
                "dz": np.array([[1.0], [0.5], [0.0], [0.0]]),
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "axis-after-axis",
            "The second axis joins the ends of the chain, and sees what the first has brought there.",
            {"z": np.array([[0.0], [8.0], [0.0], [0.0]]), "neighbours": RING},
            Exact(),
            {"reverse": False},
            dy=np.array([[0.0], [8.0], [0.0], [0.0]]),
            expected={
                "y": np.array([[4.0], [8.0], [4.0], [2.0]]),
                "dz": np.array([[4.0], [8.0], [4.0], [0.0]]),  # the last axis first: the ends are still 0
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "axis-after-axis-in-reverse",
            "The ends mix while there is nothing in them.",
            {"z": np.array([[0.0], [8.0], [0.0], [0.0]]), "neighbours": RING},
            Exact(),
            {"reverse": True},
            dy=np.array([[0.0], [8.0], [0.0], [0.0]]),
            expected={
                "y": np.array([[4.0], [8.0], [4.0], [0.0]]),
                "dz": np.array([[4.0], [8.0], [4.0], [2.0]]),
            },
            source="by hand",
            tags=("hand", "convention"),
        ),
        Case(
            "nineteen-vertices",
            "An impulse in two dimensions: 1 + 2^-2 at the centre, 2^3 in all, on 3^3 - 2^3 = 19 vertices.",
            {"z": (square == 0)[:, None].astype(np.float64), "neighbours": hexagons},
            Exact(),
            {"reverse": False},
            dy=dyadic("blur 2 dy", (19, 1)),
            expected={"y": response[:, None]},
            source="by hand",
            tags=("hand", "dyadic"),
        ),
        Case(
            "sixty-five-vertices",
            "All that an impulse in three dimensions reaches, filled with numbers; the outer ones lack neighbours.",
            {"z": dyadic("blur 3", (65, 1)), "neighbours": polytopes},
            Exact(),
            {"reverse": False},
            dy=dyadic("blur 3 dy", (65, 1)),
            tags=("dyadic", "border"),
        ),
        *(
            Case(
                f"holes{'-in-reverse' * reverse}",
                "The lattice of a few points has holes, and the order of the axes matters.",
                {"z": dyadic("blur holes", (M, 2)), "neighbours": sparse},
                Exact(),
                {"reverse": reverse},
                dy=dyadic("blur holes dy", (M, 2)),
                tags=("dyadic", "border"),
            )
            for reverse in (False, True)
        ),
        Case(
            "rounded",
            "Numbers that use all bits: eight roundings, a half being exact.",
            {"z": reals("blur reals", (M, 1)), "neighbours": sparse},
            Bound(16),
            {"reverse": False},
            dy=reals("blur reals dy", (M, 1)),
        ),
        Case(
            "no-vertices",
            "Nothing in, nothing out.",
            {"z": np.zeros((0, 2)), "neighbours": np.zeros((3, 2, 0), np.int64)},
            Exact(),
            {"reverse": False},
            dy=np.zeros((0, 2)),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random values in float64 on the lattice of random points."""
    _, keys = lattice_embed.forward(rng.standard_normal((8, 3)))
    neighbours = lattice_index.forward(keys)[2]
    M = neighbours.shape[2]
    inputs = {"z": rng.standard_normal((M, 2)), "neighbours": neighbours}
    params = {"reverse": bool(rng.integers(2))}
    return Case("random", "", inputs, Bound(16), params, dy=rng.standard_normal((M, 2)))

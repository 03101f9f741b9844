"""Golden cases of numbering the vertices of a permutohedral lattice."""

from __future__ import annotations

import numpy as np

from golden.cases._numbers import integers, reals
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import lattice_embed
from tests.oracles import lattice_index as oracle

ALGORITHM = Algorithm(
    "lattice_index",
    oracle,
    ("keys",),
    ("vertices", "ids", "neighbours"),
    reference="deck 004; Adams, Baek & Davis (2010)",
)


def cases() -> list[Case]:
    _, embedded = lattice_embed.forward(reals("lattice index points", (16, 3), -2, 2))
    return [
        Case(
            "neighbours-of-the-origin",
            "The origin, its first neighbours along the three axes, and its second along axis 1, which is also next "
            "to two of them.",
            {"keys": np.array([[[0, 0], [2, -1], [-1, 2]], [[-1, -1], [1, -2], [0, 0]]])},
            Exact(),
            expected={
                "vertices": np.array([[-1, -1], [-1, 2], [0, 0], [1, -2], [2, -1]]),
                "ids": np.array([[2, 4, 1], [0, 3, 2]]),
                "neighbours": np.array(
                    [
                        [[3, -1, 4, -1, -1], [-1, -1, -1, 0, 2]],  # (2, -1) away, and (-2, 1)
                        [[-1, -1, 1, 2, -1], [-1, 2, 3, -1, -1]],  # (-1, 2) away, and (1, -2)
                        [[-1, -1, 0, -1, 3], [2, -1, -1, 4, -1]],  # (-1, -1) away, and (1, 1)
                    ]
                ),
            },
            source="by hand",
            tags=("hand",),
        ),
        Case(
            "one-dimension",
            "Along axis 0 the first neighbour is one more, along axis 1 one less. A gap has no neighbours.",
            {"keys": np.array([[[2], [3]], [[0], [3]]])},
            Exact(),
            expected={
                "vertices": np.array([[0], [2], [3]]),
                "ids": np.array([[1, 2], [0, 2]]),
                "neighbours": np.array([[[-1, 2, -1], [-1, -1, 1]], [[-1, -1, 1], [-1, 2, -1]]]),
            },
            source="by hand",
            tags=("hand", "border"),
        ),
        Case(
            "equal-keys",
            "Points in one simplex share its vertices.",
            {"keys": np.array([[[0, 0, 0], [1, 1, 1]]] * 4)},
            Exact(),
            expected={
                "vertices": np.array([[0, 0, 0], [1, 1, 1]]),
                "ids": np.array([[0, 1]] * 4),
                "neighbours": np.array([[[-1, -1], [-1, -1]]] * 3 + [[[-1, 0], [1, -1]]]),  # only along the last axis
            },
            source="by hand",
            tags=("hand", "tie"),
        ),
        Case(
            "points-in-three-dimensions",
            "The keys of sixteen points, as embedding gives them: shared vertices and holes.",
            {"keys": embedded},
            Exact(),
        ),
        Case(
            "wide-keys",
            "Six columns of 2^61 values each cannot be packed in one 64-bit number, only hashed, and then compared. "
            "The second row is next to the first.",
            {
                "keys": np.concatenate(
                    [
                        [[[2**60, -(2**60), 1, -1, 0, 7]], [[2**60 + 6, -(2**60) - 1, 0, -2, -1, 6]]],
                        integers("lattice wide", (6, 1, 6), -(2**60), 2**60),
                    ]
                )
            },
            Exact(),
            tags=("overflow",),
        ),
        Case(
            "neighbours-that-wrap-in-16-bits",
            "32767 and -32768 are neighbours where keys have 16 bits; here they are not.",
            {"keys": np.array([[[32767], [-32768]]])},
            Exact(),
            expected={
                "vertices": np.array([[-32768], [32767]]),
                "ids": np.array([[1, 0]]),
                "neighbours": np.full((2, 2, 2), -1),
            },
            source="by hand",
            tags=("hand", "overflow"),
        ),
        Case(
            "no-keys",
            "Nothing in, nothing out.",
            {"keys": np.zeros((0, 3, 2), np.int64)},
            Exact(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random keys close together."""
    return Case("random", "", {"keys": rng.integers(-3, 4, (8, 3, int(rng.integers(1, 5))))}, Exact())

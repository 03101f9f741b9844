"""Golden cases of the affinities of edge groups."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._numbers import Floats, dyadic, integers
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import edge_affinities as oracle

ALGORITHM = Algorithm(
    "edge_affinities",
    oracle,
    ("edges", "orientation", "groups"),
    ("pairs", "affinities"),
    reference="Zitnick & Dollár (2014), equation (1); the order of pairs: their code, OpenCV ximgproc edgeboxes.cpp",
)
COMPARE: dict[str, Compare] = {"pairs": Exact(), "affinities": Ulp(8, 2.0**-18)}  # angles between means round to 2⁻²⁰
HALF_PI, QUARTER_PI = (float(np.float32(math.pi / k)) for k in (2, 4))


def params(gamma: float = 2.0) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"gamma": gamma}


def labelled(size: tuple[int, int], pixels: dict[tuple[int, int], int]) -> Any:
    """Return a map of groups, given at (x, y)."""
    groups = np.full(size, -1, np.int64)
    for (x, y), group in pixels.items():
        groups[y, x] = group
    return groups


def by_hand(
    name: str,
    why: str,
    groups: Any,
    orientation: float | Floats,
    pairs: list[tuple[int, int]],
    affinities: list[float],
    *,
    gamma: float = 2.0,
    without: int = -1,
    tags: tuple[str, ...] = (),
) -> Case:
    """Return a case in which the pixels of groups have magnitude 1, but for one group whose magnitude is 0."""
    maps = {
        "edges": ((groups >= 0) & (groups != without)).astype(np.float64),
        "orientation": np.broadcast_to(np.float64(orientation), groups.shape).copy(),
        "groups": groups,
    }
    expected = {"pairs": np.array(pairs, np.int64).reshape(-1, 2), "affinities": np.array(affinities, np.float64)}
    return Case(name, why, maps, COMPARE, params(gamma), expected=expected, source="by hand", tags=("hand", *tags))


def cases() -> list[Case]:
    """Return the cases."""
    row = {(x, 2): x // 4 for x in range(2, 6)}  # columns 2 and 3 are group 0, 4 and 5 group 1
    about_zero = np.full((5, 8), QUARTER_PI)
    about_zero[2, 2:4] = 0.125, float(np.float32(math.pi - 0.125))
    leaning = np.full((5, 8), QUARTER_PI)
    leaning[2, 4:6] = float(np.float32(3 * math.pi / 4))
    return [
        by_hand(
            "one-continues-the-other",
            "A horizontal contour in two pieces; its normal is vertical, π/2.",
            labelled((5, 8), row),
            HALF_PI,
            [(0, 1)],
            [1.0],
            tags=("convention",),
        ),
        by_hand(
            "side-by-side",
            "Two horizontal contours, one above the other: the line that joins them is at right angles to both.",
            labelled((7, 7), {(3, 2): 0, (4, 2): 0, (3, 4): 1, (4, 4): 1}),
            HALF_PI,
            [(0, 1)],
            [0.0],
        ),
        by_hand(
            "gamma-one",
            "Normals at π/4 to that of the joining line: cos² π/4 = 1/2.",
            labelled((5, 8), row),
            QUARTER_PI,
            [(0, 1)],
            [0.5],
            gamma=1.0,
        ),
        by_hand(
            "gamma-two",
            "The same to the power of 2.",
            labelled((5, 8), row),
            QUARTER_PI,
            [(0, 1)],
            [0.25],
        ),
        by_hand(
            "two-columns-apart-but-not-three",
            "Groups 0 and 2 are 2 apart, 2 and 1 as well, 0 and 1 are 4 apart. (0, 2) is met first, from column 2; "
            "(1, 2) from column 6, where the lower number is.",
            labelled((5, 9), {(2, 2): 0, (4, 2): 2, (6, 2): 1}),
            HALF_PI,
            [(0, 2), (1, 2)],
            [1.0, 1.0],
            tags=("tie",),
        ),
        by_hand(
            "meeting-in-scan-order",
            "Around the pixel of group 0 come (1, 1), (1, 3), (3, 1): columns first.",
            labelled((5, 5), {(2, 2): 0, (3, 1): 1, (1, 3): 2, (1, 1): 3}),
            0.0,
            [(0, 3), (0, 2), (0, 1)],
            [0.25, 0.25, 0.25],  # diagonals are at π/4 to a vertical contour
            tags=("tie",),
        ),
        by_hand(
            "the-lower-number-near-the-border",
            "Only pixels of the lower-numbered group, 2 or more from the border, look around: column 1 does not.",
            labelled((5, 6), {(1, 2): 0, (2, 2): 1}),
            HALF_PI,
            [],
            [],
            tags=("border", "empty"),
        ),
        by_hand(
            "the-higher-number-near-the-border",
            "Numbered the other way round they meet.",
            labelled((5, 6), {(1, 2): 1, (2, 2): 0}),
            HALF_PI,
            [(0, 1)],
            [1.0],
            tags=("border",),
        ),
        Case(
            "orientations-are-averaged-modulo-pi",
            "1/8 and π − 1/8 have the mean 0, not π/2. The line between the groups is horizontal, its normal π/2: 0.",
            {
                "edges": (labelled((5, 8), row) >= 0).astype(np.float64),
                "orientation": about_zero,
                "groups": labelled((5, 8), row),
            },
            COMPARE,
            params(),
            expected={"pairs": np.array([[0, 1]]), "affinities": np.array([0.0])},
            source="by hand",
            tags=("hand",),
        ),
        by_hand(
            "normals-that-lean-apart",
            "Normals at π/4 to that of the joining line, one to each side: the product of cosines is −1/2, its cube "
            "without the sign 1/8.",
            labelled((5, 8), row),
            leaning,
            [(0, 1)],
            [0.125],
            gamma=3.0,
        ),
        by_hand(
            "a-group-without-magnitude",
            "Its mean is at (0, 0), its orientation 0: both are at π/4 to the normal of the line to (3, 3).",
            labelled((7, 7), {(2, 3): 0, (3, 3): 1}),
            HALF_PI,
            [(0, 1)],
            [0.25],
            without=0,
            tags=("empty",),
        ),
        by_hand(
            "three-rows",
            "Within 2 pixels of the border is everything, however wide the map: nothing looks around.",
            labelled((3, 8), {(3, 1): 0, (4, 1): 1}),
            HALF_PI,
            [],
            [],
            tags=("border", "empty"),
        ),
        Case(
            "clutter",
            "Six groups strewn over a map, weighted means, thirteen or more pairs.",
            {
                "edges": dyadic("affine edges", (9, 11), 1, 8, 1 / 8),
                "orientation": dyadic("affine orientation", (9, 11), 8, 16, 1 / 8),
                "groups": integers("affine groups", (9, 11), -3, 5).clip(-1),
            },
            COMPARE,
            params(),
            tags=("tie",),
        ),
        Case(
            "no-groups",
            "Nothing meets nothing.",
            {"edges": np.ones((6, 6)), "orientation": np.zeros((6, 6)), "groups": np.full((6, 6), -1)},
            COMPARE,
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return strewn groups with orientations so close that no mean is ill-conditioned."""
    size = tuple(rng.integers(5, 12, 2))
    maps = {
        "edges": rng.integers(1, 9, size) / 8,
        "orientation": rng.integers(8, 17, size) / 8,
        "groups": rng.integers(-3, 4, size).clip(-1),
    }
    return Case("random", "", maps, COMPARE, params())

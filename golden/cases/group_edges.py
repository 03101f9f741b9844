"""Golden cases of edge groups. Maps are written row by row; orientations are eighths, so that ties are exact."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import Floats, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import group_edges as oracle

ALGORITHM = Algorithm(
    "group_edges",
    oracle,
    ("edges", "orientation"),
    ("groups",),
    reference="Zitnick & Dollár (2014), section 3.1; the order of pixels: their code, OpenCV ximgproc edgeboxes.cpp",
)


def params(min_magnitude: float = 0.125, merge_threshold: float = 0.5, min_group: float = 0.5) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"min_magnitude": min_magnitude, "merge_threshold": merge_threshold, "min_group": min_group}


def in_a_row(
    name: str, why: str, edges: list[float], orientation: list[float], groups: list[int], **options: Any
) -> Case:
    """Return a case whose edges lie in the second of three rows, off the border."""
    maps = {"edges": np.zeros((3, len(edges) + 2)), "orientation": np.zeros((3, len(edges) + 2))}
    maps["edges"][1, 1:-1], maps["orientation"][1, 1:-1] = edges, orientation
    expected = np.full((3, len(edges) + 2), -1)
    expected[1, 1:-1] = groups
    return by_hand(name, why, maps, expected, **options)


def by_hand(
    name: str, why: str, maps: dict[str, Floats], groups: Any, *, tags: tuple[str, ...] = (), **options: Any
) -> Case:
    """Return a case whose groups are known."""
    expected = {"groups": np.array(groups, np.int64)}
    return Case(name, why, maps, Exact(), params(**options), expected=expected, source="by hand", tags=("hand", *tags))


def at(size: tuple[int, int], pixels: dict[tuple[int, int], float], elsewhere: float = 0.0) -> Floats:
    """Return a map with some values at (x, y)."""
    field = np.full(size, elsewhere)
    for (x, y), value in pixels.items():
        field[y, x] = value
    return field


def cases() -> list[Case]:
    """Return the cases."""
    fork = {(1, 2): 0.0, (2, 1): 0.25, (2, 3): 0.5, (3, 1): 0.75}
    below_first = {(1, 2): 0.5, (1, 3): 0.0, (2, 1): 1.0}
    between = {(2, 2): 0.5, (2, 3): 0.0, (3, 1): 1.0}
    scattered = {(1, 3): 1.0, (3, 1): 1.0, (3, 3): 0.125, (0, 1): 1.0, (4, 4): 1.0, (1, 1): 0.625}
    return [
        in_a_row(
            "a-turn-ends-a-group",
            "A difference of 1 is 1/π = 0.318 > 1/4: the third pixel stays free, and starts the next group.",
            [1, 1, 1, 1],
            [0, 0, 1, 1],
            [0, 0, 1, 1],
            merge_threshold=0.25,
        ),
        in_a_row(
            "orientations-are-modulo-pi",
            "3 and 0 differ by 0.14 only, as 3 is nearly π.",
            [1, 1, 1, 1],
            [0, 3, 0, 3],
            [0, 0, 0, 0],
            merge_threshold=0.25,
        ),
        in_a_row(
            "differences-add-up",
            "Each step is 0.5/π = 0.159; the second makes 0.318 > 1/4, although each of them is below it.",
            [1, 1, 1, 1],
            [0, 0.5, 1, 1.5],
            [0, 0, 1, 1],
            merge_threshold=0.25,
        ),
        by_hand(
            "the-earliest-of-equal-offers",
            "(1, 2) offers (2, 1) at 1/4 and (2, 3) at 1/2; (2, 1), taken first, offers (3, 1) at 1/2 too. (2, 3) was "
            "offered earlier, and joins next; (3, 1) would make the total 1.25/π = 0.398.",
            {"edges": at((5, 5), dict.fromkeys(fork, 1.0)), "orientation": at((5, 5), fork)},
            at((5, 5), {(1, 2): 0, (2, 1): 0, (2, 3): 0, (3, 1): 1}, -1),
            merge_threshold=0.3,
            tags=("tie",),
        ),
        by_hand(
            "offers-come-column-by-column",
            "(1, 2) differs by 0.5 from (1, 3), below it, and from (2, 1), in the next column, which comes later "
            "although it is higher up. The second to join would make the total 1/π = 0.318.",
            {"edges": at((5, 5), dict.fromkeys(below_first, 1.0)), "orientation": at((5, 5), below_first)},
            at((5, 5), {(1, 2): 0, (1, 3): 0, (2, 1): 1}, -1),
            merge_threshold=0.3,
            tags=("tie",),
        ),
        by_hand(
            "columns-first",
            "Column 1 comes before column 3: (1, 1), (1, 3), (3, 1). 0.125 is not > 0.125, and the border is no edge.",
            {"edges": at((5, 5), scattered), "orientation": np.zeros((5, 5))},
            at((5, 5), {(1, 1): 0, (1, 3): 1, (3, 1): 2}, -1),
            tags=("border", "tie"),
        ),
        in_a_row(
            "a-small-group-joins-the-nearest-orientation",
            "The fourth pixel, alone with 0.5 ≤ 0.5, differs by 1 from the one before and by 0.5 from the one after.",
            [1, 1, 1, 0.5, 1, 1],
            [0, 0, 0, 1, 1.5, 1.5],
            [0, 0, 0, 1, 1, 1],
            merge_threshold=0.15,
            tags=("tie",),
        ),
        in_a_row(
            "a-sweep-sees-its-own-changes",
            "The two in the middle make 0.5 and are dissolved. The first joins the left; then the second, which has a "
            "nearer orientation to it than to the right, joins the left as well.",
            [1, 0.25, 0.25, 1],
            [0, 1, 1.125, 2.125],
            [0, 0, 0, 1],
            merge_threshold=0.15,
        ),
        by_hand(
            "the-first-of-equal-neighbours-adopts",
            "(2, 2), alone with 0.25, differs by 0.5 from (2, 3) and from (3, 1), which comes later.",
            {
                "edges": at((5, 5), dict.fromkeys(between, 1.0) | {(2, 2): 0.25}),
                "orientation": at((5, 5), between),
            },
            at((5, 5), {(2, 2): 0, (2, 3): 0, (3, 1): 1}, -1),
            merge_threshold=0.15,
            tags=("tie",),
        ),
        in_a_row(
            "sweeps-go-on-until-one-changes-nothing",
            "Each of the first three makes 0.25 and is dissolved. The third joins the last, then the second, "
            "then the first.",
            [0.25, 0.25, 0.25, 1],
            [0, 0.75, 1.5, 2.25],
            [0, 0, 0, 0],
            merge_threshold=0.2,
        ),
        in_a_row(
            "nobody-adopts-a-lonely-pixel",
            "A small group without a neighbour is in no group.",
            [0.5, 0, 0.625],
            [0, 0, 0],
            [-1, -1, 0],
        ),
        Case(
            "clutter",
            "Half of the pixels are edges, of any orientation: long heaps of offers, and many loose pixels.",
            {
                "edges": np.maximum(dyadic("clutter edges", (13, 17), -8, 8, 1 / 8), 0),
                "orientation": dyadic("clutter orientation", (13, 17), 0, 25, 1 / 8),
            },
            Exact(),
            params(min_group=1.0),
            tags=("dyadic",),
        ),
        Case(
            "nearly-straight-clutter",
            "All orientations lie between 1 and 1.5: groups are long.",
            {
                "edges": np.maximum(dyadic("straight edges", (11, 12), -4, 8, 1 / 8), 0),
                "orientation": dyadic("straight orientation", (11, 12), 8, 12, 1 / 8),
            },
            Exact(),
            params(),
            tags=("dyadic", "tie"),
        ),
        Case(
            "nan-is-no-edge",
            "NaN is not > min_magnitude.",
            {"edges": at((3, 4), {(1, 1): np.nan, (2, 1): 1.0}), "orientation": np.zeros((3, 4))},
            Exact(),
            params(),
            expected={"groups": at((3, 4), {(2, 1): 0}, -1).astype(np.int64)},
            source="by hand",
            tags=("hand", "nan"),
            status="optional",
            status_reason="magnitudes are numbers; many implementations assume so",
        ),
        Case(
            "empty-map",
            "No pixels, no groups.",
            {"edges": np.zeros((0, 4)), "orientation": np.zeros((0, 4))},
            Exact(),
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return maps of edges in eighths; no sum of differences comes near a threshold of 1/2."""
    size = tuple(rng.integers(3, 12, 2))
    edges = np.maximum(rng.integers(-8, 9, size), 0) / 8
    return Case("random", "", {"edges": edges, "orientation": rng.integers(0, 26, size) / 8}, Exact(), params())

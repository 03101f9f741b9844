"""Golden cases of the score of EdgeBoxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, integers
from refdet.verify.case import Algorithm, Case, Ulp
from tests.oracles import score_edge_boxes as oracle

ALGORITHM = Algorithm(
    "score_edge_boxes",
    oracle,
    ("boxes", "edges", "groups", "pairs", "affinities"),
    ("scores",),
    reference="Zitnick & Dollár (2014), equations (2) to (4); convention opencv: OpenCV ximgproc edgeboxes.cpp",
)
COMPARE = Ulp(4, 2.0**-18)  # sums of up to some ten magnitudes in any order, times a power

Pixels = dict[tuple[int, int], float]


def params(
    convention: str = "paper", kappa: float = 1.0, min_score: float = 0.0, min_magnitude: float = 0.125
) -> dict[str, Any]:
    """Return the parameters, complete; with κ = 1 the box of `TWENTY` has a norm of 1/64 under "paper"."""
    return {"convention": convention, "kappa": kappa, "min_score": min_score, "min_magnitude": min_magnitude}


TWENTY = [1, 1, 17, 17]  # b_w = b_h = 16, in a map of 20 × 20; the centre goes from 5 to 13


def by_hand(
    name: str,
    why: str,
    boxes: list[list[int]],
    contours: list[Pixels],
    scores: list[float],
    *,
    links: dict[tuple[int, int], float] | None = None,
    loose: Pixels | None = None,
    size: tuple[int, int] = (20, 20),
    tags: tuple[str, ...] = (),
    **options: Any,
) -> Case:
    """Return a case of contours given by magnitudes at (x, y), and of `loose` pixels in no group."""
    edges, groups = np.zeros(size), np.full(size, -1, np.int64)
    for group, pixels in enumerate([*contours, loose or {}]):
        for (x, y), magnitude in pixels.items():
            edges[y, x], groups[y, x] = magnitude, group if group < len(contours) else -1
    inputs = {
        "boxes": np.array(boxes, np.int64),
        "edges": edges,
        "groups": groups,
        "pairs": np.array(list(links or {}), np.int64).reshape(-1, 2),
        "affinities": np.array(list((links or {}).values()), np.float64),
    }
    expected = {"scores": np.array(scores, np.float64)}
    return Case(
        name, why, inputs, COMPARE, params(**options), expected=expected, source="by hand", tags=("hand", *tags)
    )


def along(row: int, columns: range, magnitude: float = 0.5) -> Pixels:
    """Return pixels along a row."""
    return dict.fromkeys([(x, row) for x in columns], magnitude)


def upright(column: int, rows: range, magnitude: float = 0.5) -> Pixels:
    """Return pixels along a column."""
    return dict.fromkeys([(column, y) for y in rows], magnitude)


def clutter(seed: str, size: tuple[int, int], n_boxes: int, n_groups: int = 14) -> dict[str, Any]:
    """Return small groups all over the map, each a neighbour of the next two, and boxes that partly leave the map."""
    edges, groups = np.zeros(size), np.full(size, -1, np.int64)
    places = integers(f"{seed} places", (n_groups, 2), 1, min(size) - 3)
    magnitudes = dyadic(f"{seed} magnitudes", (n_groups,), 1, 8, 1 / 8)
    for group, ((y, x), magnitude) in enumerate(zip(places.tolist(), magnitudes, strict=True)):
        pixels = (y, slice(x, x + 2)) if group % 2 else (slice(y, y + 2), x)
        edges[pixels], groups[pixels] = magnitude, group
    edges[integers(f"{seed} faint", (4,), 0, size[0] - 1), integers(f"{seed} column", (4,), 0, size[1] - 1)] = 0.125
    pairs = np.array([(i, j) for i in range(n_groups) for j in (i + 1, i + 2) if j < n_groups])
    corners = integers(f"{seed} corners", (n_boxes, 2), -1, min(size) // 3)
    sides = integers(f"{seed} sides", (n_boxes, 2), min(size) // 2, min(size))
    return {
        "boxes": np.concatenate([corners, corners + sides], axis=1),
        "edges": edges,
        "groups": groups,
        "pairs": pairs,
        "affinities": dyadic(f"{seed} affinities", (len(pairs),), 0, 12, 1 / 16),
    }


def cases() -> list[Case]:
    """Return the cases."""
    crossing, inside, further = along(3, range(0, 3)), along(3, range(3, 6)), along(3, range(6, 9))  # 1.5 each
    outside: Pixels = {(19, 10): 0.5}
    odd: dict[str, Any] = {"size": (10, 10), "kappa": 0.0}
    return [
        by_hand(
            "an-enclosed-contour",
            "1.5 / (2 (16 + 16)), none of it in the centre.",
            [TWENTY],
            [inside],
            [1.5 / 64],
        ),
        by_hand(
            "an-enclosed-contour-opencv",
            "1.5 / (8 + 8)^1.5: halves of the sides, and no 2.",
            [TWENTY],
            [inside],
            [1.5 / 64],
            convention="opencv",
            kappa=1.5,
            tags=("convention",),
        ),
        by_hand(
            "touching-the-boundary",
            "The contour from column 3 to 5 of row 3: on the left side, on the top, on the right, on the bottom, "
            "enclosed but for its norm, and outside.",
            [[5, 1, 13, 9], [0, 3, 8, 11], [0, 1, 4, 5], [0, 1, 8, 3], [2, 2, 10, 10], [6, 0, 14, 8]],
            [inside],
            [0, 0, 0, 0, 1.5 / 32, 0],
            tags=("border",),
        ),
        by_hand(
            "tied-to-the-boundary",
            "Affinities of 1/2 and 1/2: the first group inside counts half, the next 1 − 1/4.",
            [TWENTY],
            [crossing, inside, further],
            [(0.75 + 1.125) / 64],
            links={(0, 1): 0.5, (1, 2): 0.5},
        ),
        by_hand(
            "the-strongest-path-may-be-longer",
            "1/4 directly, 7/8 · 7/8 = 49/64 on the way over group 1, which is found later.",
            [TWENTY],
            [crossing, inside, further],
            [(1.5 / 8 + 1.5 * 15 / 64) / 64],
            links={(0, 2): 0.25, (0, 1): 0.875, (1, 2): 0.875},
        ),
        by_hand(
            "a-stronger-tie-is-passed-on",
            "Group 3 is reached over 2 at 1/4 · 1/2; when 2 turns out to be tied by 49/64, 3 is by 49/128.",
            [TWENTY],
            [crossing, inside, further, along(3, range(9, 12))],
            [(1.5 / 8 + 1.5 * 15 / 64 + 1.5 * 79 / 128) / 64],
            links={(0, 2): 0.25, (2, 3): 0.5, (0, 1): 0.875, (1, 2): 0.875},
        ),
        by_hand(
            "weak-paths-are-cut",
            "1/8 · 3/8 = 0.047 < 0.05: the last group counts whole.",
            [TWENTY],
            [crossing, inside, further],
            [(1.5 * 7 / 8 + 1.5) / 64],
            links={(0, 1): 0.125, (1, 2): 0.375},
        ),
        by_hand(
            "paths-stay-inside",
            "Group 1, at the right of the box, ties nothing: the way from 0 to 2 leads through it.",
            [TWENTY],
            [crossing, outside, further],
            [1.5 / 64],
            links={(0, 1): 1.0, (1, 2): 1.0},
        ),
        by_hand(
            "the-centre-of-an-odd-box",
            "b = 7: from 1 + 7/4 to 1 + 21/4, the columns 3 to 6. Only the group in column 2 is left: 1/2 · 0.5.",
            [[1, 1, 8, 8]],
            [{(2, 4): 0.5}, {(6, 4): 0.25}],
            [0.25],
            **odd,
            tags=("rounding",),
        ),
        by_hand(
            "the-centre-of-an-odd-box-opencv",
            "⌊7/2⌋ = 3: from 1 + 1 to 5, the columns 2 to 5. Only the group in column 6 is left.",
            [[1, 1, 8, 8]],
            [{(2, 4): 0.5}, {(6, 4): 0.25}],
            [0.25],
            convention="opencv",
            **odd,
            tags=("rounding", "convention"),
        ),
        by_hand(
            "faint-pixels-in-the-centre",
            "0.125 in no group counts in the centre: (1 − 0.125) / 2.",
            [[0, 0, 8, 8]],
            [{(1, 1): 1.0}],
            [0.4375],
            loose={(4, 4): 0.125},
            **odd,
        ),
        by_hand(
            "faint-pixels-in-the-centre-opencv",
            "0.125 is not > min_magnitude and does not count.",
            [[0, 0, 8, 8]],
            [{(1, 1): 1.0}],
            [1.0],
            loose={(4, 4): 0.125},
            convention="opencv",
            **odd,
            tags=("convention",),
        ),
        by_hand(
            "row-zero-is-not-in-the-centre-opencv",
            "⌊3/2⌋ = 1: the centre is rows and columns 0 and 1, but what lies in row 0 or column 0 does not count.",
            [[0, 0, 3, 3]],
            [{(2, 2): 0.75}],
            [0.75],
            loose={(1, 0): 0.5, (0, 1): 0.5},
            convention="opencv",
            **odd,
            tags=("border", "convention"),
        ),
        by_hand(
            "clipped-to-the-map",
            "Columns and rows −3 … 9 are 0 … 9 of a map of 10 × 10; so the norm is 1 / (2 · 18).",
            [[-3, -3, 12, 12], [0, 0, 9, 9]],
            [{(1, 1): 0.75}],
            [0.75 / 36] * 2,
            size=(10, 10),
            tags=("border",),
        ),
        by_hand(
            "beside-the-map",
            "Right of the map, below, left, above: clipped to its last or first column or row, where all is boundary.",
            [[20, 1, 30, 17], [1, 20, 17, 30], [-9, 1, -1, 17], [1, -9, 17, -1]],
            [along(0, range(2, 5)), along(19, range(2, 5)), upright(0, range(2, 5)), upright(19, range(2, 5))],
            [0, 0, 0, 0],
            tags=("border",),
        ),
        by_hand(
            "in-the-corner-of-the-map",
            "The first column and row of the map are boundary from their first pixel on: both contours cross it.",
            [[0, 0, 16, 16]],
            [upright(2, range(0, 3)), along(2, range(0, 3))],
            [0],
            tags=("border",),
        ),
        by_hand(
            "a-group-without-pixels",
            "Group 1 is on no pixel, so in no box, and no path leads over it: what is inside counts whole.",
            [[0, 0, 16, 16]],
            [crossing, {}, further],
            [1.5 / 64],
            links={(0, 1): 1.0, (1, 2): 1.0},
            tags=("empty",),
        ),
        by_hand(
            "a-map-of-one-column",
            "A contour in its middle: all of a box is boundary.",
            [[0, 0, 0, 4], [-1, 0, 3, 6]],
            [upright(0, range(1, 4))],
            [0, 0],
            size=(5, 1),
            tags=("border",),
        ),
        by_hand(
            "a-map-of-two-columns",
            "Both columns are boundary, and none is in the centre, which goes from 1/4 to 3/4.",
            [[0, 0, 1, 2], [0, 0, 1, 3]],
            [{(1, 0): 0.5}],
            [0, 0],
            size=(4, 2),
            tags=("border", "empty"),
        ),
        by_hand(
            "a-map-without-pixels",
            "Five columns and no row: no box has a score.",
            [[0, 0, 4, 3], [1, 0, 3, 0]],
            [],
            [0, 0],
            size=(0, 5),
            tags=("empty",),
        ),
        by_hand(
            "boxes-without-extent",
            "A single pixel, and two that end before they begin.",
            [[1, 1, 1, 1], [5, 0, 3, 9], [0, 5, 9, 3]],
            [{(1, 1): 0.75}],
            [0, 0, 0],
            size=(10, 10),
            tags=("empty",),
        ),
        by_hand(
            "low-scores-are-zero",
            "(0.75 + 0.25 − 0.5)/2 is not < 0.25, and stays; the second, (0.25 − 0.75)/2, is negative.",
            [[0, 0, 8, 8], [0, 0, 4, 4]],
            [{(7, 7): 0.75}, {(1, 3): 0.25}],
            [0.25, 0],
            loose={(2, 2): 0.5},
            min_score=0.25,
            **odd,
        ),
        Case(
            "clutter",
            "Small groups in a chain of ties, faint pixels in no group, boxes that partly leave the map.",
            clutter("paper", (20, 22), 24),
            COMPARE,
            params(kappa=1.5, min_score=0.001),
        ),
        Case(
            "clutter-opencv",
            "The same under OpenCV's convention.",
            clutter("opencv", (22, 20), 24),
            COMPARE,
            params("opencv", kappa=1.5, min_score=0.01),
            tags=("convention",),
        ),
        Case(
            "no-boxes",
            "No boxes, no scores.",
            clutter("none", (12, 12), 0),
            COMPARE,
            params(),
            tags=("empty",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return small groups with dyadic affinities, so that no product comes near 0.05."""
    inputs = clutter(str(rng.integers(2**32)), (int(rng.integers(12, 24)), int(rng.integers(12, 24))), 12)
    return Case("random", "", inputs, COMPARE, params(str(rng.choice(["paper", "opencv"])), kappa=1.5))

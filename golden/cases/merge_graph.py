"""Golden cases of segmentation by merging a graph."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import merge_graph as oracle

ALGORITHM = Algorithm(
    "merge_graph",
    oracle,
    ("weights", "edges"),
    ("labels",),
    reference="Felzenszwalb & Huttenlocher (2004), sections 4 and 5",
)


def params(n_vertices: int, k: float, min_size: int = 0, comparison: str = "<=") -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"n_vertices": n_vertices, "k": k, "min_size": min_size, "comparison": comparison}


def by_hand(
    name: str,
    why: str,
    edges: list[tuple[float, int, int]],
    labels: list[int],
    k: float,
    *,
    tags: tuple[str, ...] = (),
    status_reason: str = "",
    **options: Any,
) -> Case:
    """Return a case of a few edges (weight, start, end)."""
    return Case(
        name,
        why,
        {
            "weights": np.array([w for w, _, _ in edges], np.float64),
            "edges": np.array([(v, u) for _, v, u in edges], np.int64).reshape(-1, 2),
        },
        Exact(),
        params(len(labels), k, **options),
        expected={"labels": np.array(labels, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if status_reason else "required",
        status_reason=status_reason,
    )


def grid_edges(height: int, width: int) -> np.typing.NDArray[np.int64]:
    """Return the edges of a grid with 8 neighbours: pixel by pixel right, down, down right, up right."""
    ends = [
        (row * width + column, (row + down) * width + column + right)
        for row in range(height)
        for column in range(width)
        for down, right in ((0, 1), (1, 0), (1, 1), (-1, 1))
        if 0 <= row + down < height and column + right < width
    ]
    return np.array(ends, np.int64)


def picture(name: str, why: str, size: tuple[int, int], **options: Any) -> Case:
    """Return a grey picture of random integers from 0 to 15."""
    grey = integers(name, size, 0, 15).ravel()
    edges = grid_edges(*size)
    weights = np.abs(grey[edges[:, 0]] - grey[edges[:, 1]]).astype(np.float64)
    return Case(name, why, {"weights": weights, "edges": edges}, Exact(), params(grey.size, **options))


def cases() -> list[Case]:
    """Return the cases."""
    touching = [(0.0, 0, 1), (0.0, 3, 4), (5.0, 2, 3), (5.0, 1, 2)]
    return [
        by_hand(
            "a-valley-between-two-pairs",
            "1 ≤ 0 + 2/1 merges both pairs; 5 > 1 + 2/2 keeps them apart.",
            [(1, 0, 1), (5, 1, 2), (1, 2, 3)],
            [0, 0, 1, 1],
            2,
        ),
        by_hand(
            "edges-are-sorted-by-weight",
            "Taken as given, 3 ≤ 0 + 3/1 would merge. Sorted, 1 comes first and leaves a bound of 1 + 3/2.",
            [(3, 1, 2), (1, 0, 1)],
            [0, 0, 1],
            3,
        ),
        by_hand(
            "larger-components-need-more-evidence",
            "Three vertices 2 apart have a bound of 2 + 6/3: 5 does not merge, though two would have taken 2 + 6/2.",
            [(2, 0, 1), (2, 1, 2), (5, 2, 3)],
            [0, 0, 0, 1],
            6,
        ),
        by_hand(
            "the-smaller-bound-of-the-two-counts",
            "Single vertices have a bound of 6, the pair one of 0 + 6/2 = 3: 4 does not merge, though 4 ≤ 6.",
            [(0, 0, 1), (4, 1, 2)],
            [0, 0, 1],
            6,
        ),
        by_hand(
            "the-heaviest-edge-inside-counts",
            "Both pairs are 4 apart inside and have a bound of 4 + 4/2: 5 merges them, though 5 > 4/2.",
            [(4, 0, 1), (4, 2, 3), (5, 1, 2)],
            [0, 0, 0, 0],
            4,
        ),
        by_hand(
            "weight-equal-to-the-bound-merges",
            "4 ≤ 0 + 4/1: the paper separates only what differs by more.",
            [(4, 0, 1)],
            [0, 0],
            4,
            tags=("tie", "convention"),
        ),
        by_hand(
            "weight-equal-to-the-bound-with-the-strict-comparison",
            "4 < 0 + 4/1 does not hold: scikit-image's rule.",
            [(4, 0, 1)],
            [0, 1],
            4,
            comparison="<",
            tags=("tie", "convention"),
        ),
        *(
            by_hand(
                f"k-has-the-unit-of-the-weights-{name}",
                "4 is far below 0 + 1020/1, and as much as 1020/255.",
                [(4, 0, 1)],
                [0, 0],
                1020,
                comparison=comparison,
                tags=("convention",),
            )
            for name, comparison in (("as-much", "<="), ("less", "<"))
        ),
        by_hand(
            "small-components-join-along-the-lightest-edge",
            "Vertex 2 alone is smaller than 2, and joins its neighbour at a distance of 5, not that at 6.",
            [(0, 0, 1), (6, 1, 2), (5, 2, 3), (0, 3, 4)],
            [0, 0, 1, 1, 1],
            0,
            min_size=2,
        ),
        by_hand(
            "of-equal-weights-the-first-given-takes-the-small-component",
            "Vertex 2 is 5 away from both pairs; the edge to the second pair is given first.",
            touching,
            [0, 0, 1, 1, 1],
            0,
            min_size=2,
            tags=("tie",),
        ),
        by_hand(
            "exactly-the-least-size-is-enough",
            "Two pairs, and a least size of 2.",
            [(0, 0, 1), (5, 1, 2), (0, 2, 3)],
            [0, 0, 1, 1],
            0,
            min_size=2,
            tags=("tie",),
        ),
        by_hand(
            "one-small-side-is-enough",
            "A component of 3 and one of 1, least size 3: merged, whichever end of the edge is the small one.",
            [(0, 3, 2), (0, 2, 1), (9, 1, 0)],
            [0, 0, 0, 0],
            0,
            min_size=3,
        ),
        by_hand(
            "labels-follow-the-first-vertex",
            "Whatever the order of merging: the component of vertex 0 is 0, the next new one 1.",
            [(0, 4, 1), (0, 5, 3), (1, 3, 0)],
            [0, 1, 2, 0, 1, 0],
            2,
        ),
        by_hand(
            "loops-and-repeated-edges",
            "An edge from a vertex to itself does nothing, nor does a second one between the same two.",
            [(0, 0, 0), (1, 0, 1), (1, 1, 0), (3, 0, 1), (2, 1, 2)],
            [0, 0, 1],
            1,
        ),
        by_hand(
            "nothing-to-join",
            "A small component without an edge stays as it is.",
            [],
            [0, 1, 2],
            1,
            min_size=2,
            tags=("empty",),
        ),
        by_hand("no-vertices", "An empty graph has no labels.", [], [], 1, tags=("empty",)),
        by_hand(
            "a-weight-that-is-no-number",
            "NaN is sorted last and is not ≤ anything, so that the two pairs stay apart; but for the sake of the least "
            "size it merges.",
            [(np.nan, 0, 1), (np.nan, 3, 2), (1, 4, 2), (1, 3, 5)],
            [0, 0, 1, 2, 1, 2],
            2,
            min_size=2,
            tags=("nan",),
            status_reason="many implementations assume finite weights",
        ),
        picture("picture", "A grey picture of 9 × 11 pixels: 350 edges, many of equal weight.", (9, 11), k=12),
        picture(
            "picture-with-a-least-size", "Small components go by the order of the edges.", (9, 11), k=4, min_size=5
        ),
        picture(
            "picture-strictly-compared", "k = 6: bounds such as 0 + 6/1 are met exactly.", (8, 8), k=6, comparison="<"
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return a random graph with whole weights, so that there are ties."""
    n, n_edges = int(rng.integers(1, 12)), int(rng.integers(0, 30))
    inputs = {
        "weights": rng.integers(0, 8, n_edges).astype(np.float64),
        "edges": rng.integers(0, n, (n_edges, 2)),
    }
    chosen = params(n, float(rng.integers(0, 10)), int(rng.integers(0, 4)), str(rng.choice(["<=", "<"])))
    return Case("random", "", inputs, Exact(), chosen)

"""Golden cases of hierarchical grouping."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import group_regions as oracle

ALGORITHM = Algorithm(
    "group_regions",
    oracle,
    ("sizes", "boxes", "colours", "textures", "pairs"),
    ("merges", "merged_boxes"),
    reference="Uijlings et al. (2013), Algorithm 1 and equations (1) to (6)",
)
Weights = tuple[float, float, float, float]
COLOUR, TEXTURE, SIZE, FILL = np.eye(4).tolist()


def params(weights: Any, image_area: float) -> dict[str, Any]:
    """Return the parameters, complete."""
    return {"weights": tuple(weights), "image_area": image_area}


def by_hand(
    name: str,
    why: str,
    boxes: list[list[float]],
    pairs: list[tuple[int, int]],
    merges: list[tuple[int, int]],
    unions: list[list[float]],
    *,
    weights: Any = SIZE,
    image_area: float = 16.0,
    sizes: list[int] | None = None,
    colours: list[list[float]] | None = None,
    textures: list[list[float]] | None = None,
    tags: tuple[str, ...] = (),
) -> Case:
    """Return a case of a few regions, which fill their boxes unless their `sizes` are given."""
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    nothing = np.zeros((len(corners), 0))
    return Case(
        name,
        why,
        {
            "sizes": areas.astype(np.int64) if sizes is None else np.array(sizes, np.int64),
            "boxes": corners,
            "colours": nothing if colours is None else np.array(colours),
            "textures": nothing if textures is None else np.array(textures),
            "pairs": np.array(pairs, np.int64).reshape(-1, 2),
        },
        Exact(),
        params(weights, image_area),
        expected={
            "merges": np.array(merges, np.int64).reshape(-1, 2),
            "merged_boxes": np.concatenate([corners, np.array(unions, np.float64).reshape(-1, 4)]),
        },
        source="by hand",
        tags=("hand", *tags),
    )


def row(n: int) -> list[list[float]]:
    """Return the boxes of n pixels in a row."""
    return [[float(i), 0.0, i + 1.0, 1.0] for i in range(n)]


def cases() -> list[Case]:
    """Return the cases."""
    corner = [[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0], [0.0, 2.0, 1.0, 4.0]]  # a square, one beside it, a bar below
    whole = [0.0, 0.0, 4.0, 4.0]
    red, blue, both = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
    return [
        by_hand(
            "size-takes-the-small-ones-first",
            "S_size = 1 − 6/16 for the square and the bar, 1 − 8/16 for the two squares.",
            corner,
            [(0, 1), (0, 2)],
            [(0, 2), (1, 3)],
            [[0.0, 0.0, 2.0, 4.0], whole],
        ),
        by_hand(
            "fill-takes-what-fits",
            "S_fill = 1 for the two squares, which fill the box around them, and 1 − (8 − 6)/16 for square and bar.",
            corner,
            [(0, 1), (0, 2)],
            [(0, 1), (2, 3)],
            [[0.0, 0.0, 4.0, 2.0], whole],
            weights=FILL,
        ),
        by_hand(
            "fill-measures-whole-pixels",
            "Two bars of three pixels leave 2 of the 8 in their box, the second bar and the block of five 1 of 9.",
            [[0.0, 0.0, 1.0, 3.0], [0.0, 5.0, 1.0, 8.0], [1.0, 5.0, 3.0, 8.0]],
            [(0, 1), (1, 2)],
            [(1, 2), (0, 3)],
            [[0.0, 5.0, 3.0, 8.0], [0.0, 0.0, 3.0, 8.0]],
            weights=FILL,
            image_area=64.0,
            sizes=[3, 3, 5],
            tags=("convention",),
        ),
        by_hand(
            "weights-add-up",
            "Size twice and fill once: 3 − (2 · 6 + 2)/16 for square and bar, 3 − 2 · 8/16 for the two squares.",
            corner,
            [(0, 1), (0, 2)],
            [(0, 2), (1, 3)],
            [[0.0, 0.0, 2.0, 4.0], whole],
            weights=(0.0, 0.0, 2.0, 1.0),
        ),
        by_hand(
            "colour-takes-the-like",
            "Σ min = 0 for red and blue, 1/2 for blue and the mixture of both.",
            row(3),
            [(0, 1), (1, 2)],
            [(1, 2), (0, 3)],
            [[1.0, 0.0, 3.0, 1.0], [0.0, 0.0, 3.0, 1.0]],
            weights=COLOUR,
            colours=[red, blue, both],
        ),
        by_hand(
            "texture-takes-the-like",
            "The colours say 0 and 1, the textures 1 and 2, and only they have a weight.",
            row(3),
            [(0, 1), (1, 2)],
            [(1, 2), (0, 3)],
            [[1.0, 0.0, 3.0, 1.0], [0.0, 0.0, 3.0, 1.0]],
            weights=TEXTURE,
            colours=[red, red, blue],
            textures=[red, blue, blue],
        ),
        by_hand(
            "only-neighbours-are-merged",
            "0 and 2 are alike, but only their middle touches them: of 0 in both the first pair is taken.",
            row(3),
            [(0, 1), (1, 2)],
            [(0, 1), (2, 3)],
            [[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 3.0, 1.0]],
            weights=COLOUR,
            colours=[red, blue, red],
            tags=("tie",),
        ),
        by_hand(
            "histograms-merge-by-size",
            "A bar of 3 red pixels and 1 blue one merge by their texture to (3/4, 1/4), which shares 3/4 with the red "
            "region 3 and 1/4 with the blue region 2; the plain mean would share 1/2 with both, and take region 2.",
            [[0.0, 0.0, 3.0, 1.0], [3.0, 0.0, 4.0, 1.0], [0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 2.0]],
            [(0, 1), (0, 3), (0, 2)],
            [(0, 1), (3, 4), (2, 5)],
            [[0.0, 0.0, 4.0, 1.0], [0.0, 0.0, 4.0, 2.0], [0.0, 0.0, 4.0, 2.0]],
            weights=(1.0, 2.0, 0.0, 0.0),
            colours=[red, blue, blue, red],
            textures=[red, red, blue, blue],
        ),
        by_hand(
            "ties-go-to-the-lowest-indices",
            "All four pairs of a square of pixels are alike: (0, 1) first, then the two single ones.",
            [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 2.0, 1.0], [0.0, 1.0, 1.0, 2.0], [1.0, 1.0, 2.0, 2.0]],
            [(2, 3), (1, 3), (0, 2), (0, 1)],
            [(0, 1), (2, 3), (4, 5)],
            [[0.0, 0.0, 2.0, 1.0], [0.0, 1.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.0]],
            tags=("tie",),
        ),
        by_hand(
            "a-new-region-ties-with-an-old-pair",
            "All similarities are 0. After (0, 1) → 4, the pair (1, 2) is gone; (2, 3) and (2, 4) tie, and 3 < 4.",
            row(4),
            [(0, 1), (1, 2), (2, 3)],
            [(0, 1), (2, 3), (4, 5)],
            [[0.0, 0.0, 2.0, 1.0], [2.0, 0.0, 4.0, 1.0], [0.0, 0.0, 4.0, 1.0]],
            weights=COLOUR,
            tags=("tie", "empty"),
        ),
        by_hand(
            "pairs-in-any-form",
            "Repeated, turned around, and a region with itself: the same three in a row.",
            row(3),
            [(2, 1), (1, 2), (1, 1), (1, 0), (0, 1)],
            [(0, 1), (2, 3)],
            [[0.0, 0.0, 2.0, 1.0], [0.0, 0.0, 3.0, 1.0]],
            tags=("tie",),
        ),
        by_hand(
            "two-islands",
            "Regions that do not hang together stay apart: two merges of five regions, and one that has no neighbour.",
            row(5),
            [(3, 4), (0, 1)],
            [(0, 1), (3, 4)],
            [[0.0, 0.0, 2.0, 1.0], [3.0, 0.0, 5.0, 1.0]],
            tags=("tie",),
        ),
        by_hand("one-region", "Nothing to merge; its box is the hierarchy.", row(1), [], [], []),
        by_hand("no-regions", "None in, none out.", [], [], [], [], tags=("empty",)),
        _mosaic(),
    ]


def _mosaic() -> Case:
    """Return 4 × 5 tiles of one pixel each, with random histograms of eighths, and every similarity at work."""
    height, width = 4, 5
    y, x = np.divmod(np.arange(height * width), width)
    pairs = [(i, j) for i in range(len(x)) for j in range(i) if abs(x[i] - x[j]) + abs(y[i] - y[j]) == 1]
    inputs = {
        "sizes": np.ones(len(x), np.int64),
        "boxes": np.stack([x, y, x + 1, y + 1], axis=1).astype(np.float64),
        "colours": _histograms("mosaic colours", len(x), 7),
        "textures": _histograms("mosaic textures", len(x), 11),
        "pairs": np.array(pairs, np.int64),
    }
    return Case(
        "mosaic",
        "Twenty regions with histograms, all four similarities, and no two candidates within 1e-3 of each other.",
        inputs,
        Exact(),
        params((1.0, 0.75, 0.5, 0.25), 32.0),
    )


def _histograms(seed: str, n: int, n_bins: int) -> np.typing.NDArray[np.float64]:
    """Return n histograms that hold 2¹⁰ counts each, of unequal shares."""
    cuts = np.sort(integers(seed, (n, n_bins - 1), 0, 2**10), axis=1)
    return np.diff(cuts, axis=1, prepend=0, append=2**10) / 2**10


def random_case(rng: np.random.Generator) -> Case:
    """Return a random chain of regions with random neighbours besides."""
    n = int(rng.integers(1, 10))
    corners = rng.integers(0, 20, (n, 2))
    chain = np.stack([np.arange(n - 1), np.arange(1, n)], axis=1)
    inputs = {
        "sizes": rng.integers(1, 30, n),
        "boxes": np.concatenate([corners, corners + rng.integers(1, 10, (n, 2))], axis=1).astype(np.float64),
        "colours": rng.dirichlet(np.ones(5), n),
        "textures": rng.dirichlet(np.ones(9), n),
        "pairs": np.concatenate([chain, rng.integers(0, n, (4, 2))]),
    }
    return Case("random", "", inputs, Exact(), params((1.0, 0.5, 0.25, 2.0), 900.0))

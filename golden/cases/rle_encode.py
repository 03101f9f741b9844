"""Golden cases of run-length encoding."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import rle_encode as oracle

ALGORITHM = Algorithm("rle_encode", oracle, ("mask",), ("counts",), reference="Lin et al. (2014); COCO API, maskApi.c")


def known(name: str, why: str, mask: Any, counts: list[int], *tags: str) -> Case:
    """Return a case worked out by hand."""
    return Case(
        name,
        why,
        {"mask": np.array(mask, bool)},
        Exact(),
        expected={"counts": np.array(counts, np.int64)},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    return [
        known("down-the-columns", "Columns (0 0), (0 1), (1 1): read row by row it would be 2, 1, 1, 2.",
              [[0, 0, 1], [0, 1, 1]], [3, 3], "convention"),
        known("begins-with-true", "The first run is of false pixels; here there is none of them.",
              [[1, 0], [1, 1]], [0, 2, 1, 1], "convention"),
        known("around-the-end-of-a-column", "A run goes on at the top of the next column.",
              [[0, 1, 0], [0, 1, 0], [1, 0, 1]], [2, 3, 3, 1]),
        known("all-false", "A single run, of false pixels.", np.zeros((2, 3)), [6]),
        known("all-true", "An empty run of false pixels, and one of true ones.", np.ones((2, 3)), [0, 6]),
        known("no-columns", "A mask without pixels has one run of length 0.", np.zeros((3, 0)), [0], "empty"),
        Case("blots", "Many runs of several lengths.", {"mask": integers("rle blots", (9, 13), 0, 2) > 0}, Exact()),
    ]  # fmt: skip


def random_case(rng: np.random.Generator) -> Case:
    """Return a random mask."""
    return Case("random", "", {"mask": rng.random((7, 5)) < 0.4}, Exact())

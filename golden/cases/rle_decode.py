"""Golden cases of decoding run lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import integers
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import rle_decode as oracle

ALGORITHM = Algorithm("rle_decode", oracle, ("counts",), ("mask",), reference="Lin et al. (2014); COCO API, maskApi.c")


def known(name: str, why: str, counts: list[int], mask: Any, *tags: str) -> Case:
    """Return a case worked out by hand."""
    expected = np.array(mask, bool)
    return Case(
        name,
        why,
        {"counts": np.array(counts, np.int64)},
        Exact(),
        {"size": expected.shape},
        expected={"mask": expected},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    lengths = integers("rle lengths", (20,), 1, 5)
    return [
        known("down-the-columns", "Three pixels are false, three are true: the columns are (0 0), (0 1), (1 1).",
              [3, 3], [[0, 0, 1], [0, 1, 1]], "convention"),
        known("begins-with-true", "A first run of length 0.", [0, 2, 1, 1], [[1, 0], [1, 1]], "convention"),
        known("empty-runs", "Runs of length 0 in the middle and at the end: they change the colour, twice or for good.",
              [1, 2, 0, 1, 2, 0], [[0, 1, 0], [1, 1, 0]], "empty"),
        known("all-false", "A single run.", [6], np.zeros((2, 3))),
        known("no-rows", "A mask without pixels.", [0], np.zeros((0, 3)), "empty"),
        Case("many-runs", "Twenty runs, and a last one that fills up 9 × 10.",
             {"counts": np.append(lengths, 90 - lengths.sum())}, Exact(), {"size": (9, 10)}),
    ]  # fmt: skip


def random_case(rng: np.random.Generator) -> Case:
    """Return random runs of a mask of random width."""
    counts = rng.integers(0, 5, 12)
    counts[-1] += -counts.sum() % 6
    return Case("random", "", {"counts": counts}, Exact(), {"size": (6, int(counts.sum()) // 6)})

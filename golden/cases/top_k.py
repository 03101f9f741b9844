"""Golden cases of the k best scores."""

from __future__ import annotations

import numpy as np

from golden.cases._detections import tied_scores
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import top_k as oracle

ALGORITHM = Algorithm("top_k", oracle, ("scores",), ("indices",), reference="decks 001 and 002: the top 300 proposals")


def by_hand(
    name: str, why: str, scores: list[float], k: int, indices: list[int], *tags: str, optional: str = ""
) -> Case:
    """Return a case of a few scores."""
    return Case(
        name,
        why,
        {"scores": np.array(scores, np.float64)},
        Exact(),
        {"k": k},
        expected={"indices": np.array(indices, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    return [
        by_hand("descending", "The best first.", [0.25, 0.75, 0.5], 2, [1, 2]),
        by_hand(
            "ties-lowest-index-first",
            "A descending sort made by reversing an ascending one would give 3, 1.",
            [0.25, 0.5, 0.25, 0.5, 0.5],
            2,
            [1, 3],
            "tie",
        ),
        by_hand("fewer-than-k", "There are not more than three to take.", [0.25, 0.75, 0.5], 300, [1, 2, 0], "empty"),
        by_hand("k-is-zero", "Nothing is taken.", [0.25, 0.75], 0, [], "empty"),
        by_hand("no-scores", "Nothing in, nothing out.", [], 3, [], "empty"),
        by_hand("zeros-of-either-sign-are-a-tie", "−0 = 0.", [-0.0, 0.0, -1.0], 3, [0, 1, 2], "tie"),
        by_hand(
            "nan-last",
            "Behind −∞, in the order of their indices.",
            [nan, 0.5, -inf, nan, inf],
            5,
            [4, 1, 2, 0, 3],
            "nan",
            "inf",
            "tie",
            optional="torch sorts NaN first; most implementations assume finite scores",
        ),
        Case(
            "200-with-ties",
            "Scores in sixteenths, the best 50 of 200.",
            {"scores": tied_scores("top k", 200)},
            Exact(),
            {"k": 50},
            tags=("tie",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random scores in float64, with ties."""
    return Case("random", "", {"scores": rng.integers(0, 8, 30) / 8}, Exact(), {"k": int(rng.integers(0, 40))})

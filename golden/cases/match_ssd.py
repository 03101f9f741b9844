"""Golden cases of the matching of SSD's default boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.cases._numbers import distinct, dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import match_ssd as oracle

ALGORITHM = Algorithm(
    "match_ssd", oracle, ("iou",), ("matches",), reference="Liu et al. (2016), section 2.2, matching strategy"
)


def params(threshold: float = 0.5, min_overlap: float = 1e-6, convention: str = "caffe") -> dict[str, Any]:
    """Return the parameters, complete, with the plain ones as defaults."""
    return {"threshold": threshold, "min_overlap": min_overlap, "convention": convention}


def by_hand(name: str, why: str, iou: Any, matches: list[int], *tags: str, optional: str = "", **options: Any) -> Case:
    """Return a case of a few priors, one per row of `iou`."""
    return Case(
        name,
        why,
        {"iou": np.array(iou, np.float64)},
        Exact(),
        params(**options),
        expected={"matches": np.array(matches, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
    )


def cases() -> list[Case]:
    """Return the cases."""
    nan = np.nan
    rivals = [[0.8125, 0.625], [0.125, 0.25], [0.5625, 0.0]]
    untouched = [[0.0, 0.75], [0.0, 0.25]]
    return [
        by_hand(
            "rivals-bipartite",
            "Both ground truths overlap prior 0 most. It goes to the first, the better pair, and the second makes do "
            "with prior 1; then prior 2 reaches the threshold.",
            rivals,
            [0, 1, 0],
            "convention",
        ),
        by_hand(
            "rivals-later-overwrites",
            "The second ground truth takes prior 0 away; the first keeps prior 2, and prior 1 is background.",
            rivals,
            [1, -1, 0],
            "convention",
            convention="torchvision",
        ),
        by_hand(
            "threshold-included",
            "IoU 1/2 equals the threshold: prior 1 is matched; prior 2 is not.",
            [[0.75], [0.5], [0.4375]],
            [0, 0, -1],
            "tie",
        ),
        by_hand(
            "threshold-included-torchvision",
            "The same there.",
            [[0.75], [0.5], [0.4375]],
            [0, 0, -1],
            "tie",
            convention="torchvision",
        ),
        by_hand(
            "below-the-threshold-each-ground-truth-has-a-prior",
            "No overlap reaches 1/2, and yet both ground truths get one.",
            [[0.25, 0.125], [0.1875, 0.375], [0.125, 0.0]],
            [0, 1, -1],
        ),
        by_hand(
            "a-ground-truth-that-nothing-touches-bipartite",
            "0 is not > 10⁻⁶: ground truth 0 remains without a prior.",
            untouched,
            [1, -1],
            "kink",
            "convention",
        ),
        by_hand(
            "a-ground-truth-that-nothing-touches-later-overwrites",
            "Ground truth 0 takes prior 0, the first of equals; ground truth 1, which comes later, takes it back.",
            untouched,
            [1, -1],
            "kink",
            "convention",
            convention="torchvision",
        ),
        by_hand(
            "an-untouched-ground-truth-takes-a-prior-away",
            "With the columns exchanged it comes later, and the ground truth that fits prior 0 loses it.",
            [[0.75, 0.0], [0.25, 0.0]],
            [1, -1],
            "kink",
            "convention",
            convention="torchvision",
        ),
        by_hand(
            "least-overlap-is-excluded",
            "An IoU equal to min_overlap is not enough.",
            [[0.0, 0.125], [0.25, 0.0]],
            [-1, 0],
            "tie",
            min_overlap=0.125,
        ),
        by_hand(
            "ties-in-row-major-order",
            "All six pairs are equal: prior 0 with ground truth 0 comes first, and prior 2 goes away empty-handed.",
            [[0.25, 0.25], [0.25, 0.25], [0.25, 0.25]],
            [0, 1, -1],
            "tie",
        ),
        by_hand(
            "more-ground-truths-than-priors",
            "One prior, two ground truths: the better pair.",
            [[0.25, 0.375]],
            [1],
        ),
        by_hand(
            "nan-counts-as-zero",
            "A NaN is no overlap.",
            [[nan, 0.25], [0.5, nan]],
            [1, 0],
            "nan",
            "convention",
            optional="most implementations assume finite overlaps",
        ),
        by_hand("no-ground-truth", "All background.", np.zeros((3, 0)), [-1, -1, -1], "empty"),
        by_hand(
            "no-ground-truth-torchvision",
            "All background.",
            np.zeros((3, 0)),
            [-1, -1, -1],
            "empty",
            convention="torchvision",
        ),
        by_hand("no-priors", "Nothing in, nothing out.", np.zeros((0, 2)), [], "empty"),
        by_hand(
            "no-priors-torchvision",
            "Two ground truths, and no prior that they could take.",
            np.zeros((0, 2)),
            [],
            "empty",
            convention="torchvision",
        ),
        *(
            Case(
                f"sixteenths-{convention}",
                "60 priors and 8 ground truths, overlaps in sixteenths: many ties.",
                {"iou": dyadic("match_ssd", (60, 8), 0, 10, 1 / 16)},
                Exact(),
                params(convention=convention),
                tags=("tie", "dyadic"),
            )
            for convention in ("caffe", "torchvision")
        ),
        Case(
            "all-different",
            "20 ground truths compete for 30 priors without any tie.",
            {"iou": distinct("match_ssd", (30, 20), 1 / 1024)},
            Exact(),
            params(),
            tags=("dyadic",),
        ),
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random overlaps in float64, in eighths."""
    chosen = params(convention=str(rng.choice(["caffe", "torchvision"])))
    return Case("random", "", {"iou": rng.integers(0, 7, (10, 4)) / 8}, Exact(), chosen)

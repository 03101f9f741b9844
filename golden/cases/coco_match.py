"""Golden cases of the matching of detections and ground truths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.cases._numbers import dyadic
from refdet.verify.case import Algorithm, Case, Exact
from tests.oracles import coco_match as oracle

ALGORITHM = Algorithm(
    "coco_match",
    oracle,
    ("iou", "ignored", "crowd"),
    ("matches", "taken"),
    reference="Lin et al. (2014); COCO API, cocoeval.py",
)


def known(
    name: str,
    why: str,
    iou: Any,
    matches: Any,
    taken: Any,
    *tags: str,
    ignored: Any = (),
    crowd: Any = (),
    thresholds: tuple[float, ...] = (0.5,),
    dtypes: Mapping[str, str] | None = None,
) -> Case:
    """Return a case worked out by hand; `ignored` and `crowd` list columns."""
    overlaps = np.array(iou, np.float64)
    columns = np.arange(overlaps.shape[1])
    return Case(
        name,
        why,
        {"iou": overlaps, "ignored": np.isin(columns, ignored), "crowd": np.isin(columns, crowd)},
        Exact(),
        {"thresholds": thresholds},
        expected={"matches": np.array(matches, np.int64), "taken": np.array(taken, np.int64)},
        source="by hand",
        tags=("hand", *tags),
        dtypes={} if dtypes is None else dtypes,
    )


def cases() -> list[Case]:
    """Return the cases."""
    flags = np.array([False, False, False, False, True, True, True])
    return [
        known("first-come", "Both prefer column 0; the second has to make do with column 1, or nothing at 3/4.",
              [[0.875, 0], [0.8125, 0.625]], [[0, 1], [0, -1]], [[0, 1], [0, -1]], thresholds=(0.5, 0.75)),
        known("remaining-only", "The second overlaps best what is taken, and falls back on what is left.",
              [[1.0, 0.5625], [0.8125, 0.6875]], [[0, 1]], [[0, 1]], "convention"),
        known("threshold-is-enough", "An IoU equal to the threshold matches; the float below it does not.",
              [[0.5], [0.0]], [[0, -1]], [[0]], "convention"),
        known("threshold-zero-beside-what-is-taken", "Two columns of 0, which is enough for threshold 0: the second "
              "detection matches the one that is left.",
              [[0, 0], [0, 0]], [[1, 0]], [[1, 0]], "tie", thresholds=(0.0,)),
        known("just-below", "The float before the threshold.", [[0.5 - 2.0**-25]], [[-1]], [[-1]], "convention"),
        known("tie-goes-to-the-last", "Of equal overlaps the last column wins, then the one before it.",
              [[0.75, 0.75, 0.5]] * 2, [[1, 0]], [[1, 0, -1]], "tie", "convention"),
        known("counted-before-ignored", "Column 1 overlaps better but is ignored: column 0 is enough, so it wins.",
              [[0.5, 1.0], [0.5, 1.0], [0.5, 1.0]], [[0, 1, -1]], [[0, 1]], "convention", ignored=[1]),
        known("ignored-is-taken-once", "An ignored ground truth that is no crowd matches one detection.",
              [[0.75], [0.75]], [[0, -1]], [[0]], "convention", ignored=[0]),
        known("crowd-is-shared", "A crowd matches any number; the last one stands in `taken`.",
              [[0.25, 0.875], [0.75, 0.875], [0.75, 0.875]], [[1, 0, 1]], [[1, 2]], "convention", ignored=[1],
              crowd=[1]),
        known("crowd-that-counts", "A crowd that is not ignored competes with the others, again and again.",
              [[0.75, 0.875], [0.75, 0.875], [0.75, 0.5]], [[1, 1, 0]], [[2, 1]], "convention", crowd=[1]),
        known("threshold-one", "It is lowered by 10⁻¹⁰: 1 matches, the float32 before it does not.",
              [[1.0], [1 - 2.0**-24]], [[0, -1]], [[0]], thresholds=(1.0,)),
        known("rounding-below-one", "In float64 an IoU 2⁻³⁴ = 6 · 10⁻¹¹ below 1 is enough for the threshold 1.",
              [[0, 1 - 2.0**-34, 0], [0, 0, 1]], [[1, 2]], [[-1, 0, 1]], "rounding", "convention", thresholds=(1.0,),
              dtypes={"iou": "float64"}),
        known("threshold-zero", "Overlap 0 is enough for 0.", [[0.0]], [[0]], [[0]], "border", thresholds=(0.0,)),
        known("nan", "NaN is never enough.", [[np.nan, 0.5], [np.nan, np.nan]], [[1, -1]], [[-1, 0]], "nan"),
        known("no-ground-truths", "Nothing to match.", np.zeros((2, 0)), [[-1, -1]], np.zeros((1, 0)), "empty"),
        known("no-detections", "Nothing is taken.", np.zeros((0, 2)), np.zeros((1, 0)), [[-1, -1]], "empty"),
        Case("crowded", "Twelve detections, seven ground truths, three of them ignored, one of these a crowd; ten "
             "thresholds, many ties.",
             {"iou": dyadic("coco match", (12, 7), 0, 16, 2.0**-4), "ignored": flags,
              "crowd": np.array([False] * 6 + [True])},
             Exact(), {"thresholds": tuple(k / 16 for k in range(6, 16))}, tags=("tie",)),
    ]  # fmt: skip


def random_case(rng: np.random.Generator) -> Case:
    """Return random overlaps, the ignored ground truths last."""
    iou = rng.integers(0, 9, (8, 5)) / 8
    ignored = np.arange(5) >= rng.integers(2, 6)
    return Case(
        "random",
        "",
        {"iou": iou, "ignored": ignored, "crowd": rng.random(5) < 0.3},
        Exact(),
        {"thresholds": (0.5, 0.75)},
    )

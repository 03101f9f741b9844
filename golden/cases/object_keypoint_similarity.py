"""Golden cases of the similarity of keypoints."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._numbers import dyadic, integers
from refdet.core.check import Array
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import object_keypoint_similarity as oracle

ALGORITHM = Algorithm(
    "object_keypoint_similarity",
    oracle,
    ("detections", "ground_truths", "boxes_xywh", "areas"),
    ("oks",),
    reference="cocodataset.org/#keypoints-eval; COCO API, cocoeval.py; deck 002",
)
# e is rounded by about six operations, and exp(−e) has e times that relative error; here e is at most 10
EXPONENTIAL = Ulp(64, 1e-9)
COCO_SIGMAS = tuple(s / 100 / 10 for s in (26, 25, 25, 35, 35, 79, 79, 72, 72, 62, 62, 107, 107, 87, 87, 89, 89))


def known(
    name: str,
    why: str,
    detection: Any,
    truth: Any,
    oks: float,
    *tags: str,
    box: Any = (0, 0, 4, 4),
    area: float = 2.0,
    compare: Compare = EXPONENTIAL,
) -> Case:
    """Return one detection and one ground truth with (2σ)² = 1, worked out by hand."""
    return Case(
        name,
        why,
        {
            "detections": np.array([detection], np.float64),
            "ground_truths": np.array([truth], np.float64),
            "boxes_xywh": np.array([box], np.float64),
            "areas": np.array([area], np.float64),
        },
        compare,
        {"sigmas": (0.5,) * len(detection)},
        expected={"oks": np.array([[oks]])},
        source="by hand",
        tags=("hand", *tags),
    )


def cases() -> list[Case]:
    """Return the cases."""
    return [
        known("met", "Every keypoint is where it should be.", [[1, 2, 0], [3, 4, 0]], [[1, 2, 2], [3, 4, 1]], 1.0,
              compare=Exact()),
        known("one-off", "The second is off by 2 in y: e = 4/1/2/2 = 1.", [[5, 5, 1], [8, 9, 1]],
              [[5, 5, 2], [8, 7, 2]], (1 + math.exp(-1)) / 2),
        known("only-labelled", "The second keypoint has visibility 0: where it was detected does not count.",
              [[5, 5, 1], [80, 9, 1]], [[5, 5, 2], [0, 0, 0]], 1.0, "convention", compare=Exact()),
        known("hidden-counts", "Visibility 1 is labelled but hidden, and counts: off by (6, 8), e = 100/1/10/2 = 5.",
              [[5, 5, 1], [8, 9, 1]], [[5, 5, 2], [2, 1, 1]], (1 + math.exp(-5)) / 2, "convention", area=10.0),
        known("far-away", "A keypoint that is nowhere near adds nothing: half is found.",
              [[5, 5, 1], [1000, 9, 1]], [[5, 5, 2], [8, 7, 2]], 0.5, "dyadic", compare=Exact()),
        known("none-labelled-inside", "Without a label, anywhere within [−4, 8]², three times the box, is right.",
              [[-4, 8, 1], [8, -4, 1]], np.zeros((2, 3)), 1.0, "convention", "border", compare=Exact()),
        known("none-labelled-outside", "Without a label: 2 beyond the left, 2 beyond the bottom, e = 1 for each.",
              [[-6, 0, 1], [0, 10, 1]], np.zeros((2, 3)), math.exp(-1), "convention"),
        known("no-area", "Without area, a keypoint that is met counts as met, any other as missed.",
              [[5, 5, 1], [8, 8, 1]], [[5, 5, 2], [8, 7, 2]], 0.5, "border", area=0.0, compare=Exact()),
        known("one-keypoint", "A single keypoint, met.", [[1, 2, 0]], [[1, 2, 2]], 1.0, compare=Exact()),
        Case("persons", "Three detections and four persons of seventeen keypoints, one of them without labels.",
             persons(), EXPONENTIAL, {"sigmas": COCO_SIGMAS}),
        Case("no-detections", "Shape (0, 4).", {**persons(), "detections": np.zeros((0, 17, 3))}, Exact(),
             {"sigmas": COCO_SIGMAS}, tags=("empty",)),
        Case("no-ground-truths", "Shape (3, 0).",
             {"detections": persons()["detections"], "ground_truths": np.zeros((0, 17, 3)),
              "boxes_xywh": np.zeros((0, 4)), "areas": np.zeros(0)}, Exact(), {"sigmas": COCO_SIGMAS}, tags=("empty",)),
    ]  # fmt: skip


def persons() -> dict[str, Array]:
    """Return detections that are up to 8 pixels off, of persons of about 100 × 100."""
    truths = np.concatenate(
        [dyadic("oks", (4, 17, 2), 0, 12, 0.5), integers("oks visible", (4, 17, 1), 0, 2).astype(np.float64)], axis=2
    )
    truths[3, :, 2] = 0
    detections = np.concatenate([dyadic("oks found", (3, 17, 2), 0, 16, 0.5), np.zeros((3, 17, 1))], axis=2)
    boxes = np.array([[0.0, 0, 100, 100], [10, 10, 90, 110], [5, 0, 120, 80], [1, 2, 3, 1]])
    return {
        "detections": detections,
        "ground_truths": truths,
        "boxes_xywh": boxes,
        "areas": np.array([9000.0, 7000, 8192, 4096]),
    }


def random_case(rng: np.random.Generator) -> Case:
    """Return random poses of three keypoints."""
    truths = rng.uniform(0, 5, (4, 3, 3))
    truths[:, :, 2] = rng.integers(0, 3, (4, 3))
    arrays = {
        "detections": rng.uniform(0, 5, (3, 3, 3)),
        "ground_truths": truths,
        "boxes_xywh": rng.uniform(0, 2, (4, 4)),
        "areas": rng.uniform(5, 9, 4),
    }
    return Case("random", "", arrays, EXPONENTIAL, {"sigmas": (0.5, 1.0, 0.75)})

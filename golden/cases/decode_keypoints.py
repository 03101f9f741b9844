"""Golden cases of joints from maps of logits."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._joint_maps import map_of, soft_maps, some_boxes
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import decode_keypoints as oracle

ALGORITHM = Algorithm(
    "decode_keypoints",
    oracle,
    ("logits", "boxes"),
    ("joints", "joint_scores"),
    reference="He et al. (2017), section 5; code of Detectron, Detectron2 and torchvision",
)
CONVENTIONS = ("torchvision", "detectron2", "detectron1")
# Joints are sums of numbers below 64; a score is a sum of 16 products, or of exponentials of such.
CLOSE: dict[str, Compare] = {"joints": Ulp(4, 2.0**-18), "joint_scores": Ulp(256, 2.0**-18)}
E = math.e


def by_hand(
    name: str,
    why: str,
    maps: list[list[Any]],
    boxes: list[list[float]],
    joints: list[list[list[float]]],
    scores: list[list[float]],
    *tags: str,
    convention: str = "torchvision",
    compare: Compare | dict[str, Compare] | None = None,
    undefined: str = "",
) -> Case:
    """Return a case of a few maps whose largest logits can be seen."""
    return Case(
        name,
        why,
        {"logits": np.array(maps, np.float64), "boxes": np.array(boxes, np.float64)},
        Exact() if compare is None else compare,
        {"convention": convention},
        expected={"joints": np.array(joints, np.float64), "joint_scores": np.array(scores, np.float64)},
        source="by hand",
        tags=("hand", *tags),
        status="undefined" if undefined else "required",
        status_reason=undefined,
    )


def cases() -> list[Case]:
    """Return the cases."""
    peaks = [map_of(4, {(1, 2): 2.0}), map_of(4, {(3, 0): 1.0, (0, 0): 0.5})]
    places = [[[5.5, 7.5], [3.5, 9.5]]]
    between = 8 * keys(1 / 3) + 7 * keys(2 / 3)
    bright = 225 / 256  # of Keys' kernel with a = −3/4, a quarter of a pixel away
    return [
        by_hand(
            "as-large-as-the-map",
            "A box of 4 × 4 pixels for 4 × 4 places: nothing is resized, and the joint is in the middle of its place.",
            [peaks],
            [[3, 6, 7, 10]],
            places,
            [[2, 1]],
            "dyadic",
        ),
        *(
            by_hand(
                f"as-large-as-the-map-{convention}",
                "Both softmaxes are the same where nothing is resized.",
                [peaks],
                [[3, 6, 7, 10]],
                places,
                [[E**2 / (E**2 + 15), E / (E + math.sqrt(E) + 14)]],
                "convention",
                convention=convention,
                compare={"joints": Exact(), "joint_scores": Ulp(64, 0.0)},
            )
            for convention in CONVENTIONS[1:]
        ),
        by_hand(
            "the-first-of-equal-logits",
            "Row by row: (0, 3) comes before (1, 0), and (2, 1) before (2, 2). All equal: the very first.",
            [[map_of(4, {(1, 0): 2.0, (0, 3): 2.0}), map_of(4, {(2, 2): 1.0, (2, 1): 1.0}), map_of(4, {}, -1.0)]],
            [[0, 0, 4, 4]],
            [[[3.5, 0.5], [1.5, 2.5], [0.5, 0.5]]],
            [[2, 1, -1]],
            "tie",
            "dyadic",
        ),
        by_hand(
            "twice-as-large",
            "One bright place: of the four pixels around its middle, all equally bright, the upper left.",
            [[map_of(4, {(1, 2): 1.0})]],
            [[10, 20, 18, 28]],
            [[[14.5, 22.5]]],
            [[bright**2]],
            "dyadic",
            "tie",
            compare={"joints": Exact(), "joint_scores": Ulp(4, 0.0)},
        ),
        by_hand(
            "between-two-places",
            "Two bright places side by side, three pixels each: the last pixel of the brighter one, a third of a place "
            "towards the other, is brighter than the map is anywhere.",
            [[map_of(4, {(1, 1): 8.0, (1, 2): 7.0})]],
            [[0, 0, 12, 4]],
            [[[5.5, 1.5]]],
            [[between]],
            "convention",
            compare=CLOSE,
        ),
        by_hand(
            "a-score-above-one",
            "The logits before resizing are below the largest after it, so far that their sum is less.",
            [[map_of(4, {(1, 1): 8.0, (1, 2): 7.0})]],
            [[0, 0, 12, 4]],
            [[[5.5, 1.5]]],
            [[1 / (math.exp(8 - between) + math.exp(7 - between) + 14 * math.exp(-between))]],
            "convention",
            convention="detectron2",
            compare=CLOSE,
        ),
        by_hand(
            "sides-rounded-up",
            "A box of 3½ × 2¼ pixels is looked at in 4 × 3, each of which is ⅞ × ¾ of a pixel.",
            [[map_of(4, {(2, 3): 4.0})]],
            [[1, 2, 4.5, 4.25]],
            [[[1 + 3.5 * 0.875, 2 + 1.5 * 0.75]]],
            [[4 * (keys(1 / 2))]],
            "rounding",
            compare=CLOSE,
        ),
        by_hand(
            "one-and-a-half-pixels",
            "A side above 1 is as long as it is: 2 pixels of ¾.",
            [[map_of(4, {(2, 2): 4.0})]],
            [[1, 2, 2.5, 6]],
            [[[1 + 1.5 * 0.75, 2 + 2.5]]],
            [[4 * keys(1 / 2)]],
            "rounding",
            compare=CLOSE,
        ),
        by_hand(
            "thinner-than-a-pixel",
            "A box of ¼ × 4 is taken for 1 × 4: the joint is half a pixel from its left edge, outside.",
            [[map_of(4, {(2, 1): 4.0})]],
            [[5, 3, 5.25, 7]],
            [[[5.5, 5.5]]],
            [[4 * keys(1 / 2)]],
            "convention",
            compare=CLOSE,
        ),
        by_hand(
            "without-area-or-malformed",
            "A point, and a box that ends before it begins: one pixel, which reads the middle of the map.",
            [[map_of(4, {(1, 1): 4.0})]] * 2,
            [[5, 3, 5, 3], [5, 3, 1, 1]],
            [[[5.5, 3.5]], [[5.5, 3.5]]],
            [[4 * keys(1 / 2) ** 2]] * 2,
            "empty",
            compare=CLOSE,
        ),
        by_hand(
            "fewer-pixels-than-places",
            "8 × 8 places for 4 × 4 pixels: the four around a pixel's middle are read, and the four beyond each; no "
            "wider kernel.",
            [[map_of(8, {(2, 4): 4.0})]],
            [[0, 0, 4, 4]],
            [[[2.5, 1.5]]],
            [[4 * keys(1 / 2) ** 2]],
            compare=CLOSE,
        ),
        by_hand(
            "large-logits",
            "Their exponentials overflow unless the largest is subtracted.",
            [[map_of(4, {(1, 2): 2000.0, (2, 2): 1999.0}, -2000.0)]],
            [[0, 0, 4, 4]],
            [[[2.5, 1.5]]],
            [[E / (E + 1)]],
            "overflow",
            convention="detectron2",
            compare={"joints": Exact(), "joint_scores": Ulp(64, 0.0)},
        ),
        by_hand(
            "nan-is-the-largest",
            "Nothing is resized but by weights of 0, which leave every pixel beside a NaN NaN: the first of them.",
            [[map_of(4, {(2, 2): np.nan, (0, 0): 9.0})]],
            [[0, 0, 4, 4]],
            [[[0.5, 0.5]]],
            [[np.nan]],
            "nan",
            undefined="a maximum with NaN, and 0 · NaN",
        ),
        by_hand(
            "boxes-that-are-not-finite",
            "No size to look at the map in.",
            [[map_of(4, {(1, 1): 1.0})]] * 2,
            [[np.nan, 0, 4, 4], [0, 0, 4, np.inf]],
            [[[np.nan, np.nan]]] * 2,
            [[np.nan]] * 2,
            "nan",
            "inf",
            undefined="detectors drop such boxes before",
        ),
        Case(
            "no-detections",
            "None in, none out.",
            {"logits": np.zeros((0, 3, 4, 4)), "boxes": np.zeros((0, 4))},
            Exact(),
            {"convention": "torchvision"},
            expected={"joints": np.zeros((0, 3, 2)), "joint_scores": np.zeros((0, 3))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        Case(
            "no-joints",
            "Detections of something that has no joints.",
            {"logits": np.zeros((2, 0, 4, 4)), "boxes": np.array([[0.0, 0, 4, 4]] * 2)},
            Exact(),
            {"convention": "detectron2"},
            expected={"joints": np.zeros((2, 0, 2)), "joint_scores": np.zeros((2, 0))},
            source="by hand",
            tags=("hand", "empty"),
        ),
        *(
            Case(
                f"seven-by-seven-{convention}",
                "Maps of 7 × 7 in boxes that are larger, smaller, and longer one way than the other; the largest "
                "logit is the largest by a hundredth at least.",
                {"logits": soft_maps("decode"), "boxes": some_boxes()},
                CLOSE,
                {"convention": convention},
                tags=("convention",),
            )
            for convention in CONVENTIONS
        ),
    ]


def keys(distance: float) -> float:
    """Return Keys' kernel with a = −3/4, for distances up to 1."""
    return 1.25 * distance**3 - 2.25 * distance**2 + 1


def random_case(rng: np.random.Generator) -> Case:
    """Return smooth maps and boxes of fractional sizes."""
    m, y = int(rng.integers(2, 7)), np.arange(8.0)
    centres = rng.uniform(0, m - 1, (2, 2, 2))
    squares = (y[:m, None] - centres[..., :1, None]) ** 2 + (y[:m] - centres[..., 1:, None]) ** 2
    start = rng.uniform(-4, 8, (2, 2))
    boxes = np.concatenate([start, start + rng.uniform(-0.5, 12, (2, 2))], axis=1)
    inputs = {"logits": 3 - squares + rng.normal(0, 0.25, (2, 2, m, m)), "boxes": boxes}
    return Case("random", "", inputs, CLOSE, {"convention": str(rng.choice(CONVENTIONS))})

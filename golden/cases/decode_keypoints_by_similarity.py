"""Golden cases of joints where the expected similarity is largest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.cases._joint_maps import map_of, soft_maps, some_boxes
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import decode_keypoints_by_similarity as oracle

ALGORITHM = Algorithm(
    "decode_keypoints_by_similarity",
    oracle,
    ("logits", "boxes", "areas"),
    ("joints", "joint_scores"),
    reference="Purkrabek and Matas (CVPR 2025), section 3; COCO API, cocoeval.py",
)
# Middles below 64 are off by 2⁻¹⁹ in float32; that of two places, half a pixel apart or more, changes exp(−e) by no
# more than 2⁻¹⁶ e exp(−e) < 2⁻¹⁷.
CLOSE: dict[str, Compare] = {"joints": Ulp(4, 2.0**-18), "joint_scores": Ulp(256, 0.0)}
# By hand the middles are exact in any order of operations, and a score is a few exponentials of small numbers.
BY_HAND: dict[str, Compare] = {"joints": Exact(), "joint_scores": Ulp(64, 0.0)}
NOWHERE = -1000.0  # far enough below the rest for a probability of 0
CLEAR = 1e-6  # by how much, relatively, the largest E is larger than that of any other place
E = math.e
NAN, INF = math.nan, math.inf


def by_hand(
    name: str,
    why: str,
    maps: list[list[Any]],
    boxes: list[list[float]],
    areas: list[float],
    joints: list[list[list[float]]],
    scores: list[list[float]],
    *tags: str,
    sigmas: tuple[float, ...] = (0.5,),
    finer: int = 1,
    compare: Compare | Mapping[str, Compare] = BY_HAND,
    undefined: str = "",
) -> Case:
    """Return a case of few places that a joint may be in; (2σ)² = 1 unless another σ is given."""
    return Case(
        name,
        why,
        {
            "logits": np.array(maps, np.float64),
            "boxes": np.array(boxes, np.float64),
            "areas": np.array(areas, np.float64),
        },
        compare,
        {"sigmas": sigmas, "finer": finer},
        expected={"joints": np.array(joints, np.float64), "joint_scores": np.array(scores, np.float64)},
        source="by hand",
        tags=("hand", *tags),
        status="undefined" if undefined else "required",
        status_reason=undefined,
    )


def cases() -> list[Case]:
    """Return the cases."""
    q = math.exp(0.25)
    ends = map_of(4, {(1, 0): 0.25, (1, 1): 0.0, (1, 2): 0.25}, NOWHERE)
    apart = map_of(8, {(2, 0): 0.25, (2, 4): 0.0}, NOWHERE)
    rows = map_of(4, {(0, 0): 0.0, (0, 1): 0.0, (0, 2): 0.0, (1, 3): 0.25, (2, 3): 0.25, (3, 3): 0.25}, NOWHERE)
    high = map_of(4, {(1, 2): 2000.0, (2, 2): 1999.0}, -2000.0)
    low = map_of(4, {(3, 1): -3000.0, (3, 0): -3001.0}, -9000.0)
    lower_right = map_of(4, {(2, 3): 0.0}, NOWHERE)
    nearest, farthest = (q + math.exp(-16)) / (q + 1), math.exp(-4 / 1024)
    four, eight, whole = [0.0, 0, 4, 4], [0.0, 0, 8, 8], [3.0, 6, 7, 10]
    return [
        by_hand(
            "one-sure-place",
            "All the probability in one place: its middle, and a similarity of 1, in boxes of 4 × 4 and 8 × 2.",
            [[map_of(4, {(1, 2): 0.0}, NOWHERE), map_of(4, {(3, 0): 5.0}, NOWHERE)]] * 2,
            [whole, [1, 2, 9, 4]],
            [16, 16],
            [[[5.5, 7.5], [3.5, 9.5]], [[6, 2.75], [2, 3.75]]],
            [[1, 1]] * 2,
            "dyadic",
            sigmas=(0.5, 0.125),
            compare=Exact(),
        ),
        by_hand(
            "between-two-likelier-ends",
            "With an area of ½ a pixel away is worth exp(−1). Of three places side by side the ends have the larger "
            "logits, ¼ and ¼ beside 0; yet the middle expects 1 + 2 e^¼/e = 1.94 parts of 1 + 2 e^¼, and an end only "
            "e^¼ + 1/e + e^¼/e⁴ = 1.68.",
            [[ends]],
            [whole],
            [0.5],
            [[[4.5, 7.5]]],
            [[(1 + 2 * q / E) / (1 + 2 * q)]],
            "convention",
        ),
        by_hand(
            "three-times-finer",
            "Places 3 pixels apart, a neighbour worth exp(−1), and a joint said to be a multiple of 1 pixel from their "
            "middles. Of logits ¼ and 0 side by side it is a pixel from the first: e^¼ · exp(−1/9) + exp(−4/9) = 1.79, "
            "there e^¼ + 1/e = 1.65, and two pixels away e^¼ · exp(−4/9) + exp(−1/9) = 1.72. Where it is sure it is at "
            "the middle.",
            [[map_of(4, {(1, 1): 0.25, (1, 2): 0.0}, NOWHERE), lower_right]],
            [[0, 0, 12, 12]],
            [4.5],
            [[[5.5, 4.5], [10.5, 7.5]]],
            [[(q * math.exp(-1 / 9) + math.exp(-4 / 9)) / (q + 1), 1]],
            "convention",
            sigmas=(0.5, 0.5),
            finer=3,
        ),
        by_hand(
            "no-area",
            "Without area only the place itself counts: of logits ¼, 0 and ½ the last, and its probability.",
            [[map_of(4, {(1, 0): 0.25, (1, 1): 0.0, (1, 2): 0.5}, NOWHERE)]],
            [whole],
            [0],
            [[[5.5, 7.5]]],
            [[q * q / (q * q + q + 1)]],
            "border",
        ),
        by_hand(
            "no-area-but-places-as-close-as-its-epsilon",
            "Places 2⁻²⁶ apart: e = 2⁻⁵²/(0 + 2⁻⁵²)/2, a neighbour is worth exp(−½). The middle, 1 + 2 e^¼/√e = 2.56, "
            "beats the ends, e^¼ + 1/√e + e^¼/e² = 2.06.",
            [[ends]],
            [[0, 0, 2.0**-24, 2.0**-24]],
            [0],
            [[[1.5 * 2.0**-26, 1.5 * 2.0**-26]]],
            [[(1 + 2 * q / math.sqrt(E)) / (1 + 2 * q)]],
            "border",
            "convention",
        ),
        by_hand(
            "a-larger-area",
            "Two places, 4 apart. With an area of ½ the likelier one. With 512 a distance d is worth exp(−d²/1024), "
            "nearly 1 − d²/1024: the place next to the mean, 1.75 beyond the likelier, where the joint is certainly "
            "not.",
            [[apart]] * 2,
            [eight] * 2,
            [0.5, 512],
            [[[0.5, 2.5]], [[2.5, 2.5]]],
            [[nearest], [farthest]],
            "convention",
        ),
        by_hand(
            "each-joint-has-its-sigma",
            "The same map twice, and an area of ½: (2σ)² is 1 for the first joint and 1024 for the second, whose "
            "similarity is as wide as with an area of 512.",
            [[apart, apart]],
            [eight],
            [0.5],
            [[[0.5, 2.5], [2.5, 2.5]]],
            [[nearest, farthest]],
            "convention",
            sigmas=(0.5, 16.0),
        ),
        by_hand(
            "high-and-wide-boxes",
            "Three places in a row with the logit 0, three in a column with ¼; the middle of either counts both its "
            "neighbours. In a square box the column is ahead. In a box four times as high the column's places are 4 "
            "apart, worth exp(−16), and the row is ahead; in one four times as wide the row's are.",
            [[rows]] * 3,
            [four, [0, 0, 4, 16], [0, 0, 16, 4]],
            [0.5] * 3,
            [[[3.5, 2.5]], [[1.5, 2]], [[14, 2.5]]],
            [
                [(q * near(0, 1, 1) + near(5, 8, 13)) / (3 * q + 3)],
                [(near(0, 1, 1) + q * near(4 + 16, 4 + 64, 4 + 144)) / (3 * q + 3)],
                [(q * near(0, 1, 1) + near(16 + 4, 64 + 4, 144 + 4)) / (3 * q + 3)],
            ],
            "convention",
        ),
        by_hand(
            "from-right-to-left",
            "A box that ends before it begins: the first column is its right one. The middle of three at 7 − 1½, and "
            "from bottom to top 10 − 1½.",
            [[ends]] * 2,
            [[7, 6, 3, 10], [3, 10, 7, 6]],
            [0.5] * 2,
            [[[5.5, 7.5]], [[4.5, 8.5]]],
            [[(1 + 2 * q / E) / (1 + 2 * q)]] * 2,
        ),
        by_hand(
            "without-width-or-height",
            "In a box of no width the places of a row coincide: row 2 has ¾ of the probability, row 1 has ¼. In a "
            "point all coincide.",
            [[map_of(4, {(1, 1): 3.0, (2, 0): 3.0, (2, 1): 3.0, (2, 3): 3.0}, NOWHERE)]] * 2,
            [[5, 0, 5, 4], [5, 3, 5, 3]],
            [0] * 2,
            [[[5, 2.5]], [[5, 3]]],
            [[0.75], [1]],
            "empty",
            "dyadic",
            compare=Exact(),
        ),
        by_hand(
            "a-single-place",
            "Maps of 1 × 1: the middle of the box, surely, whatever the logit.",
            [[[[-7.0]], [[3.0]]]],
            [[1, 2, 4, 4]],
            [6],
            [[[2.5, 3], [2.5, 3]]],
            [[1, 1]],
            "dyadic",
            sigmas=(0.5, 0.5),
            compare=Exact(),
        ),
        by_hand(
            "the-first-of-equals",
            "Without area E is the probability. Row by row: (0, 3) comes before (1, 0), and (2, 1) before (2, 2). All "
            "equal: the very first.",
            [
                [
                    map_of(4, {(1, 0): 2.0, (0, 3): 2.0}, NOWHERE),
                    map_of(4, {(2, 2): -9.0, (2, 1): -9.0}, NOWHERE),
                    map_of(4, {}, -1.0),
                ]
            ],
            [four],
            [0],
            [[[3.5, 0.5], [1.5, 2.5], [0.5, 0.5]]],
            [[1 / 2, 1 / 2, 1 / 16]],
            "tie",
            "dyadic",
            sigmas=(0.5,) * 3,
            compare=Exact(),
        ),
        by_hand(
            "large-logits",
            "Their exponentials overflow unless the largest is subtracted, and all vanish in a map that is low "
            "throughout. A neighbour is worth 1/e: e + 1/e of e + 1.",
            [[high, low]],
            [four],
            [0.5],
            [[[2.5, 1.5], [1.5, 3.5]]],
            [[(E + 1 / E) / (E + 1)] * 2],
            "overflow",
            sigmas=(0.5, 0.5),
        ),
        by_hand(
            "far-apart",
            "Places 2⁶⁴ apart, whose squared distance overflows float32: similarity 0.",
            [[map_of(4, {(0, 0): 0.0, (0, 1): 0.0, (3, 3): 1.0}, NOWHERE)]],
            [[0, 0, 2.0**66, 2.0**66]],
            [0.5],
            [[[3.5 * 2.0**64] * 2]],
            [[E / (E + 2)]],
            "overflow",
        ),
        by_hand(
            "minus-infinity-is-nowhere",
            "Logits of −∞ have the probability 0, and nothing else is changed.",
            [[map_of(4, {(1, 0): 0.25, (1, 1): 0.0, (1, 2): 0.25}, -INF), map_of(4, {(2, 3): 7.0}, -INF)]],
            [four],
            [0.5],
            [[[1.5, 1.5], [3.5, 2.5]]],
            [[(1 + 2 * q / E) / (1 + 2 * q), 1]],
            "inf",
            sigmas=(0.5, 0.5),
        ),
        by_hand(
            "maps-without-a-softmax",
            "A NaN, a +∞, and −∞ everywhere; the fourth joint of the detection is where it is.",
            [[map_of(4, {(2, 2): NAN}, NOWHERE), map_of(4, {(1, 1): INF}, NOWHERE), map_of(4, {}, -INF), lower_right]],
            [four],
            [0.5],
            [[[NAN, NAN]] * 3 + [[3.5, 2.5]]],
            [[NAN] * 3 + [1]],
            "nan",
            "inf",
            sigmas=(0.5,) * 4,
            undefined="the softmax of such a map is not defined",
        ),
        by_hand(
            "boxes-that-are-not-finite",
            "No places in the picture. The third box is one.",
            [[lower_right]] * 3,
            [[NAN, 0, 4, 4], [0, 0, 4, INF], four],
            [0.5] * 3,
            [[[NAN, NAN]], [[NAN, NAN]], [[3.5, 2.5]]],
            [[NAN], [NAN], [1]],
            "nan",
            "inf",
            undefined="detectors drop such boxes before",
        ),
        by_hand(
            "areas-that-are-none",
            "NaN, ±∞, and below 0, where what is far away would be more similar than what is near. The fifth is one.",
            [[lower_right]] * 5,
            [four] * 5,
            [NAN, INF, -INF, -0.5, 0.5],
            [[[NAN, NAN]]] * 4 + [[[3.5, 2.5]]],
            [[NAN]] * 4 + [[1]],
            "nan",
            "inf",
            undefined="no object has such an area",
        ),
        *(
            Case(
                name,
                why,
                {
                    "logits": np.zeros((D, K, 4, 4)),
                    "boxes": np.array([[0.0, 0, 4, 4]] * D).reshape(D, 4),
                    "areas": np.ones(D),
                },
                Exact(),
                {"sigmas": (0.5,) * K, "finer": 1},
                expected={"joints": np.zeros((D, K, 2)), "joint_scores": np.zeros((D, K))},
                source="by hand",
                tags=("hand", "empty"),
            )
            for name, why, D, K in (
                ("no-detections", "None in, none out.", 0, 3),
                ("no-joints", "Detections of something that has no joints.", 2, 0),
            )
        ),
        Case(
            "seven-by-seven",
            "A soft peak in each map, and noise; boxes that are larger, smaller, and longer one way than the other, "
            "and areas of about half a box. The largest E is the largest by a hundredth at least.",
            {"logits": soft_maps("similarity"), "boxes": some_boxes(), "areas": np.array([106.25, 12.75, 36.0])},
            CLOSE,
            {"sigmas": (0.0625, 0.125), "finer": 1},
            tags=("convention",),
        ),
        Case(
            "seven-by-seven-three-times-finer",
            "The same, and joints between the middles. The largest E is the largest by three thousandths at least.",
            {"logits": soft_maps("similarity"), "boxes": some_boxes(), "areas": np.array([106.25, 12.75, 36.0])},
            CLOSE,
            {"sigmas": (0.0625, 0.125), "finer": 3},
            tags=("convention",),
        ),
        Case(
            "two-peaks",
            "The likeliest place is a sharp peak, and a broad one holds more of the probability: a narrow similarity "
            "takes the sharp one, a wide one the broad one.",
            {
                "logits": np.repeat(two_peaks()[None, None], 3, axis=1).repeat(2, axis=0),
                "boxes": np.array([[4.5, 2.25, 30.75, 42.125], [30.75, 2.25, 4.5, 42.125]]),
                "areas": np.array([600.0, 400.0]),
            },
            CLOSE,
            {"sigmas": (0.015625, 0.0625, 0.25), "finer": 1},
            tags=("convention",),
        ),
    ]


def near(*squares: float) -> float:
    """Return the sum of what squared distances are worth with (2σ)² = 1 and an area of ½: exp(−d²)."""
    return sum(math.exp(-d) for d in squares)


def two_peaks() -> Floats:
    """Return a map of 7 × 7."""
    y = np.arange(7.0)
    broad = 2 - ((y[:, None] - 4.25) ** 2 + (y - 3.875) ** 2) / 4
    broad[1, 1] = 3
    logits: Floats = broad + reals("similarity peaks", (7, 7), -0.125, 0.125)
    return logits.astype(np.float32).astype(np.float64)


def random_case(rng: np.random.Generator) -> Case:
    """Return smooth maps whose largest E is clear, boxes of fractional sizes either way, and areas about theirs."""
    while True:
        m, y = int(rng.integers(2, 7)), np.arange(8.0)
        centres = rng.uniform(0, m - 1, (2, 2, 2))
        squares = (y[:m, None] - centres[..., :1, None]) ** 2 + (y[:m] - centres[..., 1:, None]) ** 2
        start, sides = rng.uniform(-4, 8, (2, 2)), rng.uniform(1, 12, (2, 2)) * rng.choice([-1, 1, 1, 1], (2, 2))
        inputs = {
            "logits": 3 - squares + rng.normal(0, 0.25, (2, 2, m, m)),
            "boxes": np.concatenate([start, start + sides], axis=1),
            "areas": np.abs(sides[:, 0] * sides[:, 1]) * rng.uniform(0.3, 1, 2),
        }
        sigmas, finer = tuple(float(s) for s in rng.uniform(0.03, 0.25, 2)), int(rng.choice([1, 3]))
        if is_clear(inputs, sigmas, finer):
            return Case("random", "", inputs, CLOSE, {"sigmas": sigmas, "finer": finer})


def is_clear(inputs: Mapping[str, Floats], sigmas: tuple[float, ...], finer: int) -> bool:
    """Say whether no two places that a joint may be said to be at have nearly the largest E."""
    for logits, box, area in zip(inputs["logits"], inputs["boxes"], inputs["areas"], strict=True):
        m = logits.shape[-1]
        squares = np.sum((places_of(box, finer * m)[:, None] - places_of(box, m)) ** 2, axis=2)
        for one, sigma in zip(logits, sigmas, strict=True):
            chances = np.exp(one - one.max()).ravel()
            expected = np.sort(np.exp(-squares / (2 * sigma) ** 2 / (area + 2.0**-52) / 2) @ chances)
            if not expected[-2] < (1 - CLEAR) * expected[-1]:
                return False
    return True


def places_of(box: Floats, n: int) -> Floats:
    """Return the middles (n · n, 2) of the places of a box."""
    at = (np.arange(n) + 0.5) / n
    x, y = box[0] + at * (box[2] - box[0]), box[1] + at * (box[3] - box[1])
    return np.stack([np.tile(x, n), np.repeat(y, n)], axis=1)

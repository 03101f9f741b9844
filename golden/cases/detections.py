"""Golden cases of the detections of a detector of two stages."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from golden.cases._detections import heap_of_boxes
from golden.cases._numbers import Floats, dyadic, reals
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import detections as oracle

ALGORITHM = Algorithm(
    "detections",
    oracle,
    ("proposals", "deltas", "scores"),
    ("boxes", "detection_scores", "classes"),
    reference="decks 001 and 002; Girshick (2015), section 2.3; Ren et al. (2015)",
    stages=oracle.STAGES,
    composes=("decode_boxes", "clip_boxes", "large_enough", "top_k", "class_nms"),
)

SCALE_CLAMP = math.log(1000 / 16)
# A corner is a sum of numbers below 64 with a few rounding errors and one exponential.
CORNER: dict[str, Compare] = {"boxes": Ulp(8, 2.0**-14), "detection_scores": Exact(), "classes": Exact()}
WEIGHTS = (10.0, 10.0, 5.0, 5.0)


def params(**given: Any) -> dict[str, Any]:
    """Return the parameters, complete, with plain ones for a small image as defaults."""
    plain = {
        "height": 16,
        "width": 32,
        "background": "first",
        "transform_convention": "continuous",
        "weights": (1.0, 1.0, 1.0, 1.0),
        "mean": (0.0, 0.0, 0.0, 0.0),
        "std": (1.0, 1.0, 1.0, 1.0),
        "clamp": None,
        "clip_convention": "continuous",
        "score_threshold": 0.0625,
        "min_size": None,
        "pre_nms": None,
        "nms_threshold": 0.5,
        "offset": 0,
        "post_nms": 100,
    }
    return plain | given


def by_hand(
    name: str,
    why: str,
    proposals: list[list[float]],
    scores: list[list[float]],
    detected: list[tuple[list[float], float, int]],
    *,
    deltas: list[list[float]] | None = None,
    compare: Compare | dict[str, Compare] | None = None,
    tags: tuple[str, ...] = (),
    optional: str = "",
    traced: bool = False,
    **options: Any,
) -> Case:
    """Return a case of a few proposals, and what is detected: box, score, class; without deltas they are all 0."""
    inputs = {
        "proposals": np.array(proposals, np.float64).reshape(-1, 4),
        "deltas": np.zeros((len(proposals), 4)) if deltas is None else np.array(deltas, np.float64),
        "scores": np.array(scores, np.float64).reshape(len(proposals), -1 if proposals else 3),
    }
    return Case(
        name,
        why,
        inputs,
        Exact() if compare is None else compare,
        params(**options),
        expected={
            "boxes": np.array([box for box, _, _ in detected], np.float64).reshape(-1, 4),
            "detection_scores": np.array([score for _, score, _ in detected], np.float64),
            "classes": np.array([c for _, _, c in detected], np.int64),
        },
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
        traced=traced,
    )


def backgrounds() -> list[Case]:
    """Return the same proposals with the background in different columns, and its deltas there or not."""
    box, moved = [0.0, 0, 8, 8], [8.0, 0, 16, 8]
    still, far, wild = [0.0] * 4, [1.0, 0, 0, 0], [3.0, 3, 3, 3]
    why = "The best score is the background's. One class stays, the other moves by a width. "
    return [
        by_hand(
            "background-first",
            why + "Classes count from 1, and what the background's deltas say is not read.",
            [box],
            [[0.5, 0.125, 0.375]],
            [(moved, 0.375, 2), (box, 0.125, 1)],
            deltas=[[*wild, *still, *far]],
            tags=("convention",),
            traced=True,
        ),
        by_hand(
            "background-last-without-deltas",
            why + "Classes count from 0; the background has no deltas.",
            [box],
            [[0.125, 0.375, 0.5]],
            [(moved, 0.375, 1), (box, 0.125, 0)],
            deltas=[[*still, *far]],
            background="last",
            tags=("convention",),
            traced=True,
        ),
        by_hand(
            "no-background",
            "All three columns are classes, with one transform for all of them.",
            [box],
            [[0.125, 0.375, 0.5]],
            [(moved, 0.5, 2), (moved, 0.375, 1), (moved, 0.125, 0)],
            deltas=[far],
            background="none",
            tags=("convention",),
        ),
    ]


def cuts() -> list[Case]:
    """Return what the limits do."""
    a, near, apart = [0.0, 0, 8, 8], [0.0, 0, 8, 7], [16.0, 0, 24, 8]
    scores = [[0.0, 0.75], [0.0, 0.5], [0.0, 0.25]]
    return [
        by_hand(
            "best-of-each-class-before-suppression",
            "Fast R-CNN: the two best enter, and one of them is suppressed. After the suppression two would be left.",
            [a, near, apart],
            scores,
            [(a, 0.75, 1)],
            pre_nms=2,
            tags=("convention",),
            traced=True,
        ),
        by_hand(
            "best-of-all-after-suppression",
            "The second best is suppressed, and takes no place.",
            [a, near, apart],
            scores,
            [(a, 0.75, 1), (apart, 0.25, 1)],
            post_nms=2,
            tags=("convention",),
        ),
        by_hand(
            "the-last-place-has-no-company",
            "Two classes tie for the second place: the lower proposal has it.",
            [a, apart, near],
            [[0.0, 0.5, 0.25], [0.0, 0.0, 0.25], [0.0, 0.0, 0.0]],
            [(a, 0.5, 1), (a, 0.25, 2)],
            post_nms=2,
            tags=("tie", "convention"),
            optional="Detectron and later versions of py-faster-rcnn keep all that equal the last score; "
            "torch.sort promises no order of equal scores",
        ),
    ]


def moves() -> list[Case]:
    """Return large corrections of the width, and small ones."""
    box, scores, wide = [[0.0, 0, 16, 16]], [[0.0, 0.75]], 2048
    narrow = 8 * math.exp(-6)
    return [
        by_hand(
            "large-moves-are-clamped",
            "t_w = 6 is cut off at ln(1000/16): 16 becomes 1000 wide, from 8 − 500 to 508.",
            box,
            scores,
            [([0, 0, 508, 16], 0.75, 1)],
            deltas=[[0, 0, 6, 0]],
            width=wide,
            clamp=SCALE_CLAMP,
            compare=CORNER | {"boxes": Ulp(8, 2.0**-11)},
            tags=("convention",),
        ),
        by_hand(
            "large-moves-without-a-clamp",
            "16 e⁶ = 6454.8… is wider than the image.",
            box,
            scores,
            [([0, 0, wide, 16], 0.75, 1)],
            deltas=[[0, 0, 6, 0]],
            width=wide,
            tags=("convention",),
        ),
        by_hand(
            "small-moves-are-not-clamped",
            "There is no limit from below: t_w = −6 makes 16 e⁻⁶ = 0.0396… of 16.",
            box,
            scores,
            [([8 - narrow, 0, 8 + narrow, 16], 0.75, 1)],
            deltas=[[0, 0, -6, 0]],
            clamp=SCALE_CLAMP,
            compare=CORNER,
            tags=("convention",),
        ),
        by_hand(
            "a-narrow-box-inside-the-image",
            "The same far from the border, which hides nothing: t_w = −6 makes 8 e⁻⁶ = 0.0198… of 8.",
            [[4, 4, 12, 12]],
            scores,
            [([8 - narrow / 2, 4, 8 + narrow / 2, 12], 0.75, 1)],
            deltas=[[0, 0, -6, 0]],
            clamp=SCALE_CLAMP,
            compare=CORNER,
            tags=("convention",),
        ),
    ]


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    a, near, apart = [0.0, 0, 8, 8], [0.0, 0, 8, 7], [16.0, 0, 24, 8]
    return [
        by_hand(
            "all-steps",
            "Dogs (1) at 0 and 1, of which the second is suppressed; a cat (2) at 1, which no dog suppresses; and at 2 "
            "a cat whose box moves by half its width and is clipped.",
            [a, near, [24, 0, 32, 8]],
            [[0.125, 0.875, 0.0], [0.125, 0.5, 0.375], [0.25, 0.0, 0.75]],
            [(a, 0.875, 1), ([28, 0, 32, 8], 0.75, 2), (near, 0.375, 2)],
            deltas=[[0, 0, 0, 0], [0, 0, 0, 0], [0.5, 0, 0, 0]],
            traced=True,
        ),
        *backgrounds(),
        by_hand(
            "score-equal-to-the-threshold",
            "1/16 is not > 1/16.",
            [a, apart],
            [[0.0, 0.0625], [0.0, 0.078125]],
            [(apart, 0.078125, 1)],
            tags=("tie", "convention"),
        ),
        by_hand(
            "iou-equal-to-the-threshold",
            "Half of box 0 is box 1: IoU = 1/2, not > 1/2.",
            [a, [0, 0, 4, 8], [0, 0, 6, 8]],
            [[0.0, 0.75], [0.0, 0.5], [0.0, 0.25]],
            [(a, 0.75, 1), ([0, 0, 4, 8], 0.5, 1)],
            tags=("tie", "convention"),
        ),
        by_hand(
            "pixels-are-counted-with-the-background-last",
            "10 pixels wide, sharing 6 × 6: IoU = 36/164 > 3/16; continuous, 25/137 is not. The class is 0.",
            [[1, 1, 10, 10], [5, 5, 14, 14]],
            [[0.75, 0.0], [0.5, 0.0]],
            [([1, 1, 10, 10], 0.75, 0)],
            nms_threshold=0.1875,
            offset=1,
            background="last",
            tags=("convention",),
        ),
        by_hand(
            "a-box-grows-by-a-pixel-with-the-background-last",
            "py-faster-rcnn's transform counts the last pixel, and does not take it away again. The class is 0.",
            [[1, 1, 10, 10]],
            [[0.75, 0.0]],
            [([1, 1, 11, 11], 0.75, 0)],
            transform_convention="py-faster",
            background="last",
            tags=("convention",),
        ),
        by_hand(
            "the-last-pixel-is-the-border-with-the-background-last",
            "An image of 16 × 32 ends at y = 15 and x = 31. The class is 0.",
            [[24, 8, 40, 20]],
            [[0.75, 0.0]],
            [([24, 8, 31, 15], 0.75, 0)],
            clip_convention="legacy",
            background="last",
            tags=("border", "convention"),
        ),
        by_hand(
            "thinner-than-a-pixel",
            "Half a pixel and a quarter of one: IoU = 1/2, not > 1/2, as no side is taken for a pixel.",
            [[1, 1, 1.5, 9], [1, 1, 1.25, 9]],
            [[0.0, 0.75], [0.0, 0.5]],
            [([1, 1, 1.5, 9], 0.75, 1), ([1, 1, 1.25, 9], 0.5, 1)],
            tags=("convention",),
        ),
        by_hand(
            "pixels-are-counted",
            "Both are 10 pixels wide and share 6 × 6: IoU = 36/164 > 3/16. Continuous widths give 25/137: not so.",
            [[1, 1, 10, 10], [5, 5, 14, 14]],
            [[0.0, 0.75], [0.0, 0.5]],
            [([1, 1, 10, 10], 0.75, 1)],
            nms_threshold=0.1875,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "a-box-grows-by-a-pixel",
            "py-faster-rcnn's transform counts the last pixel, and does not take it away again.",
            [[1, 1, 10, 10]],
            [[0.0, 0.75]],
            [([1, 1, 11, 11], 0.75, 1)],
            transform_convention="py-faster",
            tags=("convention",),
        ),
        *cuts(),
        by_hand(
            "sides-below-the-least-go",
            "Clipped to a width of 1 and of 2: a side of 2 is ≥ 2.",
            [[31, 0, 39, 8], [30, 8, 38, 16]],
            [[0.0, 0.75], [0.0, 0.5]],
            [([30, 8, 32, 16], 0.5, 1)],
            min_size=2.0,
            tags=("border", "tie", "convention"),
            traced=True,
        ),
        by_hand(
            "without-a-least-size-empty-boxes-stay",
            "Beyond the border, clipped to nothing; two of them do not suppress each other.",
            [[40, 0, 48, 8], [40, 0, 48, 8]],
            [[0.0, 0.75], [0.0, 0.5]],
            [([32, 0, 32, 8], 0.75, 1), ([32, 0, 32, 8], 0.5, 1)],
            tags=("border", "empty", "convention"),
        ),
        by_hand(
            "weights",
            "δ = (10, 10, 0, 0) under the weights (10, 10, 5, 5) is t = (1, 1, 0, 0): a width and a height.",
            [a],
            [[0.0, 0.75]],
            [([8, 8, 16, 16], 0.75, 1)],
            deltas=[[10, 10, 0, 0]],
            weights=WEIGHTS,
            tags=("convention",),
        ),
        *moves(),
        by_hand(
            "a-victim-suppresses-nobody",
            "IoU is 3/5 between neighbours and 1/3 between the ends: the middle box is gone before it meets the last.",
            [[0, 0, 8, 8], [2, 0, 10, 8], [4, 0, 12, 8]],
            [[0.0, 0.75], [0.0, 0.5], [0.0, 0.25]],
            [([0, 0, 8, 8], 0.75, 1), ([4, 0, 12, 8], 0.25, 1)],
        ),
        by_hand(
            "detectron",
            "Legacy widths: t = 0 changes nothing, the last pixel is 15, and 25/175 > 1/8 where 16/146 is not.",
            [[0, 0, 9, 9], [5, 5, 14, 14], [20, 10, 29, 19]],
            [[0.0, 0.75], [0.0, 0.5], [0.0, 0.25]],
            [([0, 0, 9, 9], 0.75, 1), ([20, 10, 29, 15], 0.25, 1)],
            transform_convention="detectron1",
            clip_convention="legacy",
            nms_threshold=0.125,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "what-is-not-finite-drops-its-proposal",
            "A NaN score of the background, an infinite box of one class: both classes of these proposals go.",
            [a, apart, [0, 8, 8, 16]],
            [[nan, 0.75, 0.25], [0.25, 0.5, 0.25], [0.25, 0.375, 0.375]],
            [([0, 8, 8, 16], 0.375, 1), ([0, 8, 8, 16], 0.375, 2)],
            deltas=[[0.0] * 8, [0, 0, 0, 0, -inf, 0, 0, 0], [0.0] * 8],
            tags=("nan", "inf", "convention"),
            optional="torchvision and py-faster-rcnn do not look for what is not finite",
        ),
        by_hand("no-proposals", "Nothing in, nothing out.", [], [], [], tags=("empty",)),
        by_hand("nothing-above", "Only background.", [a], [[1.0, 0.0, 0.0]], [], tags=("empty",)),
        *heaps(),
    ]


def heaps() -> list[Case]:
    """Return many overlapping proposals, each with scores of three classes and of the background."""
    n, n_columns = 24, 4
    inputs: dict[str, Floats] = {
        "proposals": heap_of_boxes("detections", n, extent=32, side=24),
        "deltas": reals("detections deltas", (n, 4 * n_columns), -1, 1),
        "scores": dyadic("detections scores", (n, n_columns), 0, 16, 1 / 32),
    }
    image = {"height": 40, "width": 44, "weights": WEIGHTS, "score_threshold": 0.109375}
    detectron2 = inputs | {"deltas": inputs["deltas"][:, : 4 * (n_columns - 1)]}
    legacy = {"transform_convention": "py-faster", "clip_convention": "legacy", "offset": 1}
    why = "24 proposals and three classes, in the conventions of "
    chosen = {
        "like-fast-rcnn": (inputs, params(**image, **legacy, pre_nms=10, nms_threshold=0.3125)),
        "like-torchvision": (inputs, params(**image, clamp=SCALE_CLAMP, min_size=2.0**-7, post_nms=20)),
        "like-detectron2": (detectron2, params(**image, clamp=SCALE_CLAMP, background="last", post_nms=20)),
    }
    told = {
        "like-fast-rcnn": "py-faster-rcnn with the limit of Fast R-CNN.",
        "like-torchvision": "torchvision.",
        "like-detectron2": "Detectron2.",
    }
    return [
        Case(name, why + told[name], given, CORNER, options, tags=("tie", "convention"), traced=True)
        for name, (given, options) in chosen.items()
    ]


def random_case(rng: np.random.Generator) -> Case:
    """Return random proposals in float64, with ties of their scores."""
    n, n_columns = 12, 3
    background = str(rng.choice(["first", "last", "none"]))
    corner = rng.random((n, 2)) * 20
    blocks = int(rng.choice([1, n_columns, n_columns - (background != "none")]))
    inputs = {
        "proposals": np.concatenate([corner, corner + rng.random((n, 2)) * 16], axis=1),
        "deltas": rng.standard_normal((n, 4 * blocks)) / 4,
        "scores": rng.integers(0, 8, (n, n_columns)) / 8,
    }
    chosen = params(
        background=background,
        min_size=None if rng.random() < 0.5 else float(2 * rng.random()),
        pre_nms=None if rng.random() < 0.5 else int(rng.integers(1, n)),
        nms_threshold=float(rng.random()),
        offset=int(rng.integers(2)),
        post_nms=int(rng.integers(1, n)),
    )
    return Case("random", "", inputs, CORNER, chosen)

"""Golden cases of the proposals of a region proposal network."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from golden.cases._detections import tied_scores
from golden.cases._numbers import Floats, reals
from refdet.verify.case import Algorithm, Case, Compare, Exact, Ulp
from tests.oracles import rpn_proposals as oracle

ALGORITHM = Algorithm(
    "rpn_proposals",
    oracle,
    ("anchors", "deltas", "scores", "levels"),
    ("boxes", "proposal_scores"),
    reference="decks 001 and 002; Ren et al. (2015), section 3.3",
    stages=oracle.STAGES,
    composes=("decode_boxes", "clip_boxes", "large_enough", "top_k", "nms", "class_nms"),
)

SCALE_CLAMP = math.log(1000 / 16)
# A corner is a sum of numbers below 512 with a few rounding errors and one exponential.
CORNER: dict[str, Compare] = {"boxes": Ulp(8, 2.0**-11), "proposal_scores": Exact()}
DESCENDING = np.array([0.875, 0.75, 0.625, 0.5, 0.375])
LIBRARIES_DO_NOT_LOOK = "torchvision and py-faster-rcnn keep them; Detectron2 drops them after the pre-NMS cut"


def params(**given: Any) -> dict[str, Any]:
    """Return the parameters, complete, with plain ones for a small image as defaults."""
    plain = {
        "height": 16,
        "width": 32,
        "order": "filter_first",
        "transform_convention": "continuous",
        "clamp": None,
        "clip_convention": "continuous",
        "min_size": 0.0,
        "size_convention": "torchvision",
        "pre_nms": 100,
        "nms_threshold": 0.5,
        "offset": 0,
        "post_nms": 100,
    }
    return plain | given


def by_hand(
    name: str,
    why: str,
    anchors: list[list[float]],
    boxes: list[list[float]],
    proposal_scores: list[float],
    *,
    deltas: list[list[float]] | None = None,
    scores: np.typing.ArrayLike = DESCENDING,
    levels: list[int] | None = None,
    compare: Compare | dict[str, Compare] | None = None,
    tags: tuple[str, ...] = (),
    optional: str = "",
    traced: bool = False,
    **options: Any,
) -> Case:
    """Return a case of a few anchors; unless they are given, deltas are 0 and scores descend."""
    inputs = {
        "anchors": np.array(anchors, np.float64).reshape(-1, 4),
        "deltas": np.zeros((len(anchors), 4)) if deltas is None else np.array(deltas, np.float64),
        "scores": np.array(scores, np.float64)[: len(anchors)],
        "levels": None if levels is None else np.array(levels, np.int64),
    }
    return Case(
        name,
        why,
        inputs,
        Exact() if compare is None else compare,
        params(**options),
        expected={
            "boxes": np.array(boxes, np.float64).reshape(-1, 4),
            "proposal_scores": np.array(proposal_scores, np.float64),
        },
        source="by hand",
        tags=("hand", *tags),
        status="optional" if optional else "required",
        status_reason=optional,
        traced=traced,
    )


def both_orders() -> list[Case]:
    """Return what tells the two orders apart."""
    anchors: list[list[float]] = [[-7, 0, 1, 8], [0, 0, 8, 8], [16, 0, 24, 8]]
    return [
        by_hand(
            "filter-first-gives-the-place-to-another",
            "The best box is 1 wide after clipping, below 2: it goes before the two best are taken.",
            anchors,
            anchors[1:],
            [0.75, 0.625],
            min_size=2.0,
            pre_nms=2,
            tags=("convention",),
            traced=True,
        ),
        by_hand(
            "topk-first-loses-the-place",
            "The same box is one of the two best, and only then found to be small: one is left.",
            anchors,
            anchors[1:2],
            [0.75],
            order="topk_first",
            min_size=2.0,
            pre_nms=2,
            tags=("convention",),
            traced=True,
        ),
    ]


def least_sizes() -> list[Case]:
    """Return boxes whose sides are just what is asked."""
    anchors: list[list[float]] = [[0, 0, 4, 8], [8, 0, 11, 8], [16, 4, 24, 8], [0, 8, 8, 11]]
    at_least = [anchors[0], anchors[2]]
    return [
        by_hand(
            "a-side-of-least-size-stays",
            "Sides of 4 are ≥ 4, those of 3 are not.",
            anchors,
            at_least,
            [0.875, 0.625],
            min_size=4.0,
            tags=("tie", "convention"),
        ),
        by_hand(
            "a-side-of-least-size-goes",
            "Detectron2 keeps what is > 3.",
            anchors,
            at_least,
            [0.875, 0.625],
            min_size=3.0,
            size_convention="detectron2",
            tags=("tie", "convention"),
        ),
        by_hand(
            "empty-boxes-go",
            "With > 0 a box that was clipped to nothing, beyond the border, is dropped; it would not be with ≥ 0.",
            [[40, 0, 48, 8], [0, 0, 8, 8]],
            [[0, 0, 8, 8]],
            [0.75],
            size_convention="detectron2",
            order="topk_first",
            tags=("empty", "border", "convention"),
        ),
    ]


def cases() -> list[Case]:
    """Return the cases."""
    inf, nan = np.inf, np.nan
    row = [[8.0 * i, 0, 8.0 * i + 8, 8] for i in range(4)]
    unit = [0.0, 0, 16, 16]
    large_move = [0.0, 0, 6, 0]
    return [
        by_hand(
            "all-steps",
            "Anchor 2 moves by a quarter of its width and is clipped on two sides; anchor 0 overlaps the best one, 3, "
            "by 7/9, and anchor 1 by 5/11.",
            [[0, 0, 8, 8], [4, 0, 12, 8], [22, 10, 30, 18], [1, 0, 9, 8]],
            [[1, 0, 9, 8], [4, 0, 12, 8], [24, 10, 32, 16]],
            [0.875, 0.75, 0.625],
            deltas=[[0, 0, 0, 0], [0, 0, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0]],
            scores=[0.5, 0.75, 0.625, 0.875],
            traced=True,
        ),
        *both_orders(),
        *least_sizes(),
        by_hand(
            "py-faster",
            "Widths with + 1 throughout: t = 0 adds a pixel, the last one of the image is 19, a width of 7 counts as "
            "8, and 36/206 > 5/32 where 25/175 is not.",
            [[0, 0, 9, 9], [5, 5, 14, 14], [12, 12, 25, 25]],
            [[0, 0, 10, 10], [12, 12, 19, 19]],
            [0.875, 0.625],
            height=20,
            width=20,
            transform_convention="py-faster",
            clip_convention="legacy",
            min_size=8.0,
            size_convention="py-faster",
            nms_threshold=0.15625,
            offset=1,
            tags=("convention",),
            traced=True,
        ),
        by_hand(
            "equality-survives",
            "IoU is 1/2 with the first, not > 1/2.",
            [[0, 0, 8, 8], [0, 0, 4, 8], [0, 0, 6, 8]],
            [[0, 0, 8, 8], [0, 0, 4, 8]],
            [0.875, 0.75],
            tags=("tie", "convention"),
        ),
        by_hand(
            "pixels-are-counted",
            "Both are 10 pixels wide and share 6 × 6: IoU = 36/164 > 3/16. Continuous widths give 25/137: not so.",
            [[1, 1, 10, 10], [5, 5, 14, 14]],
            [[1, 1, 10, 10]],
            [0.875],
            nms_threshold=0.1875,
            offset=1,
            tags=("convention",),
        ),
        by_hand(
            "a-box-grows-by-a-pixel",
            "py-faster-rcnn's transform counts the last pixel, and does not take it away again.",
            [[1, 1, 10, 10]],
            [[1, 1, 11, 11]],
            [0.875],
            transform_convention="py-faster",
            tags=("convention",),
        ),
        by_hand(
            "three-tenths-equal-the-threshold",
            "The threshold is rounded as the IoU is: in float32 3/10 is 0.30000001, and not > 0.3.",
            [[0, 0, 10, 8], [0, 0, 3, 8]],
            [[0, 0, 10, 8], [0, 0, 3, 8]],
            [0.875, 0.75],
            nms_threshold=0.3,
            tags=("tie", "rounding", "convention"),
            optional="torchvision compares the quotient of float32 with 0.3 of float64, and suppresses",
        ),
        by_hand(
            "a-victim-suppresses-nobody",
            "IoU is 3/5 between neighbours and 1/3 between the ends: the middle box is gone before it meets the last.",
            [[0, 0, 8, 8], [2, 0, 10, 8], [4, 0, 12, 8]],
            [[0, 0, 8, 8], [4, 0, 12, 8]],
            [0.875, 0.625],
        ),
        by_hand(
            "equal-scores-lowest-index-first",
            "Three anchors tie for two places.",
            row[:3],
            row[:2],
            [0.5, 0.5],
            scores=[0.5, 0.5, 0.5],
            pre_nms=2,
            tags=("tie", "convention"),
            optional="torch.topk promises no order of equal scores",
        ),
        by_hand(
            "levels",
            "One place for each level: 0 and 2. Of one level they would suppress each other. Then one place for both.",
            [[0, 0, 8, 8], [16, 0, 24, 8], [0, 0, 8, 7], [16, 0, 24, 7]],
            [[0, 0, 8, 8], [0, 0, 8, 7]],
            [0.875, 0.625],
            levels=[3, 3, 7, 7],
            order="topk_first",
            pre_nms=1,
            traced=True,
        ),
        by_hand(
            "one-cut-for-all-levels",
            "The last cut does not know levels: both places go to the first.",
            row,
            row[:2],
            [0.875, 0.75],
            levels=[0, 0, 1, 1],
            order="topk_first",
            post_nms=2,
        ),
        *(
            by_hand(
                f"what-is-not-finite-takes-no-place-{order.replace('_', '-')}",
                "A NaN score, an infinite one, a NaN coordinate, and a box that exp(800) makes infinite: they go "
                "before anything is clipped or counted.",
                [*row, [0, 8, 8, 16], [16, 8, 24, 16]],
                [[0, 8, 8, 16], [16, 8, 24, 16]],
                [0.25, 0.125],
                deltas=[*[[0.0] * 4] * 2, [nan, 0, 0, 0], [0, 0, 800, 0], *[[0.0] * 4] * 2],
                scores=[nan, inf, 0.75, 0.5, 0.25, 0.125],
                order=order,
                pre_nms=2,
                tags=("nan", "inf", "overflow", "convention"),
                optional=LIBRARIES_DO_NOT_LOOK,
            )
            for order in ("filter_first", "topk_first")
        ),
        by_hand(
            "large-moves-are-clamped",
            "t_w = 6 is cut off at ln(1000/16): 16 becomes 1000 wide, from 8 − 500 to 508.",
            [unit],
            [[0, 0, 508, 16]],
            [0.875],
            deltas=[large_move],
            width=2048,
            clamp=SCALE_CLAMP,
            compare=CORNER,
            tags=("convention",),
        ),
        by_hand(
            "small-moves-are-not-clamped",
            "There is no limit from below: t_w = −6 makes 16 e⁻⁶ = 0.0396… of 16.",
            [unit],
            [[8 - 8 * math.exp(-6), 0, 8 + 8 * math.exp(-6), 16]],
            [0.875],
            deltas=[[0.0, 0, -6, 0]],
            clamp=SCALE_CLAMP,
            compare=CORNER,
            tags=("convention",),
        ),
        by_hand(
            "a-narrow-box-inside-the-image",
            "The same far from the border, which hides nothing: t_w = −6 makes 8 e⁻⁶ = 0.0198… of 8.",
            [[4, 4, 12, 12]],
            [[8 - 4 * math.exp(-6), 4, 8 + 4 * math.exp(-6), 12]],
            [0.875],
            deltas=[[0.0, 0, -6, 0]],
            clamp=SCALE_CLAMP,
            compare=CORNER,
            tags=("convention",),
        ),
        by_hand("no-anchors", "Nothing in, nothing out.", [], [], [], tags=("empty",)),
        by_hand(
            "nothing-large-enough",
            "Nothing is left to be suppressed.",
            row,
            [],
            [],
            min_size=9.0,
            tags=("empty",),
        ),
        *heaps(),
    ]


def heaps() -> list[Case]:
    """Return anchors on a grid, with regressions."""
    anchors = _grid()
    inputs: dict[str, Floats | None] = {
        "anchors": anchors,
        "deltas": reals("rpn deltas", (len(anchors), 4), -0.5, 0.5),
        "scores": tied_scores("rpn", len(anchors)),
    }
    levels = {"levels": np.repeat(np.arange(2), len(anchors) // 2)}
    image = {"height": 60, "width": 64, "pre_nms": 24, "post_nms": 12}
    legacy = {"transform_convention": "py-faster", "clip_convention": "legacy", "size_convention": "py-faster"}
    why = "48 anchors of three sizes on a grid of 4 × 4, about half of which pass, in the conventions of "
    plain = [
        Case(
            "like-py-faster-rcnn",
            why + "py-faster-rcnn.",
            inputs,
            CORNER,
            params(**image, **legacy, min_size=16.0, nms_threshold=0.6875, offset=1),
        ),
        Case(
            "like-torchvision",
            why + "torchvision, with two levels.",
            inputs | levels,
            CORNER,
            params(**image, order="topk_first", clamp=SCALE_CLAMP, min_size=2.0**-10, nms_threshold=0.6875),
        ),
        Case(
            "like-detectron2",
            why + "Detectron2, C4.",
            inputs,
            CORNER,
            params(**image, order="topk_first", clamp=SCALE_CLAMP, size_convention="detectron2", nms_threshold=0.6875),
        ),
    ]
    return [dataclasses.replace(case, tags=("tie", "convention"), traced=True) for case in plain]


def _grid() -> Floats:
    """Return anchors of sides 8, 16 and 32 around the points of a grid."""
    y, x = (16 * v.ravel() + 8.0 for v in np.indices((4, 4)))
    centres = np.repeat(np.stack([x, y], axis=1), 3, axis=0)
    half = np.tile([4.0, 8.0, 16.0], 16)[:, None]
    return np.concatenate([centres - half, centres + half], axis=1)


def random_case(rng: np.random.Generator) -> Case:
    """Return random anchors in float64, with ties of their scores."""
    corner = rng.random((20, 2)) * 24
    inputs = {
        "anchors": np.concatenate([corner, corner + rng.random((20, 2)) * 16], axis=1),
        "deltas": rng.standard_normal((20, 4)) / 4,
        "scores": rng.integers(0, 8, 20) / 8,
        "levels": rng.integers(0, 3, 20) if rng.random() < 0.5 else None,
    }
    chosen = params(
        order=str(rng.choice(["filter_first", "topk_first"])),
        min_size=float(2 * rng.random()),
        pre_nms=int(rng.integers(1, 20)),
        nms_threshold=float(rng.random()),
        offset=int(rng.integers(2)),
        post_nms=int(rng.integers(1, 12)),
    )
    return Case("random", "", inputs, CORNER, chosen)

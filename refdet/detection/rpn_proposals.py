"""What a region proposal network proposes for one image, from its anchors, regressions and scores.

    order          steps
    filter_first   decode · drop what is not finite · clip · drop small · pre-NMS best · NMS · post-NMS best
    topk_first     decode · drop what is not finite · pre-NMS best · clip · drop small · NMS · post-NMS best

Ren, He, Girshick & Sun, "Faster R-CNN" (2015), §3.3; decks 001 (the best 300, no NMS) and 002 (NMS, about 300). The two
orders differ where one of the best boxes is small: in the second it has taken a place.

| of, when testing | order | transform, clamp | clip | sides | pre-NMS | NMS | post-NMS |
|---|---|---|---|---|---|---|---|
| py-faster-rcnn | filter_first | py-faster, none | legacy | + 1 ≥ 16 · image scale | 6000 | 0.7, offset 1 | 300 |
| torchvision, FPN | topk_first | continuous, SCALE_CLAMP | continuous | ≥ 0.001 | 1000 a level | 0.7 | 1000 |
| Detectron2, C4 | topk_first | continuous, SCALE_CLAMP | continuous | > 0 | 6000 | 0.7 | 1000 |

In training the cuts are 12000 and 2000 (py-faster-rcnn, Detectron2 C4), or 2000 and 2000 (torchvision).

Conventions:

- Each step is the function of that name in `refdet.boxes`, with all that is said there: a side is kept by
  `large_enough` (≥ or >, see its table), a box goes where IoU > nms_threshold, equality survives.
- Scores descend; equal ones take the lowest index of the anchor first, at both cuts and in the suppression, and across
  levels too. torch.topk promises nothing of equals; py-faster-rcnn's argsort()[::-1] takes the highest first.
- Scores are compared and passed on, and never changed: logits give the same boxes as probabilities, unless a sigmoid
  has made two of them equal.
- A box or score that is NaN or infinite is dropped before anything else, so that it takes nobody's place, and an
  infinite box is not clipped into a finite one. Detectron2 drops it after the pre-NMS cut, and refuses it in training;
  py-faster-rcnn and torchvision do not look.
- With `levels`, those of a feature pyramid, the pre-NMS cut is made for each level, and boxes of different levels do
  not suppress each other; the post-NMS cut is one for all. Detectron makes that cut for each level too.
- A limit may exceed what is there, and may be 0; None takes all, as the limits ≤ 0 of py-faster-rcnn do.
- Proposals are constants: no gradient passes.
- The steps run in the backend in use, so that its kernels, or deviations of them, are inherited.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.boxes.check import check_boxes, check_offset
from refdet.boxes.clip import CONVENTIONS as CLIP_CONVENTIONS
from refdet.boxes.clip import clip_boxes
from refdet.boxes.large_enough import CONVENTIONS as SIZE_CONVENTIONS
from refdet.boxes.large_enough import large_enough
from refdet.boxes.nms import check_scored_boxes, class_nms, nms
from refdet.boxes.transform import CONVENTIONS as TRANSFORM_CONVENTIONS
from refdet.boxes.transform import decode_boxes
from refdet.core.check import Array, check_choice, check_integer, check_number, check_shape, integer, shape_of
from refdet.core.kernel import kernel
from refdet.detection.composition import best_of_each, check_limit

ORDERS = ("filter_first", "topk_first")


class ProposalStages(NamedTuple):
    """What comes on the way, in order; indices are those of anchors."""

    decoded: Array  # (N, 4)
    finite: Array  # indices, ascending
    preselected: Array | None  # topk_first alone: indices of the pre-NMS best, in descending order of score
    clipped: Array  # the boxes of the indices before, (F, 4)
    large: Array  # indices, in the order before
    before_nms: Array  # indices, in descending order of score
    kept: Array  # indices, in descending order of score, before the last cut


def _check(
    anchors: Array,
    deltas: Array,
    scores: Array,
    levels: Array | None,
    *,
    height: int,
    width: int,
    order: str,
    transform_convention: str,
    clamp: float | None,
    clip_convention: str,
    min_size: float,
    size_convention: str,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> None:
    op = "rpn_proposals"
    check_boxes(op, anchors=anchors, deltas=deltas)
    check_shape(op, "deltas", deltas, shape_of(anchors), "one transform per anchor")
    check_scored_boxes(op, anchors, scores)
    if levels is not None:
        check_integer(op, levels=levels)
        check_shape(op, "levels", levels, shape_of(scores), "one per anchor")
    for name, size in {"height": height, "width": width}.items():
        integer(op, name, size, low=0 if clip_convention == "continuous" else 1)
    check_choice(op, "order", order, ORDERS)
    check_choice(op, "transform_convention", transform_convention, TRANSFORM_CONVENTIONS)
    check_choice(op, "clip_convention", clip_convention, CLIP_CONVENTIONS)
    check_choice(op, "size_convention", size_convention, SIZE_CONVENTIONS)
    if clamp is not None:
        check_number(op, "clamp", clamp)
    check_number(op, "min_size", min_size, low=0)
    check_number(op, "nms_threshold", nms_threshold, low=0, high=1)
    check_offset(op, offset)
    check_limit(op, "pre_nms", pre_nms)
    check_limit(op, "post_nms", post_nms)


def rpn_proposals_stages(
    anchors: Array,
    deltas: Array,
    scores: Array,
    levels: Array | None,
    *,
    height: int,
    width: int,
    order: str,
    transform_convention: str,
    clamp: float | None,
    clip_convention: str,
    min_size: float,
    size_convention: str,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> ProposalStages:
    """Return every intermediate result of `rpn_proposals`, by name; the arguments are the same, and all are needed.

    A box of 1 × 8 is the best one, and too small; it has taken its place before the small ones are dropped:

    >>> anchors = np.array([[0.0, 0, 1, 8], [0, 0, 8, 8], [8, 0, 16, 8]])
    >>> stages = rpn_proposals_stages(anchors, np.zeros((3, 4)), np.array([0.9, 0.8, 0.7]), None, height=16, width=16,
    ...     order="topk_first", transform_convention="continuous", clamp=None, clip_convention="continuous",
    ...     min_size=2, size_convention="torchvision", pre_nms=2, nms_threshold=0.7, offset=0, post_nms=2)
    >>> stages.preselected, stages.large
    (array([0, 1]), array([1]))
    """
    decoded = decode_boxes(anchors, deltas, convention=transform_convention, clamp=clamp)
    finite = np.flatnonzero(np.all(np.isfinite(decoded), axis=1) & np.isfinite(scores))

    def best(indices: Array) -> Array:
        return indices[best_of_each(scores[indices], None if levels is None else levels[indices], pre_nms)]

    preselected = best(finite) if order == "topk_first" else None
    candidates = finite if preselected is None else preselected
    clipped = clip_boxes(decoded[candidates], height=height, width=width, convention=clip_convention)
    is_large = large_enough(clipped, min_size, convention=size_convention)
    large = candidates[is_large]
    before_nms = best(large) if preselected is None else large

    boxes, s = _in_their_places(clipped, candidates, decoded)[before_nms], scores[before_nms]
    if levels is None:
        survivors = nms(boxes, s, nms_threshold, offset=offset)
    else:
        survivors = class_nms(boxes, s, levels[before_nms], nms_threshold, offset=offset)
    return ProposalStages(decoded, finite, preselected, clipped, large, before_nms, before_nms[survivors])


def _in_their_places(clipped: Array, candidates: Array, decoded: Array) -> Array:
    """Return boxes by index of anchor: clipped where they are candidates."""
    boxes = np.copy(decoded)
    boxes[candidates] = clipped
    return boxes


@kernel("rpn_proposals", check=_check, portable=True)
def rpn_proposals_kernel(
    anchors: Array,
    deltas: Array,
    scores: Array,
    levels: Array | None,
    *,
    height: int,
    width: int,
    order: str,
    transform_convention: str,
    clamp: float | None,
    clip_convention: str,
    min_size: float,
    size_convention: str,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> tuple[Array, Array]:
    """Return boxes, (K, 4), and their scores, (K,), in descending order of score."""
    stages = rpn_proposals_stages(
        anchors,
        deltas,
        scores,
        levels,
        height=height,
        width=width,
        order=order,
        transform_convention=transform_convention,
        clamp=clamp,
        clip_convention=clip_convention,
        min_size=min_size,
        size_convention=size_convention,
        pre_nms=pre_nms,
        nms_threshold=nms_threshold,
        offset=offset,
        post_nms=post_nms,
    )
    kept = stages.kept[:post_nms]
    candidates = stages.finite if stages.preselected is None else stages.preselected
    return _in_their_places(stages.clipped, candidates, stages.decoded)[kept], scores[kept]


def rpn_proposals(
    anchors: Array,
    deltas: Array,
    scores: Array,
    levels: Array | None = None,
    *,
    height: int,
    width: int,
    order: str = "filter_first",
    transform_convention: str = "continuous",
    clamp: float | None = None,
    clip_convention: str = "continuous",
    min_size: float = 16.0,
    size_convention: str = "torchvision",
    pre_nms: int | None = 6000,
    nms_threshold: float = 0.7,
    offset: int = 0,
    post_nms: int | None = 300,
) -> tuple[Array, Array]:
    """Propose regions: correct the anchors, and keep the best that do not overlap much.

    Args:
        anchors: (N, 4), rows (x1, y1, x2, y2), float32 or float64.
        deltas: (N, 4), of the same dtype: t_x, t_y, t_w, t_h, one row per anchor.
        scores: (N,), of the same dtype: how much each anchor looks like an object.
        levels: (N,) integers, the level of a feature pyramid that each anchor is of; None: all are of one.
        height: of the image, in pixels.
        width: of the image, in pixels.
        order: "filter_first" or "topk_first": whether small boxes go before or after the pre-NMS cut.
        transform_convention: "continuous", "py-faster" or "detectron1", for `decode_boxes`.
        clamp: upper limit of t_w and t_h, such as SCALE_CLAMP; None for no limit.
        clip_convention: "continuous", "legacy" or "matlab", for `clip_boxes`.
        min_size: the least side, 0 or more.
        size_convention: "torchvision", "detectron2" or "py-faster", for `large_enough`.
        pre_nms: how many of the best of each level enter the suppression; None for all.
        nms_threshold: in [0, 1]; a box goes where its IoU with a better one that is kept is greater.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1, in the suppression.
        post_nms: how many of the best are returned; None for all.

    Returns:
        boxes, (K, 4), and their scores, (K,), in descending order of score.

    The second anchor moves by a quarter of its width to the right, and is cut off at the border; the third overlaps the
    first by 7/9:

    >>> anchors = np.array([[0.0, 0, 8, 8], [12, 0, 20, 8], [1, 0, 9, 8]])
    >>> deltas = np.array([[0.0, 0, 0, 0], [0.25, 0, 0, 0], [0, 0, 0, 0]])
    >>> rpn_proposals(anchors, deltas, np.array([0.75, 0.5, 0.25]), height=10, width=20, min_size=4)
    (array([[ 0.,  0.,  8.,  8.],
           [14.,  0., 20.,  8.]]), array([0.75, 0.5 ]))
    """
    return rpn_proposals_kernel(
        anchors,
        deltas,
        scores,
        levels,
        height=height,
        width=width,
        order=order,
        transform_convention=transform_convention,
        clamp=clamp,
        clip_convention=clip_convention,
        min_size=min_size,
        size_convention=size_convention,
        pre_nms=pre_nms,
        nms_threshold=nms_threshold,
        offset=offset,
        post_nms=post_nms,
    )

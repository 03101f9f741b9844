"""What a detector of two stages reports for one image, from its proposals and what its head says of them.

    1. Decode a box for every proposal and class.
    2. Drop every proposal of which a box or a score is not finite.
    3. Clip.
    4. Candidates are the pairs (proposal, class) with score > score_threshold, the background left out,
       and, if `min_size` is given, with both sides ≥ min_size.
    5. Keep the `pre_nms` best of each class; suppress within each class; keep the `post_nms` best of all.

Girshick, "Fast R-CNN" (2015), §2.3; Ren et al., "Faster R-CNN" (2015); decks 001 and 002.

| of | background | transform, clamp | clip | score > | sides ≥ | pre-NMS | NMS | post-NMS |
|---|---|---|---|---|---|---|---|---|
| Fast R-CNN | first | continuous, none | legacy | set by the data | | 100 a class | 0.3, offset 1 | |
| Detectron | first | detectron1, SCALE_CLAMP | legacy | 0.05 | | | 0.5, offset 1 | 100 |
| Detectron2 | last | continuous, SCALE_CLAMP | continuous | 0.05 | | | 0.5 | 100 |
| torchvision | first | continuous, SCALE_CLAMP | continuous | 0.05 | 0.01 | | 0.5 | 100 |

All but Fast R-CNN, which takes mean and std from its training set, have the weights (10, 10, 5, 5), or Faster R-CNN's
std (0.1, 0.1, 0.2, 0.2), which is the same.

Conventions:

- A class is a column of the scores, and so is what is returned: from 1 on with the background first (torchvision), from
  0 on with the background last (Detectron2) or none.
- One proposal may be detected as several classes, each with its box: nothing but step 4 looks at which is the best.
- score > score_threshold, never ≥; the threshold is rounded to the dtype of the scores before it is compared. A side
  equal to min_size is kept; without min_size a box without area is kept too (Detectron, Detectron2). A box goes where
  IoU > nms_threshold, and equality survives.
- Scores descend; equal ones take the lowest proposal first, then the lowest class, at both cuts and in the
  suppression. The cuts are exact: Detectron, and later versions of py-faster-rcnn, keep all that equal the last one.
- Step 2 is Detectron2's: a NaN or an infinity in any score, the background's included, or in a box of any class that is
  not the background, drops the whole proposal, and an infinite box is not clipped into a finite one. torchvision and
  py-faster-rcnn do not look.
- Deltas come in three layouts, told apart by their columns: one transform for all classes (4), one for each class
  without the background (Detectron2), or one for each column of the scores, where that of the background is not read.
- Scores are probabilities, or anything else that may be compared across classes; they are not changed.
- A limit may exceed what is there, and may be 0; None takes all.
- The steps run in the backend in use, so that its kernels, or deviations of them, are inherited.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.boxes.check import Four, check_boxes, check_offset, four_numbers
from refdet.boxes.clip import CONVENTIONS as CLIP_CONVENTIONS
from refdet.boxes.clip import clip_boxes
from refdet.boxes.large_enough import large_enough
from refdet.boxes.nms import class_nms
from refdet.boxes.transform import CONVENTIONS as TRANSFORM_CONVENTIONS
from refdet.boxes.transform import SCALE_CLAMP, decode_boxes
from refdet.core.check import (
    Array,
    Numbers,
    check_choice,
    check_floating,
    check_number,
    check_rank,
    integer,
    shape_of,
)
from refdet.core.kernel import kernel
from refdet.detection.composition import best_of_each, check_limit

BACKGROUNDS = ("first", "last", "none")


class DetectionStages(NamedTuple):
    """What comes on the way, in order; a candidate is a pair (proposal, class)."""

    decoded: Array  # (R, C, 4), for the C classes that are not the background
    finite: Array  # (F,), the proposals that are left
    clipped: Array  # (F, C, 4)
    above_score: Array  # (F, C) booleans
    candidates: Array  # (M, 2), in ascending order
    before_nms: Array  # (M', 2), in descending order of score
    kept: Array  # (K, 2), in descending order of score, before the last cut


def _check(
    proposals: Array,
    deltas: Array,
    scores: Array,
    *,
    height: int,
    width: int,
    background: str,
    transform_convention: str,
    weights: Four,
    mean: Four,
    std: Four,
    clamp: float | None,
    clip_convention: str,
    score_threshold: float,
    min_size: float | None,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> None:
    op = "detections"
    check_boxes(op, proposals=proposals)
    check_floating(op, proposals=proposals, deltas=deltas, scores=scores)
    check_rank(op, "deltas", deltas, "R, 4B")
    check_rank(op, "scores", scores, "R, K")
    check_choice(op, "background", background, BACKGROUNDS)
    (n_proposals, _), n_columns = shape_of(proposals), shape_of(scores)[1]
    if background != "none" and n_columns == 0:
        raise ValueError(f"{op}: scores must have a column for the background, got {shape_of(scores)}")
    if len(scores) != n_proposals:
        raise ValueError(f"{op}: scores must have {n_proposals} rows, one per proposal, got {shape_of(scores)}")
    n_objects = _length(_objects(n_columns, background))
    widths = sorted({4, 4 * n_objects, 4 * n_columns})
    if len(deltas) != n_proposals or shape_of(deltas)[1] not in widths:
        raise ValueError(
            f"{op}: deltas must have {n_proposals} rows, one per proposal, of {' or '.join(map(str, widths))} numbers "
            f"(for all classes, without or with the background), got {shape_of(deltas)}"
        )
    for name, size in {"height": height, "width": width}.items():
        integer(op, name, size, low=0 if clip_convention == "continuous" else 1)
    check_choice(op, "transform_convention", transform_convention, TRANSFORM_CONVENTIONS)
    check_choice(op, "clip_convention", clip_convention, CLIP_CONVENTIONS)
    four_numbers(op, "weights", weights, positive=True)
    four_numbers(op, "mean", mean)
    four_numbers(op, "std", std, positive=True)
    if clamp is not None:
        check_number(op, "clamp", clamp)
    check_number(op, "score_threshold", score_threshold)
    if min_size is not None:
        check_number(op, "min_size", min_size, low=0)
    check_number(op, "nms_threshold", nms_threshold, low=0, high=1)
    check_offset(op, offset)
    check_limit(op, "pre_nms", pre_nms)
    check_limit(op, "post_nms", post_nms)


def _objects(n_columns: int, background: str) -> slice:
    """Return the columns that are not the background."""
    return slice(1 if background == "first" else 0, n_columns - 1 if background == "last" else n_columns)


def _length(columns: slice) -> int:
    return int(columns.stop - columns.start)


def _of_objects(boxes: Array, objects: slice, n_columns: int) -> Array:
    """Return (R, C, 4), the boxes of the classes that are not the background, from (R, B, 4)."""
    n_blocks = shape_of(boxes)[1]
    if n_blocks == _length(objects):
        return boxes
    return boxes[:, objects] if n_blocks == n_columns else np.repeat(boxes, _length(objects), axis=1)


def detections_stages(
    proposals: Array,
    deltas: Array,
    scores: Array,
    *,
    height: int,
    width: int,
    background: str,
    transform_convention: str,
    weights: Numbers,
    mean: Numbers,
    std: Numbers,
    clamp: float | None,
    clip_convention: str,
    score_threshold: float,
    min_size: float | None,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> DetectionStages:
    """Return every intermediate result of `detections`, by name; the arguments are the same, and all are needed.

    Of two proposals in one place the second is the better dog, and neither is a cat:

    >>> stages = detections_stages(np.array([[0.0, 0, 8, 8]] * 2), np.zeros((2, 4)),
    ...     np.array([[0.5, 0.0, 0.5], [0.25, 0.0, 0.75]]), height=8, width=8, background="first",
    ...     transform_convention="continuous", weights=(1, 1, 1, 1), mean=(0, 0, 0, 0), std=(1, 1, 1, 1), clamp=None,
    ...     clip_convention="continuous", score_threshold=0.25, min_size=None, pre_nms=None, nms_threshold=0.5,
    ...     offset=0, post_nms=100)
    >>> stages.candidates.tolist(), stages.kept.tolist()
    ([[0, 2], [1, 2]], [[1, 2]])
    """
    n_columns, n_blocks = shape_of(scores)[1], shape_of(deltas)[1] // 4
    objects = _objects(n_columns, background)
    boxes = decode_boxes(
        proposals, deltas, convention=transform_convention, weights=weights, mean=mean, std=std, clamp=clamp
    )
    decoded = _of_objects(np.reshape(boxes, (len(boxes), n_blocks, 4)), objects, n_columns)
    finite = np.flatnonzero(np.all(np.isfinite(decoded), axis=(1, 2)) & np.all(np.isfinite(scores), axis=1))
    clipped = np.reshape(
        clip_boxes(np.reshape(decoded[finite], (-1, 4)), height=height, width=width, convention=clip_convention),
        (len(finite), _length(objects), 4),
    )
    above_score = scores[finite][:, objects] > float(score_threshold)

    rows, columns = np.nonzero(above_score)  # ascending
    if min_size is not None:
        is_large = large_enough(clipped[rows, columns], min_size)
        rows, columns = rows[is_large], columns[is_large]
    candidates = np.stack([finite[rows], columns + objects.start], axis=1)  # (M, 2)
    s, classes = scores[candidates[:, 0], candidates[:, 1]], candidates[:, 1]
    best = best_of_each(s, classes, pre_nms)
    survivors = class_nms(clipped[rows, columns][best], s[best], classes[best], nms_threshold, offset=offset)
    before_nms = candidates[best]
    return DetectionStages(decoded, finite, clipped, above_score, candidates, before_nms, before_nms[survivors])


@kernel("detections", check=_check, portable=True)
def detections_kernel(
    proposals: Array,
    deltas: Array,
    scores: Array,
    *,
    height: int,
    width: int,
    background: str,
    transform_convention: str,
    weights: Four,
    mean: Four,
    std: Four,
    clamp: float | None,
    clip_convention: str,
    score_threshold: float,
    min_size: float | None,
    pre_nms: int | None,
    nms_threshold: float,
    offset: int,
    post_nms: int | None,
) -> tuple[Array, Array, Array]:
    """Return boxes, (D, 4), scores, (D,), and classes, (D,) int64, in descending order of score."""
    stages = detections_stages(
        proposals,
        deltas,
        scores,
        height=height,
        width=width,
        background=background,
        transform_convention=transform_convention,
        weights=weights,
        mean=mean,
        std=std,
        clamp=clamp,
        clip_convention=clip_convention,
        score_threshold=score_threshold,
        min_size=min_size,
        pre_nms=pre_nms,
        nms_threshold=nms_threshold,
        offset=offset,
        post_nms=post_nms,
    )
    of, classes = stages.kept[:post_nms, 0], stages.kept[:post_nms, 1]
    rows = np.searchsorted(stages.finite, of)
    columns = classes - _objects(shape_of(scores)[1], background).start
    return stages.clipped[rows, columns], scores[of, classes], np.copy(classes)


def detections(
    proposals: Array,
    deltas: Array,
    scores: Array,
    *,
    height: int,
    width: int,
    background: str = "first",
    transform_convention: str = "continuous",
    weights: Numbers = (10.0, 10.0, 5.0, 5.0),
    mean: Numbers = (0.0, 0.0, 0.0, 0.0),
    std: Numbers = (1.0, 1.0, 1.0, 1.0),
    clamp: float | None = SCALE_CLAMP,
    clip_convention: str = "continuous",
    score_threshold: float = 0.05,
    min_size: float | None = None,
    pre_nms: int | None = None,
    nms_threshold: float = 0.5,
    offset: int = 0,
    post_nms: int | None = 100,
) -> tuple[Array, Array, Array]:
    """Turn what a head says of proposals into the detections of an image.

    Args:
        proposals: (R, 4), rows (x1, y1, x2, y2), float32 or float64.
        deltas: (R, 4B), of the same dtype, for all classes at once, or for each with or without the background.
        scores: (R, K), of the same dtype, one column per class.
        height: of the image, in pixels.
        width: of the image, in pixels.
        background: which column of the scores is the background: "first", "last", or "none" of them.
        transform_convention: "continuous", "py-faster" or "detectron1", for `decode_boxes`.
        weights: of the transform, four positive numbers for x, y, w and h.
        mean: likewise, four numbers.
        std: likewise, four positive numbers.
        clamp: upper limit of t_w and t_h; None for no limit.
        clip_convention: "continuous", "legacy" or "matlab", for `clip_boxes`.
        score_threshold: a score must be greater.
        min_size: both sides must be at least that long; None: of any length, 0 included.
        pre_nms: how many of the best of each class enter the suppression; None for all.
        nms_threshold: in [0, 1]; a box goes where its IoU with a better one of its class that is kept is greater.
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1, in the suppression.
        post_nms: how many of the best of all classes are returned; None for all.

    Returns:
        boxes, (D, 4), scores, (D,), and classes, (D,) int64, in descending order of score.

    Two proposals in one place and one apart, two classes beside the background. The second dog is suppressed, the cat
    in its place is not:

    >>> proposals = np.array([[0.0, 0, 8, 8], [0, 0, 8, 8], [8, 0, 16, 8]])
    >>> scores = np.array([[0.125, 0.875, 0.0], [0.25, 0.25, 0.5], [0.5, 0.0, 0.5]])
    >>> boxes, scores, classes = detections(proposals, np.zeros((3, 4)), scores, height=8, width=12)
    >>> boxes
    array([[ 0.,  0.,  8.,  8.],
           [ 0.,  0.,  8.,  8.],
           [ 8.,  0., 12.,  8.]])
    >>> scores, classes
    (array([0.875, 0.5  , 0.5  ]), array([1, 2, 2]))
    """
    return detections_kernel(
        proposals,
        deltas,
        scores,
        height=height,
        width=width,
        background=background,
        transform_convention=transform_convention,
        weights=four_numbers("detections", "weights", weights, positive=True),
        mean=four_numbers("detections", "mean", mean),
        std=four_numbers("detections", "std", std, positive=True),
        clamp=clamp,
        clip_convention=clip_convention,
        score_threshold=score_threshold,
        min_size=min_size,
        pre_nms=pre_nms,
        nms_threshold=nms_threshold,
        offset=offset,
        post_nms=post_nms,
    )

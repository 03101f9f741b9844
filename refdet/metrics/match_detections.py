"""Which detections of one class are right: each is held against the ground truths of its image, best score first.

    for each detection, in descending order of score:
        t = the candidate of highest IoU among the ground truths of its image, the first of equals
        if IoU > threshold (or ≥): −1 if t is difficult; 1 if t is not taken, which takes it; else 0
        otherwise, or if there is no candidate: 0

1 is a true positive, 0 a false one, −1 neither. `candidates` says among which ground truths t is sought:

| candidates | t is the best | of |
|---|---|---|
| unmatched | of those not yet taken | deck 001: "mark it as positive and eliminate the GT" |
| all | of all; taken already is a false positive | PASCAL VOC's devkit, py-faster-rcnn |

They differ in a crowd: ground truths [0, 0, 100, 100] and [30, 0, 130, 100], a detection equal to the first and then
[10, 0, 110, 100], whose IoU is 0.818 with the first and 0.667 with the second: it finds the second object, or repeats
the first.

Conventions:

- Deck 001 says IoU > 0.5, as py-faster-rcnn does; VOC's MATLAB code says ≥: `comparison`. The threshold is rounded to
  the dtype of the boxes before it is compared, as in `refdet.boxes.nms`.
- `offset=1`: width x2 − x1 + 1, as VOC has it; see `refdet.boxes.iou`.
- A difficult object is a candidate like any other, is never taken, and so excuses any number of detections.
- An IoU of NaN is less than any other and never a match. That of boxes which do not meet is 0: with threshold 0 and ≥
  it is a match, which VOC's MATLAB code, starting from −∞ and passing over such boxes, does not make.
- The detections must come in descending order of score; those of different images do not meet.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.check import check_boxes, check_offset
from refdet.boxes.iou import box_iou_kernel
from refdet.boxes.overlaps import COMPARISONS
from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_integer,
    check_number,
    check_shape,
    shape_of,
)
from refdet.core.kernel import kernel

CANDIDATES = ("unmatched", "all")


def _check(
    boxes: Array,
    image_ids: Array,
    truths: Array,
    truth_image_ids: Array,
    difficult: Array,
    *,
    threshold: float,
    comparison: str,
    candidates: str,
    offset: int,
) -> None:
    op = "match_detections"
    check_boxes(op, boxes=boxes, truths=truths)
    check_integer(op, image_ids=image_ids, truth_image_ids=truth_image_ids)
    check_shape(op, "image_ids", image_ids, shape_of(boxes)[:1], "one per detection")
    check_shape(op, "truth_image_ids", truth_image_ids, shape_of(truths)[:1], "one per ground truth")
    check_booleans(op, difficult=difficult)
    check_shape(op, "difficult", difficult, shape_of(truths)[:1], "one flag per ground truth")
    check_number(op, "threshold", threshold, low=0, high=1)
    check_choice(op, "comparison", comparison, COMPARISONS)
    check_choice(op, "candidates", candidates, CANDIDATES)
    check_offset(op, offset)


@kernel("match_detections", check=_check)
def match_detections_kernel(
    boxes: Array,
    image_ids: Array,
    truths: Array,
    truth_image_ids: Array,
    difficult: Array,
    *,
    threshold: float,
    comparison: str,
    candidates: str,
    offset: int,
) -> Array:
    """Return the verdicts, (D,) int64, found image by image."""
    verdicts = np.zeros(len(boxes), np.int64)
    columns_of = rows_by_image(truth_image_ids)
    for image_id, rows in rows_by_image(image_ids).items():
        if image_id in columns_of:
            columns = columns_of[image_id]
            iou = box_iou_kernel.reference(boxes[rows], truths[columns], None, offset=offset, empty="zero")
            iou = np.where(np.isnan(iou), -1, iou)
            matches = COMPARISONS[comparison](iou, float(threshold))
            verdicts[rows] = _verdicts(iou, matches, difficult[columns], candidates)
    return verdicts


def rows_by_image(image_ids: Array) -> dict[int, Array]:
    """Return the rows of each image, ascending, by image id.

    >>> rows_by_image(np.array([7, 5, 7]))
    {5: array([1]), 7: array([0, 2])}
    """
    order = np.argsort(image_ids, kind="stable")
    ids, starts = np.unique(image_ids[order], return_index=True)
    return dict(zip(ids.tolist(), np.split(order, starts)[1:], strict=True))


def _verdicts(iou: Array, matches: Array, difficult: Array, candidates: str) -> Array:
    """Return the verdicts in one image, where `iou` (d, g) is above or at the threshold where it `matches`."""
    taken = np.zeros(iou.shape[1], bool)
    verdicts = np.zeros(len(iou), np.int64)
    for i, overlaps in enumerate(iou):
        best = np.argmax(np.where(taken, -1, overlaps) if candidates == "unmatched" else overlaps)
        if matches[i, best]:
            if difficult[best]:
                verdicts[i] = -1
            elif not taken[best]:
                verdicts[i], taken[best] = 1, True
    return verdicts


def match_detections(
    boxes: Array,
    image_ids: Array,
    truths: Array,
    truth_image_ids: Array,
    *,
    difficult: Array | None = None,
    threshold: float = 0.5,
    comparison: str = ">",
    candidates: str = "unmatched",
    offset: int = 0,
) -> Array:
    """Tell the right detections of one class from the wrong ones.

    Args:
        boxes: (D, 4), rows (x1, y1, x2, y2), float32 or float64, in descending order of score.
        image_ids: (D,), integers: in which image each of them is.
        truths: (G, 4), the objects of that class, of the same dtype.
        truth_image_ids: (G,), integers.
        difficult: (G,), booleans: objects that need not be found; None is none.
        threshold: in [0, 1], on the IoU.
        comparison: ">" or ">=".
        candidates: "unmatched" or "all" (see the module).
        offset: 0 for continuous coordinates, 1 for the legacy width x2 − x1 + 1.

    Returns:
        (D,), int64: 1 true positive, 0 false positive, −1 neither.

    The second detection repeats the first, and the third is in another image:

    >>> boxes = np.array([[0.0, 0, 4, 4]] * 3)
    >>> match_detections(boxes, np.array([1, 1, 2]), boxes[:1], np.array([1]))
    array([1, 0, 0])
    """
    if difficult is None:
        difficult = np.zeros(np.shape(truths)[:1], bool)
    return match_detections_kernel(
        boxes,
        image_ids,
        truths,
        truth_image_ids,
        difficult,
        threshold=threshold,
        comparison=comparison,
        candidates=candidates,
        offset=check_offset("match_detections", offset),
    )

"""Labels of the anchors of a region proposal network, from their IoU with the ground truths.

In this order, so that positives override negatives (py-faster-rcnn with RPN_CLOBBER_POSITIVES False):

    0 where best IoU < negative
    1 where the IoU equals the best that some ground truth has with any anchor   (force_best)
    1 where best IoU ≥ positive
    0 everywhere if there is no ground truth, whatever the thresholds
    −1 where the anchor is not `inside` the image; such an anchor is nobody's best either

What is left is −1, ignored. Ren, He, Girshick & Sun, "Faster R-CNN" (2015), §3.1.2; decks 000 and 001.

Conventions, besides those of `refdet.boxes.overlaps`:

- Deck 000 has > 0.7, deck 001 ≥ 0.7, all code ≥: `comparison`.
- Every anchor that ties for a ground truth's best becomes positive. If that best is 0, these would be all anchors that
  do not touch it, and so they become in py-faster-rcnn, torchvision and Detectron2, which test for equality alone.
  `guard_zero` forbids it.
- A forced positive is matched, and will be regressed, to its own ground truth: not always the one that forced it.
"""

from __future__ import annotations

import numpy as np

from refdet.boxes.overlaps import COMPARISONS, check_overlaps, own_ground_truth, without_nan
from refdet.core.check import Array, check_booleans, check_choice, check_flag, check_shape, shape_of
from refdet.core.kernel import kernel


def _check(
    iou: Array,
    inside: Array | None,
    *,
    positive: float,
    negative: float,
    comparison: str,
    force_best: bool,
    guard_zero: bool,
) -> None:
    check_overlaps("match_rpn", iou, "A, G", positive=positive, negative=negative)
    check_choice("match_rpn", "comparison", comparison, COMPARISONS)
    check_flag("match_rpn", "force_best", force_best)
    check_flag("match_rpn", "guard_zero", guard_zero)
    check_booleans("match_rpn", inside=inside)
    if inside is not None:
        check_shape("match_rpn", "inside", inside, shape_of(iou)[:1], "one per anchor")


@kernel("match_rpn", check=_check)
def match_rpn_kernel(
    iou: Array,
    inside: Array | None,
    *,
    positive: float,
    negative: float,
    comparison: str,
    force_best: bool,
    guard_zero: bool,
) -> tuple[Array, Array]:
    """Return labels and matches, both (A,) int64."""
    overlaps = without_nan(iou)
    best, matches = own_ground_truth(overlaps)
    takes_part = np.ones(len(best), bool) if inside is None else inside
    labels = np.full(len(best), -1, np.int64)
    labels[best < float(negative)] = 0
    if force_best:
        best_of_truth = np.max(overlaps[takes_part], axis=0, initial=0)
        forces = best_of_truth > 0 if guard_zero else np.ones(len(best_of_truth), bool)
        labels[np.any((overlaps == best_of_truth) & forces, axis=1)] = 1
    labels[COMPARISONS[comparison](best, float(positive))] = 1
    if overlaps.shape[1] == 0:
        labels[:] = 0
    labels[~takes_part] = -1
    return labels, matches


def match_rpn(
    iou: Array,
    inside: Array | None = None,
    *,
    positive: float = 0.7,
    negative: float = 0.3,
    comparison: str = ">=",
    force_best: bool = True,
    guard_zero: bool = True,
) -> tuple[Array, Array]:
    """Label anchors as object, background, or neither.

    Args:
        iou: (A, G) of anchors with ground truths, float32 or float64.
        inside: (A,) boolean, which anchors lie inside the image; None for all, as in torchvision and Detectron2.
        positive: best IoU from which an anchor is positive.
        negative: best IoU below which it is negative.
        comparison: ">=" or ">", of the best IoU with `positive`.
        force_best: whether the best anchors of each ground truth are positive whatever their IoU.
        guard_zero: whether a best of 0 forces nothing.

    Returns:
        labels, (A,) int64: 1, 0 or −1; and matches, (A,) int64: each anchor's own ground truth, whatever its label, or
        −1 where there is none.

    Anchor 0 is the best of ground truth 0, though below 0.7; anchor 1 lies between the thresholds:

    >>> labels, matches = match_rpn(np.array([[0.6, 0.0], [0.5, 0.1], [0.0, 0.8]]))
    >>> labels, matches
    (array([ 1, -1,  1]), array([0, 0, 1]))
    """
    return match_rpn_kernel(
        iou,
        inside,
        positive=positive,
        negative=negative,
        comparison=comparison,
        force_best=force_best,
        guard_zero=guard_zero,
    )

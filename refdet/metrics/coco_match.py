"""Who detected whom: the greedy matching of the COCO evaluation, for all thresholds at once.

    for each detection, the highest score first:
        candidates = ground truths with iou ≥ min(threshold, 1 − 10⁻¹⁰) that are not taken yet, or are crowd regions
        if some of them are not ignored, leave out those that are
        match the candidate with the largest iou, and take it

Lin et al., "Microsoft COCO: common objects in context" (2014); `evaluateImg` of the COCO API, `cocoeval.py`.

Conventions:

- ≥: an IoU equal to the threshold is enough. Threshold 1 is lowered by 10⁻¹⁰, so that rounding does not keep equal
  shapes apart.
- Of equal IoUs the last column wins, contrary to the first everywhere else here: the original goes on with any
  candidate that is not worse.
- The rows are in the order of their scores. The columns may come in any order; the original sorts the ignored ones to
  the end, stably, which gives the same matches.
- A crowd region may be taken any number of times; `taken` has the last. It need not be ignored.
- An IoU of NaN is never enough. (In the original it always is.)
- The thresholds do not know of each other: each has its own matches.
- Axes before these are a batch of independent problems; those of `iou`, `ignored` and `crowd` broadcast, so that one
  set of overlaps serves several sets of ignored ground truths. Rows and columns of −1 are there for padding: nothing
  matches them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.core.check import Array, check_booleans, check_floating, check_number, not_an_array, sequence, shape_of
from refdet.core.kernel import kernel

# 0.5, 0.55 ... 0.95 as the evaluation computes them: the ninth is the float before 0.9
COCO_THRESHOLDS = tuple(np.linspace(0.5, 0.95, 10).tolist())
ALMOST_ONE = 1 - 1e-10


def _check(iou: Array, ignored: Array, crowd: Array, *, thresholds: tuple[float, ...]) -> None:
    check_floating("coco_match", iou=iou)
    if iou.ndim < 2:
        raise ValueError(f"coco_match: iou must have shape (..., D, G), got {shape_of(iou)}")
    for name, flags in (("ignored", ignored), ("crowd", crowd)):
        if flags is None:
            raise not_an_array("coco_match", name, flags)
        check_booleans("coco_match", **{name: flags})
        if flags.ndim < 1 or flags.shape[-1] != iou.shape[-1]:
            raise ValueError(
                f"coco_match: {name} must have one flag per column of iou, got {shape_of(flags)} for {shape_of(iou)}"
            )
    try:
        np.broadcast_shapes(iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1])
    except ValueError as error:
        raise ValueError(
            "coco_match: the batch axes of iou, ignored and crowd do not broadcast, got "
            f"{shape_of(iou)}, {shape_of(ignored)}, {shape_of(crowd)}"
        ) from error
    for t in thresholds:
        check_number("coco_match", "thresholds", t, low=0, high=1)


@kernel("coco_match", check=_check)
def coco_match_kernel(
    iou: Array, ignored: Array, crowd: Array, *, thresholds: tuple[float, ...]
) -> tuple[Array, Array]:
    """Return matches, (..., T, D), the column of each detection, and taken, (..., T, G), the row; −1 is none."""
    batch = np.broadcast_shapes(iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1])
    D, G = iou.shape[-2:]
    limits = np.minimum(np.array(thresholds, np.float64), ALMOST_ONE)[:, None]  # (T, 1)
    matches = np.full((*batch, len(limits), D), -1, np.int64)
    taken = np.full((*batch, len(limits), G), -1, np.int64)
    if min(D, G, len(limits)) == 0:
        return matches, taken
    ignored, crowd = ignored[..., None, :], crowd[..., None, :]  # (..., 1, G)
    for d in range(D):
        overlaps = iou[..., d, None, :]  # (..., 1, G)
        candidates = (overlaps >= limits) & ((taken < 0) | crowd)  # (..., T, G)
        is_match = candidates.any(axis=-1, keepdims=True)  # (..., T, 1)
        if not is_match.any():
            continue
        counted = candidates & ~ignored
        candidates = np.where(counted.any(axis=-1, keepdims=True), counted, candidates)
        best = _last_largest(np.where(candidates, overlaps, -1))  # a candidate has 0 or more
        matches[..., d] = np.where(is_match, best, -1)[..., 0]
        np.copyto(taken, d, where=is_match & (np.arange(G) == best))
    return matches, taken


def _last_largest(values: Array) -> Array:
    """Return the place of the largest value of each row, the last of equals, (..., 1)."""
    last: Array = values.shape[-1] - 1 - values[..., ::-1].argmax(axis=-1)
    return last[..., None]


def coco_match(
    iou: Array, ignored: Array, crowd: Array, *, thresholds: Sequence[float] = COCO_THRESHOLDS
) -> tuple[Array, Array]:
    """Match detections with ground truths.

    Args:
        iou: (D, G), float32 or float64: one row per detection, in descending order of score.
        ignored: (G,) booleans: ground truths that are matched only where no other is left.
        crowd: (G,) booleans: ground truths that any number of detections may match.
        thresholds: T numbers in [0, 1], compared in float64.

    Returns:
        matches, (T, D) int64, the column that each detection matches, and taken, (T, G) int64, the (last) row that
        matches each ground truth; −1 where there is none.

    Both detections prefer column 0; the second has to make do with column 1, which is not enough at threshold 0.7:

    >>> iou = np.array([[0.9, 0.0], [0.8, 0.6]])
    >>> no = np.array([False, False])
    >>> coco_match(iou, no, no, thresholds=(0.5, 0.7))
    (array([[ 0,  1],
           [ 0, -1]]), array([[ 0,  1],
           [ 0, -1]]))
    """
    limits = sequence("coco_match", "thresholds", thresholds)
    return coco_match_kernel(
        iou, ignored, crowd, thresholds=tuple(check_number("coco_match", "thresholds", t) for t in limits)
    )

"""Intersection over union of run-length encoded masks, without decoding them.

    iou(d, g) = |d ∩ g| / |d ∪ g|, where | | counts pixels;    for a crowd region g: |d ∩ g| / |d|

Lin et al., "Microsoft COCO: common objects in context" (2014); `rleIou` of the COCO API.

With F_d(t) the number of true pixels of d before position t, a run [start, stop) of g meets F_d(stop) − F_d(start) true
pixels of d. F_d is looked up by bisection among the ends of the runs.

Conventions:

- Where nothing is shared the result is 0, also for two empty masks.
- A crowd region stands for any number of objects, so that a detection is not blamed for covering only some of it.
- All masks have one size. (The COCO API returns −1 for a pair of different sizes whose boxes meet.)
- Counts are whole numbers throughout; the one rounding is that of the quotient, in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.core.check import Array, check_booleans, check_integer, check_rank, check_sequence, check_shape
from refdet.core.geometry import Pair
from refdet.core.kernel import kernel
from refdet.masks.rle import RLE, check_counts, check_same_size

CHUNK_ELEMENTS = 2**20  # pairs of a detection and a run that are looked up at a time


def _check(
    counts: Array, starts: Array, other_counts: Array, other_starts: Array, crowd: Array | None, *, size: Pair
) -> None:
    check_counts("rle_iou", counts, size=size)
    check_integer("rle_iou", counts=other_counts)
    check_rank("rle_iou", "counts", other_counts, "n")
    for name, bounds in (("starts", starts), ("other_starts", other_starts)):
        check_rank("rle_iou", name, bounds, "n")
        check_integer("rle_iou", **{name: bounds})
        if len(bounds) == 0:
            raise ValueError(f"rle_iou: {name} must have one entry per mask and one more, got none")
    check_booleans("rle_iou", crowd=crowd)
    if crowd is not None:
        check_shape("rle_iou", "crowd", crowd, (len(other_starts) - 1,), "one flag per ground truth")


@kernel("rle_iou", check=_check)
def rle_iou_kernel(
    counts: Array, starts: Array, other_counts: Array, other_starts: Array, crowd: Array | None, *, size: Pair
) -> Array:
    """Return iou, (D, G) float64; mask i has the counts from starts[i] up to starts[i + 1]."""
    n_pixels = size[0] * size[1]
    n_detections, n_truths = len(starts) - 1, len(other_starts) - 1
    # all detections one after the other: detection d lies at positions d·H·W and up
    ends = np.cumsum(counts)
    is_true = _odd_runs(starts)
    true_up_to_end = np.cumsum(counts * is_true)

    def true_before(position: Array) -> Array:
        run = np.searchsorted(ends, position)  # the first that ends at or after it
        found: Array = true_up_to_end[run] - is_true[run] * (ends[run] - position)
        return found

    true_of_truths = _odd_runs(other_starts) & (other_counts > 0)
    run_starts, run_stops = _runs(other_counts, true_of_truths, other_starts, n_pixels)
    run_bounds = np.concatenate([[0], np.cumsum(true_of_truths)])[other_starts]  # (G + 1,), of the true runs alone
    inter = np.zeros((n_detections, n_truths), np.int64)
    n_rows = max(1, CHUNK_ELEMENTS // max(1, len(run_starts)))
    for first in range(0, n_detections, n_rows):
        offset = n_pixels * np.arange(first, min(first + n_rows, n_detections))[:, None]
        shared = true_before(offset + run_stops) - true_before(offset + run_starts)  # (rows, runs)
        inter[first : first + n_rows] = _sums_between(shared, run_bounds)

    area = _sums_between(counts * is_true, starts)[:, None]
    other_area = _sums_between(other_counts * true_of_truths, other_starts)
    union = area + other_area - inter
    if crowd is not None:
        union = np.where(crowd, area, union)
    return inter / np.maximum(union, 1)  # 0 / 0: nothing is shared


def _odd_runs(starts: Array) -> Array:
    """Return for each run of some masks whether it is of true pixels: the second, the fourth ... of its mask."""
    lengths = np.diff(starts)
    odd: Array = (np.arange(starts[-1]) - np.repeat(starts[:-1], lengths)) % 2 == 1
    return odd


def _runs(counts: Array, is_true: Array, starts: Array, n_pixels: int) -> tuple[Array, Array]:
    """Return where each run for which `is_true` holds starts and stops within its own mask."""
    mask_index = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    stops = (np.cumsum(counts) - n_pixels * mask_index)[is_true]
    return stops - counts[is_true], stops


def _sums_between(values: Array, bounds: Array) -> Array:
    """Return the sum of values[..., bounds[i] : bounds[i + 1]] for every i; whole numbers, so that it is exact."""
    sums = np.zeros((*values.shape[:-1], values.shape[-1] + 1), np.int64)
    np.cumsum(values, axis=-1, out=sums[..., 1:])
    return np.diff(sums[..., bounds], axis=-1)


def ragged(masks: Sequence[RLE]) -> tuple[Array, Array]:
    """Return the counts of all masks one after the other, and where each mask starts among them, with the end."""
    lengths = [len(rle.counts) for rle in masks]
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
    counts = np.concatenate([np.zeros(0, np.int64), *(rle.counts for rle in masks)], dtype=np.int64)
    return counts, starts


def rle_iou(detections: Sequence[RLE], ground_truths: Sequence[RLE], crowd: Array | None = None) -> Array:
    """Measure how much each of D masks overlaps each of G others.

    Args:
        detections: D masks, all of one size.
        ground_truths: G masks of the same size.
        crowd: (G,) booleans: columns where the intersection is divided by the area of the detection; None is none.

    Returns:
        iou, (D, G), float64.

    The first three of six pixels against the pixels 2 to 4: one of five is shared, or, as a crowd, one of three.

    >>> d, g = RLE(np.array([0, 3, 3]), (3, 2)), RLE(np.array([2, 3, 1]), (3, 2))
    >>> rle_iou([d], [g, g], np.array([False, True]))
    array([[0.2       , 0.33333333]])
    """
    check_sequence("rle_iou", "detections", detections)
    check_sequence("rle_iou", "ground_truths", ground_truths)
    masks = [*detections, *ground_truths]
    size = check_same_size("rle_iou", masks) if masks else (0, 0)
    return rle_iou_kernel(*ragged(detections), *ragged(ground_truths), crowd, size=size)

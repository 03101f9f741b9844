"""How alike detections and ground truths are, by kind of evaluation, for a batch of problems.

A problem is what one category has in one image: D detections and G ground truths. Problems of about the same size are
evaluated together; rows of −1 fill up the smaller ones, and similarity −1 says that nothing is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, positive_numbers
from refdet.masks.rle import RLE
from refdet.masks.rle_iou import ragged, rle_iou_kernel
from refdet.metrics.coco_box_iou import coco_box_iou_kernel
from refdet.metrics.object_keypoint_similarity import object_keypoint_similarity_kernel
from refdet.metrics.records import Detections, GroundTruths

TABLE_ELEMENTS = 2**8  # pairs of masks that are compared in one call, if there are several problems in it

# detection rows (B, D) and ground-truth rows (B, G), −1 where none -> similarities (B, D, G)
Similarity = Callable[[Array, Array], Array]


def box_similarity(detections: Detections, ground_truths: GroundTruths) -> Similarity:
    """Compare boxes, the whole batch at once."""

    def compute(detection_rows: Array, truth_rows: Array) -> Array:
        iou = coco_box_iou_kernel(
            detections.boxes_xywh[detection_rows],
            ground_truths.boxes_xywh[truth_rows],
            ground_truths.is_crowd[truth_rows],
        )
        is_pair = (detection_rows >= 0)[:, :, None] & (truth_rows >= 0)[:, None, :]
        return np.where(is_pair, iou, -1)

    return compute


def mask_similarity(op: str, detections: Detections, ground_truths: GroundTruths) -> Similarity:
    """Compare masks, a few problems at a time.

    A mask is a column of pixels. Those of all problems are put below each other, in one long column in which masks of
    different problems share nothing. To compare these too, as long as they are few, takes less time than a call for
    every problem.
    """
    detected, true = _masks(op, "detections", detections), _masks(op, "ground_truths", ground_truths)
    detected_sizes, true_sizes = _sizes(detected), _sizes(true)
    detected_columns, true_columns = _ending_in_false(detected), _ending_in_false(true)

    def compute(d: Array, g: Array) -> Array:
        sizes = detected_sizes[d[:, 0]]  # (B, 2)
        differs = _differs(d, detected_sizes, sizes) | _differs(g, true_sizes, sizes)
        if differs.any():
            b = np.argmax(differs)
            found = sorted({*(detected[i].size for i in d[b][d[b] >= 0]), *(true[i].size for i in g[b][g[b] >= 0])})
            image_id = ground_truths.image_ids[g[b, 0]]
            raise ValueError(f"{op}: masks of image {image_id} differ in size (H, W): {found[0]} and {found[1]}")
        n_pixels = sizes.prod(axis=1)
        size = int(n_pixels.sum()), 1
        d_column, g_column = _in_one_column(detected_columns, d, n_pixels), _in_one_column(true_columns, g, n_pixels)
        similarity = np.empty((*d.shape, g.shape[1]))
        n_together = max(1, math.isqrt(TABLE_ELEMENTS // (d.shape[1] * g.shape[1])))
        for first in range(0, len(d), n_together):
            problems = slice(first, first + n_together)
            counts, starts, i = d_column.part(problems)
            other_counts, other_starts, j = g_column.part(problems)
            is_crowd = ground_truths.is_crowd[g[problems][g[problems] >= 0]]
            iou = rle_iou_kernel(counts, starts, other_counts, other_starts, is_crowd, size=size)
            similarity[problems] = iou[i[:, :, None], j[:, None, :]]
        return np.where((d >= 0)[:, :, None] & (g >= 0)[:, None, :], similarity, -1)

    return compute


def keypoint_similarity(
    op: str, detections: Detections, ground_truths: GroundTruths, sigmas: tuple[float, ...]
) -> Similarity:
    """Compare sets of keypoints, one problem at a time."""
    detected = _keypoints(op, "detections", detections, len(sigmas))
    true = _keypoints(op, "ground_truths", ground_truths, len(sigmas))

    def compute(d: Array, g: Array) -> Array:
        boxes, areas = ground_truths.boxes_xywh[g], ground_truths.areas[g]
        return object_keypoint_similarity_kernel(detected[d], true[g], boxes, areas, sigmas=sigmas)

    return _one_by_one(compute)


def similarity_of_kind(
    op: str, kind: str, detections: Detections, ground_truths: GroundTruths, sigmas: Sequence[float]
) -> Similarity:
    """Return the similarity of boxes, masks or keypoints for `op`; refuse records that do not have them."""
    if kind == "bbox":
        return box_similarity(detections, ground_truths)
    if kind == "segm":
        return mask_similarity(op, detections, ground_truths)
    return keypoint_similarity(op, detections, ground_truths, positive_numbers(op, "sigmas", sigmas))


def _masks(op: str, name: str, records: Detections | GroundTruths) -> tuple[RLE, ...]:
    if records.masks is None:
        raise ValueError(f"{op}: kind 'segm' needs masks, and {name} have none")
    return records.masks


def _sizes(masks: Sequence[RLE]) -> Array:
    """Return the sizes (H, W) of all masks, (n, 2)."""
    return np.array([rle.size for rle in masks], np.int64).reshape(-1, 2)


def _differs(rows: Array, sizes: Array, expected: Array) -> Array:
    """Return which problems have a mask of another size than expected, (B,)."""
    is_other = (sizes[rows] != expected[:, None]).any(axis=2) & (rows >= 0)
    differs: Array = is_other.any(axis=1)
    return differs


def _ending_in_false(masks: Sequence[RLE]) -> list[RLE]:
    """Return masks whose last run is one of false pixels; it may be empty."""
    return [rle if len(rle.counts) % 2 else RLE(np.append(rle.counts.astype(np.int64), 0), rle.size) for rle in masks]


class _Column(NamedTuple):
    """The masks of B problems, in the order of these, in a column of pixels that is as long as all their pictures."""

    counts: Array
    starts: Array  # of each mask among the counts, with the end
    places: Array  # (B, n) of each problem's masks among all; behind its last one that is repeated

    def part(self, problems: slice) -> _Column:
        """Return the masks of some problems that follow each other, in the same column."""
        places = self.places[problems]
        first, last = places[0, 0], places[-1, -1]
        starts = self.starts[first : last + 2]
        return _Column(self.counts[starts[0] : starts[-1]], starts - starts[0], places - first)


def _in_one_column(masks: Sequence[RLE], rows: Array, n_pixels: Array) -> _Column:
    """Put the masks of all problems, of n_pixels each and in `rows`, (B, n), below each other; each ends in false.

    The pixels of the problems before its own are added in front of a mask, and those of the problems behind at its end.
    """
    is_there = rows >= 0
    counts, starts = ragged([masks[row] for row in rows[is_there].tolist()])
    problem, ends = np.nonzero(is_there)[0], np.cumsum(n_pixels)
    counts[starts[:-1]] += (ends - n_pixels)[problem]
    counts[starts[1:] - 1] += (ends[-1] - ends)[problem]
    return _Column(counts, starts, np.cumsum(is_there).reshape(rows.shape) - 1)


def _keypoints(op: str, name: str, records: Detections | GroundTruths, n_sigmas: int) -> Array:
    points = records.keypoints
    if points is None:
        raise ValueError(f"{op}: kind 'keypoints' needs keypoints, and {name} have none")
    if len(points) and points.shape[1] != n_sigmas:
        raise ValueError(f"{op}: {name} have {points.shape[1]} keypoints, but there are {n_sigmas} sigmas")
    return points


def _one_by_one(compute: Callable[[Array, Array], Array]) -> Similarity:
    """Make a similarity of a batch out of one of a single problem, which is given rows without −1."""

    def compute_batch(detection_rows: Array, truth_rows: Array) -> Array:
        similarity = np.full((*detection_rows.shape, truth_rows.shape[1]), -1.0)
        for i, (d, g) in enumerate(zip(detection_rows, truth_rows, strict=True)):
            d, g = d[d >= 0], g[g >= 0]
            similarity[i, : len(d), : len(g)] = compute(d, g)
        return similarity

    return compute_batch

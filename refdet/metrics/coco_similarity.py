"""How alike detections and ground truths are, by kind of evaluation, for a batch of problems.

A problem is what one category has in one image: D detections and G ground truths. Problems of about the same size are
evaluated together; rows of −1 fill up the smaller ones, and similarity −1 says that nothing is there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from refdet.core.check import Array, positive_numbers
from refdet.masks.rle import RLE
from refdet.masks.rle_iou import ragged, rle_iou_kernel
from refdet.metrics.coco_box_iou import coco_box_iou_kernel
from refdet.metrics.object_keypoint_similarity import object_keypoint_similarity_kernel
from refdet.metrics.records import Detections, GroundTruths

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
    """Compare masks, one problem at a time."""
    detected, true = _masks(op, "detections", detections), _masks(op, "ground_truths", ground_truths)

    def compute(d: Array, g: Array) -> Array:
        d_masks, g_masks = [detected[i] for i in d], [true[i] for i in g]
        sizes = sorted({rle.size for rle in (*d_masks, *g_masks)})
        if len(sizes) > 1:
            image_id = ground_truths.image_ids[g[0]]
            raise ValueError(f"{op}: masks of image {image_id} differ in size (H, W): {sizes[0]} and {sizes[1]}")
        return rle_iou_kernel(*ragged(d_masks), *ragged(g_masks), ground_truths.is_crowd[g], size=sizes[0])

    return _one_by_one(compute)


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

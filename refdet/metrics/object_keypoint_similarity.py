"""Object keypoint similarity (OKS): how close the keypoints of a detection are to those of a ground truth.

    e_k = ((x_k − X_k)² + (y_k − Y_k)²) / (2σ_k)² / (area + ε) / 2
    oks = mean over the labelled keypoints k of exp(−e_k)

with (x, y) of the detection, (X, Y) of the ground truth, σ_k the spread of human annotators for a keypoint of kind k,
and ε = 2⁻⁵², the spacing of 1, for a ground truth without area.

cocodataset.org/#keypoints-eval; `computeOks` of the COCO API. Deck 002 has COCO's keypoints as a task of Mask R-CNN.

Conventions:

- A keypoint of a ground truth is labelled where its visibility is > 0. The visibility of a detection is not read.
- Where no keypoint is labelled, the distances are those from the box of the ground truth, three times as wide and high
  about its centre, 0 inside, and the mean is over all keypoints: a detection of an ignored person is not counted
  against it. (Such a ground truth is ignored in the evaluation.)
- (2σ)² rather than 2σ²: the evaluation doubles σ, while its web page's formula has 2s²k² with k = 2σ. The same.
- NaN in a keypoint that the mean is over, of the detection or of the ground truth, gives NaN; elsewhere it is not read.
- No keypoints at all, K = 0: 0/0, NaN.
- The terms are added in another order than in the original: the last bit may differ.
"""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_floating, check_number, check_rank, check_shape, positive_numbers, shape_of
from refdet.core.kernel import kernel

# nose; eyes, ears, shoulders, elbows, wrists, hips, knees, ankles, left before right: COCO's 17 keypoints of a person
COCO_SIGMAS = tuple(
    s / 10.0
    for s in (0.26, 0.25, 0.25, 0.35, 0.35, 0.79, 0.79, 0.72, 0.72, 0.62, 0.62, 1.07, 1.07, 0.87, 0.87, 0.89, 0.89)
)
EPSILON = 2.0**-52
CHUNK_ELEMENTS = 2**22  # of the largest temporary, two numbers for each pair and keypoint: 32 MiB in float64


def _check(
    detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, *, sigmas: tuple[float, ...]
) -> None:
    op = "object_keypoint_similarity"
    check_floating(op, detections=detections, ground_truths=ground_truths, boxes_xywh=boxes_xywh, areas=areas)
    for name, points in (("detections", detections), ("ground_truths", ground_truths)):
        check_rank(op, name, points, "N, K, 3")
        check_shape(op, name, points, (len(points), len(sigmas), 3), "K x, y, visibility, one sigma per keypoint")
    n_truths = shape_of(ground_truths)[0]
    check_shape(op, "boxes_xywh", boxes_xywh, (n_truths, 4), "one box per ground truth")
    check_shape(op, "areas", areas, (n_truths,), "one area per ground truth")
    for s in sigmas:
        check_number(op, "sigmas", s, low=0, open_low=True)


@kernel("object_keypoint_similarity", check=_check)
def object_keypoint_similarity_kernel(
    detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, *, sigmas: tuple[float, ...]
) -> Array:
    """Return oks, (D, G), some rows at a time."""
    n_rows = max(1, CHUNK_ELEMENTS // max(1, 2 * len(ground_truths) * len(sigmas)))
    rows = (detections[i : i + n_rows] for i in range(0, max(1, len(detections)), n_rows))
    return np.concatenate([_oks_of_rows(some, ground_truths, boxes_xywh, areas, sigmas) for some in rows])


def _oks_of_rows(
    detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, sigmas: tuple[float, ...]
) -> Array:
    points, truth = detections[:, None, :, :2], ground_truths[None, :, :, :2]  # (D, 1, K, 2), (1, G, K, 2)
    labelled = ground_truths[:, :, 2] > 0  # (G, K)
    any_labelled = np.any(labelled, axis=1)[:, None]
    is_counted = labelled | ~any_labelled  # keypoints that the mean is over
    position, size = boxes_xywh[:, None, :2], boxes_xywh[:, None, 2:]  # (G, 1, 2)
    variances = (np.array(sigmas, np.result_type(detections)) * 2) ** 2
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        low, high = position - size, position + size * 2
        outside = np.maximum(0, low - points) + np.maximum(0, points - high)  # (D, G, K, 2)
        distance = np.where(any_labelled[:, :, None], points - truth, outside)
        squares = distance[..., 0] ** 2 + distance[..., 1] ** 2
        e = squares / variances / (areas[:, None] + EPSILON) / 2  # (D, G, K)
        similarity: Array = np.where(is_counted, np.exp(-e), 0).sum(axis=-1) / is_counted.sum(axis=-1)
    return similarity.astype(np.result_type(detections), copy=False)


def object_keypoint_similarity(
    detections: Array,
    ground_truths: Array,
    boxes_xywh: Array,
    areas: Array,
    *,
    sigmas: tuple[float, ...] = COCO_SIGMAS,
) -> Array:
    """Measure how close each detection's keypoints are to each ground truth's.

    Args:
        detections: (D, K, 3), rows (x, y, anything), float32 or float64.
        ground_truths: (G, K, 3), rows (x, y, visibility); all of one dtype.
        boxes_xywh: (G, 4), read only where no keypoint is labelled.
        areas: (G,), of the object's outline.
        sigmas: K positive numbers; COCO's for its 17 keypoints by default.

    Returns:
        oks, (D, G), in [0, 1].

    Two keypoints with (2σ)² = 1, area 2: one is met, the other off by 2, so that e = 4/1/2/2 = 1. The mean of 1 and
    1/e is:

    >>> d, g = np.array([[[5.0, 5, 1], [8, 9, 1]]]), np.array([[[5.0, 5, 2], [8, 7, 2]]])
    >>> object_keypoint_similarity(d, g, np.array([[4.0, 4, 5, 5]]), np.array([2.0]), sigmas=(0.5, 0.5)).round(6)
    array([[0.68394]])
    """
    deviations = positive_numbers("object_keypoint_similarity", "sigmas", sigmas)
    return object_keypoint_similarity_kernel(detections, ground_truths, boxes_xywh, areas, sigmas=deviations)

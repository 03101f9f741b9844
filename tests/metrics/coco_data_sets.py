"""Small random data sets with everything in them that a COCO evaluation treats specially.

Scores and overlaps that are equal or next to it, boxes shifted by halves and quarters of their size, or partly outside
of the image, detections without area, crowds, sometimes nothing but crowds, images and categories without anything,
detections where nothing is, and areas of exactly 32² and 96².
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.masks.polygons import polygon_to_rle
from refdet.masks.rle import RLE, rle_encode
from refdet.metrics.records import Detections, GroundTruths

SIDES = (8, 16, 32, 32, 64, 96, 96, 128)
SIZE = (48, 40)  # of the images of masks


class DataSet(NamedTuple):
    """What is evaluated."""

    ground_truths: GroundTruths
    detections: Detections
    image_ids: tuple[int, ...]
    category_ids: tuple[int, ...]


def data_set(rng: np.random.Generator, kind: str, *, n_keypoints: int = 17, first_id: int = 1) -> DataSet:
    """Return a random data set of boxes, masks or keypoints; annotation ids begin with `first_id`, in any order."""
    image_ids = tuple((rng.permutation(20)[: rng.integers(1, 5)] + 1).tolist())
    category_ids = tuple((rng.permutation(9)[: rng.integers(1, 4)] + 1).tolist())
    n_truths, n_detections = (int(n) for n in rng.integers(0, (14, 30)))
    # some images and categories have no truth, others no detection
    image, category = (_some(rng, ids, n_truths) for ids in (image_ids, category_ids))
    # most detections belong to a truth, and differ from it a little
    source = rng.integers(0, max(n_truths, 1), n_detections)
    has_source = (rng.random(n_detections) < 0.8) & (n_truths > 0)
    detected_image, detected_category = (_some(rng, ids, n_detections) for ids in (image_ids, category_ids))
    detected_image[has_source] = image[source[has_source]]
    detected_category[has_source] = category[source[has_source]]
    scores = rng.choice([0.25, 0.5, 0.5, np.nextafter(0.5, 1), 0.75, 0.9], n_detections)

    boxes = _boxes(rng, n_truths)
    detected_boxes = _boxes(rng, n_detections)
    detected_boxes[has_source] = _shifted(rng, boxes[source[has_source]])
    is_crowd = rng.random(n_truths) < rng.choice([0, 0.2, 0.2, 1])
    areas = np.where(
        rng.random(n_truths) < 0.5, boxes[:, 2] * boxes[:, 3], rng.choice([900, 1024, 9216, 9e4], n_truths)
    )
    labels = (detected_image, detected_category, scores)
    more: dict[str, Any] = {}
    if kind == "segm":
        masks = [_mask(rng, box) for box in boxes]
        more["masks"] = tuple(masks)
        detections = Detections.of_masks(
            *labels,
            [
                masks[s] if known and rng.random() < 0.3 else _mask(rng, box)
                for s, known, box in zip(source, has_source, detected_boxes, strict=True)
            ],
        )
    elif kind == "keypoints":
        points = _poses(rng, boxes, n_keypoints)
        found = _poses(rng, detected_boxes, n_keypoints)
        near = points[source[has_source]]
        found[has_source] = near + rng.choice([0, 0, 1, 4, 30], near.shape) * rng.choice([-1, 1], near.shape)
        more = {"keypoints": points, "n_keypoints": np.count_nonzero(points[:, :, 2] > 0, axis=1)}
        detections = Detections.of_keypoints(*labels, found)
    else:
        detections = Detections.of_boxes(*labels, detected_boxes)
    ids = rng.permutation(n_truths) + first_id
    return DataSet(
        GroundTruths(ids, image, category, boxes, areas, is_crowd, **more), detections, image_ids, category_ids
    )


def _some(rng: np.random.Generator, ids: tuple[int, ...], n: int) -> Array:
    return rng.choice(rng.permutation(ids)[: rng.integers(1, len(ids) + 1)], n)


def _boxes(rng: np.random.Generator, n: int) -> Array:
    return np.concatenate(
        [rng.choice([-1.0, 0, 4, 10, 20], (n, 2)), rng.choice(SIDES, (n, 2)).astype(np.float64)], axis=1
    )


def _shifted(rng: np.random.Generator, boxes: Array) -> Array:
    """Return boxes moved by 0, a quarter, a third, a half or any part of their size; some smaller, or without area."""
    by = rng.choice([0, 0, 0.25, 1 / 3, 0.5, rng.random()], (len(boxes), 2))
    scale = rng.choice([1, 1, 1, 1, 0.5, 0.5, 0.7, 0.7, 0], (len(boxes), 2))
    return np.concatenate([boxes[:, :2] + by * boxes[:, 2:], boxes[:, 2:] * scale], axis=1)


def _mask(rng: np.random.Generator, box: Array) -> RLE:
    """Return the box as a mask, or a triangle in it, or noise, or nothing."""
    x, y, w, h = (box / (1, 1, 4, 4)).tolist()
    which = rng.random()
    if which < 0.6:
        return polygon_to_rle([x, y, x + w, y, x + w, y + h, x, y + h], SIZE)
    if which < 0.8:
        return polygon_to_rle([x, y, x + w, y, x, y + h], SIZE)
    return rle_encode(rng.random(SIZE) < (0.5 if which < 0.95 else 0))


def _poses(rng: np.random.Generator, boxes: Array, n_keypoints: int) -> Array:
    """Return keypoints in each box, half of them labelled; of some persons none."""
    shape = (len(boxes), n_keypoints)
    places = np.round(boxes[:, None, :2] + rng.random((*shape, 2)) * boxes[:, None, 2:])
    visible = rng.integers(0, 3, shape) * (rng.random((len(boxes), 1)) < 0.8)
    return np.concatenate([places, visible[:, :, None]], axis=2)

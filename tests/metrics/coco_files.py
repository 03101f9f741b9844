"""COCO's files read plainly, so that the evaluation is tested without refdet's own reader."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.masks.polygons import polygons_to_rle
from refdet.masks.rle import RLE
from refdet.masks.rle_string import rle_from_string
from refdet.metrics.records import Detections, GroundTruths, Task

Size = tuple[int, int]


def read_ground_truths(path: Path) -> tuple[GroundTruths, Task, dict[int, Size]]:
    """Return the annotations with their masks, the images and categories, and the size (H, W) of each image."""
    content = json.loads(path.read_text(encoding="utf-8"))
    sizes = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    rows = content["annotations"]
    ids, image_ids, category_ids, boxes, areas, crowds = (
        _column(rows, name) for name in ("id", "image_id", "category_id", "bbox", "area", "iscrowd")
    )
    truths = GroundTruths(
        ids,
        image_ids,
        category_ids,
        boxes,
        areas,
        crowds == 1,
        masks=tuple(_mask(row["segmentation"], sizes[row["image_id"]]) for row in rows),
    )
    names = {category["id"]: category["name"] for category in content["categories"]}
    return truths, Task(tuple(sizes), tuple(names), names), sizes


def read_results(path: Path) -> Detections:
    """Return the detections of a file of boxes or of masks."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    image_ids, category_ids, scores = (_column(rows, name) for name in ("image_id", "category_id", "score"))
    if "bbox" in rows[0]:
        return Detections.of_boxes(image_ids, category_ids, scores, _column(rows, "bbox"))
    return Detections.of_masks(image_ids, category_ids, scores, [_mask(row["segmentation"], None) for row in rows])


def _column(rows: list[dict[str, Any]], name: str) -> Array:
    return np.array([row[name] for row in rows])


def _mask(segmentation: Any, size: Size | None) -> RLE:
    """Return a mask from polygons, from counts, or from their text."""
    if isinstance(segmentation, list):
        if size is None:
            raise ValueError("polygons need the size of their image")
        return polygons_to_rle(segmentation, size)
    H, W = segmentation["size"]
    if isinstance(segmentation["counts"], str):
        return rle_from_string(segmentation["counts"], (H, W))
    return RLE(np.array(segmentation["counts"], np.int64), (H, W))

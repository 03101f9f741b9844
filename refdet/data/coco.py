"""COCO's JSON files: ground truth and results, read and written.

The format: cocodataset.org, "Data format" and "Results format". What is read here: `images` (id, width, height,
file_name), `categories` (id, name, and for people the names of the keypoints), `annotations` (id, image_id,
category_id, bbox, area, iscrowd, segmentation, keypoints, num_keypoints); of results image_id, category_id, score and
one of bbox, segmentation, keypoints.

Conventions:

- Entries of a list count from 0. A file is refused, by its name and entry, if anything needed is missing, of the wrong
  type, not finite (1e100 is the largest number that is read), or negative where it is a size; if an id, or a name in
  one object, stands twice; or if an id is asked for that does not exist.
- `area` of an annotation may be missing: then it is w·h of its box, and a remark says so. `iscrowd` may be missing: 0.
- An annotation with the id 0 is read like any other, and a remark says that pycocotools takes its match for a miss, so
  that its figures come out too low.
- A segmentation is a list of polygons, an RLE with a list of counts, or one with the compressed text. An annotation
  without one, or with an empty list, has an empty mask where masks are asked for, and a remark says how many.
- The names of keypoints are those of the first category that has any; all keypoints of a file are counted by them. When
  written, they are given to every category.
- No results at all, `[]`, are results: zero detections. (pycocotools raises IndexError.)
- Boxes of results without boxes are made as `loadRes` of the COCO API does (see `refdet.metrics.records`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from refdet.data.coco_entries import CocoError, CocoFile, CocoImage, Entry, Progress
from refdet.data.files import MOST_SIDE, write_bytes
from refdet.masks.rle import RLE
from refdet.masks.rle_string import rle_to_string
from refdet.metrics.records import Detections, GroundTruths, Task

KINDS = ("bbox", "segm", "keypoints")


@dataclass(frozen=True)
class CocoDataset:
    """What one file of ground truth says.

    Attributes:
        task: the ids of all images and categories in ascending order, and the categories' names.
        images: what the file says of each picture, by its id.
        ground_truths: the annotations as columns, in the order of the file; see `GroundTruths`.
        keypoint_names: of the first category that has any.
        remarks: sentences that a reader should know before trusting the numbers.
    """

    task: Task
    images: Mapping[int, CocoImage]
    ground_truths: GroundTruths
    keypoint_names: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read_coco(
    path: Path | str, *, masks: bool = False, keypoints: bool = False, progress: Progress | None = None
) -> CocoDataset:
    """Read a file of ground truth.

    Args:
        path: the file.
        masks: whether to read masks; polygons are drawn, which takes minutes for a file of a million.
        keypoints: whether to read keypoints.
        progress: called now and then with the number of annotations that were read, and that of all.
    """
    file = CocoFile(Path(path))
    content = file.load()
    if not isinstance(content, dict):
        file.refuse("the ground truth must be a JSON object with images, annotations and categories")
    images = _images(file, content)
    names, keypoint_names = _categories(file, content)
    truths, remarks = _annotations(
        file, content, images, names, masks, len(keypoint_names) if keypoints else None, progress
    )
    task = Task(tuple(sorted(images)), tuple(sorted(names)), names)
    return CocoDataset(task, images, truths, keypoint_names, tuple(remarks))


def read_coco_results(
    path: Path | str, dataset: CocoDataset, *, kind: str = "bbox", progress: Progress | None = None
) -> Detections:
    """Read a file of results for that ground truth; `kind` is "bbox", "segm" or "keypoints".

    `progress` is called now and then with the number of results that were read, and that of all.
    """
    if kind not in KINDS:
        raise ValueError(f"read_coco_results: kind must be one of {', '.join(KINDS)}, got {kind!r}")
    file = CocoFile(Path(path))
    content = file.load()
    if isinstance(content, dict):
        file.refuse("the results must be a JSON list of detections; this looks like a file of ground truth")
    image_ids, category_ids, scores = [], [], []
    boxes, masks, points = [], [], []
    K = len(dataset.keypoint_names) or None
    for entry in file.entries({"results": content}, "results", progress):
        image_ids.append(image_id := entry.known("image_id", dataset.images, "image"))
        category_ids.append(entry.known("category_id", dataset.task.names, "category"))
        scores.append(entry.number("score"))
        if kind == "bbox":
            boxes.append(entry.box())
        elif kind == "segm":
            masks.append(entry.mask(dataset.images[image_id]))
        else:
            points.append(entry.keypoints(K))
            K = len(points[0])
    if kind == "bbox":
        return Detections.of_boxes(image_ids, category_ids, scores, np.array(boxes, np.float64).reshape(-1, 4))
    if kind == "segm":
        return Detections.of_masks(image_ids, category_ids, scores, masks)
    keypoints = np.array(points, np.float64).reshape(-1, K or 0, 3) if points else np.zeros((0, K or 0, 3))
    return Detections.of_keypoints(image_ids, category_ids, scores, keypoints)


def write_coco(path: Path | str, dataset: CocoDataset) -> None:
    """Write a file of ground truth, all or nothing; masks as compressed RLE.

    A path that cannot be written, in a folder that is not there for instance, is refused as a `CocoError`.
    """
    truths = dataset.ground_truths
    categories: list[dict[str, Any]] = [
        {"id": i, "name": dataset.task.names.get(i, str(i))} for i in dataset.task.category_ids
    ]
    if dataset.keypoint_names:
        for category in categories:
            category["keypoints"] = list(dataset.keypoint_names)
    annotations: list[dict[str, Any]] = []
    for row in range(len(truths)):
        annotation = {
            "id": int(truths.ids[row]),
            "image_id": int(truths.image_ids[row]),
            "category_id": int(truths.category_ids[row]),
            "bbox": truths.boxes_xywh[row].tolist(),
            "area": float(truths.areas[row]),
            "iscrowd": int(truths.is_crowd[row]),
        }
        annotations.append(annotation | _shape_of(truths, row))
        if truths.n_keypoints is not None:
            annotations[-1]["num_keypoints"] = int(truths.n_keypoints[row])
    images = [image._asdict() for image in dataset.images.values()]
    _write(path, {"images": images, "annotations": annotations, "categories": categories})


def write_coco_results(path: Path | str, detections: Detections) -> None:
    """Write a file of results, all or nothing: keypoints or masks where there are any, else boxes.

    A path that cannot be written, in a folder that is not there for instance, is refused as a `CocoError`.
    """
    results: list[dict[str, Any]] = []
    for row in range(len(detections)):
        result = {
            "image_id": int(detections.image_ids[row]),
            "category_id": int(detections.category_ids[row]),
            "score": float(detections.scores[row]),
        }
        results.append(result | (_shape_of(detections, row) or {"bbox": detections.boxes_xywh[row].tolist()}))
    _write(path, results)


def _images(file: CocoFile, content: Mapping[str, Any]) -> dict[int, CocoImage]:
    images: dict[int, CocoImage] = {}
    for entry in file.entries(content, "images"):
        i = entry.new_id(images)
        height, width = (entry.integer(side, low=1, high=MOST_SIDE) for side in ("height", "width"))
        images[i] = CocoImage(i, entry.text("file_name") if "file_name" in entry.values else "", height, width)
    return images


def _categories(file: CocoFile, content: Mapping[str, Any]) -> tuple[dict[int, str], tuple[str, ...]]:
    names: dict[int, str] = {}
    keypoint_names: tuple[str, ...] = ()
    for entry in file.entries(content, "categories"):
        i = entry.new_id(names)
        names[i] = entry.text("name")
        keypoint_names = keypoint_names or entry.texts("keypoints")
    return names, keypoint_names


def _annotations(
    file: CocoFile,
    content: Mapping[str, Any],
    images: Mapping[int, CocoImage],
    names: Mapping[int, str],
    masks: bool,
    n_keypoints: int | None,
    progress: Progress | None,
) -> tuple[GroundTruths, list[str]]:
    """Return the annotations as columns, and remarks; keypoints are read if their number is given."""
    ids: dict[int, None] = {}
    columns: dict[str, list[Any]] = {
        name: [] for name in ("image", "category", "box", "area", "crowd", "mask", "points", "n_labelled")
    }
    n_without_area = n_without_mask = 0
    for entry in file.entries(content, "annotations", progress):
        ids[entry.new_id(ids)] = None
        image = images[entry.known("image_id", images, "image")]
        columns["image"].append(image.id)
        columns["category"].append(entry.known("category_id", names, "category"))
        columns["box"].append(box := entry.box())
        n_without_area += "area" not in entry.values
        columns["area"].append(entry.number("area", low=0) if "area" in entry.values else box[2] * box[3])
        columns["crowd"].append(entry.flag("iscrowd"))
        if masks:
            n_without_mask += not entry.has_mask()
            columns["mask"].append(entry.mask(image) if entry.has_mask() else _empty_mask(image))
        if n_keypoints is not None:
            given = "keypoints" in entry.values
            columns["points"].append(points := entry.keypoints(n_keypoints) if given else [[0.0] * 3] * n_keypoints)
            columns["n_labelled"].append(_n_labelled(entry, points))
    A = len(ids)
    truths = GroundTruths(
        np.array(list(ids), np.int64),
        np.array(columns["image"], np.int64),
        np.array(columns["category"], np.int64),
        np.array(columns["box"], np.float64).reshape(-1, 4),
        np.array(columns["area"], np.float64),
        np.array(columns["crowd"], np.bool_),
        masks=tuple(columns["mask"]) if masks else None,
        keypoints=None if n_keypoints is None else np.array(columns["points"], np.float64).reshape(A, n_keypoints, 3),
        n_keypoints=None if n_keypoints is None else np.array(columns["n_labelled"], np.int64),
    )
    return truths, list(_remarks(file, ids, n_without_area, n_without_mask))


def _empty_mask(image: CocoImage) -> RLE:
    return RLE(np.array([image.height * image.width]), (image.height, image.width))


def _n_labelled(entry: Entry, points: list[list[float]]) -> int:
    """Return num_keypoints of an annotation, or how many of its keypoints have a visibility above 0."""
    if "num_keypoints" in entry.values:
        return entry.integer("num_keypoints", low=0)
    return sum(visibility > 0 for _, _, visibility in points)


def _remarks(file: CocoFile, ids: Mapping[int, None], n_without_area: int, n_without_mask: int) -> Iterator[str]:
    if 0 in ids:
        yield (
            f"{file.path}: an annotation has the id 0, whose match pycocotools takes for a miss; refdet counts it, so "
            "that its figures may be higher"
        )
    if n_without_area:
        yield f"{file.path}: {n_without_area} annotations have no area; that of their box is taken"
    if n_without_mask:
        yield f"{file.path}: {n_without_mask} annotations have no segmentation; their mask is empty"


def _shape_of(records: GroundTruths | Detections, row: int) -> dict[str, Any]:
    """Return what a record has beside its box."""
    shape: dict[str, Any] = {}
    if records.masks is not None:
        rle = records.masks[row]
        shape["segmentation"] = {"size": list(rle.size), "counts": rle_to_string(rle)}
    if records.keypoints is not None:
        shape["keypoints"] = records.keypoints[row].ravel().tolist()
    return shape


def _write(path: Path | str, content: Any) -> None:
    write_bytes(path, json.dumps(content, allow_nan=False).encode(), CocoError)

"""What pycocotools and its descendants are given: the objects that reading COCO's files makes.

Masks are compressed strings there, as in files; making them is not timed.
"""

from __future__ import annotations

import contextlib
import io
import itertools
from typing import Any

from refdet.bench.evaluation import EVALUATE, EVALUATE_MASKS, SIDE
from refdet.bench.workloads import Inputs
from refdet.core.check import Array

KINDS = {EVALUATE: "bbox", EVALUATE_MASKS: "segm"}


def loaded(coco_class: Any, inputs: Inputs, compress: Any) -> tuple[Any, Any]:
    """Return ground truth and detections, as `coco_class` keeps them; `compress` is its `frPyObjects`."""
    columns = {name: array for name, array in inputs.items() if array is not None}
    truths = _records(columns, "truth_", compress)
    areas = _areas(columns) if "truth_counts" in columns else [box[2] * box[3] for box in columns["truth_boxes"]]
    for i, (truth, area, crowd) in enumerate(zip(truths, areas, columns["is_crowd"].tolist(), strict=True), 1):
        truth |= {"id": i, "area": float(area), "iscrowd": int(crowd)}
    detections = _records(columns, "", compress)
    for detection, score in zip(detections, columns["scores"].tolist(), strict=True):
        detection["score"] = score
        if "segmentation" in detection:
            del detection["bbox"]  # which is made from the mask where there is none
    ids = {name: {*columns[name].tolist(), *columns[f"truth_{name}"].tolist()} for name in ("images", "categories")}
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco_class()
        truth.dataset = {
            "images": [{"id": i, "height": SIDE, "width": SIDE} for i in sorted(ids["images"])],
            "categories": [{"id": c} for c in sorted(ids["categories"])],
            "annotations": truths,
            "info": {},
        }
        truth.createIndex()
        return truth, truth.loadRes(detections)


def _records(columns: dict[str, Array], prefix: str, compress: Any) -> list[dict[str, Any]]:
    """Return a dictionary for each row of boxes."""
    rows = zip(*(columns[prefix + name].tolist() for name in ("images", "categories", "boxes")), strict=True)
    records = [{"image_id": image, "category_id": category, "bbox": box} for image, category, box in rows]
    if prefix + "counts" in columns:
        counts, starts = columns[prefix + "counts"].tolist(), columns[prefix + "starts"].tolist()
        for record, start, stop in zip(records, starts[:-1], starts[1:], strict=True):
            record["segmentation"] = compress({"counts": counts[start:stop], "size": [SIDE, SIDE]}, SIDE, SIDE)
    return records


def _areas(columns: dict[str, Array]) -> list[int]:
    """Return how many pixels each mask has."""
    counts, starts = columns["truth_counts"], columns["truth_starts"].tolist()
    return [int(counts[start + 1 : stop : 2].sum()) for start, stop in itertools.pairwise(starts)]

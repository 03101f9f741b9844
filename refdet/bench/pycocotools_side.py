"""pycocotools as a contestant: `evaluate` and `accumulate` of its `COCOeval`, on one thread, which is all it has."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from refdet.bench.evaluation import EVALUATE
from refdet.bench.sides import Runnable, Unsupported
from refdet.bench.workloads import Inputs, Workload


class PycocotoolsSide:
    traces_memory = False

    def __init__(self, threads: int) -> None:
        self.versions = {"pycocotools": version("pycocotools")}

    def prepare(self, workload: Workload, inputs: Inputs) -> Runnable:
        from pycocotools.cocoeval import COCOeval

        if workload.kernel != EVALUATE:
            raise Unsupported(f"pycocotools has no {workload.kernel}")
        columns = {name: array.tolist() for name, array in inputs.items() if array is not None}
        truth, found = _as_coco(columns)

        def call() -> Any:
            with contextlib.redirect_stdout(io.StringIO()):
                evaluation = COCOeval(truth, found, "bbox")
                evaluation.evaluate()
                evaluation.accumulate()
            return evaluation.eval

        return Runnable(call, lambda result: [result["precision"], result["recall"]])


def _as_coco(columns: dict[str, Any]) -> tuple[Any, Any]:
    """Return ground truth and detections as pycocotools keeps them in memory."""
    truths = [
        {"image_id": i, "category_id": c, "bbox": b, "area": b[2] * b[3], "iscrowd": int(crowd), "id": row}
        for row, (i, c, b, crowd) in enumerate(
            zip(*(columns[k] for k in ("truth_images", "truth_categories", "truth_boxes", "is_crowd")), strict=True), 1
        )
    ]
    detections = [
        {"image_id": i, "category_id": c, "bbox": b, "score": s}
        for i, c, b, s in zip(*(columns[k] for k in ("images", "categories", "boxes", "scores")), strict=True)
    ]
    from pycocotools.coco import COCO

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i} for i in sorted({*columns["images"], *columns["truth_images"]})],
            "categories": [{"id": c} for c in _distinct(columns["categories"], columns["truth_categories"])],
            "annotations": truths,
            "info": {},
        }
        truth.createIndex()
        return truth, truth.loadRes(detections)


def _distinct(*columns: Iterable[int]) -> list[int]:
    return sorted(set().union(*columns))

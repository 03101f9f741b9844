"""The other side of the comparison: pycocotools on the same records, held in memory."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.masks.rle import RLE
from refdet.masks.rle_string import rle_to_string
from refdet.metrics.records import Detections, GroundTruths


def evaluate_with_pycocotools(
    ground_truths: GroundTruths,
    detections: Detections,
    *,
    image_ids: Sequence[int],
    category_ids: Sequence[int],
    kind: str,
    max_detections: Sequence[int] | None = None,
    areas: Mapping[str, tuple[float, float]] | None = None,
    sigmas: Sequence[float] | None = None,
) -> Any:
    """Return the COCOeval after it has accumulated; its `eval` has precision, recall and scores, its `stats` the rest.

    Detections are read by `loadRes`, so that the areas of theirs are its own.
    """
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    with contextlib.redirect_stdout(io.StringIO()):
        truths = coco.COCO()
        truths.dataset = {
            "images": [{"id": int(i), "height": 1, "width": 1} for i in image_ids],  # the sizes are asked for, not read
            "categories": [{"id": int(c)} for c in category_ids],
            "annotations": [_annotation(ground_truths, i) for i in range(len(ground_truths))],
        }
        truths.createIndex()
        results = [_result(detections, i, kind) for i in range(len(detections))]
        found = truths.loadRes(results) if results else _without_results(coco.COCO(), truths)
        evaluation = cocoeval.COCOeval(truths, found, kind)
        if max_detections is not None:
            evaluation.params.maxDets = list(max_detections)
        if areas is not None:
            evaluation.params.areaRng = [list(bounds) for bounds in areas.values()]
            evaluation.params.areaRngLbl = list(areas)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        if max_detections is None and areas is None:
            evaluation.summarize()
    return evaluation


def _without_results(found: Any, truths: Any) -> Any:
    """loadRes refuses an empty list."""
    found.dataset = {**truths.dataset, "annotations": []}
    found.createIndex()
    return found


def _annotation(truths: GroundTruths, i: int) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "id": int(truths.ids[i]),
        "image_id": int(truths.image_ids[i]),
        "category_id": int(truths.category_ids[i]),
        "bbox": truths.boxes_xywh[i].tolist(),
        "area": float(truths.areas[i]),
        "iscrowd": int(truths.is_crowd[i]),
    }
    if truths.masks is not None:
        fields["segmentation"] = _segmentation(truths.masks[i])
    if truths.keypoints is not None and truths.n_keypoints is not None:
        fields |= {"keypoints": _flat(truths.keypoints[i]), "num_keypoints": int(truths.n_keypoints[i])}
    return fields


def _result(detections: Detections, i: int, kind: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "image_id": int(detections.image_ids[i]),
        "category_id": int(detections.category_ids[i]),
        "score": float(detections.scores[i]),
    }
    if kind == "bbox":
        return fields | {"bbox": detections.boxes_xywh[i].tolist()}
    if kind == "segm" and detections.masks is not None:
        return fields | {"segmentation": _segmentation(detections.masks[i])}
    if kind == "keypoints" and detections.keypoints is not None:
        return fields | {"keypoints": _flat(detections.keypoints[i])}
    raise ValueError(f"the detections have nothing of kind {kind!r}")


def _segmentation(rle: RLE) -> dict[str, Any]:
    return {"size": list(rle.size), "counts": rle_to_string(rle).encode()}


def _flat(keypoints: Array) -> list[float]:
    numbers: list[float] = keypoints.ravel().tolist()
    return numbers

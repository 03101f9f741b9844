"""pycocotools: masks, overlaps of boxes, and what `COCOeval` does with one image and category."""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.adapters import Adapter
from refdet.verify.adapters.coco_masks import mask_functions
from refdet.verify.adapters.table import Answers, Function, array, import_library, no_argument, table_adapter
from refdet.verify.question import Question

ADVICE = "install it with: pip install pycocotools"
PLACE = (1, 1)  # image and category of everything
ANY_AREA = (0.0, 1e10)


def load(argument: str) -> Adapter:
    """Return the adapter of the installed pycocotools."""
    no_argument("pycocotools", argument)
    from importlib.metadata import version

    mask, cocoeval = (import_library(f"pycocotools.{name}", ADVICE) for name in ("mask", "cocoeval"))
    functions = mask_functions(mask) | _evaluation_functions(cocoeval)
    return table_adapter("pycocotools", {"pycocotools": version("pycocotools")}, functions)


def _evaluation_functions(cocoeval: Any) -> dict[str, Function]:
    def coco_match(q: Question) -> Answers:
        """`evaluateImg` of every problem of the batch, one after the other."""
        iou, ignored, crowd = array(q, "iou"), array(q, "ignored"), array(q, "crowd")
        D, G, T = *iou.shape[-2:], len(q.params["thresholds"])
        batch = np.broadcast_shapes(iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1])
        matches, taken = np.full((*batch, T, D), -1), np.full((*batch, T, G), -1)
        iou = np.broadcast_to(iou, (*batch, D, G))
        ignored, crowd = (np.broadcast_to(x, (*batch, G)) for x in (ignored, crowd))
        for i in np.ndindex(batch):
            if D and G:
                matches[i], taken[i] = _evaluate(cocoeval, iou[i], ignored[i], crowd[i], q.params["thresholds"])
        return {"matches": matches, "taken": taken}

    def object_keypoint_similarity(q: Question) -> Answers:
        detections, truths = array(q, "detections"), array(q, "ground_truths")
        evaluation = cocoeval.COCOeval(iouType="keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(q.params["sigmas"])
        evaluation.params.maxDets = [len(detections)]
        evaluation._dts[PLACE] = [{"keypoints": k.ravel().tolist(), "score": 0.0} for k in detections]
        evaluation._gts[PLACE] = [
            {"keypoints": k.ravel().tolist(), "bbox": box.tolist(), "area": float(area)}
            for k, box, area in zip(truths, array(q, "boxes_xywh"), array(q, "areas"), strict=True)
        ]
        found = np.asarray(evaluation.computeOks(*PLACE), np.float64)
        return {"oks": found.reshape(len(detections), len(truths))}

    return {"coco_match": coco_match, "object_keypoint_similarity": object_keypoint_similarity}


def _evaluate(
    cocoeval: Any, iou: Array, ignored: Array, crowd: Array, thresholds: tuple[float, ...]
) -> tuple[Array, Array]:
    """Return matches (T, D) and taken (T, G) as indices; its own are ids, here from 1 on, and 0 for nothing."""
    D, G = iou.shape
    evaluation = cocoeval.COCOeval(iouType="bbox")
    evaluation.params.iouThrs = np.array(thresholds)
    evaluation._gts[PLACE] = [
        {"id": g + 1, "ignore": int(ignored[g]), "iscrowd": int(crowd[g]), "area": 1.0} for g in range(G)
    ]
    evaluation._dts[PLACE] = [{"id": d + 1, "score": 0.0, "area": 1.0} for d in range(D)]
    evaluation.ious = {PLACE: iou.astype(np.float64)}
    found = evaluation.evaluateImg(*PLACE, ANY_AREA, D)
    taken = np.empty((len(thresholds), G), np.int64)
    taken[:, np.array(found["gtIds"]) - 1] = found["gtMatches"].astype(np.int64) - 1  # they sort the ignored to the end
    return found["dtMatches"].astype(np.int64) - 1, taken

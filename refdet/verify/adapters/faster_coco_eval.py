"""faster-coco-eval: masks, overlaps of boxes, keypoints, and the area under a curve.

Its matches of all thresholds are kept in one dictionary, so that `coco_match` cannot be asked.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.verify.adapters import Adapter
from refdet.verify.adapters.coco_masks import mask_functions
from refdet.verify.adapters.table import Answers, Function, array, import_library, no_argument, only, table_adapter
from refdet.verify.question import Question

ADVICE = "install it with: pip install faster-coco-eval"
PLACE = (1, 1)  # image and category of everything


def load(argument: str) -> Adapter:
    """Return the adapter of the installed faster-coco-eval."""
    no_argument("faster-coco-eval", argument)
    from importlib.metadata import version

    mask, cocoeval, compiled = (
        import_library(f"faster_coco_eval.{name}", ADVICE)
        for name in ("core.mask", "core.cocoeval", "faster_eval_api_cpp")
    )
    functions = mask_functions(mask) | _evaluation_functions(cocoeval, compiled)
    return table_adapter("faster-coco-eval", {"faster-coco-eval": version("faster-coco-eval")}, functions)


def _evaluation_functions(cocoeval: Any, compiled: Any) -> dict[str, Function]:
    def object_keypoint_similarity(q: Question) -> Answers:
        detections, truths = array(q, "detections"), array(q, "ground_truths")
        evaluation = cocoeval.COCOeval(iouType="keypoints", kpt_oks_sigmas=list(q.params["sigmas"]))
        evaluation.params.maxDets = [len(detections)]
        evaluation.gt_dataset, evaluation.dt_dataset = compiled.Dataset(), compiled.Dataset()
        for keypoints in detections:
            evaluation.dt_dataset.append(*PLACE, {"keypoints": keypoints.ravel().tolist(), "score": 0.0})
        for keypoints, box, area in zip(truths, array(q, "boxes_xywh"), array(q, "areas"), strict=True):
            truth = {"keypoints": keypoints.ravel().tolist(), "bbox": box.tolist(), "area": float(area)}
            evaluation.gt_dataset.append(*PLACE, truth)
        found = np.asarray(evaluation.computeOks(*PLACE), np.float64)
        return {"oks": found.reshape(len(detections), len(truths))}

    def average_precision(q: Question) -> Answers:
        """The area under the envelope, of a curve that begins at recall 0."""
        only("faster-coco-eval", q, convention="area")
        precision, recall = array(q, "precision"), array(q, "recall")
        start = ([0.0], precision[:1].tolist()) if len(recall) else ([], [])
        area = compiled.calc_auc(start[0] + recall.tolist(), start[1] + precision.tolist())
        return {"ap": np.asarray(area, precision.dtype)}

    return {"average_precision": average_precision, "object_keypoint_similarity": object_keypoint_similarity}

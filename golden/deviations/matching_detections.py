"""Deviations of holding detections against ground truths, as PASCAL VOC does it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.boxes.iou import box_iou_kernel
from refdet.boxes.overlaps import COMPARISONS
from refdet.core.check import Array
from refdet.metrics.match_detections import match_detections_kernel
from refdet.verify.deviation import Body, Deviation

MATLAB = "PASCAL VOC devkit, VOCcode/VOCevaldet.m"
PY_FASTER = "rbgirshick/py-faster-rcnn, lib/datasets/voc_eval.py, voc_eval"
CHAINERCV = "chainer/chainercv, chainercv/evaluations/eval_detection_voc.py, _pred_and_rec_cls"
DARKNET = "AlexeyAB/darknet, src/detector.c, validate_detector_map"
MMDETECTION = "open-mmlab/mmdetection, mmdet/core/evaluation/mean_ap.py"
CARTUCHO = "Cartucho/mAP, main.py"
PADILLA = "rafaelpadilla/Object-Detection-Metrics, lib/Evaluator.py, GetPascalVOCMetrics"


def _overlaps(boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, offset: int) -> Array:
    """Return the IoU of every detection with every ground truth, (D, G); −1 in different images and for NaN."""
    iou = box_iou_kernel.reference(boxes, truths, None, offset=offset, empty="zero")
    return np.where(np.isnan(iou) | (image_ids[:, None] != truth_image_ids), -1, iou)


def _nothing_is_difficult(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Any:
        return body(boxes, image_ids, truths, truth_image_ids, np.zeros_like(difficult), **params)

    return match_detections


def _difficult_left_out(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Any:
        kept = ~difficult
        return body(boxes, image_ids, truths[kept], truth_image_ids[kept], difficult[kept], **params)

    return match_detections


def _difficult_last(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Array:
        kept = ~difficult
        easy = boxes, image_ids, truths[kept], truth_image_ids[kept]
        hard = boxes, image_ids, truths[difficult], truth_image_ids[difficult]
        verdicts = body(*easy, difficult[kept], **params)
        near = COMPARISONS[params["comparison"]](_overlaps(*easy, params["offset"]), float(params["threshold"]))
        excused = body(*hard, difficult[difficult], **params) == -1
        repeats = near.any(axis=1) if params["candidates"] == "all" else verdicts == 1
        return np.where(excused & ~repeats, -1, verdicts)

    return match_detections


def _difficult_once(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Any:
        # Taken like the others, each object leaves the candidates; who took a difficult one is ignored.
        arrays = boxes, image_ids, truths, truth_image_ids
        verdicts = body(*arrays, np.zeros_like(difficult), **params)
        right = np.flatnonzero(verdicts == 1)
        iou, taken = _overlaps(*arrays, params["offset"]), np.zeros(len(truths), bool)
        for i in right:
            best = np.argmax(np.where(taken, -1, iou[i]) if params["candidates"] == "unmatched" else iou[i])
            taken[best] = True
            verdicts[i] = -1 if difficult[best] else 1
        return verdicts

    return match_detections


def _last_of_equals(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Any:
        return body(boxes, image_ids, truths[::-1], truth_image_ids[::-1], difficult[::-1], **params)

    return match_detections


@dataclass(frozen=True)
class _Measuring:
    """A body that measures boxes with one offset, which it tells."""

    body: Body
    offset: int

    def __call__(self, *arrays: Array, **params: Any) -> Any:
        """Match with that offset."""
        return self.body(*arrays, **{**params, "offset": self.offset})


def _by_overlap(body: Body) -> Body:
    def match_detections(
        boxes: Array, image_ids: Array, truths: Array, truth_image_ids: Array, difficult: Array, **params: Any
    ) -> Array:
        offset = body.offset if isinstance(body, _Measuring) else params["offset"]
        best = _overlaps(boxes, image_ids, truths, truth_image_ids, offset).max(axis=1, initial=-1)
        order = np.argsort(-best, kind="stable")
        verdicts = np.zeros(len(boxes), np.int64)
        arrays = boxes[order], image_ids[order], truths, truth_image_ids, difficult
        verdicts[order] = body(*arrays, **{**params, "candidates": "all"})
        return verdicts

    return match_detections


def _apart_is_no_match(body: Body) -> Body:
    def match_detections(*arrays: Array, **params: Any) -> Any:
        return body(*arrays, **{**params, "comparison": ">" if params["threshold"] == 0 else params["comparison"]})

    return match_detections


def _deviation(key: str, title: str, effect: str, who: tuple[str, ...], change: str, wrap: Any) -> Deviation:
    return Deviation(key, title, effect, who, change, {match_detections_kernel.name: wrap})


DEVIATIONS = [
    _deviation(
        "ap.match_cmp=ge",
        "a detection matches at IoU ≥ threshold, whatever `comparison` says",
        "An overlap of exactly the threshold is a match.",
        (MATLAB, CARTUCHO, PADILLA, f"{MMDETECTION}, tpfp_default"),
        'Compare as `comparison` says; with ">" an IoU equal to the threshold is no match.',
        setting(comparison=">="),
    ),
    _deviation(
        "ap.match_cmp=gt",
        "a detection matches at IoU > threshold, whatever `comparison` says",
        "An overlap of exactly the threshold is no match.",
        (PY_FASTER, CHAINERCV, DARKNET),
        'Compare as `comparison` says; with ">=" an IoU equal to the threshold is a match.',
        setting(comparison=">"),
    ),
    _deviation(
        "ap.rematch=all",
        "the best of all objects is looked at, also if it is taken already",
        "A detection whose best object is taken is a false positive, even where another object is near enough.",
        (MATLAB, PY_FASTER, CHAINERCV, DARKNET, CARTUCHO, PADILLA, f"{MMDETECTION}, tpfp_default"),
        'With candidates="unmatched" leave out the objects that are taken before you look for the best one.',
        setting(candidates="all"),
    ),
    _deviation(
        "ap.rematch=unmatched",
        "the best of the objects not yet taken is looked at",
        "A detection whose best object is taken may find its second best.",
        ("cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py, evaluateImg", f"{MMDETECTION}, tpfp_imagenet"),
        'With candidates="all" look for the best among all objects; if it is taken, the detection is false.',
        setting(candidates="unmatched"),
    ),
    _deviation(
        "ap.match_offset=0",
        "widths are x2 − x1, whatever `offset` says",
        "With offset=1 the overlaps of small boxes come out differently.",
        (f"{MMDETECTION}, tpfp_default with its default use_legacy_coordinate=False", f"{DARKNET}, box_iou"),
        "Add `offset` to every width and height.",
        lambda body: _Measuring(body, 0),
    ),
    _deviation(
        "ap.match_offset=1",
        "widths are x2 − x1 + 1, whatever `offset` says",
        "With offset=0 the overlaps of small boxes come out differently, and boxes that only touch overlap.",
        (MATLAB, PY_FASTER, CHAINERCV, CARTUCHO, PADILLA),
        "Add `offset`, not 1, to every width and height.",
        lambda body: _Measuring(body, 1),
    ),
    _deviation(
        "ap.difficult=counted",
        'the flag "difficult" is not read',
        "Difficult objects are objects like any other: who finds one is right, who finds it again is wrong.",
        (CARTUCHO, PADILLA),
        "Ignore (−1) every detection whose best object is difficult, and never mark a difficult object as taken.",
        _nothing_is_difficult,
    ),
    _deviation(
        "ap.difficult=left_out",
        "difficult objects are removed before the matching",
        "A detection of a difficult object is a false positive instead of being ignored.",
        ("ultralytics/ultralytics, ultralytics/cfg/datasets/VOC.yaml, which converts no difficult objects",),
        "Keep difficult objects among the candidates, and ignore (−1) the detections whose best object they are.",
        _difficult_left_out,
    ),
    _deviation(
        "ap.difficult=last",
        "difficult objects are looked at only if no other object is near enough",
        "A detection that overlaps a difficult object most, and another one enough, is held against the other one.",
        (DARKNET,),
        "Look for the best among all candidates at once, difficult or not.",
        _difficult_last,
    ),
    _deviation(
        "ap.difficult=once",
        "a difficult object excuses only one detection",
        "A second detection of a difficult object is a false positive, or goes to another object.",
        (f"{MMDETECTION}, tpfp_imagenet",),
        "Do not mark difficult objects as taken.",
        _difficult_once,
    ),
    _deviation(
        "ap.match_tie=last",
        "of objects with equal IoU the last is taken, not the first",
        "Where two objects overlap a detection equally, and only one is difficult or taken, verdicts differ.",
        ("cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py, evaluateImg",),
        "Replace the best object so far only if the IoU is strictly larger.",
        _last_of_equals,
    ),
    _deviation(
        "ap.match_order=iou",
        "detections are matched in the order of their IoU, not of their score",
        "Detections are gone through in descending order of the IoU with their best object, and each is held against "
        "that one alone, taken or not, whatever `candidates` says. Of several detections of one object the best "
        "placed is right, and not the one with the highest score.",
        (
            "ultralytics/yolov5, utils/metrics.py, ConfusionMatrix.process_batch",
            "ultralytics/ultralytics, ultralytics/utils/metrics.py, ConfusionMatrix.process_batch",
        ),
        "Go through the detections in descending order of score.",
        _by_overlap,
    ),
    _deviation(
        "ap.match_apart=never",
        "boxes that do not meet are passed over, also with threshold 0",
        'With threshold 0 and ">=" an IoU of 0 is no match.',
        (MATLAB, CARTUCHO),
        "Take an IoU of 0 like any other number.",
        _apart_is_no_match,
    ),
]

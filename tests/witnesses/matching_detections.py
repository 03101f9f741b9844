"""The verdict on each detection of a class, as those give it who compare, order or excuse otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]
Box = list[float]


def overlap(a: Box, b: Box, o: float) -> float:
    """VOCevaldet.m: iw, ih, and the union of both areas; -1 where the boxes do not meet, NaN without a place."""
    if any(math.isnan(v) for v in a + b):
        return math.nan
    iw = min(a[2], b[2]) - max(a[0], b[0]) + o
    ih = min(a[3], b[3]) - max(a[1], b[1]) + o
    if iw <= 0 or ih <= 0:
        return -1.0
    union = (a[2] - a[0] + o) * (a[3] - a[1] + o) + (b[2] - b[0] + o) * (b[3] - b[1] + o) - iw * ih
    return iw * ih / union


def match(
    question: Question,
    *,
    difficult: str = "ignored",
    apart: bool = True,
    comparison: str | None = None,
    offset: int | None = None,
    order: str = "score",
    tie: str = "first",
    candidates: str | None = None,
) -> dict[str, Any]:
    """VOCevaldet.m's loop. A parameter that is given is used in place of the one asked for.

    difficult: "ignored"; "counted": the flag is not read; "left_out": removed before; "once": a difficult object is
    taken by who finds it; "last": looked at only if no other object passes.
    apart: whether boxes that do not meet are candidates, of IoU 0.
    order: "score"; "iou": yolov5's `matches` are sorted by IoU, and hold for each detection its best object only.
    """
    p, arguments = question.params, question.arguments
    offset = p["offset"] if offset is None else offset
    comparison, candidates = comparison or p["comparison"], candidates or p["candidates"]
    if order == "iou":
        candidates = "all"
    boxes, truths = np.asarray(arguments["boxes"]), np.asarray(arguments["truths"])
    threshold = float(boxes.dtype.type(p["threshold"]))
    images, truth_images = (np.asarray(arguments[name]).tolist() for name in ("image_ids", "truth_image_ids"))
    given = arguments["difficult"]
    hard = [False] * len(truths) if given is None or difficult == "counted" else np.asarray(given).tolist()

    D, G = len(boxes), len(truths)
    ious = [
        [overlap([float(v) for v in boxes[d]], [float(v) for v in truths[g]], offset) for g in range(G)]
        for d in range(D)
    ]
    near = [
        [g for g in range(G) if truth_images[g] == images[d] and (ious[d][g] >= 0 or (apart and ious[d][g] == -1))]
        for d in range(D)
    ]
    ious = [[max(iou, 0.0) for iou in row] for row in ious]
    taken: set[int] = set()

    def best(d: int, among: list[int]) -> int | None:
        """Return the best candidate, if it passes."""
        found, iou = None, -math.inf
        for g in among:
            if ious[d][g] > iou or (tie == "last" and ious[d][g] == iou):
                found, iou = g, ious[d][g]
        passes = iou >= threshold if comparison == ">=" else iou > threshold
        return found if passes else None

    def verdict(d: int) -> int:
        among = [g for g in near[d] if candidates == "all" or g not in taken]
        if difficult in ("left_out", "last"):
            among = [g for g in among if not hard[g]]
        g = best(d, among)
        if g is None and difficult == "last":
            g = best(d, [g for g in near[d] if hard[g]])
        if g is None:
            return 0
        if difficult == "once" and hard[g]:
            again = g in taken
            taken.add(g)
            return 0 if again else -1
        if hard[g]:
            return -1
        if g in taken:
            return 0
        taken.add(g)
        return 1

    rows = list(range(D))
    if order == "iou":
        rows.sort(key=lambda d: -max([ious[d][g] for g in near[d]], default=-1.0))
    verdicts = np.zeros(D, np.int64)
    for d in rows:
        verdicts[d] = verdict(d)
    return {"verdicts": verdicts}


CONFORMING: list[tuple[str, Answer]] = [("match_detections", match)]


def _witness(key: str, source: str, **options: Any) -> Witness:
    return Witness(f"ap.{key}", "match_detections", source, partial(match, **options))


WITNESSES = [
    _witness("difficult=counted", "rafaelpadilla/Object-Detection-Metrics, lib/Evaluator.py", difficult="counted"),
    _witness(
        "difficult=left_out", "ultralytics, VOC.yaml: `and int(obj.find('difficult').text) != 1`", difficult="left_out"
    ),
    _witness("difficult=once", "mmdetection, mean_ap.py, tpfp_imagenet: gt_covered[matched_gt] = 1", difficult="once"),
    _witness("difficult=last", "AlexeyAB/darknet, src/detector.c, validate_detector_map", difficult="last"),
    _witness("match_apart=never", "VOC devkit, VOCevaldet.m: if iw>0 & ih>0", apart=False),
    _witness("match_cmp=ge", "VOC devkit, VOCevaldet.m: if ovmax>=VOCopts.minoverlap", comparison=">="),
    _witness("match_cmp=gt", "py-faster-rcnn, voc_eval.py: if ovmax > ovthresh", comparison=">"),
    _witness("match_offset=0", "mmdetection, mean_ap.py, extra_length = 0", offset=0),
    _witness("match_offset=1", "VOC devkit, VOCevaldet.m: iw=bi(3)-bi(1)+1", offset=1),
    _witness("match_order=iou", "yolov5, utils/metrics.py, ConfusionMatrix.process_batch, its sort", order="iou"),
    _witness("match_tie=last", "pycocotools, cocoeval.py, evaluateImg: `if ious < iou: continue`", tie="last"),
    _witness("rematch=all", "py-faster-rcnn, voc_eval.py: jmax = np.argmax(overlaps)", candidates="all"),
    _witness(
        "rematch=unmatched",
        "mmdetection, mean_ap.py, tpfp_imagenet: if gt_covered[j]: continue",
        candidates="unmatched",
    ),
]

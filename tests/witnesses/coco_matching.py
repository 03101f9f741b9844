"""COCO's overlaps, matches and keypoint similarity, with one step otherwise; and pycocotools where it deviates."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def box_iou(question: Question, *, corners: bool = False, read_crowd: bool = True) -> dict[str, Any]:
    """maskApi.c, bbIou; with `corners` the four numbers are (x1, y1, x2, y2), as torchvision's box_iou takes them."""
    rows, columns = (np.asarray(question.arguments[name]).tolist() for name in ("detections", "ground_truths"))
    crowd = question.arguments["crowd"]
    iou = np.zeros((len(rows), len(columns)))
    for i, d in enumerate(rows):
        for j, g in enumerate(columns):
            dw, dh, gw, gh = (d[2] - d[0], d[3] - d[1], g[2] - g[0], g[3] - g[1]) if corners else (*d[2:], *g[2:])
            w = min(d[0] + dw, g[0] + gw) - max(d[0], g[0])
            h = min(d[1] + dh, g[1] + gh) - max(d[1], g[1])
            if w <= 0 or h <= 0:
                continue
            divided = dw * dh if read_crowd and crowd is not None and crowd[j] else dw * dh + gw * gh - w * h
            iou[i, j] = w * h / divided
    return {"iou": iou}


def match(
    question: Question,
    *,
    strict: bool = False,
    crowd_once: bool = False,
    zero_is_none: bool = False,
    ignored: str = "last",
    nan: bool = False,
    lowered: bool = True,
    tie: str = "last",
) -> dict[str, Any]:
    """Written from the definition: the candidates of a detection, those that are not ignored first, the best of them.

    ignored: "last"; "like_others": they compete; "never": they are no candidates.
    nan: a NaN passes every comparison that asks what is too small, as in cocoeval.py.
    """
    iou = np.asarray(question.arguments["iou"]).astype(float)
    skip, crowd = (np.asarray(question.arguments[name]).tolist() for name in ("ignored", "crowd"))
    thresholds = question.params["thresholds"]
    D, G = iou.shape
    matches, taken = np.full((len(thresholds), D), -1), np.full((len(thresholds), G), -1)
    columns = sorted(range(G), key=lambda g: bool(skip[g]) and ignored == "last")
    for t, threshold in enumerate(thresholds):
        least = min(threshold, 1 - 1e-10) if lowered else threshold
        for d in range(D):
            found, best = -1, -math.inf
            for g in columns:
                v = float(iou[d, g])
                if taken[t, g] >= 0 and (not crowd[g] or crowd_once):
                    continue
                if skip[g] and (ignored == "never" or (ignored == "last" and found >= 0 and not skip[found])):
                    continue
                enough = v > least if strict else v >= least
                better = v > best or (v == best and tie == "last")
                if nan:
                    enough, better = enough or math.isnan(v), better or math.isnan(v) or math.isnan(best)
                    enough = enough or math.isnan(best)
                if enough and better:
                    found, best = g, v
            if found >= 0:
                matches[t, d] = -1 if zero_is_none and found == 0 else found
                taken[t, found] = d
    return {"matches": matches, "taken": taken}


def pycocotools_match(question: Question, *, first_id: int = 1, keep_nan: bool = True) -> dict[str, Any]:
    """Run COCOeval.evaluateImg on annotations whose ids begin at `first_id`."""
    from pycocotools.cocoeval import COCOeval

    iou = np.asarray(question.arguments["iou"]).astype(float)
    if not keep_nan:
        iou = np.where(np.isnan(iou), -1.0, iou)
    ignored, crowd = (np.asarray(question.arguments[name]).tolist() for name in ("ignored", "crowd"))
    thresholds = question.params["thresholds"]
    D, G = iou.shape
    matches, taken = np.full((len(thresholds), D), -1), np.full((len(thresholds), G), -1)
    if D and G:
        evaluation = COCOeval(iouType="bbox")
        evaluation.params.iouThrs = np.array(thresholds)
        evaluation._gts = {
            (0, 0): [{"id": g + first_id, "ignore": ignored[g], "iscrowd": crowd[g], "area": 1} for g in range(G)]
        }
        evaluation._dts = {(0, 0): [{"id": d + 1, "score": -d, "area": 1} for d in range(D)]}
        evaluation.ious = {(0, 0): iou}
        found = evaluation.evaluateImg(0, 0, (0, 2), D)
        matches = np.where(found["dtMatches"] == 0, -1, found["dtMatches"] - first_id).astype(int)
        taken[:, np.array(found["gtIds"]) - first_id] = found["gtMatches"].astype(int) - 1
    return {"matches": matches, "taken": taken}


def oks(
    question: Question, *, area_of_box: bool = False, unlabelled: str = "box", factor: float = 2.0
) -> dict[str, Any]:
    """cocoeval.py, computeOks, keypoint by keypoint."""
    arguments = question.arguments
    detections, truths, boxes, areas = (
        np.asarray(arguments[name]).astype(float) for name in ("detections", "ground_truths", "boxes_xywh", "areas")
    )
    sigmas = question.params["sigmas"]
    similarity = np.zeros((len(detections), len(truths)))
    for j, truth in enumerate(truths):
        x, y, w, h = boxes[j]
        area = 0.53 * w * h if area_of_box else areas[j]
        labelled = [k for k in range(len(sigmas)) if truth[k][2] > 0]
        for i, found in enumerate(detections):
            if not labelled and unlabelled == "zero":
                continue
            terms = []
            for k in labelled or range(len(sigmas)):
                dx, dy = found[k][0] - truth[k][0], found[k][1] - truth[k][1]
                if not labelled:
                    dx = max(0.0, x - w - found[k][0]) + max(0.0, found[k][0] - (x + 2 * w))
                    dy = max(0.0, y - h - found[k][1]) + max(0.0, found[k][1] - (y + 2 * h))
                terms.append(math.exp(-(dx**2 + dy**2) / (factor * sigmas[k]) ** 2 / (area + 2.0**-52) / 2))
            similarity[i, j] = math.fsum(terms) / len(terms)
    return {"oks": similarity}


CONFORMING: list[tuple[str, Answer]] = [
    ("coco_box_iou", box_iou),
    ("coco_match", match),
    ("object_keypoint_similarity", oks),
]

_TORCHMETRICS = "torchmetrics, detection/_mean_ap.py, _find_best_gt_match: "
_MMDETECTION = "mmdetection, mmdet/core/evaluation/mean_ap.py, tpfp_imagenet: "


def _match(key: str, source: str, **options: Any) -> Witness:
    return Witness(f"coco.{key}", "coco_match", source, partial(match, **options))


WITNESSES = [
    Witness("coco.box=corners", "coco_box_iou", "torchvision, ops/boxes.py, box_iou", partial(box_iou, corners=True)),
    Witness(
        "coco.crowd_iou=plain", "coco_box_iou", "torchvision, ops/boxes.py, box_iou", partial(box_iou, read_crowd=False)
    ),
    _match("cmp=gt", _TORCHMETRICS + "gt_ious[match_idx] > threshold", strict=True),
    _match("crowd=once", _MMDETECTION + "if gt_covered[j]: continue", crowd_once=True),
    _match("id0=none", "cocoeval.py, evaluateImg: dtm = gt[m]['id'], and 0 is none", zero_is_none=True),
    _match("ignored=like_others", _MMDETECTION + "ious[i, j] > max_iou for all", ignored="like_others"),
    _match("ignored=never", _TORCHMETRICS + "previously_matched | gt_ignore", ignored="never"),
    _match("nan=match", "cocoeval.py, evaluateImg: if ious[dind, gind] < iou: continue", nan=True),
    _match("threshold=as_given", _TORCHMETRICS + "gt_ious[match_idx] > threshold", lowered=False),
    _match("tie=first", _TORCHMETRICS + "gt_ious.argmax()", tie="first"),
    Witness("coco.nan=match", "coco_match", "pycocotools, evaluateImg, as installed", pycocotools_match),
    Witness(
        "coco.id0=none",
        "coco_match",
        "pycocotools, evaluateImg, as installed, on ids from 0",
        partial(pycocotools_match, first_id=0, keep_nan=False),
    ),
    Witness(
        "oks.area=box053",
        "object_keypoint_similarity",
        "ultralytics, models/yolo/pose/val.py: prod(1) * 0.53",
        partial(oks, area_of_box=True),
    ),
    Witness(
        "oks.unlabelled=zero",
        "object_keypoint_similarity",
        "ultralytics, utils/metrics.py, kpt_iou: a sum over kpt_mask divided by its sum and eps",
        partial(oks, unlabelled="zero"),
    ),
    Witness(
        "oks.variance=sigma",
        "object_keypoint_similarity",
        "luxonis-train, object_keypoint_similarity.py, compute_oks with use_cocoeval_oks=False",
        partial(oks, factor=1.0),
    ),
]

"""Overlap of boxes, clipping, layouts and least sizes, as libraries compute them that differ from one another.

Everything is written pair by pair from the sources that each witness names; suppression comes from the oracle, which
takes the overlaps as they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question, Skipped
from tests.oracles import nms_from_iou
from tests.witnesses._witness import Witness

Box = tuple[float, ...]
Answer = dict[str, Any]

PY_FASTER = "py-faster-rcnn lib/utils/bbox.pyx, bbox_overlaps, transcribed"


def overlap(
    p: Box,
    q: Box,
    *,
    offset: int = 0,
    empty: str = "zero",
    crowd: bool = False,
    malformed: str = "nothing",
    both_empty: float | None = None,
    at_least: float = 0.0,
) -> float:
    """Return the IoU of two boxes: intersection over union, in a crowd q over the area of p."""
    if any(math.isnan(coordinate) for coordinate in p + q):
        return math.nan
    if malformed == "sorted":
        p, q = put_in_order(p), put_in_order(q)
    area_p, area_q = area(p, offset), area(q, offset)
    common = area((max(p[0], q[0]), max(p[1], q[1]), min(p[2], q[2]), min(p[3], q[3])), offset)
    if both_empty is not None and area_p + area_q <= np.finfo(np.float64).eps:
        return both_empty
    union = area_p if crowd else area_p + area_q - common
    union = max(union, at_least)
    if union == 0:
        return math.nan if empty == "nan" else 0.0
    return common / union


def area(box: Box, offset: int) -> float:
    """Return width times height, neither of them negative."""
    return max(0.0, box[2] - box[0] + offset) * max(0.0, box[3] - box[1] + offset)


def put_in_order(box: Box) -> Box:
    """Return the box between the same corners that begins before it ends."""
    return min(box[0], box[2]), min(box[1], box[3]), max(box[0], box[2]), max(box[1], box[3])


def overlaps(question: Question, *, ignore_crowd: bool = False, **deviations: Any) -> Answer:
    """Answer `box_iou`."""
    boxes, others = rows(question, "boxes"), rows(question, "others")
    crowd = question.arguments["crowd"]
    options = {**question.params, **deviations}
    iou = np.zeros((len(boxes), len(others)))
    for i, p in enumerate(boxes):
        for j, q in enumerate(others):
            in_crowd = crowd is not None and bool(crowd[j]) and not ignore_crowd
            iou[i, j] = overlap(p, q, crowd=in_crowd, **options)
    return {"iou": iou}


def overlaps_with_something_added(question: Question) -> Answer:
    """Answer `box_iou` in float32, 10⁻⁷ added to every denominator: it is lost beside an area above 2."""
    boxes, others = question.arguments["boxes"], question.arguments["others"]
    assert boxes is not None
    assert others is not None
    crowd, offset = question.arguments["crowd"], np.float32(question.params["offset"])
    least, iou = np.float32(0), np.zeros((len(boxes), len(others)), dtype=np.float32)
    for i, p in enumerate(boxes):
        for j, q in enumerate(others):
            area_p = np.maximum(p[2] - p[0] + offset, least) * np.maximum(p[3] - p[1] + offset, least)
            area_q = np.maximum(q[2] - q[0] + offset, least) * np.maximum(q[3] - q[1] + offset, least)
            width = np.maximum(np.minimum(p[2], q[2]) - np.maximum(p[0], q[0]) + offset, least)
            height = np.maximum(np.minimum(p[3], q[3]) - np.maximum(p[1], q[1]) + offset, least)
            common = width * height
            union = area_p if crowd is not None and crowd[j] else area_p + area_q - common
            iou[i, j] = common / (union + np.float32(1e-7))
    return {"iou": iou}


def suppress(question: Question, **deviations: Any) -> Answer:
    """Answer `nms`."""
    boxes, scores = rows(question, "boxes"), question.arguments["scores"]
    assert scores is not None
    options = {"offset": question.params["offset"], **deviations}
    iou = np.array([[overlap(p, q, **options) for q in boxes] for p in boxes]).reshape(len(boxes), len(boxes))
    return {"kept": nms_from_iou.forward(iou, scores, threshold=question.params["threshold"])}


def coco_overlaps(question: Question) -> Answer:
    """Answer `box_iou` with pycocotools, whose boxes are (x, y, width, height); it takes no NaN for a NaN."""
    from pycocotools import mask

    boxes, others = question.arguments["boxes"], question.arguments["others"]
    assert boxes is not None
    assert others is not None
    if np.isnan(boxes).any() or np.isnan(others).any():
        raise Skipped("finite boxes only")
    if not len(boxes) or not len(others):
        return {"iou": np.zeros((len(boxes), len(others)))}
    crowd = question.arguments["crowd"]
    flags = [False] * len(others) if crowd is None else [bool(c) for c in crowd]
    offset = question.params["offset"]
    sized = [
        np.concatenate([b[:, :2], np.maximum(b[:, 2:] - b[:, :2] + offset, 0)], axis=1)
        for b in (boxes.astype(np.float64), others.astype(np.float64))
    ]
    return {"iou": np.asarray(mask.iou(sized[0], sized[1], flags)).reshape(len(boxes), len(others))}


def clip(question: Question, *, left: int, less: int) -> Answer:
    """Answer `clip_boxes`: x in left ... W - less, y in left ... H - less."""
    limits = {0: question.params["width"] - less, 1: question.params["height"] - less}
    boxes = question.arguments["boxes"]
    assert boxes is not None
    clipped = boxes.astype(np.float64)
    for row in clipped:
        for k in range(4):
            if row[k] > limits[k % 2]:
                row[k] = limits[k % 2]
            if row[k] < left:
                row[k] = left
    return {"clipped": clipped}


def convert_pixel_boxes(question: Question) -> Answer:
    """Answer `convert_boxes` for boxes whose x2 is the last pixel, by way of (x1, y1, width, height)."""
    source, target = question.params["source"], question.params["target"]
    converted = []
    for a, b, c, d in rows(question, "boxes"):
        x, y, w, h = a, b, c, d
        if source == "xyxy":
            w, h = c - a + 1, d - b + 1
        elif source == "cxcywh":
            x, y = a - 0.5 * c, b - 0.5 * d
        if source == target:
            converted.append((a, b, c, d))
        elif target == "xyxy":
            converted.append((x, y, x + w - 1, y + h - 1))
        elif target == "xywh":
            converted.append((x, y, w, h))
        else:
            converted.append((x + 0.5 * w, y + 0.5 * h, w, h))
    return {"converted": np.array(converted, dtype=np.float64).reshape(-1, 4)}


def keep_large(question: Question, *, offset: int | None = None, comparison: str | None = None) -> Answer:
    """Answer `large_enough`, comparing x2 - x1 + offset with the least size."""
    convention, least = question.params["convention"], question.params["min_size"]
    if offset is None:
        offset = 1 if convention == "py-faster" else 0
    if comparison is None:
        comparison = ">" if convention == "detectron2" else ">="
    kept = []
    for x1, y1, x2, y2 in rows(question, "boxes"):
        sides = (x2 - x1 + offset, y2 - y1 + offset)
        kept.append(all(side > least or (comparison == ">=" and side == least) for side in sides))
    return {"kept": np.array(kept, dtype=bool)}


def rows(question: Question, name: str) -> list[Box]:
    """Return the boxes as tuples of Python floats."""
    boxes = question.arguments[name]
    assert boxes is not None
    return [tuple(float(coordinate) for coordinate in box) for box in boxes]


def _box_iou(key: str, source: str, answer: Callable[[Question], Answer]) -> Witness:
    return Witness(key, "box_iou", source, answer)


MMDETECTION = (
    "mmdetection mmdet/core/bbox/iou_calculators/iou2d_calculator.py, bbox_overlaps: max(union, 1e-6), transcribed"
)
ULTRALYTICS = "ultralytics ultralytics/utils/metrics.py, box_iou: inter / (union + 1e-7), transcribed"
OPENCV = "OpenCV modules/core/include/opencv2/core/types.hpp, jaccardDistance: 0 where both areas are, transcribed"
TENSORFLOW = (
    "TensorFlow tensorflow/core/kernels/image/non_max_suppression_op.cc, IOU: min and max of corners, transcribed"
)
TORCHVISION = "torchvision torchvision/ops/boxes.py, transcribed"
DETECTRON = "Detectron detectron/utils/boxes.py, transcribed"
MATLAB = "Faster R-CNN in MATLAB functions/fast_rcnn/fast_rcnn_im_detect.m, clip_boxes, transcribed"

CONFORMING: list[tuple[str, Callable[[Question], Answer]]] = [
    ("box_iou", overlaps),
    ("nms", suppress),
    ("large_enough", keep_large),
]

WITNESSES = [
    _box_iou("box.crowd=ignored", TORCHVISION, partial(overlaps, ignore_crowd=True)),
    _box_iou("box.empty=nan", TORCHVISION, partial(overlaps, empty="nan")),
    _box_iou("box.empty=one", OPENCV, partial(overlaps, both_empty=1.0)),
    _box_iou("box.empty=zero", PY_FASTER, partial(overlaps, empty="zero")),
    _box_iou("box.empty=zero", "pycocotools mask.iou, run", coco_overlaps),
    _box_iou("box.eps=1e-6", MMDETECTION, partial(overlaps, at_least=1e-6)),
    _box_iou("box.eps=1e-7", ULTRALYTICS, overlaps_with_something_added),
    _box_iou("box.malformed=sorted", TENSORFLOW, partial(overlaps, malformed="sorted")),
    _box_iou("box.plus1=no", TORCHVISION, partial(overlaps, offset=0)),
    _box_iou("box.plus1=yes", PY_FASTER, partial(overlaps, offset=1)),
    Witness("box.empty=one", "nms", OPENCV, partial(suppress, both_empty=1.0)),
    Witness("box.malformed=sorted", "nms", TENSORFLOW, partial(suppress, malformed="sorted")),
    Witness("box.plus1=no", "nms", TORCHVISION, partial(suppress, offset=0)),
    Witness("box.plus1=yes", "nms", PY_FASTER, partial(suppress, offset=1)),
    Witness("box.clip=from1", "clip_boxes", MATLAB, partial(clip, left=1, less=0)),
    Witness("box.clip=w", "clip_boxes", TORCHVISION, partial(clip, left=0, less=0)),
    Witness("box.clip=w-1", "clip_boxes", DETECTRON, partial(clip, left=0, less=1)),
    Witness("box.plus1=yes", "convert_boxes", DETECTRON, convert_pixel_boxes),
    Witness("box.plus1=yes", "large_enough", DETECTRON, partial(keep_large, offset=1)),
    Witness("box.plus1=no", "large_enough", TORCHVISION, partial(keep_large, offset=0)),
    Witness("box.min_size=ge", "large_enough", TORCHVISION, partial(keep_large, comparison=">=")),
    Witness(
        "box.min_size=gt",
        "large_enough",
        "Detectron2 detectron2/structures/boxes.py, Boxes.nonempty, transcribed",
        partial(keep_large, comparison=">"),
    ),
]

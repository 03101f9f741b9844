"""Witnesses of the keys `nms.*`: one scalar suppression of boxes in order of score, with a switch for each deviation.

IoU is computed in the dtype of the boxes, by NumPy scalars one operation at a time; 0 where both boxes are empty, NaN
where a coordinate is. Boxes are gone through in order of score, ties lowest index first, NaN last; one goes where a
kept one before it has IoU > threshold, rounded to that dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Overlap = Callable[[int, int], Any]  # the IoU of two boxes, a scalar of their dtype
Order = Callable[[Sequence[float]], list[int]]  # indices in the order in which boxes are taken


def overlap_of_boxes(a: Any, b: Any, offset: int) -> Any:
    """Return the IoU of two boxes (x1, y1, x2, y2) as a scalar of their dtype; np.maximum passes NaN on."""
    one, zero = a.dtype.type(offset), a.dtype.type(0)
    area_a = np.maximum(a[2] - a[0] + one, zero) * np.maximum(a[3] - a[1] + one, zero)
    area_b = np.maximum(b[2] - b[0] + one, zero) * np.maximum(b[3] - b[1] + one, zero)
    width = np.maximum(np.minimum(a[2], b[2]) - np.maximum(a[0], b[0]) + one, zero)
    height = np.maximum(np.minimum(a[3], b[3]) - np.maximum(a[1], b[1]) + one, zero)
    union = area_a + area_b - width * height
    return zero if union == 0 else width * height / union


def lowest_index_first(scores: Sequence[float]) -> list[int]:
    """Order by descending score, equal ones by ascending index, NaN behind −∞."""
    return sorted(range(len(scores)), key=lambda i: (math.isnan(scores[i]), _negated(scores[i]), i))


def highest_index_first(scores: Sequence[float]) -> list[int]:
    """Order by descending score, equal ones by descending index, NaN behind −∞."""
    return sorted(range(len(scores)), key=lambda i: (math.isnan(scores[i]), _negated(scores[i]), -i))


def nan_first(scores: Sequence[float]) -> list[int]:
    """Order by descending score, equal ones by ascending index, NaN before ∞."""
    return sorted(range(len(scores)), key=lambda i: (not math.isnan(scores[i]), _negated(scores[i]), i))


def reversed_argsort(scores: Sequence[float]) -> list[int]:
    """Order by scores.argsort()[::-1], were it stable; NaN is the largest there, and comes first."""
    return [int(i) for i in np.argsort(np.array(scores), kind="stable")[::-1]]


def by_torch_sort(scores: Sequence[float]) -> list[int]:
    """Order as torch does."""
    import torch

    return [
        int(i) for i in torch.sort(torch.tensor(list(scores), dtype=torch.float64), descending=True, stable=True)[1]
    ]


def _negated(score: float) -> float:
    return 0.0 if math.isnan(score) else -score


def suppress(
    overlap: Overlap,
    scores: Sequence[float],
    threshold: Any,
    *,
    order: Order = lowest_index_first,
    at_equality: bool = False,
    at_nan: bool = False,
    victims_suppress: bool = False,
    ascending: bool = False,
) -> list[int]:
    """Return the indices that are kept."""
    kept: list[int] = []
    seen: list[int] = []
    for candidate in order(scores):
        gone = False
        for before in seen if victims_suppress else kept:
            iou = overlap(before, candidate)
            gone |= bool(iou > threshold) or (at_equality and bool(iou == threshold)) or (at_nan and math.isnan(iou))
        if not gone:
            kept.append(candidate)
        seen.append(candidate)
    return sorted(kept) if ascending else kept


def answer_nms(question: Question, *, wide_threshold: bool = False, **switches: Any) -> Mapping[str, Any]:
    """Suppress boxes."""
    given: Any = question.arguments
    boxes, scores = given["boxes"], given["scores"]
    threshold = question.params["threshold"]

    def overlap(i: int, j: int) -> Any:
        iou = overlap_of_boxes(boxes[i], boxes[j], question.params["offset"])
        return float(iou) if wide_threshold else iou

    limit = float(threshold) if wide_threshold else boxes.dtype.type(threshold)
    return {"kept": np.array(suppress(overlap, scores.tolist(), limit, **switches), np.int64)}


def answer_nms_from_iou(question: Question, **switches: Any) -> Mapping[str, Any]:
    """Suppress by a table of overlaps."""
    given: Any = question.arguments
    iou, scores = given["iou"], given["scores"]
    limit = iou.dtype.type(question.params["threshold"])
    return {"kept": np.array(suppress(lambda i, j: iou[i, j], scores.tolist(), limit, **switches), np.int64)}


def answer_class_nms(
    question: Question,
    *,
    wide_threshold: bool = False,
    agnostic: bool = False,
    moved: bool = False,
    **switches: Any,
) -> Mapping[str, Any]:
    """Suppress among boxes of a class, which are those that `overlap` does not keep apart."""
    given: Any = question.arguments
    boxes, scores, classes = given["boxes"], given["scores"], given["classes"]
    kind = boxes.dtype.type
    if moved and len(boxes):  # torchvision: boxes + idxs.to(boxes) * (boxes.max() + 1), and one suppression of all
        boxes = np.array(
            [[v + kind(c) * (boxes.max() + kind(1)) for v in b] for b, c in zip(boxes, classes, strict=True)]
        )

    def overlap(i: int, j: int) -> Any:
        if not (agnostic or moved) and classes[i] != classes[j]:
            return kind(-1)  # below every threshold
        iou = overlap_of_boxes(boxes[i], boxes[j], question.params["offset"])
        return float(iou) if wide_threshold else iou

    limit = float(question.params["threshold"]) if wide_threshold else kind(question.params["threshold"])
    return {"kept": np.array(suppress(overlap, scores.tolist(), limit, **switches), np.int64)}


def answer_top_k(question: Question, *, order: Order = lowest_index_first) -> Mapping[str, Any]:
    """Take the first k."""
    scores: Any = question.arguments["scores"]
    return {"indices": np.array(order(scores.tolist())[: question.params["k"]], np.int64)}


_SOURCES = {
    "nms.cmp=ge": "py-faster-rcnn's lib/nms/cpu_nms.pyx, cpu_nms: if ovr >= thresh: suppressed[j] = 1",
    "nms.fast=yes": "YOLACT (Bolya et al. 2019), section 5: the largest IoU with any box of higher score decides",
    "nms.nan=suppresses": "py-faster-rcnn's lib/nms/py_cpu_nms.py: what stays is np.where(ovr <= thresh)",
    "nms.nan_score=first": "torch.sort, written out",
    "nms.order=index": "Detectron's detectron/utils/cython_nms.pyx, nms: np.where(suppressed == 0)[0]",
    "nms.thr_dtype=float64": "torchvision's csrc/ops/cpu/nms_kernel.cpp: float ovr > double iou_threshold",
    "nms.tie=last": "of equal scores the highest index first, and nothing else",
    "nms.batched=agnostic": "class_nms by a suppression that knows no classes",
    "nms.batched=offset": "torchvision's ops/boxes.py, _batched_nms_coordinate_trick",
}
_SWITCHES: dict[str, dict[str, Any]] = {
    "nms.cmp=ge": {"at_equality": True},
    "nms.fast=yes": {"victims_suppress": True},
    "nms.nan=suppresses": {"at_nan": True},
    "nms.nan_score=first": {"order": nan_first},
    "nms.order=index": {"ascending": True},
    "nms.thr_dtype=float64": {"wide_threshold": True},
    "nms.tie=last": {"order": highest_index_first},
    "nms.batched=agnostic": {"agnostic": True},
    "nms.batched=offset": {"moved": True},
}
_ANSWERS: dict[str, tuple[Callable[..., Mapping[str, Any]], tuple[str, ...]]] = {
    "nms": (answer_nms, ("cmp", "fast", "nan", "nan_score", "order", "thr_dtype", "tie")),
    "nms_from_iou": (answer_nms_from_iou, ("cmp", "fast", "nan", "nan_score", "order", "tie")),
    "class_nms": (answer_class_nms, ("cmp", "fast", "nan_score", "order", "thr_dtype", "tie", "batched")),
    "top_k": (answer_top_k, ("nan_score", "tie")),
}

CONFORMING = [(algorithm, answer) for algorithm, (answer, _) in _ANSWERS.items()]

WITNESSES = (
    [
        Witness(key, algorithm, _SOURCES[key], partial(answer, **switches))
        for algorithm, (answer, names) in _ANSWERS.items()
        for key, switches in _SWITCHES.items()
        if key.removeprefix("nms.").split("=")[0] in names
    ]
    + [
        Witness("nms.nan_score=first", algorithm, "torch.sort", partial(answer, order=by_torch_sort))
        for algorithm, (answer, _) in _ANSWERS.items()
    ]
    + [
        Witness(
            "nms.tie=last",
            algorithm,
            "py_cpu_nms.py: scores.argsort()[::-1], stable",
            partial(answer, order=reversed_argsort),
        )
        for algorithm, (answer, _) in _ANSWERS.items()
    ]
)

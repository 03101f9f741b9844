"""Deviations of the COCO evaluation: who detected whom, and overlaps with crowd regions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.metrics.coco_match import ALMOST_ONE
from refdet.verify.deviation import Body, Deviation

COCOEVAL = "cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py, evaluateImg"
TORCHMETRICS = "Lightning-AI/torchmetrics, src/torchmetrics/detection/_mean_ap.py, _find_best_gt_match"
IMAGENET = "open-mmlab/mmdetection, mmdet/core/evaluation/mean_ap.py, tpfp_imagenet"

Matches = tuple[Array, Array]


def _matching(
    iou: Array,
    ignored: Array,
    crowd: Array,
    *,
    thresholds: tuple[float, ...],
    strict: bool = False,  # the first candidate must exceed the threshold
    lowered: bool = True,  # a threshold of 1 by 1e-10
    first: bool = False,  # of equals the first is kept
    ignored_are: str = "last",  # or "like_others", or "never" matched
    crowd_once: bool = False,
    number_0: int = 0,  # what is written for a match with column 0
    nan_is_enough: bool = False,
) -> Matches:
    """Match as `evaluateImg` does, with one thing or another done otherwise."""
    batch = np.broadcast_shapes(iou.shape[:-2], ignored.shape[:-1], crowd.shape[:-1])
    iou, ignored, crowd = (np.broadcast_to(x, (*batch, *x.shape[-n:])) for x, n in ((iou, 2), (ignored, 1), (crowd, 1)))
    D, G = iou.shape[-2:]
    matches = np.full((*batch, len(thresholds), D), -1, np.int64)
    taken = np.full((*batch, len(thresholds), G), -1, np.int64)
    for *place, t, d in np.ndindex(*matches.shape):
        problem = tuple(place)
        overlaps, skipped, shared = iou[(*problem, d)].tolist(), ignored[problem].tolist(), crowd[problem].tolist()
        limit = min(thresholds[t], ALMOST_ONE) if lowered else thresholds[t]
        best, match = limit, -1
        for g in sorted(range(G), key=lambda g: skipped[g] and ignored_are == "last"):
            if taken[(*problem, t, g)] >= 0 and not (shared[g] and not crowd_once):
                continue
            if skipped[g] and (ignored_are == "never" or (ignored_are == "last" and match >= 0 and not skipped[match])):
                continue
            v = overlaps[g]
            is_strict = first if match >= 0 else strict
            if v < best or (is_strict and v == best):  # false if either is NaN
                continue
            if v == v or nan_is_enough:
                best, match = v, g
        if match >= 0:
            matches[(*problem, t, d)] = match if match else number_0
            taken[(*problem, t, match)] = d
    return matches, taken


def _where(**choice: Any) -> Callable[[Body], Body]:
    """Match like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else _matching, **choice)

    return wrap


def _plain_box_iou(body: Body) -> Body:
    def coco_box_iou(detections: Array, ground_truths: Array, crowd: Array) -> Any:
        return body(detections, ground_truths, np.zeros_like(crowd))

    return coco_box_iou


def _plain_mask_iou(body: Body) -> Body:
    def rle_iou(
        counts: Array, starts: Array, other_counts: Array, other_starts: Array, crowd: Array | None, **params: Any
    ) -> Any:
        return body(counts, starts, other_counts, other_starts, None, **params)

    return rle_iou


def _read_as_corners(body: Body) -> Body:
    def coco_box_iou(detections: Array, ground_truths: Array, crowd: Array) -> Any:
        sizes = (np.maximum(boxes[..., 2:] - boxes[..., :2], 0) for boxes in (detections, ground_truths))
        d, g = (
            np.concatenate([boxes[..., :2], size], axis=-1)
            for boxes, size in zip((detections, ground_truths), sizes, strict=True)
        )
        return body(d, g, crowd)

    return coco_box_iou


DEVIATIONS = [
    Deviation(
        key="coco.cmp=gt",
        title="a ground truth is matched at IoU > threshold instead of ≥",
        effect="An overlap of exactly the threshold is no match.",
        who=(TORCHMETRICS,),
        change="Accept an IoU that equals the threshold.",
        kernels={"coco_match": _where(strict=True)},
    ),
    Deviation(
        key="coco.threshold=as_given",
        title="a threshold of 1 is not lowered to 1 − 1e-10",
        effect="At threshold 1 an overlap that rounding leaves a little below 1 is no match.",
        who=(TORCHMETRICS,),
        change="Compare with min(threshold, 1 − 1e-10).",
        kernels={"coco_match": _where(lowered=False)},
    ),
    Deviation(
        key="coco.tie=first",
        title="of ground truths with equal IoU the first is matched, not the last",
        effect="Where two ground truths overlap a detection equally, the other one is taken.",
        who=(TORCHMETRICS, IMAGENET),
        change="Go on with every candidate that is not worse than the best so far.",
        kernels={"coco_match": _where(first=True)},
    ),
    Deviation(
        key="coco.ignored=like_others",
        title="ignored ground truths compete with those that count",
        effect="A detection may match an ignored ground truth although one that counts is near enough. Columns are "
        "gone through in the order in which they come.",
        who=(IMAGENET,),
        change="Leave the ignored candidates out if there is one that is not ignored.",
        kernels={"coco_match": _where(ignored_are="like_others")},
    ),
    Deviation(
        key="coco.ignored=never",
        title="ignored ground truths are never matched",
        effect="A detection of an ignored ground truth stays unmatched, and counts as a false positive.",
        who=(TORCHMETRICS,),
        change="Match an ignored ground truth where no other candidate is left.",
        kernels={"coco_match": _where(ignored_are="never")},
    ),
    Deviation(
        key="coco.crowd=once",
        title="a crowd region is matched only once",
        effect="Further detections inside of a crowd region stay unmatched.",
        who=(IMAGENET,),
        change="Do not take a crowd region out of the candidates when it is matched.",
        kernels={"coco_match": _where(crowd_once=True)},
    ),
    Deviation(
        key="coco.id0=none",
        title="a match with ground truth number 0 counts as no match",
        effect="Matches are kept by id with 0 for none, so that who finds the object with id 0 seems to find nothing. "
        "The object is taken all the same.",
        who=(f"{COCOEVAL}, on annotations whose ids begin at 0 (cocoapi issue 507)",),
        change="Mark what is unmatched by a number that is no id, such as −1; or give ids from 1.",
        kernels={"coco_match": _where(number_0=-1)},
    ),
    Deviation(
        key="coco.nan=match",
        title="an IoU of NaN is enough for a match",
        effect="The candidate is passed over if IoU < threshold, which is false for NaN; and so is every comparison "
        "with it afterwards, so that the last candidate after it is matched, whatever its IoU.",
        who=(COCOEVAL,),
        change="Accept a candidate only if IoU ≥ threshold is true.",
        kernels={"coco_match": _where(nan_is_enough=True)},
    ),
    Deviation(
        key="coco.crowd_iou=plain",
        title="a crowd region's overlap is divided by the union like any other",
        effect="A detection inside of a crowd region has a small IoU with it, instead of 1.",
        who=(
            "Lightning-AI/torchmetrics, src/torchmetrics/detection/_mean_ap.py, which has no crowd regions",
            "pytorch/vision, torchvision/ops/boxes.py, box_iou",
        ),
        change="Divide by the area of the detection where the ground truth is a crowd region.",
        kernels={"coco_box_iou": _plain_box_iou, "rle_iou": _plain_mask_iou},
    ),
    Deviation(
        key="coco.box=corners",
        title="boxes (x, y, w, h) are read as corners (x1, y1, x2, y2)",
        effect="Width and height are taken for the second corner: the sides are w − x and h − y, at least 0.",
        who=(
            "Lightning-AI/torchmetrics, src/torchmetrics/detection/mean_ap.py with its default box_format='xyxy'",
            "pytorch/vision, torchvision/ops/boxes.py, box_iou",
        ),
        change="Convert: x2 = x + w and y2 = y + h.",
        kernels={"coco_box_iou": _read_as_corners},
    ),
]

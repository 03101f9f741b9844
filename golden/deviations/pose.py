"""Deviations of measuring poses: object keypoint similarity, PCP, PDJ."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation

Joints = tuple[int, int]


def _sigma_once(body: Body) -> Body:
    def object_keypoint_similarity(*arrays: Array, sigmas: tuple[float, ...]) -> Any:
        return body(*arrays, sigmas=tuple(s / 2 for s in sigmas))

    return object_keypoint_similarity


def _estimated_area(body: Body) -> Body:
    def object_keypoint_similarity(
        detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, **sigmas: Any
    ) -> Any:
        estimated = (boxes_xywh[:, 2] * boxes_xywh[:, 3] * 0.53).astype(areas.dtype)
        return body(detections, ground_truths, boxes_xywh, estimated, **sigmas)

    return object_keypoint_similarity


def _nothing_labelled_is_zero(body: Body) -> Body:
    def object_keypoint_similarity(
        detections: Array, ground_truths: Array, boxes_xywh: Array, areas: Array, **sigmas: Any
    ) -> Array:
        oks = body(detections, ground_truths, boxes_xywh, areas, **sigmas)
        any_labelled = np.any(ground_truths[:, :, 2] > 0, axis=1)
        return np.where(any_labelled, oks, 0).astype(oks.dtype)

    return object_keypoint_similarity


def _distance(p: Array, q: Array) -> Array:
    with np.errstate(over="ignore", invalid="ignore"):
        distances: Array = np.sqrt(np.sum(np.square(p - q), axis=-1))
    return distances


def _within(errors: Array, allowed: Array, strict: bool) -> Array:
    return errors < allowed if strict else errors <= allowed


def _fraction(found: Array, counted: Array, like: Array) -> Array:
    with np.errstate(invalid="ignore"):
        share: Array = np.sum(found & counted, axis=0) / np.sum(counted, axis=0)
    return share.astype(np.result_type(like))


def _pcp(
    predictions: Array,
    truths: Array,
    visible: Array,
    *,
    limbs: tuple[Joints, ...],
    alpha: float,
    of_ends: Callable[[Array, Array], Array] = np.maximum,
    strict: bool = False,
) -> Array:
    """Measure PCP, of one of the ends' errors or their mean."""
    j, k = np.array(limbs, np.int64).reshape(-1, 2).T
    errors, lengths = _distance(predictions, truths), _distance(truths[:, j], truths[:, k])
    found = _within(of_ends(errors[:, j], errors[:, k]), float(alpha) * lengths, strict)
    return _fraction(found, visible[:, j] & visible[:, k], lengths)


def _mean(first: Array, second: Array) -> Array:
    return (first + second) / 2


def _pdj(
    predictions: Array,
    truths: Array,
    visible: Array,
    *,
    torso: Joints,
    fraction: float,
    of_body: bool = False,
    strict: bool = False,
) -> Array:
    """Measure PDJ, or with `of_body` PCK."""
    a, b = torso
    errors, counted = _distance(predictions, truths), visible
    if of_body:
        sizes = (truths.max(axis=1) - truths.min(axis=1) + 1).max(axis=1)  # of the box around all joints
    else:
        sizes, counted = _distance(truths[:, a], truths[:, b]), visible & (visible[:, a] & visible[:, b])[:, None]
    return _fraction(_within(errors, float(fraction) * sizes[:, None], strict), counted, errors)


def _measuring(measure: Body, **choice: Any) -> Callable[[Body], Body]:
    """Measure like that, with a choice added to those that were made before."""

    def wrap(body: Body) -> Body:
        return functools.partial(body if isinstance(body, functools.partial) else measure, **choice)

    return wrap


def _all_visible(body: Body) -> Body:
    def measure(predictions: Array, truths: Array, visible: Array, **params: Any) -> Any:
        return body(predictions, truths, np.ones_like(visible), **params)

    return measure


OKS = "object_keypoint_similarity"

DEVIATIONS = [
    Deviation(
        key="oks.variance=sigma",
        title="the distance is divided by σ² instead of (2σ)²",
        effect="Every keypoint is judged four times as strictly: its exponent is four times as large.",
        who=("luxonis/luxonis-train, object_keypoint_similarity.py, compute_oks with use_cocoeval_oks=False",),
        change="Double σ before squaring it.",
        kernels={OKS: _sigma_once},
    ),
    Deviation(
        key="oks.area=box053",
        title="the area is estimated as 0.53 · w · h instead of the annotated one",
        effect="The similarity depends on the box, and not on the mask.",
        who=(
            "ultralytics/ultralytics, ultralytics/models/yolo/pose/val.py, _process_batch",
            "jin-s13/xtcocoapi, xtcocotools/cocoeval.py",
        ),
        change="Divide by the area that is given for the object, that of its mask.",
        kernels={OKS: _estimated_area},
    ),
    Deviation(
        key="oks.unlabelled=zero",
        title="a ground truth without labelled keypoints has similarity 0",
        effect="Detections of an ignored person do not match it, and count as false.",
        who=(
            "ultralytics/ultralytics, ultralytics/utils/metrics.py, kpt_iou",
            "open-mmlab/mmpose, mmpose/evaluation/functional/nms.py, oks_iou",
        ),
        change="Measure the distances from the ground truth's box, three times as wide and high, where nothing is "
        "labelled.",
        kernels={OKS: _nothing_labelled_is_zero},
    ),
    Deviation(
        key="pcp.ends=mean",
        title="a limb is found if the mean error of its ends is small enough",
        effect="One end may be far off if the other is near.",
        who=("openxrlab/xrmocap, xrmocap/utils/mvpose_utils.py, check_limb_is_correct",),
        change="Demand that both ends are near enough.",
        kernels={"pcp": _measuring(_pcp, of_ends=_mean)},
    ),
    Deviation(
        key="pdj.scale=body",
        title="the allowed error is a fraction of the body's box, not of the torso",
        effect="It is PCK: joints count without a visible torso, and the longer side of the box around all joints, "
        "hidden ones too, plus 1, is what the fraction is of.",
        who=("LiamLYJ/pose_GAN, evaluatePCK.m",),
        change="Take the fraction of the distance between the two joints of the torso.",
        kernels={"pdj": _measuring(_pdj, of_body=True)},
    ),
    Deviation(
        key="pose.cmp=lt",
        title="an error must be smaller than what is allowed, not at most equal",
        effect="An error of exactly the allowed fraction is too large; a limb of no length is never found.",
        who=(
            "bobbens/clothes_parsing, lib/+uci/private/EvalStickmen.m, DirectEvalSegms",
            "yangyi02/proxemics-recognition, evaluation/eval_pck.m",
        ),
        change="Compare with ≤.",
        kernels={"pcp": _measuring(_pcp, strict=True), "pdj": _measuring(_pdj, strict=True)},
    ),
    Deviation(
        key="pose.visible=all",
        title="hidden joints count like visible ones",
        effect="The flags `visible` are not read.",
        who=(
            "LiamLYJ/pose_GAN, evaluatePCK.m",
            "yangyi02/proxemics-recognition, evaluation/eval_pck.m",
            "openxrlab/xrmocap, xrmocap/utils/mvpose_utils.py, check_limb_is_correct (PCP)",
        ),
        change="Leave out limbs with a hidden end, and joints that are hidden or whose torso is.",
        kernels={"pcp": _all_visible, "pdj": _all_visible},
    ),
]

"""Deviations of precision, recall and average precision."""

from __future__ import annotations

from typing import Any

import numpy as np

from golden.wrapping import setting
from refdet.core.check import Array
from refdet.verify.deviation import Body, Deviation


def _interp(value: str, title: str, effect: str, who: tuple[str, ...]) -> Deviation:
    """Return the deviation of always averaging as one convention has it."""
    return Deviation(
        key=f"ap.interp={value}",
        title=title,
        effect=f"The parameter `convention` is not read. {effect}",
        who=who,
        change="Compute the average precision as `convention` says; the header of average_precision has the formulas.",
        kernels={"average_precision": setting(convention=value)},
    )


def _linear_between_101(body: Body) -> Body:
    def average_precision(precision: Array, recall: Array, **_: Any) -> Array:
        if not len(recall):
            return np.zeros((), np.result_type(precision))
        r, p = np.concatenate([[0.0], recall, [1.0]]), np.concatenate([[1.0], precision, [0.0]])
        envelope = np.maximum.accumulate(p[::-1])[::-1]
        points = np.linspace(0, 1, 101)
        heights = np.interp(points, r, envelope)
        trapezoids = (heights[1:] + heights[:-1]) / 2
        return np.asarray(np.sum(np.diff(points) * trapezoids), np.result_type(precision))

    return average_precision


def _nuscenes(body: Body) -> Body:
    def average_precision(precision: Array, recall: Array, **_: Any) -> Array:
        if not len(recall):
            return np.zeros((), np.result_type(precision))
        heights = np.interp(np.linspace(0, 1, 101), recall, precision, right=0)
        above = np.maximum(heights[11:] - 0.1, 0)  # recall and precision of at most 0.1 do not count
        return np.asarray(np.mean(above) / 0.9, np.result_type(precision))

    return average_precision


def _starts_at_one(body: Body) -> Body:
    def average_precision(precision: Array, recall: Array, *, convention: str) -> Any:
        rising = body(np.array([0.5, 0.75]), np.array([0.5, 1.0]), convention=convention)
        if rising != 9 / 16 or not len(recall):  # which it is between points as they are drawn, and not otherwise
            return body(precision, recall, convention=convention)
        first = recall[0] * (1 - precision[0]) / 2  # the triangle above the first step, up to the point (0, 1)
        return np.asarray(body(precision, recall, convention=convention) + first, np.result_type(precision))

    return average_precision


def _without_the_first_step(body: Body) -> Body:
    def average_precision(precision: Array, recall: Array, *, convention: str) -> Any:
        ap = body(precision, recall, convention=convention)
        if convention != "area" or not len(recall):
            return ap
        return np.asarray(ap - recall[0] * np.max(precision), np.result_type(precision))

    return average_precision


def _hundredths(body: Body) -> Body:
    def average_precision(precision: Array, recall: Array, *, convention: str) -> Any:
        if convention != "coco101":
            return body(precision, recall, convention=convention)
        if np.any(np.isnan(precision)) or np.any(np.isnan(recall)):
            return np.full((), np.nan, np.result_type(precision))
        heights = [np.max(precision[recall >= k / 100], initial=0) for k in range(101)]
        return np.asarray(np.mean(heights), np.result_type(precision))

    return average_precision


def _points_of_ignored(body: Body) -> Body:
    def precision_recall(verdicts: Array, *, n_positive: int) -> tuple[Array, Array]:
        n_true, n_false = np.cumsum(verdicts == 1), np.cumsum(verdicts == 0)
        with np.errstate(invalid="ignore"):
            recall = n_true / n_positive if n_positive else np.full(len(verdicts), np.nan)
            return n_true / (n_true + n_false), recall

    return precision_recall


def _zero_of_nothing(body: Body) -> Body:
    def precision_recall(verdicts: Array, *, n_positive: int) -> tuple[Array, Array]:
        precision, recall = body(verdicts, n_positive=n_positive)
        return precision, recall if n_positive else np.zeros_like(recall)

    return precision_recall


DEVIATIONS = [
    _interp(
        "area",
        "average precision is always the area under the envelope (VOC 2010)",
        "Asked for eleven points, 101 points or an area without the envelope, it gives another number.",
        (
            "Cartucho/mAP, main.py, voc_ap",
            "AlexeyAB/darknet, src/detector.c, validate_detector_map with its default -points 0",
            "rbgirshick/py-faster-rcnn, lib/datasets/voc_eval.py with its default use_07_metric=False",
        ),
    ),
    _interp(
        "voc2007",
        "average precision is always that of eleven points (VOC 2007), at k/10",
        "Recalls between tenths do not matter.",
        ("AlexeyAB/darknet, src/detector.c, validate_detector_map with -points 11",),
    ),
    _interp(
        "voc2007-arange",
        "average precision is always that of eleven points, at numpy.arange(0, 1.1, 0.1)",
        "Recalls between tenths do not matter, and a recall of exactly 3/10, 6/10 or 7/10 does not reach its point.",
        (
            "rbgirshick/py-faster-rcnn, lib/datasets/voc_eval.py, voc_ap with use_07_metric=True",
            "chainer/chainercv, chainercv/evaluations/eval_detection_voc.py, the same",
            "open-mmlab/mmdetection, mmdet/core/evaluation/mean_ap.py, average_precision with mode='11points'",
        ),
    ),
    _interp(
        "coco101",
        "average precision is always that of COCO's 101 points",
        "Recalls between hundredths do not matter.",
        ("cocodataset/cocoapi, PythonAPI/pycocotools/cocoeval.py, accumulate",),
    ),
    _interp(
        "step",
        "average precision is always the sum of steps, without the envelope",
        "A precision that rises later does not lift what comes before it.",
        ("scikit-learn, sklearn/metrics/_ranking.py, average_precision_score",),
    ),
    _interp(
        "trapezoid",
        "average precision is always the area between the points as they are drawn",
        "Half of each rise or fall of the precision counts, and there is no envelope.",
        ("scikit-learn, sklearn/metrics/_ranking.py, auc of a curve of precision and recall",),
    ),
    Deviation(
        key="ap.interp=linear101",
        title="the envelope is interpolated linearly at 101 recalls, and their trapezoids are added",
        effect="The parameter `convention` is not read. The envelope begins at precision 1, and falls to 0 on the way "
        "from the last recall to 1 instead of at once: what is never found still counts in part.",
        who=(
            "ultralytics/ultralytics, ultralytics/utils/metrics.py, compute_ap with method 'interp'",
            "ultralytics/yolov5, utils/metrics.py, compute_ap",
        ),
        change="Take the envelope as a staircase that is 0 beyond the last recall; do not interpolate between points.",
        kernels={"average_precision": _linear_between_101},
    ),
    Deviation(
        key="ap.interp=nuscenes",
        title="precision without envelope, linear at 101 recalls, the first tenths of both cut off",
        effect="The parameter `convention` is not read. There is no envelope; recalls up to 0.1 are left out and 0.1 "
        "is taken off every precision.",
        who=("nutonomy/nuscenes-devkit, python-sdk/nuscenes/eval/detection/algo.py, accumulate and calc_ap",),
        change="Take the envelope max{P_j : j ≥ k}, and count every recall and precision.",
        kernels={"average_precision": _nuscenes},
    ),
    Deviation(
        key="ap.start=one",
        title="the curve begins at precision 1 instead of that of the first detection",
        effect='Under "trapezoid" a curve whose first detection is wrong gains a triangle above its first step. '
        "Where the envelope is taken, or steps, it changes nothing.",
        who=("scikit-learn, sklearn/metrics/_ranking.py, precision_recall_curve, whose last point is (1, 0)",),
        change="Begin the curve at recall 0 with the precision of the first detection.",
        kernels={"average_precision": _starts_at_one},
    ),
    Deviation(
        key="ap.first_step=lost",
        title="the area from recall 0 to the first point is not counted",
        effect='Under "area" the sum over differences of recalls begins between the first point and the second. A '
        "first detection that is right loses its share, R_1 times the highest precision.",
        who=("AlexeyAB/darknet, src/detector.c, validate_detector_map, the loop over ranks with -points 0",),
        change="Put a point of recall 0 before the curve, so that the first difference is R_1 − 0.",
        kernels={"average_precision": _without_the_first_step},
    ),
    Deviation(
        key="ap.grid=hundredths",
        title="COCO's 101 points are k/100 instead of numpy.linspace(0, 1, 101)",
        effect="Ten of linspace's points lie a last bit above k/100, the first at 0.35. A recall of exactly 35/100 "
        "reaches one point more.",
        who=("AlexeyAB/darknet, src/detector.c, validate_detector_map with -points 101",),
        change="Compare the recall with the floats that numpy.linspace(0, 1, 101) gives, in float64.",
        kernels={"average_precision": _hundredths},
    ),
    Deviation(
        key="ap.ignored=point",
        title="ignored detections make points on the curve too",
        effect="The curve has a point for every detection. That of an ignored one repeats the point before it, or has "
        "the precision 0/0 = NaN where nothing came before.",
        who=(
            "PASCAL VOC devkit, VOCcode/VOCevaldet.m",
            "rbgirshick/py-faster-rcnn, lib/datasets/voc_eval.py, voc_eval",
        ),
        change="Drop detections with verdict −1 before the cumulative sums.",
        kernels={"precision_recall": _points_of_ignored},
    ),
    Deviation(
        key="ap.nothing=zero",
        title="the recall is 0 instead of NaN where there is nothing to find",
        effect="A class without objects gets recall 0, and in a mean over classes counts as AP 0.",
        who=(
            "AlexeyAB/darknet, src/detector.c, validate_detector_map",
            "chainer/chainercv, chainercv/evaluations/eval_detection_voc.py, _pred_and_rec_cls",
        ),
        change="Return NaN where n_positive is 0, and leave such a class out of the mean.",
        kernels={"precision_recall": _zero_of_nothing},
    ),
]

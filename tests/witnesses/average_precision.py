"""Precision, recall and the area under their curve, in the words of those who compute them otherwise.

Every function below is one library's, with its parameters; what a deviation leaves alone is what the definition says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def area(precision: list[float], recall: list[float]) -> float:
    """Cartucho/mAP, main.py, voc_ap: VOC's sentinels, the envelope, and a sum over the changes of recall."""
    mrec, mpre = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    return math.fsum((mrec[i] - mrec[i - 1]) * mpre[i] for i in range(1, len(mrec)) if mrec[i] != mrec[i - 1])


def area_from_the_first_point(precision: list[float], recall: list[float]) -> float:
    """AlexeyAB/darknet, detector.c, validate_detector_map, `map_points == 0`."""
    if not precision:
        return 0.0
    total, last_recall, last_precision = [], recall[-1], precision[-1]
    for p, r in zip(precision[-2::-1], recall[-2::-1], strict=True):
        delta, last_recall = last_recall - r, r
        last_precision = max(last_precision, p)
        total.append(delta * last_precision)
    return math.fsum(total)


def points(precision: list[float], recall: list[float], *, levels: Sequence[float]) -> float:
    """py-faster-rcnn, voc_eval.py, voc_ap with use_07_metric: the best precision where rec >= t, for every level."""
    best = [max([p for p, r in zip(precision, recall, strict=True) if r >= t], default=0.0) for t in levels]
    return math.fsum(best) / len(best)


def steps(precision: list[float], recall: list[float]) -> float:
    """scikit-learn, average_precision_score: sum of (R_n - R_{n-1}) P_n."""
    before = [0.0, *recall][:-1]
    return math.fsum((r - r0) * p for p, r, r0 in zip(precision, recall, before, strict=True))


def trapezoids(precision: list[float], recall: list[float], *, start: float | None = None) -> float:
    """scikit-learn, auc(recall, precision); `start` is the precision at recall 0, that of the first point if None.

    precision_recall_curve ends in the point (recall 0, precision 1), which is start = 1.
    """
    if not precision:
        return 0.0
    xs, ys = [0.0, *recall], [precision[0] if start is None else start, *precision]
    return math.fsum((xs[i] - xs[i - 1]) * (ys[i] + ys[i - 1]) / 2 for i in range(1, len(xs)))


def between(xs: list[float], ys: list[float], x: float) -> float:
    """Return y at x on the line through the points, as numpy.interp does: of equal xs the last counts."""
    i = max(i for i in range(len(xs)) if xs[i] <= x)
    if i == len(xs) - 1:
        return ys[i]
    return ys[i] + (ys[i + 1] - ys[i]) * (x - xs[i]) / (xs[i + 1] - xs[i])


def line_of_101(precision: list[float], recall: list[float]) -> float:
    """ultralytics, utils/metrics.py, compute_ap: sentinels (0, 1) and (1, 0), envelope, numpy.interp, trapezoids.

    Classes without a detection are never passed to it, and keep an AP of 0.
    """
    if not precision:
        return 0.0
    mrec, mpre = [0.0, *recall, 1.0], [1.0, *precision, 0.0]
    for i in range(len(mpre) - 2, -1, -1):
        mpre[i] = max(mpre[i], mpre[i + 1])
    grid = [float(x) for x in np.linspace(0, 1, 101)]
    heights = [between(mrec, mpre, x) for x in grid]
    return math.fsum((grid[i] - grid[i - 1]) * (heights[i] + heights[i - 1]) / 2 for i in range(1, 101))


def nuscenes(precision: list[float], recall: list[float]) -> float:
    """nuscenes-devkit, eval/detection/algo.py, accumulate (steps 2 and 3) and calc_ap with 0.1 and 0.1.

    Today the devkit leaves out the bin of recall 0.1 too; an earlier commit (054ba1f) begins with it.
    """
    if not precision:
        precision, recall = [0.0], [0.01]
    if recall[0] != 0:
        precision, recall = [precision[0], *precision], [0.0, *recall]
    heights = [between(recall, precision, float(x)) if x <= recall[-1] else 0.0 for x in np.linspace(0, 1, 101)]
    clipped = [max(p - 0.1, 0.0) for p in heights[round(100 * 0.1) + 1 :]]
    return math.fsum(clipped) / len(clipped) / (1.0 - 0.1)


VOC2007 = [k / 10 for k in range(11)]
HUNDREDTHS = [k / 100 for k in range(101)]
LEVELS: dict[str, list[float]] = {
    "voc2007": VOC2007,
    "voc2007-arange": [float(t) for t in np.arange(0.0, 1.1, 0.1)],
    "coco101": [float(t) for t in np.linspace(0.0, 1.0, 101)],
}
SUMS: dict[str, Callable[..., float]] = {"area": area, "step": steps, "trapezoid": trapezoids}


def average_precision(
    question: Question, *, always: str | Callable[..., float] = "", instead: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Answer by the convention asked for; or by one always; or with others instead of some."""
    curve = question.arguments
    recall_dtype = np.asarray(curve["recall"]).dtype
    precision, recall = ([float(v) for v in np.asarray(curve[name])] for name in ("precision", "recall"))
    if any(math.isnan(v) for v in precision + recall):
        return {"ap": np.array(math.nan)}
    convention = always or question.params["convention"]
    how = convention if callable(convention) else {**SUMS, **LEVELS, **(instead or {})}[convention]
    if callable(how):
        return {"ap": np.array(how(precision, recall))}
    rounded = [float(recall_dtype.type(t)) for t in how]
    return {"ap": np.array(points(precision, recall, levels=rounded))}


def precision_recall(
    question: Question, *, ignored_point: bool = False, of_nothing: float = math.nan
) -> dict[str, Any]:
    """py-faster-rcnn, voc_eval.py, the last lines of voc_eval: cumulative sums of tp and fp over all detections."""
    n_positive = question.params["n_positive"]
    precision, recall, tp, fp = [], [], 0, 0
    for verdict in np.asarray(question.arguments["verdicts"]).tolist():
        tp, fp = tp + (verdict == 1), fp + (verdict == 0)
        if verdict != -1 or ignored_point:
            precision.append(tp / (tp + fp) if tp + fp else math.nan)
            recall.append(tp / n_positive if n_positive else of_nothing)
    return {"precision": np.array(precision, float), "recall": np.array(recall, float)}


def _sklearn_trapezoids(precision: list[float], recall: list[float]) -> float:
    from sklearn.metrics import auc

    return float(auc([0.0, *recall], [precision[0], *precision])) if precision else 0.0


CONFORMING: list[tuple[str, Answer]] = [
    ("average_precision", average_precision),
    ("precision_recall", precision_recall),
]


def _always(key: str, how: str | Callable[..., float], source: str) -> Witness:
    return Witness(f"ap.interp={key}", "average_precision", source, partial(average_precision, always=how))


WITNESSES = [
    _always("area", "area", "Cartucho/mAP, main.py, voc_ap"),
    _always("coco101", "coco101", "pycocotools, cocoeval.py, accumulate, on numpy.linspace(0, 1, 101)"),
    _always("linear101", line_of_101, "ultralytics, ultralytics/utils/metrics.py, compute_ap"),
    _always("nuscenes", nuscenes, "nuscenes-devkit, python-sdk/nuscenes/eval/detection/algo.py"),
    _always("step", "step", "scikit-learn, average_precision_score, its formula"),
    _always("trapezoid", "trapezoid", "scikit-learn, auc, its formula"),
    _always("trapezoid", _sklearn_trapezoids, "scikit-learn, auc, as installed"),
    _always("voc2007", "voc2007", "AlexeyAB/darknet, src/detector.c with -points 11: point * 1.0 / (map_points - 1)"),
    _always("voc2007-arange", "voc2007-arange", "py-faster-rcnn, lib/datasets/voc_eval.py, voc_ap"),
    Witness(
        "ap.first_step=lost",
        "average_precision",
        "AlexeyAB/darknet, src/detector.c, validate_detector_map with -points 0",
        partial(average_precision, instead={"area": area_from_the_first_point}),
    ),
    Witness(
        "ap.grid=hundredths",
        "average_precision",
        "AlexeyAB/darknet, src/detector.c, validate_detector_map with -points 101",
        partial(average_precision, instead={"coco101": HUNDREDTHS}),
    ),
    Witness(
        "ap.start=one",
        "average_precision",
        "scikit-learn, auc of precision_recall_curve, whose last point is (0, 1)",
        partial(average_precision, instead={"trapezoid": partial(trapezoids, start=1.0)}),
    ),
    Witness(
        "ap.ignored=point",
        "precision_recall",
        "py-faster-rcnn, lib/datasets/voc_eval.py, voc_eval: tp / (tp + fp)",
        partial(precision_recall, ignored_point=True),
    ),
    Witness(
        "ap.nothing=zero",
        "precision_recall",
        "AlexeyAB/darknet, src/detector.c: recall = 0 unless tp + fn > 0",
        partial(precision_recall, of_nothing=0.0),
    ),
]

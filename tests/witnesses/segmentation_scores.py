"""Confusion matrices the other way round, and means over the classes that somebody else would average over."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refdet.verify.question import Question
from tests.witnesses._witness import Witness

Answer = Callable[[Question], Mapping[str, Any]]


def confusion(question: Question, *, transposed: bool = False, ignore: str = "label") -> dict[str, Any]:
    """Count pixel by pixel; ignore "out_of_range": k = (a >= 0) & (a < n), as in fast_hist of score.py (FCN)."""
    n, ignored = question.params["n_classes"], question.params["ignore_label"]
    labels, predictions = (np.asarray(question.arguments[name]).ravel().tolist() for name in ("labels", "predictions"))
    table = np.zeros((n, n), np.int64)
    for true, predicted in zip(labels, predictions, strict=True):
        if 0 <= true < n if ignore == "out_of_range" else true != ignored:
            table[(predicted, true) if transposed else (true, predicted)] += 1
    return {"confusion": table}


def over(numerator: float, denominator: float) -> float:
    """Return the quotient, NaN for 0/0."""
    return numerator / denominator if denominator else math.nan


def scores(question: Question, *, absent: str = "left_out", transposed: bool = False) -> dict[str, Any]:
    """The four scores of Long et al. (2015).

    absent: what a class of 0/0 does to the means. "left_out"; "nan": it makes them NaN; "zero": it counts as 0; "one":
    its IU is 1; "not_true": the mean IU is over the classes that occur.
    """
    table = np.asarray(question.arguments["confusion"])
    n = [[int(v) for v in row] for row in (table.T if transposed else table)]
    classes = range(len(n))
    true = [sum(n[i]) for i in classes]
    predicted = [sum(n[j][i] for j in classes) for i in classes]
    accuracies = [over(n[i][i], true[i]) for i in classes]
    ius = [over(n[i][i], true[i] + predicted[i] - n[i][i]) for i in classes]
    weighted = [true[i] * ius[i] for i in classes if true[i]]

    def mean(values: list[float], instead: float | None = None) -> float:
        if absent != "nan":
            values = [v if instead is None or not math.isnan(v) else instead for v in values]
            values = [v for v in values if not math.isnan(v)]
        return over(math.fsum(values), len(values))

    nought = 0.0 if absent == "zero" else None
    averaged = [iu for i, iu in enumerate(ius) if true[i] or absent != "not_true"]
    return {
        "pixel_accuracy": np.array(over(sum(n[i][i] for i in classes), sum(true))),
        "mean_accuracy": np.array(mean(accuracies, nought)),
        "mean_iu": np.array(mean(averaged, 1.0 if absent == "one" else nought)),
        "frequency_weighted_iu": np.array(over(math.fsum(weighted), sum(true))),
    }


CONFORMING: list[tuple[str, Answer]] = [
    ("confusion_matrix", confusion),
    ("segmentation_scores", scores),
]


def _scores(key: str, source: str, **options: Any) -> Witness:
    return Witness(f"seg.{key}", "segmentation_scores", source, partial(scores, **options))


_SEM_SEG = "detectron2, evaluation/sem_seg_evaluation.py, "
WITNESSES = [
    _scores("absent=nan", "torchvision, references/segmentation/utils.py: iu.mean()", absent="nan"),
    _scores("absent=not_true", _SEM_SEG + "evaluate: iou_valid is acc_valid and union > 0", absent="not_true"),
    _scores("absent=one", "ooooverflow/BiSeNet, utils.py, per_class_iu, in the limit of its epsilon", absent="one"),
    _scores("absent=zero", "hszhao/semseg, tool/test.py: / (union + 1e-10), in the limit", absent="zero"),
    _scores("confusion=transposed", _SEM_SEG + "process, its table read as one of true rows", transposed=True),
    Witness(
        "seg.confusion=transposed",
        "confusion_matrix",
        _SEM_SEG + "process: (num_classes + 1) * pred + gt",
        partial(confusion, transposed=True),
    ),
    Witness(
        "seg.ignore=out_of_range",
        "confusion_matrix",
        "shelhamer/fcn.berkeleyvision.org, score.py, fast_hist",
        partial(confusion, ignore="out_of_range"),
    ),
]

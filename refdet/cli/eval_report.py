"""What `refdet eval` finds, as the lines that people know and as JSON.

The JSON has, in this order:

    versions         of refdet, numpy and python
    ground_truth, detections            the paths as they were given
    kind             "bbox", "segm" or "keypoints"
    convention       "coco", or one of VOC's
    max_detections   numbers per image and class, ascending, of COCO; null for VOC, which has no limit
    counts           images, classes, objects (to be found), ignored (not to be found), detections
    stats            from 0 to 1: COCO's twelve or ten by name, AP, AP50 ... AR-large; of VOC, mAP alone
    per_class        a list of id, name, objects, detections, and stats as above; of VOC, AP alone
    errors           null without --errors or --plot; else definition, threshold, background_threshold,
                     average_precision from 0 to 1, counts by type, and costs: what average_precision rises by
                     without the errors of a type, and likewise without "false positives" and "false negatives"
    confusion        likewise; else threshold, min_score, classes (names, the background first), and the matrix of
                     counts, a row for each true class and a column for each predicted one
    remarks          what a reader should know before trusting the numbers, as sentences

A statistic of what is not there (no objects, say, or no large ones) is null. pycocotools writes −1 there, VOC NaN.
"""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from refdet.cli.eval_files import EvalFiles
from refdet.core.check import Array
from refdet.metrics.coco import evaluate_coco
from refdet.metrics.coco_evaluation import CocoEvaluation
from refdet.metrics.coco_verdicts import Progress
from refdet.metrics.detection_confusion import detection_confusion
from refdet.metrics.error_types import ErrorTypes, error_types
from refdet.metrics.voc import ClassEvaluation, evaluate_voc
from refdet.pictures.precision_recall_curves import PrecisionRecallCurves

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Stats = dict[str, float | None]

OVERLAP = 0.5  # of a match, in the confusion and in the types of errors
TIDE = "Bolya et al., TIDE (2020); refdet.metrics.error_types says where it departs"
VOC_RECALLS = np.linspace(0, 1, 1001)  # at which VOC's curves are drawn


@dataclass(frozen=True)
class ClassReport:
    """The figures of one class."""

    id: int
    name: str
    n_objects: int
    n_detections: int
    stats: Stats


@dataclass(frozen=True, eq=False)
class Report:
    """All figures; None where there is nothing to measure."""

    files: EvalFiles
    convention: str
    max_detections: tuple[int, ...] | None
    stats: Stats
    classes: tuple[ClassReport, ...]
    curves: PrecisionRecallCurves
    lines: tuple[str, ...]  # the table as the authors of the convention print it
    errors: ErrorTypes | None = None
    confusion: Array | None = None
    min_score: float = 0.5


def coco_report(
    files: EvalFiles, max_detections: Sequence[int] | None, sigmas: dict[str, Sequence[float]], progress: Progress
) -> Report:
    """Evaluate as COCO does; `sigmas` are to be passed on, if there are any."""
    found = evaluate_coco(
        files.truths,
        files.detections,
        image_ids=files.task.image_ids,
        category_ids=files.task.category_ids,
        kind=files.kind,
        max_detections=max_detections,
        progress=progress,
        **sigmas,  # type: ignore[arg-type]
    )
    per_class = {i: present(stats) for i, stats in found.per_class().items()}
    precision = found.precision[:, :, :, 0, -1]
    curves = PrecisionRecallCurves(
        np.array(found.recall_thresholds),
        np.where(precision > -1, precision, np.nan),
        found.iou_thresholds,
        _names(files),
        files.count(files.truths.category_ids[~files.is_ignored]),
        _or_nan([stats["AP"] for stats in per_class.values()]),
        f"Lin et al., COCO (2014), {files.kind}, {found.max_detections[-1]} detections per image and class",
        "OKS" if files.kind == "keypoints" else "IoU",
    )
    classes = _class_reports(files, per_class)
    lines = tuple(coco_lines(found))
    return Report(files, "coco", found.max_detections, present(found.stats), classes, curves, lines)


def voc_report(files: EvalFiles, convention: str) -> Report:
    """Evaluate as one of VOC's conventions does."""
    if files.voc is None:
        raise TypeError("voc_report: the files must be VOC's")
    truths, detections = files.voc
    found = evaluate_voc(
        detections,
        truths,
        images=files.task.image_ids,
        classes=files.task.category_ids,
        convention=convention,
    )
    by_class = {i: found.by_class[i] for i in files.task.category_ids}
    per_class = {i: present({"AP": c.average_precision}) for i, c in by_class.items()}
    curves = PrecisionRecallCurves(
        VOC_RECALLS,
        np.stack([np.zeros(len(VOC_RECALLS)), *(_envelope(c) for c in by_class.values())], axis=1)[None, :, 1:],
        (0.5,),
        _names(files),
        np.array([c.n_positive for c in by_class.values()], np.int64),
        _or_nan([stats["AP"] for stats in per_class.values()]),
        f"Everingham et al., VOC (2010), convention {convention}, IoU 0.5",
    )
    stats = present({"mAP": found.mean_average_precision})
    classes = _class_reports(files, per_class)
    lines = tuple(voc_lines(classes, stats["mAP"], convention))
    return Report(files, convention, None, stats, classes, curves, lines)


def with_errors(report: Report, min_score: float, sigmas: dict[str, Sequence[float]], progress: Progress) -> Report:
    """Add the types of errors and the confusion of classes."""
    files = report.files
    options: dict[str, Any] = {
        "category_ids": files.task.category_ids,
        "kind": files.kind,
        "threshold": OVERLAP,
        "max_detections": report.max_detections[-1] if report.max_detections else max(1, len(files.detections)),
        "ignored": files.is_difficult,
        "progress": progress,
        **sigmas,
    }
    errors = error_types(files.truths, files.detections, **options)
    confusion = detection_confusion(files.truths, files.detections, min_score=min_score, **options)
    return replace(report, errors=errors, confusion=confusion, min_score=min_score)


def coco_lines(found: CocoEvaluation) -> list[str]:
    """Return what `summarize` of the COCO API prints."""
    low, high = found.iou_thresholds[0], found.iou_thresholds[-1]
    lines = []
    for name, value in found.stats.items():
        which, rest = name[:2], name[2:]
        area, most, overlap = "all", found.max_detections[-1], f"{low:0.2f}:{high:0.2f}"
        if rest.startswith("-"):
            area = rest[1:]
        elif rest in ("50", "75") and (which == "AP" or found.kind == "keypoints"):
            overlap = f"0.{rest}"
        elif rest:
            most = int(rest)
        title = "Average Precision" if which == "AP" else "Average Recall"
        lines.append(
            f" {title:<18} ({which}) @[ IoU={overlap:<9} | area={area:>6s} | maxDets={most:>3d} ] = {value:0.3f}"
        )
    return lines


def voc_lines(classes: Sequence[ClassReport], mean: float | None, convention: str) -> list[str]:
    """Return a line for each class and one for the mean."""
    width = max((len(c.name) for c in classes), default=0)
    lines = [f"AP for {c.name:<{width}} = {_shown(c.stats['AP'])}" for c in classes]
    return [*lines, f"Mean AP{'':<{width}} = {_shown(mean)}  ({convention}, IoU 0.5)"]


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def to_json(report: Report) -> dict[str, Any]:
    """Return the report as the module's docstring has it."""
    import refdet

    files, errors, confusion = report.files, report.errors, report.confusion
    n_ignored = int(np.count_nonzero(files.is_ignored))
    return {
        "versions": {"refdet": refdet.__version__, "numpy": np.__version__, "python": platform.python_version()},
        "ground_truth": str(files.ground_truth),
        "detections": str(files.results),
        "kind": files.kind,
        "convention": report.convention,
        "max_detections": None if report.max_detections is None else list(report.max_detections),
        "counts": {
            "images": len(files.task.image_ids),
            "classes": len(files.task.category_ids),
            "objects": len(files.truths) - n_ignored,
            "ignored": n_ignored,
            "detections": len(files.detections),
        },
        "stats": report.stats,
        "per_class": [
            {"id": c.id, "name": c.name, "objects": c.n_objects, "detections": c.n_detections, "stats": c.stats}
            for c in report.classes
        ],
        "errors": None
        if errors is None
        else {
            "definition": TIDE,
            "threshold": errors.threshold,
            "background_threshold": errors.background_threshold,
            "average_precision": present({"AP": errors.average_precision})["AP"],
            "counts": errors.counts,
            "costs": present(dict(errors.costs)),
        },
        "confusion": None
        if confusion is None
        else {
            "threshold": OVERLAP,
            "min_score": report.min_score,
            "classes": ["background", *_names(files)],
            "matrix": confusion.tolist(),
        },
        "remarks": list(files.remarks),
    }


def present(stats: Mapping[str, float]) -> Stats:
    """Return None for what is −1 or NaN."""
    return {name: None if math.isnan(value) or value == -1 else value for name, value in stats.items()}


def _or_nan(values: Sequence[float | None]) -> Array:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _names(files: EvalFiles) -> tuple[str, ...]:
    return tuple(files.task.names.get(i, str(i)) for i in files.task.category_ids)


def _class_reports(files: EvalFiles, per_class: dict[int, Stats]) -> tuple[ClassReport, ...]:
    n_objects = files.count(files.truths.category_ids[~files.is_ignored]).tolist()
    n_detections = files.count(files.detections.category_ids).tolist()
    rows = zip(per_class.items(), _names(files), n_objects, n_detections, strict=True)
    return tuple(ClassReport(i, name, n, n_found, stats) for (i, stats), name, n, n_found in rows)


def _envelope(of_class: ClassEvaluation) -> Array:
    """Return the highest precision at each of VOC_RECALLS or beyond, 0 where no detection gets that far."""
    if not of_class.n_positive:
        return np.full(len(VOC_RECALLS), np.nan)
    highest = np.append(np.maximum.accumulate(of_class.precision[::-1])[::-1], 0.0)
    return highest[np.searchsorted(of_class.recall, VOC_RECALLS)]

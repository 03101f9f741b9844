"""Mean average precision over a data set, as deck 001 and as PASCAL VOC define it.

    for each class: sort its detections of all images by score, `match_detections`, `precision_recall`,
    `average_precision`; mAP = mean of the APs of the classes that have one

The conventions differ in the matching and in the AP:

| convention | match at IoU | against | widths | AP | of |
|---|---|---|---|---|---|
| deck | > | the unmatched | x2 − x1 | area | deck 001, "Evaluating object detectors" |
| voc2007 | ≥ | all | x2 − x1 + 1 | voc2007 | VOC devkit 2007, MATLAB |
| voc2010, voc2012 | ≥ | all | x2 − x1 + 1 | area | VOC devkit 2010 to 2012, MATLAB |
| py-faster | > | all | x2 − x1 + 1 | area | voc_eval.py of py-faster-rcnn, on data of 2010 and later |
| py-faster-2007 | > | all | x2 − x1 + 1 | voc2007-arange | the same, on data up to 2009 |

Everingham et al., "The PASCAL VOC challenge" (2010), §4.2. `refdet.metrics.coco` is COCO's. Where a recall is exactly
3/10, "voc2007" follows the paper; the devkit's MATLAB then agrees with "voc2007-arange" (see `average_precision`).

Conventions of all:

- Detections with equal scores stay in the order in which they come.
- n_positive counts the objects that are not difficult. A class without any has AP NaN, and is left out of the mean; if
  all are, the mean is NaN. A class with objects and without detections has AP 0.
- A detection in an image without objects of its class is a false positive. An image that is not among `images` is an
  error, and so is a class that is not among `classes`, as either means that files do not belong together; and so is an
  image or a class that is listed twice.
- A NaN score is an error: it has no place in the order. Infinite scores have.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.boxes.check import check_boxes
from refdet.boxes.top_k import descending
from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_floating,
    check_number,
    check_rank,
    check_shape,
    sequence,
)
from refdet.metrics.average_precision import average_precision_kernel
from refdet.metrics.match_detections import match_detections
from refdet.metrics.precision_recall import precision_recall_kernel


class _Convention(NamedTuple):
    comparison: str
    candidates: str
    offset: int
    average_precision: str


CONVENTIONS = {
    "deck": _Convention(">", "unmatched", 0, "area"),
    "voc2007": _Convention(">=", "all", 1, "voc2007"),
    "voc2010": _Convention(">=", "all", 1, "area"),
    "voc2012": _Convention(">=", "all", 1, "area"),
    "py-faster": _Convention(">", "all", 1, "area"),
    "py-faster-2007": _Convention(">", "all", 1, "voc2007-arange"),
}


@dataclass(frozen=True, eq=False)
class ScoredBoxes:
    """Detections of any class in any image, one per row."""

    image_ids: Array  # (D,), integers or strings
    classes: Array  # (D,), integers or strings
    scores: Array  # (D,), float32 or float64
    boxes: Array  # (D, 4), x1, y1, x2, y2, float32 or float64


@dataclass(frozen=True, eq=False)
class LabelledBoxes:
    """Objects that are there, one per row."""

    image_ids: Array  # (G,), integers or strings
    classes: Array  # (G,), integers or strings
    boxes: Array  # (G, 4), of the dtype of the detections
    difficult: Array | None = None  # (G,), booleans: need not be found; None is none


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """The curve of one class and its AP."""

    average_precision: float  # NaN without objects
    n_positive: int  # objects that are not difficult
    precision: Array  # float64, a point per detection that is not ignored, in descending order of score
    recall: Array  # likewise; NaN without objects


@dataclass(frozen=True, eq=False)
class VocEvaluation:
    """What `evaluate_voc` finds."""

    by_class: Mapping[Hashable, ClassEvaluation]

    @property
    def mean_average_precision(self) -> float:
        """The mean of the APs that are not NaN; NaN if none is."""
        known = [c.average_precision for c in self.by_class.values() if not np.isnan(c.average_precision)]
        return sum(known) / len(known) if known else float("nan")


def evaluate_voc(
    detections: ScoredBoxes,
    truths: LabelledBoxes,
    *,
    images: Sequence[Hashable],
    classes: Sequence[Hashable],
    convention: str = "deck",
    threshold: float = 0.5,
) -> VocEvaluation:
    """Evaluate the detections in a data set.

    Args:
        detections: of all images and classes.
        truths: the objects of all images and classes.
        images: the ids of all images that were searched, also of those in which there is nothing.
        classes: the classes to evaluate, all that occur.
        convention: "deck", "voc2007", "voc2010", "voc2012", "py-faster" or "py-faster-2007" (see the module).
        threshold: in [0, 1], on the IoU.

    Returns:
        The curve and AP of every class, in the order of `classes`, and their mean.

    One of two dogs is found, and no cat is there:

    >>> boxes = np.array([[0.0, 0, 9, 9], [20, 20, 29, 29]])
    >>> dogs = LabelledBoxes(np.array([1, 1]), np.array(["dog", "dog"]), boxes)
    >>> found = ScoredBoxes(np.array([1]), np.array(["dog"]), np.array([0.9]), boxes[:1])
    >>> evaluation = evaluate_voc(found, dogs, images=[1, 2], classes=["dog", "cat"])
    >>> evaluation.by_class["dog"].average_precision, evaluation.mean_average_precision
    (0.5, 0.5)
    """
    check_choice("evaluate_voc", "convention", convention, CONVENTIONS)
    check_number("evaluate_voc", "threshold", threshold, low=0, high=1)
    _check_scores(detections.scores)
    check_boxes("evaluate_voc", **{"detections.boxes": detections.boxes, "truths.boxes": truths.boxes})
    n_detections, n_truths = len(detections.scores), len(truths.boxes)
    check_shape("evaluate_voc", "detections.boxes", detections.boxes, (n_detections, 4), "one per score")
    difficult = np.zeros(n_truths, bool) if truths.difficult is None else truths.difficult
    check_booleans("evaluate_voc", **{"truths.difficult": difficult})
    check_shape("evaluate_voc", "truths.difficult", difficult, (n_truths,), "one flag per object")
    image_places, class_places = _places("images", images), _places("classes", classes)
    image_of_detection = _positions("detections.image_ids", detections.image_ids, n_detections, image_places, "images")
    class_of_detection = _positions("detections.classes", detections.classes, n_detections, class_places, "classes")
    image_of_truth = _positions("truths.image_ids", truths.image_ids, n_truths, image_places, "images")
    class_of_truth = _positions("truths.classes", truths.classes, n_truths, class_places, "classes")

    comparison, candidates, offset, definition = CONVENTIONS[convention]
    by_class = {}
    order = descending(detections.scores)
    for i_class, name in enumerate(classes):
        rows, columns = order[class_of_detection[order] == i_class], np.flatnonzero(class_of_truth == i_class)
        verdicts = match_detections(
            detections.boxes[rows],
            image_of_detection[rows],
            truths.boxes[columns],
            image_of_truth[columns],
            difficult=difficult[columns],
            threshold=threshold,
            comparison=comparison,
            candidates=candidates,
            offset=offset,
        )
        n_positive = int(np.count_nonzero(~difficult[columns]))
        precision, recall = precision_recall_kernel(verdicts, n_positive=n_positive)
        ap = float(average_precision_kernel(precision, recall, convention=definition)) if n_positive else float("nan")
        by_class[name] = ClassEvaluation(ap, n_positive, precision, recall)
    return VocEvaluation(by_class)


def _check_scores(scores: Array) -> None:
    check_floating("evaluate_voc", **{"detections.scores": scores})
    check_rank("evaluate_voc", "detections.scores", scores, "D")
    rows = np.flatnonzero(np.isnan(scores))
    if rows.size:
        raise ValueError(
            f"evaluate_voc: detections.scores must not be NaN, which cannot be ranked, got one at row {rows[0]}"
        )


def _places(what: str, known: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return at which place each of the images or classes is listed."""
    places: dict[Hashable, int] = {}
    for value in sequence("evaluate_voc", what, known):
        if value in places:
            raise ValueError(f"evaluate_voc: {what} must be distinct, got {value!r} twice")
        places[value] = len(places)
    return places


def _positions(name: str, values: Array, n_rows: int, places: Mapping[Hashable, int], what: str) -> Array:
    """Return the place of each value, (n_rows,) int64."""
    check_shape("evaluate_voc", name, values, (n_rows,), "one per row")
    for row, value in enumerate(values.tolist()):
        if value not in places:
            raise ValueError(
                f"evaluate_voc: {name} has {value!r} at row {row}, which is not among the {len(places)} {what}"
            )
    return np.array([places[value] for value in values.tolist()], np.int64)

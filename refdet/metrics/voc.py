"""Mean average precision over a data set, as deck 001 and as PASCAL VOC define it.

    for each class: sort its detections of all images by score, `match_detections`, `precision_recall`,
    `average_precision`; mAP = mean of the APs of the classes that have one

The conventions differ in the matching and in the AP:

| convention | match at IoU | against | width | AP | of |
|---|---|---|---|---|---|
| deck | > | the unmatched | x2 − x1 | area | deck 001, "Evaluating object detectors" |
| voc2007 | ≥ | all | (x2 − 1) − x1 + 1 | voc2007 | VOC devkit 2007, MATLAB |
| voc2010, voc2012 | ≥ | all | (x2 − 1) − x1 + 1 | area | VOC devkit 2010 to 2012, MATLAB |
| py-faster | > | all | (x2 − 1) − x1 + 1 | area | voc_eval.py of py-faster-rcnn, on data of 2010 and later |
| py-faster-2007 | > | all | (x2 − 1) − x1 + 1 | voc2007-arange | the same, on data up to 2009 |

Everingham et al., "The PASCAL VOC challenge" (2010), §4.2. `refdet.metrics.coco` is COCO's. Where a recall is exactly
3/10, "voc2007" follows the paper; the devkit's MATLAB then agrees with "voc2007-arange" (see `average_precision`).

Files of VOC's, read and evaluated, as `refdet eval VOC2007 results --split test --convention voc2007` does it:

    from refdet.data import read_voc_folder, read_voc_results
    from refdet.metrics import LabelledBoxes, ScoredBoxes, evaluate_voc
    annotations, found = read_voc_folder("VOC2007", split="test"), read_voc_results("results")
    truths = LabelledBoxes(
        [a.image_id for a in annotations for _ in a.names],
        [name for a in annotations for name in a.names],
        np.concatenate([a.boxes for a in annotations]),
        np.concatenate([a.difficult for a in annotations]),
    )
    detections = ScoredBoxes(
        [i for of_class in found.values() for i in of_class.image_ids],
        [name for name, of_class in found.items() for _ in of_class.image_ids],
        np.concatenate([of_class.scores for of_class in found.values()]),
        np.concatenate([of_class.boxes for of_class in found.values()]),
    )
    images, classes = [a.image_id for a in annotations], sorted({*truths.classes.tolist(), *found})
    evaluation = evaluate_voc(detections, truths, images=images, classes=classes, convention="voc2007")

Conventions of all:

- Boxes are continuous and half-open whatever the convention: pixel (r, c) covers [c, c + 1) × [r, r + 1), and
  [0, 0, 3, 2] is 3 pixels wide and 2 high. So the readers of `refdet.data` give them. Boxes from elsewhere that name
  their last pixel, counted from 0, need x2 + 1 and y2 + 1 first.
- VOC's code takes the first and the last pixel, and adds 1 to their difference. Here it gets x1 and x2 − 1, so that the
  width is x2 − x1, exactly if they are integers. Of fractions (x2 − 1) − x1 + 1 may be another float than x2 − x1, as
  xmax − xmin + 1 is in VOC's code: where a reader made x1 = xmin − 1 and x2 = xmax of numbers that are 1/2 or more,
  taking 1 away is exact both times, and the overlaps are those of VOC's code on the numbers in the file, bit by bit.
- Detections with equal scores stay in the order in which they come.
- n_positive counts the objects that are not difficult. A class without any has AP NaN, and is left out of the mean; if
  all are, the mean is NaN. A class with objects and without detections has AP 0.
- A detection in an image without objects of its class is a false positive. An image that is not among `images` is an
  error, and so is a class that is not among `classes`, as either means that files do not belong together; and so is an
  image or a class that is listed twice.
- A NaN score is an error: it has no place in the order. Infinite scores have.
- Columns are read-only copies, numbers in float64, in which everything is computed. Lists are accepted.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.boxes.top_k import descending
from refdet.core.check import Array, check_choice, check_number, sequence
from refdet.metrics.average_precision import average_precision_kernel
from refdet.metrics.listing import counted, listing
from refdet.metrics.match_detections import match_detections
from refdet.metrics.precision_recall import precision_recall_kernel
from refdet.metrics.records import Columns

NAMES = "integers or strings"


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
class ScoredBoxes(Columns):
    """Detections of any class in any image, one per row.

    Attributes:
        image_ids: (D,), integers or strings.
        classes: (D,), integers or strings.
        scores: (D,) float64, the higher the surer; infinite ones are accepted, NaN is not.
        boxes: (D, 4) float64, rows (x1, y1, x2, y2) in pixels, continuous and half-open: x2 − x1 is the width under
            every convention (see the module).

    >>> len(ScoredBoxes([1], ["dog"], [0.9], [[0, 0, 10, 10]]))
    1
    """

    image_ids: Array
    classes: Array
    scores: Array
    boxes: Array

    def __post_init__(self) -> None:
        self._set("image_ids", NAMES)
        self._set("classes", NAMES)
        self._set("scores", "numbers", finite=False)
        self._set("boxes", "numbers", (4,), finite=False)
        self._check_lengths()
        self._refuse("scores", np.isnan(self.scores), "cannot be ranked")


@dataclass(frozen=True, eq=False)
class LabelledBoxes(Columns):
    """Objects that are there, one per row.

    Attributes:
        image_ids: (G,), integers or strings.
        classes: (G,), integers or strings.
        boxes: (G, 4) float64, rows (x1, y1, x2, y2) in pixels, continuous and half-open, as those of the detections.
        difficult: (G,) bool, or 0 and 1: objects that need not be found; None is none.

    >>> LabelledBoxes([1, 1], ["dog", "cat"], [[0, 0, 10, 10], [20, 20, 30, 30]], [0, 1]).difficult
    array([False,  True])
    """

    image_ids: Array
    classes: Array
    boxes: Array
    difficult: Array | None = None

    def __post_init__(self) -> None:
        self._set("image_ids", NAMES)
        self._set("classes", NAMES)
        self._set("boxes", "numbers", (4,), finite=False)
        if self.difficult is not None:
            self._set("difficult", "booleans")
        self._check_lengths()


@dataclass(frozen=True, eq=False)
class ClassEvaluation:
    """The curve of one class and its AP; it prints without the curve.

    Attributes:
        average_precision: in [0, 1]; NaN without objects.
        n_positive: how many objects there are that are not difficult.
        precision: (n,) float64, a point for each detection that is not ignored, in descending order of score.
        recall: (n,) float64, likewise; NaN without objects.

    >>> ClassEvaluation(0.5, 2, np.array([1.0]), np.array([0.5]))
    ClassEvaluation(average_precision=0.5000, n_positive=2, curve of length 1)
    """

    average_precision: float
    n_positive: int
    precision: Array
    recall: Array

    def __repr__(self) -> str:
        return (
            f"ClassEvaluation(average_precision={self.average_precision:.4f}, n_positive={self.n_positive}, "
            f"curve of length {len(self.precision)})"
        )


@dataclass(frozen=True, eq=False)
class VocEvaluation:
    """What `evaluate_voc` finds; it prints as the mean and the AP of each class.

    Attributes:
        by_class: the curve and AP of each class by its name, in the order in which the classes were given.
    """

    by_class: Mapping[Hashable, ClassEvaluation]

    def __repr__(self) -> str:
        n, known = len(self.by_class), {name: c.average_precision for name, c in self.by_class.items()}
        first = (
            f"VocEvaluation(mean_average_precision={self.mean_average_precision:.4f}, {counted(n, 'class', 'classes')})"
        )
        return f"{first}\n{listing('AP: ', known)}" if n else first

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
        detections: of all images and classes; boxes continuous and half-open, whatever the convention.
        truths: the objects of all images and classes, their boxes likewise.
        images: the ids of all images that were searched, also of those in which there is nothing.
        classes: the classes to evaluate, all that occur.
        convention: "deck", "voc2007", "voc2010", "voc2012", "py-faster" or "py-faster-2007" (see the module).
        threshold: in [0, 1], on the IoU.

    Returns:
        The curve and AP of every class, in the order of `classes`, and their mean.

    One of two dogs is found, by a box with exactly half of its pixels, and no cat is there:

    >>> dogs = LabelledBoxes([1, 1], ["dog", "dog"], [[0, 0, 10, 10], [20, 20, 30, 30]])
    >>> found = ScoredBoxes([1], ["dog"], [0.9], [[0, 0, 10, 5]])
    >>> evaluate_voc(found, dogs, images=[1, 2], classes=["dog", "cat"], convention="voc2010")
    VocEvaluation(mean_average_precision=0.5000, 2 classes)
        AP: dog 0.500, cat nan
    >>> evaluate_voc(found, dogs, images=[1, 2], classes=["dog"], convention="py-faster").mean_average_precision
    0.0
    """
    for argument, records, wanted in (("detections", detections, ScoredBoxes), ("truths", truths, LabelledBoxes)):
        if not isinstance(records, wanted):
            raise TypeError(f"evaluate_voc: {argument} must be {wanted.__name__}, got {type(records).__name__}")
    check_choice("evaluate_voc", "convention", convention, CONVENTIONS)
    check_number("evaluate_voc", "threshold", threshold, low=0, high=1)
    difficult = np.zeros(len(truths), bool) if truths.difficult is None else truths.difficult
    image_places, class_places = _places("images", images), _places("classes", classes)
    image_of_detection = _positions("detections.image_ids", detections.image_ids, image_places, "images")
    class_of_detection = _positions("detections.classes", detections.classes, class_places, "classes")
    image_of_truth = _positions("truths.image_ids", truths.image_ids, image_places, "images")
    class_of_truth = _positions("truths.classes", truths.classes, class_places, "classes")

    comparison, candidates, offset, definition = CONVENTIONS[convention]
    to_last_pixel = np.array([0, 0, offset, offset])
    detected, true = detections.boxes - to_last_pixel, truths.boxes - to_last_pixel
    by_class = {}
    order = descending(detections.scores)
    for i_class, name in enumerate(classes):
        rows, columns = order[class_of_detection[order] == i_class], np.flatnonzero(class_of_truth == i_class)
        verdicts = match_detections(
            detected[rows],
            image_of_detection[rows],
            true[columns],
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


def _places(what: str, known: Sequence[Hashable]) -> dict[Hashable, int]:
    """Return at which place each of the images or classes is listed."""
    places: dict[Hashable, int] = {}
    for value in sequence("evaluate_voc", what, known):
        if value in places:
            raise ValueError(f"evaluate_voc: {what} must be distinct, got {value!r} twice")
        places[value] = len(places)
    return places


def _positions(name: str, values: Array, places: Mapping[Hashable, int], what: str) -> Array:
    """Return the place of each value, int64."""
    for row, value in enumerate(values.tolist()):
        if value not in places:
            raise ValueError(
                f"evaluate_voc: {name} has {value!r} at row {row}, which is not among the {len(places)} {what}"
            )
    return np.array([places[value] for value in values.tolist()], np.int64)

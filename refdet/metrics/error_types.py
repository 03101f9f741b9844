"""Why average precision is lost: six types of errors, and what each of them costs.

Detections are matched as in the COCO evaluation, within a class and at overlap t_f = 0.5: right, wrong or ignored. With

    s = the largest overlap of a wrong detection with an object of its class in its image, taken or not, or 0
    o = likewise with an object of any other class
    t_b = 0.1, below which nothing is meant

a wrong detection is of the first type that applies:

| type | condition | what the oracle does with all errors of this type |
|---|---|---|
| localisation | t_b ≤ s < t_f | moves it onto the object of s |
| classification | o ≥ t_f | gives it the class of the object of o |
| duplicate | s ≥ t_f, so that a better detection has the object | drops it |
| background | max(s, o) ≤ t_b | drops it |
| both | else | drops it: nobody knows which object was meant |
| missed | an object that no detection matches, nor is about by localisation or classification | takes it away |

    cost of a type = AP after its oracle − AP,    AP at t_f, mean of 101 recalls and of the classes with objects

Bolya, Foley, Hays & Hoffman, "TIDE: a general toolbox for identifying object detection errors" (2020), §2, types and
oracles; after Hoiem, Chodpathumwan & Dai, "Diagnosing error in object detectors" (2012), whose types are
localisation (with duplicates), similar and other objects (of 0.1 overlap already), and background.

Conventions, where the paper and the authors' `tidecv` leave or make a choice:

- The order of types and "≤ t_b" are those of `tidecv`; the paper's conditions overlap.
- Moved onto an object, or given its class, a detection is right if nothing matches the object and no other error of the
  same type on it has a higher score (of equal scores the lower row); else it is dropped. `tidecv` lets errors of
  localisation and of classification on the same object compete.
- s = t_f exactly is a duplicate, as overlap t_f is enough for a match. Of equal overlaps the first object is meant.
- Ignored detections (on crowds and other ignored objects of their class, by COCO's rule) are no errors. `tidecv` takes
  them for errors that oracles may turn right.
- The classes of the mean are always those that have objects before the oracle. A class whose objects are all missed has
  AP 0, also after its objects were taken away. Without any objects AP and costs are NaN.
- Two more oracles do not add up with the others: "false positives" drops every wrong detection, "false negatives" takes
  away every object that nothing matches.
- No cost is negative, but for rounding; that of all types together is more than their sum or less.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, check_choice, check_number
from refdet.metrics.coco_accumulate import curve_of
from refdet.metrics.coco_match import ALMOST_ONE, coco_match_kernel
from refdet.metrics.coco_settings import COCO_RECALLS, KINDS, canonical_ids, number_of_detections
from refdet.metrics.coco_verdicts import FALSE_POSITIVE, IGNORED, TRUE_POSITIVE, Progress
from refdet.metrics.image_overlaps import best_rows, category_positions, ignored_truths, image_batches
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.metrics.records import Detections, GroundTruths, check_records

ERRORS = ("classification", "localisation", "both", "duplicate", "background", "missed")
OUTCOMES = ("correct", *ERRORS[:-1], "ignored")  # of a detection
CORRECT, CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND, IGNORED_OUTCOME = range(len(OUTCOMES))
NOT_LOOKED_AT = -1


@dataclass(frozen=True, eq=False)
class ErrorTypes:
    """What is wrong with detections and what it costs."""

    outcomes: Array  # (N,) int8: the place in OUTCOMES, or −1 for a detection beyond `max_detections`
    is_missed: Array  # (A,) bool
    average_precision: float  # as it is; NaN if there are no objects
    costs: Mapping[str, float]  # by the names of ERRORS, and of "false positives" and "false negatives"
    threshold: float  # t_f
    background_threshold: float  # t_b

    @property
    def counts(self) -> dict[str, int]:
        """How many errors there are of each type."""
        counts = {name: int(np.count_nonzero(self.outcomes == OUTCOMES.index(name))) for name in ERRORS[:-1]}
        return counts | {"missed": int(np.count_nonzero(self.is_missed))}


def error_types(
    ground_truths: GroundTruths,
    detections: Detections,
    *,
    category_ids: Sequence[int],
    kind: str = "bbox",
    threshold: float = 0.5,
    background_threshold: float = 0.1,
    max_detections: int = 100,
    ignored: Array | None = None,
    sigmas: Sequence[float] = COCO_SIGMAS,
    progress: Progress | None = None,
) -> ErrorTypes:
    """Say of every error what type it is, and of every type what it costs.

    Args:
        ground_truths: of all images and categories.
        detections: likewise, in any order.
        category_ids: the categories, all different, of which the mean is taken.
        kind: "bbox", "segm" or "keypoints": what the overlap is.
        threshold: t_f, the least overlap of a match.
        background_threshold: t_b, above 0 and at most t_f.
        max_detections: how many detections of each image and category are looked at, the best; at least 1.
        ignored: (A,) booleans: ground truths that need not be found, beside the crowds; None is none.
        sigmas: one per keypoint; read for keypoints alone.
        progress: called with the number of images that are done, and of all.

    One of two objects is found, and has a false alarm before it; the other is taken for the wrong class:

    >>> squares = [[0, 0, 9, 9], [20, 0, 9, 9], [40, 0, 9, 9]]
    >>> truths = GroundTruths([1, 2], [1, 1], [5, 5], squares[:2], [81, 81], [False, False])
    >>> found = Detections.of_boxes([1, 1, 1], [5, 5, 7], [0.7, 0.8, 0.9], [squares[0], squares[2], squares[1]])
    >>> errors = error_types(truths, found, category_ids=[5, 7])
    >>> [OUTCOMES[i] for i in errors.outcomes], errors.counts["missed"]
    (['correct', 'background', 'classification'], 0)
    """
    check_records("error_types", ground_truths, detections)
    check_choice("error_types", "kind", kind, KINDS)
    check_number("error_types", "threshold", threshold, low=0, high=1)
    check_number("error_types", "background_threshold", background_threshold, low=0, high=threshold)
    if background_threshold == 0:
        raise ValueError("error_types: background_threshold must be above 0, which every pair of boxes has")
    limit = number_of_detections("error_types", max_detections)
    categories = canonical_ids("error_types", "category_ids", category_ids)
    true = category_positions("error_types: ground_truths", ground_truths, categories)
    predicted = category_positions("error_types: detections", detections, categories)
    is_ignored = ignored_truths("error_types", ground_truths, kind, ignored)

    rows = best_rows(detections, limit)
    outcomes = np.full(len(detections), NOT_LOOKED_AT, np.int8)
    outcomes[rows] = BACKGROUND  # also in an image without objects
    meant = np.full(len(detections), -1, np.int64)  # the object that a detection matches or an error is about
    limits = (background_threshold, min(threshold, ALMOST_ONE))
    batches = image_batches("error_types", ground_truths, detections, rows, kind=kind, sigmas=sigmas, progress=progress)
    for d, g, overlaps in batches:
        same_class = predicted[d][:, :, None] == true[g][:, None, :]
        judged, column = _judge(overlaps, same_class, is_ignored[g], ground_truths.is_crowd[g], limits)
        outcomes[d[d >= 0]] = judged[d >= 0]
        meant[d[d >= 0]] = np.where(column >= 0, np.take_along_axis(g, np.maximum(column, 0), axis=1), -1)[d >= 0]

    is_about = np.isin(outcomes, (CORRECT, LOCALISATION, CLASSIFICATION))
    is_missed = ~is_ignored
    is_missed[meant[is_about]] = False
    before, costs = _costs(
        _Judged(rows, outcomes, meant, is_missed, is_ignored, true, predicted), detections, categories
    )
    return ErrorTypes(outcomes, is_missed, before, costs, threshold, background_threshold)


def _judge(
    overlaps: Array, same_class: Array, is_ignored: Array, is_crowd: Array, limits: tuple[float, float]
) -> tuple[Array, Array]:
    """Return, for a batch, the outcome of each detection, (B, D), and the column of the object that it is about."""
    t_b, t_f = limits
    within = np.where(same_class, overlaps, -1.0)  # (B, D, G)
    matches = coco_match_kernel(within, is_ignored, is_crowd, thresholds=(t_f,))[0][:, 0]  # (B, D)
    is_match = matches >= 0
    to_ignored = is_match & np.take_along_axis(is_ignored, np.maximum(matches, 0), axis=1)
    counted = np.where(is_ignored[:, None, :], 0.0, np.maximum(overlaps, 0.0))
    s, column_of_s = _largest(np.where(same_class, counted, 0.0))
    o, column_of_o = _largest(np.where(same_class, 0.0, counted))
    table = (
        (IGNORED_OUTCOME, to_ignored, matches),
        (CORRECT, is_match, matches),
        (LOCALISATION, (s >= t_b) & (s < t_f), column_of_s),
        (CLASSIFICATION, o >= t_f, column_of_o),
        (DUPLICATE, s >= t_f, column_of_s),
        (BACKGROUND, np.maximum(s, o) <= t_b, np.full_like(matches, -1)),
    )  # the first condition that holds
    outcomes, conditions, columns = zip(*table, strict=True)
    return np.select(conditions, outcomes, BOTH), np.select(conditions, columns, -1)


def _largest(overlaps: Array) -> tuple[Array, Array]:
    """Return the largest overlap of each detection, and its column, the first of equals."""
    column = overlaps.argmax(axis=-1)
    return np.take_along_axis(overlaps, column[..., None], axis=-1)[..., 0], column


class _Judged(NamedTuple):
    """All detections and objects, judged."""

    rows: Array  # of the detections that are looked at
    outcomes: Array  # (N,)
    meant: Array  # (N,) the row of an object, or −1
    is_missed: Array  # (A,)
    is_ignored: Array  # (A,)
    true: Array  # (A,) the place of the class
    predicted: Array  # (N,)


def _costs(judged: _Judged, detections: Detections, categories: Array) -> tuple[float, dict[str, float]]:
    """Return the AP as it is, and what it rises by after each oracle."""
    rows, outcomes, meant, is_missed, is_ignored, true, predicted = judged
    is_matched = np.zeros(len(true), bool)
    is_matched[meant[outcomes == CORRECT]] = True
    verdict_of = np.full(len(OUTCOMES), FALSE_POSITIVE)
    verdict_of[[CORRECT, IGNORED_OUTCOME]] = TRUE_POSITIVE, IGNORED
    verdicts = verdict_of[outcomes]  # what was not looked at, −1, is ignored, as the last outcome is
    n_objects = np.bincount(true[~is_ignored], minlength=len(categories))
    order = rows[np.lexsort((rows, detections.image_ids[rows]))]  # of equal scores, as in the COCO evaluation

    def precision(verdicts: Array, classes: Array = predicted, gone: Array | None = None) -> float:
        """Return the AP for these verdicts and classes of the detections, without the objects that are gone."""
        n_left = n_objects if gone is None else n_objects - np.bincount(true[gone], minlength=len(categories))
        return _average_precision(verdicts[order], classes[order], detections.scores[order], n_left, n_objects > 0)

    def without(*types: int) -> Array:
        return np.where(np.isin(outcomes, types), IGNORED, verdicts)

    def corrected(error: int) -> Array:
        """Let the best error about each object be right, unless the object is matched, and drop the others."""
        errors = np.flatnonzero(outcomes == error)
        errors = errors[np.lexsort((errors, -detections.scores[errors]))]
        best = errors[np.unique(meant[errors], return_index=True)[1]]
        after = without(error)
        after[best[~is_matched[meant[best]]]] = TRUE_POSITIVE
        return after

    is_class_wrong = outcomes == CLASSIFICATION
    right_class = predicted.copy()
    right_class[is_class_wrong] = true[meant[is_class_wrong]]
    before = precision(verdicts)
    after = {
        "classification": precision(corrected(CLASSIFICATION), right_class),
        "localisation": precision(corrected(LOCALISATION)),
        "both": precision(without(BOTH)),
        "duplicate": precision(without(DUPLICATE)),
        "background": precision(without(BACKGROUND)),
        "missed": precision(verdicts, gone=is_missed),
        "false positives": precision(without(CLASSIFICATION, LOCALISATION, BOTH, DUPLICATE, BACKGROUND)),
        "false negatives": precision(verdicts, gone=~is_matched & ~is_ignored),
    }
    return before, {name: ap - before for name, ap in after.items()}


def _average_precision(verdicts: Array, classes: Array, scores: Array, n_positive: Array, is_class: Array) -> float:
    """Return the mean AP of the classes; the detections are in the order that decides between equal scores."""
    order = np.lexsort((-scores, classes))  # stable
    members = np.split(order, np.searchsorted(classes[order], np.arange(1, len(n_positive))))
    of_classes = np.zeros(np.count_nonzero(is_class))
    for i, k in enumerate(np.flatnonzero(is_class)):
        rows = members[k]
        if n_positive[k]:
            curve = curve_of(verdicts[None, rows], scores[rows], n_positive[k], np.array(COCO_RECALLS))
            of_classes[i] = curve.precision.mean()
    return float(of_classes.mean()) if of_classes.size else float("nan")

"""What the detector took each object for: a confusion matrix whose class 0 is the background.

    in every image, for each detection with score ≥ min_score, the highest score first:
        match the object with the largest overlap ≥ threshold that is not taken yet, whatever its class
    n[i, j] = objects of class i matched by a detection of class j
    n[i, 0] = objects of class i that nothing matches: missed
    n[0, j] = detections of class j that match nothing: false alarms

The matching is that of the COCO evaluation (`refdet.metrics.coco_match`, with its ≥ and its ties), except that it does
not look at classes. There is no publication that defines this matrix; authors differ, and so do their numbers.

Conventions:

- A detection takes an object even if its class is wrong, and a second one of the right class, with a lower score, is a
  false alarm then.
- Crowd regions and other ignored objects are in no row. A detection that can match only one of those, of its own class,
  is in no column.
- n[0, 0] is 0: nobody can count where nothing is and nothing was seen.
- Rows are true classes and columns are predicted ones, as in `refdet.metrics.segmentation`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.core.check import Array, check_choice, check_number
from refdet.metrics.coco_match import coco_match_kernel
from refdet.metrics.coco_settings import KINDS, canonical_ids, number_of_detections
from refdet.metrics.coco_verdicts import Progress
from refdet.metrics.image_overlaps import best_rows, category_positions, ignored_truths, image_batches
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.metrics.records import Detections, GroundTruths, check_records
from refdet.metrics.segmentation import confusion_matrix_kernel


def detection_confusion(
    ground_truths: GroundTruths,
    detections: Detections,
    *,
    category_ids: Sequence[int],
    kind: str = "bbox",
    threshold: float = 0.5,
    min_score: float = 0.5,
    max_detections: int = 100,
    ignored: Array | None = None,
    sigmas: Sequence[float] = COCO_SIGMAS,
    progress: Progress | None = None,
) -> Array:
    """Count what the objects were taken for.

    Args:
        ground_truths: of all images and categories.
        detections: likewise, in any order.
        category_ids: the K categories, all different; class 1 + k is the k-th of them in ascending order.
        kind: "bbox", "segm" or "keypoints": what the overlap is.
        threshold: the least overlap of a match, in [0, 1].
        min_score: the least score of a detection that is looked at; −inf is all of them, NaN is refused.
        max_detections: how many detections of each image and category are looked at, the best; at least 1.
        ignored: (A,) booleans: ground truths that need not be found, beside the crowds; None is none.
        sigmas: one per keypoint; read for keypoints alone.
        progress: called with the number of images that are done, and of all.

    Returns:
        (K + 1, K + 1) int64: rows are true classes, columns predicted ones, 0 the background.

    Of two objects of category 5 one is taken for category 7, the other is missed; and there is one false alarm:

    >>> squares = [[0, 0, 9, 9], [20, 0, 9, 9], [40, 0, 9, 9]]
    >>> truths = GroundTruths([1, 2], [1, 1], [5, 5], squares[:2], [81, 81], [False, False])
    >>> found = Detections.of_boxes([1, 1], [7, 5], [0.9, 0.8], [squares[0], squares[2]])
    >>> detection_confusion(truths, found, category_ids=[5, 7])
    array([[0, 1, 0],
           [1, 0, 1],
           [0, 0, 0]])
    """
    check_records("detection_confusion", ground_truths, detections)
    check_choice("detection_confusion", "kind", kind, KINDS)
    threshold = check_number("detection_confusion", "threshold", threshold, low=0, high=1)
    least = check_number("detection_confusion", "min_score", min_score, infinite=True)
    limit = number_of_detections("detection_confusion", max_detections)
    categories = canonical_ids("detection_confusion", "category_ids", category_ids)
    true = 1 + category_positions("detection_confusion: ground_truths", ground_truths, categories)
    predicted = 1 + category_positions("detection_confusion: detections", detections, categories)
    is_ignored = ignored_truths("detection_confusion", ground_truths, kind, ignored)

    rows = best_rows(detections, limit)
    rows = rows[detections.scores[rows] >= least]
    taken_for = np.zeros(len(ground_truths), np.int64)  # the predicted class of each object
    is_alarm = np.zeros(len(detections), bool)
    is_alarm[rows] = True
    batches = image_batches(
        "detection_confusion", ground_truths, detections, rows, kind=kind, sigmas=sigmas, progress=progress
    )
    for d, g, overlaps in batches:
        other_class = predicted[d][:, :, None] != true[g][:, None, :]
        overlaps = np.where(is_ignored[g][:, None, :] & other_class, -1.0, overlaps)
        matches, _ = coco_match_kernel(overlaps, is_ignored[g], ground_truths.is_crowd[g], thresholds=(threshold,))
        i, j = np.nonzero(matches[:, 0] >= 0)  # image, detection
        matching, matched = d[i, j], g[i, matches[i, 0, j]]
        is_alarm[matching] = False
        taken_for[matched] = predicted[matching]

    counted = ~is_ignored
    n_alarms = np.count_nonzero(is_alarm)
    labels = np.concatenate([true[counted], np.zeros(n_alarms, np.int64)])
    predictions = np.concatenate([taken_for[counted], predicted[is_alarm]])
    return confusion_matrix_kernel(labels, predictions, n_classes=len(categories) + 1, ignore_label=None)

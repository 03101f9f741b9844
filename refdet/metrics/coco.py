"""The evaluation of COCO: average precision and recall of boxes, masks and keypoints.

| step | file | in pycocotools |
|---|---|---|
| overlap of detections and truths, within one category and image | `coco_similarity` | `computeIoU`, `computeOks` |
| greedy matching, for each threshold and range of area | `coco_match` | `evaluateImg`, its loops |
| true positive, false positive, or ignored | `coco_verdicts` | `evaluateImg`, around them |
| precision over recall, all images together | `coco_accumulate` | `accumulate`, its inner part |
| means | `coco_evaluation` | `summarize` |

Lin et al., "Microsoft COCO: common objects in context" (2014); cocodataset.org/#detection-eval and #keypoints-eval.
Equal to pycocotools, whose `cocoeval.py` is the definition where the pages are silent.

Conventions:

- Thresholds are `linspace(0.5, 0.95, 10)` and `linspace(0, 1, 101)`, with the rounding that comes of it: 0.9 is
  0.8999999999999999, and ten of the recalls are not the float next to k/100.
- Only the M best detections of each image and category count. Equal scores keep the order of the rows within an image;
  across images, that of the image ids.
- Ranges of area are closed at both ends: 32² is both small and medium. A ground truth outside is ignored, by its
  `areas` column; a detection outside is ignored only where it matches nothing.
- Crowd regions are ignored, and may be matched any number of times. For keypoints so are persons with
  `n_keypoints == 0`, and there is no range of small areas. (An `ignore` field of COCO's files has no effect in
  pycocotools, and no column here.)
- A category without ground truth that counts is −1 everywhere: precision, recall and scores.
- Ids are names. In pycocotools a match with the annotation of id 0 counts as none, because 0 also stands for
  "unmatched"; `convention="pycocotools"` does the same.
- Every detection and ground truth must belong to an image and a category that is evaluated. To evaluate some of them,
  `select` those rows first. (pycocotools passes over the others.)
- Images do not change the result by being empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from refdet.core.check import Array, check_choice
from refdet.metrics.coco_accumulate import curve_of
from refdet.metrics.coco_evaluation import CocoEvaluation, Range
from refdet.metrics.coco_settings import CONVENTIONS, Settings, canonical_settings
from refdet.metrics.coco_similarity import similarity_of_kind
from refdet.metrics.coco_verdicts import Candidates, Progress, Truths, candidates, judge
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.metrics.records import Detections, GroundTruths, check_records


def evaluate_coco(
    ground_truths: GroundTruths,
    detections: Detections,
    *,
    image_ids: Sequence[int],
    category_ids: Sequence[int],
    kind: str = "bbox",
    iou_thresholds: Sequence[float] | None = None,
    recall_thresholds: Sequence[float] | None = None,
    max_detections: Sequence[int] | None = None,
    areas: Mapping[str, Range] | None = None,
    sigmas: Sequence[float] | None = None,
    convention: str = "ids-are-names",
    progress: Progress | None = None,
) -> CocoEvaluation:
    """Evaluate detections against ground truths.

    Args:
        ground_truths: of all images and categories.
        detections: likewise, in any order.
        image_ids: the images that were looked at, whether there is anything in them or not.
        category_ids: the K categories, of which the mean is taken.
        kind: "bbox", "segm" (both records need masks) or "keypoints" (both need keypoints).
        iou_thresholds: T overlaps, or keypoint similarities, in [0, 1]; COCO's ten by default, 0.5 to 0.95.
        recall_thresholds: R recalls in [0, 1] at which the precision is taken; COCO's 101 by default, 0 to 1.
        max_detections: M numbers; (1, 10, 100) by default, (20,) for keypoints.
        areas: A closed ranges of pixels by name; the first is that of AP. COCO's by default.
        sigmas: one per keypoint, COCO's 17 by default; read for keypoints alone.
        convention: "ids-are-names", or "pycocotools" for its treatment of the annotation of id 0.
        progress: called with the number of problems that are done, and of all; a problem is what one category has in
            one image.

    Returns:
        Precision, recall and scores of every category, and the statistics.

    Two objects; the best detection is right, the second wrong. Half is found, at precision 1: the recalls 0, 0.01 ...
    0.5 are 51 of 101.

    >>> truths = GroundTruths([1, 2], [7, 7], [3, 3], [[0, 0, 9, 9], [40, 0, 9, 9]], [81, 81], [False, False])
    >>> found = Detections.of_boxes([7, 7], [3, 3], [0.9, 0.8], [[0, 0, 9, 9], [20, 0, 9, 9]])
    >>> evaluation = evaluate_coco(truths, found, image_ids=[7], category_ids=[3])
    >>> evaluation
    CocoEvaluation(bbox, 1 category)
        AP 0.505, AP50 0.505, AP75 0.505, AP-small 0.505, AP-medium -1.000, AP-large -1.000
        AR1 0.500, AR10 0.500, AR100 0.500, AR-small 0.500, AR-medium -1.000, AR-large -1.000
        AP by category id: 3 0.505
    >>> round(evaluation.stats["AP50"], 6) == round(51 / 101, 6)
    True
    """
    check_records("evaluate_coco", ground_truths, detections)
    check_choice("evaluate_coco", "convention", convention, CONVENTIONS)
    settings = canonical_settings(
        kind=kind,
        image_ids=image_ids,
        category_ids=category_ids,
        iou_thresholds=iou_thresholds,
        recall_thresholds=recall_thresholds,
        max_detections=max_detections,
        areas=areas,
    )
    truth_categories, truth_problems = _problems("ground_truths", ground_truths, settings)
    detection_categories, problems = _problems("detections", detections, settings)
    similarity = similarity_of_kind(
        "evaluate_coco", kind, detections, ground_truths, COCO_SIGMAS if sigmas is None else sigmas
    )

    chosen = candidates(problems, detections.scores, settings.max_detections[-1])
    is_ignored = _outside(ground_truths.areas, settings.areas) | ground_truths.is_crowd  # (A, G)
    if kind == "keypoints" and ground_truths.n_keypoints is not None:
        is_ignored |= ground_truths.n_keypoints == 0
    counts_as_match = (ground_truths.ids != 0) | (convention != "pycocotools")
    verdicts = judge(
        chosen,
        _outside(detections.areas[chosen.rows], settings.areas),
        Truths(truth_problems, is_ignored, ground_truths.is_crowd, counts_as_match),
        similarity=similarity,
        thresholds=settings.iou_thresholds,
        progress=progress,
    )
    K = len(settings.category_ids)
    n_positive = np.stack([np.bincount(truth_categories[~row], minlength=K) for row in is_ignored])  # (A, K)
    members = _by_category(detection_categories[chosen.rows], detections.scores[chosen.rows], K)
    return _curves(settings, verdicts, detections.scores[chosen.rows], chosen, members, n_positive)


def _curves(
    settings: Settings, verdicts: Array, scores: Array, chosen: Candidates, members: list[Array], n_positive: Array
) -> CocoEvaluation:
    """Put together the curves of all categories, ranges of area and numbers of detections."""
    T, R = len(settings.iou_thresholds), len(settings.recall_thresholds)
    shape = (len(members), len(settings.areas), len(settings.max_detections))  # K, A, M
    precision, found_scores = np.full((2, T, R, *shape), -1.0)
    recall = np.full((T, *shape), -1.0)
    recall_thresholds = np.array(settings.recall_thresholds)
    for k, of_category in enumerate(members):
        for m, limit in enumerate(settings.max_detections):
            best = of_category[chosen.ranks[of_category] < limit]
            best_scores = scores[best]
            for a in np.flatnonzero(n_positive[:, k]):
                curve = curve_of(verdicts[a].take(best, axis=1), best_scores, n_positive[a, k], recall_thresholds)
                precision[:, :, k, a, m], found_scores[:, :, k, a, m], recall[:, k, a, m] = curve
    return CocoEvaluation(
        settings.kind,
        precision,
        recall,
        found_scores,
        settings.iou_thresholds,
        settings.recall_thresholds,
        tuple(settings.category_ids.tolist()),
        settings.areas,
        settings.max_detections,
    )


def _by_category(categories: Array, scores: Array, n_categories: int) -> list[Array]:
    """Return the positions of each category's candidates, in descending order of score, then of image and row."""
    order = np.lexsort((-scores, categories))  # stable, and within a category the images ascend already
    return np.split(order, np.searchsorted(categories[order], np.arange(1, n_categories)))[:n_categories]


def _problems(name: str, records: GroundTruths | Detections, settings: Settings) -> tuple[Array, Array]:
    """Return the index of each row's category, and a key of its problem: category index · number of images + image."""
    image = _index(name, "image_id", records.image_ids, settings.image_ids)
    category = _index(name, "category_id", records.category_ids, settings.category_ids)
    return category, category * len(settings.image_ids) + image


def _index(name: str, field: str, ids: Array, known: Array) -> Array:
    """Return where each id stands among the known ones, which ascend; refuse an unknown one by its row."""
    found = np.minimum(np.searchsorted(known, ids), max(len(known) - 1, 0))
    is_unknown = known[found] != ids if len(known) else np.ones(len(ids), bool)
    if is_unknown.any():
        row = np.flatnonzero(is_unknown)[0]
        raise ValueError(
            f"evaluate_coco: {name} row {row} has {field} {ids[row]}, which is not among the {len(known)} of {field}s"
        )
    return found


def _outside(areas: Array, ranges: Mapping[str, Range]) -> Array:
    """Return for each range (A) and area whether it lies outside, (A, n)."""
    low, high = np.array(list(ranges.values())).T[:, :, None]
    outside: Array = (areas < low) | (areas > high)
    return outside

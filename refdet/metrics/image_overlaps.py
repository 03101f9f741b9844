"""Overlaps of the detections in an image with all ground truths in it, whatever their categories.

The COCO evaluation compares within a category. What was taken for what shows only across categories: it is looked for
in `refdet.metrics.detection_confusion` and `refdet.metrics.error_types`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array, is_array, not_an_array, shape_of
from refdet.metrics.coco_similarity import similarity_of_kind
from refdet.metrics.coco_verdicts import Progress, batches, candidates, shared_problems
from refdet.metrics.records import Detections, GroundTruths


class ImageBatch(NamedTuple):
    """B images in which there are both detections and ground truths."""

    detections: Array  # (B, D) rows of the detections, in descending order of score; −1 behind the last
    truths: Array  # (B, G) rows of the ground truths; −1 behind the last
    overlaps: Array  # (B, D, G); −1 where there is nothing


def image_batches(
    op: str,
    ground_truths: GroundTruths,
    detections: Detections,
    rows: Array,
    *,
    kind: str,
    sigmas: Sequence[float],
    progress: Progress | None,
) -> Iterator[ImageBatch]:
    """Yield for `op` the overlaps of some rows of the detections with all truths; equal scores stay in their order."""
    similarity = similarity_of_kind(op, kind, detections, ground_truths, sigmas)
    ordered = rows[np.lexsort((rows, -detections.scores[rows], detections.image_ids[rows]))]
    truth_rows = np.argsort(ground_truths.image_ids, kind="stable")
    shared = shared_problems(detections.image_ids[ordered], ground_truths.image_ids[truth_rows])
    n_done = 0
    for d, g in batches(shared, 1, 1):
        d, g = np.where(d >= 0, ordered[d], -1), np.where(g >= 0, truth_rows[g], -1)
        yield ImageBatch(d, g, similarity(d, g))
        n_done += len(d)
        if progress is not None:
            progress(n_done, len(shared))


def best_rows(detections: Detections, limit: int) -> Array:
    """Return, in ascending order, the rows that are among the `limit` best of their image and category."""
    keys = np.stack([detections.image_ids, detections.category_ids])
    _, problems = np.unique(keys, axis=1, return_inverse=True)
    return np.sort(candidates(problems.reshape(-1), detections.scores, limit).rows)


def category_positions(name: str, records: GroundTruths | Detections, category_ids: Array) -> Array:
    """Return where the category of each row stands among the ids, which ascend; refuse an unknown one by its row."""
    positions = np.minimum(np.searchsorted(category_ids, records.category_ids), max(len(category_ids) - 1, 0))
    known = category_ids[positions] == records.category_ids if len(category_ids) else np.zeros(len(records), bool)
    if not known.all():
        row = int(np.argmin(known))
        raise ValueError(
            f"{name} row {row} has category_id {records.category_ids[row]}, which is not among the "
            f"{len(category_ids)} of category_ids"
        )
    return positions


def ignored_truths(name: str, ground_truths: GroundTruths, kind: str, ignored: Array | None) -> Array:
    """Return which ground truths need not be found: crowds, persons without labelled keypoints, and the given ones."""
    found = ground_truths.is_crowd.copy()
    if kind == "keypoints" and ground_truths.n_keypoints is not None:
        found |= ground_truths.n_keypoints == 0
    if ignored is not None:
        if not is_array(ignored):
            raise not_an_array(name, "ignored", ignored)
        if ignored.dtype != np.bool_ or shape_of(ignored) != (len(ground_truths),):
            raise ValueError(
                f"{name}: ignored must be one boolean for each of {len(ground_truths)} ground truths, got "
                f"{ignored.dtype.name} of shape {shape_of(ignored)}"
            )
        found |= ignored
    return found

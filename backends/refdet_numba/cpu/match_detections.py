"""Which detections of one class are right, image by image.

    for each image with detections and ground truths (in parallel):
        for each detection of it, in the given order:
            the candidate of highest IoU, the first of equals, from the boxes; NaN counts as −1

Rows are brought together by image beforehand, by NumPy. An image belongs to one thread, and no ground truth to two.

Workspace: 7 · G numbers and the rows in order, D + G indices.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet_numba.cpu.arrays import native
from refdet_numba.cpu.box_columns import columns_of, side
from refdet_numba.cpu.compiling import compiled_parallel


def match_detections(
    boxes: Array,
    image_ids: Array,
    truths: Array,
    truth_image_ids: Array,
    difficult: Array,
    *,
    threshold: float,
    comparison: str,
    candidates: str,
    offset: int,
) -> Array:
    """Return the verdicts, (D,) int64."""
    x = native(boxes)
    rows, ids, bounds = _by_image(image_ids)
    truth_rows, truth_ids, truth_bounds = _by_image(truth_image_ids)
    place = {image_id: i for i, image_id in enumerate(truth_ids)}
    shared = np.array([(i, place[image_id]) for i, image_id in enumerate(ids) if image_id in place], np.int64)
    verdicts = np.zeros(len(x), np.int64)
    _match(
        x,
        rows,
        bounds,
        columns_of(native(truths), truth_rows, x.dtype.type(offset)),
        truth_bounds,
        native(difficult)[truth_rows],
        shared.reshape(-1, 2),
        x.dtype.type(threshold),
        comparison == ">=",
        candidates == "unmatched",
        x.dtype.type(offset),
        np.zeros(len(truths), bool),
        verdicts,
    )
    return verdicts


def _by_image(image_ids: Array) -> tuple[Array, list[int], Array]:
    """Return the rows, image by image and ascending in each; the ids of the images; where each one's rows begin."""
    rows = np.argsort(image_ids, kind="stable")
    ids, starts = np.unique(image_ids[rows], return_index=True)
    return rows, ids.tolist(), np.append(starts, len(rows))


@compiled_parallel
def _match(
    boxes: Any,
    rows: Any,
    bounds: Any,
    truths: Any,
    truth_bounds: Any,
    difficult: Any,
    shared: Any,
    threshold: Any,
    equal_matches: Any,
    only_unmatched: Any,
    offset: Any,
    taken: Any,
    verdicts: Any,
) -> None:
    zero, nothing = boxes.dtype.type(0), boxes.dtype.type(-1)
    x1, y1, x2, y2, area = truths[0], truths[1], truths[2], truths[3], truths[4]
    for image in prange(len(shared)):
        i, j = shared[image]
        for place in range(bounds[i], bounds[i + 1]):
            row = rows[place]
            left, top, right, bottom = boxes[row, 0], boxes[row, 1], boxes[row, 2], boxes[row, 3]
            own_area = side(left, right, offset) * side(top, bottom, offset)
            best, best_iou = -1, nothing
            for g in range(truth_bounds[j], truth_bounds[j + 1]):
                w = side(left if left > x1[g] else x1[g], right if right < x2[g] else x2[g], offset)
                h = side(top if top > y1[g] else y1[g], bottom if bottom < y2[g] else y2[g], offset)
                inter = w * h
                union = own_area + area[g] - inter
                iou = inter / union
                if inter == zero and union == zero:
                    iou = zero
                if only_unmatched and taken[g]:
                    continue
                if iou > best_iou:
                    best, best_iou = g, iou
            if best >= 0 and (best_iou > threshold or (equal_matches and best_iou == threshold)):
                if difficult[best]:
                    verdicts[row] = -1
                elif not taken[best]:
                    verdicts[row], taken[best] = 1, True

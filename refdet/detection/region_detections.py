"""From scores of regions to the objects in a picture, as R-CNN and SPP-net do it.

    per class: the 100 regions that score best → moved by the box regressor of the class → clipped to the picture
    → non-maximum suppression at IoU 0.3; then all classes together, the surest first

Girshick et al., "Rich feature hierarchies" (2014), §2.2 and appendix C, and its code, `rcnn_test.m`.

Conventions: column c of the scores is class c, and column 0 the background, which is never reported. Scores that are
not finite are not detected, so that −∞ says "never"; nor are boxes that are not finite once they are moved. One that is
moved out of the picture is clipped to its border, and reported without an area. A score equal to the threshold is not
above it, one equal to the least score that its class may have is allowed; an IoU equal to 0.3 does not suppress. Equal
scores: the earlier region first, and of one region the lower class. A least score for each class is what R-CNN's test
takes from the whole set of pictures (`refdet.detection.set_wide_threshold`); it is asked for before the best 100 are
taken, which leaves the same regions as after.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from refdet.boxes.clip import clip_boxes
from refdet.boxes.nms import class_nms
from refdet.core.check import Array, check_floating, check_number, check_rank, check_shape
from refdet.detection.composition import best_of_each, check_limit
from refdet.detection.detected import Detected

Move = Callable[[Array, int], Array]  # rows of the regions, and a class, to boxes (len(rows), 4)


@dataclass(frozen=True)
class DetectionSettings:
    """The numbers of the way from scores to detections; the defaults are R-CNN's.

    Attributes:
        score_threshold: a score must be greater; None: finite is enough.
        top_per_class: how many of the best of each class enter the suppression; None for all.
        nms_threshold: a box goes where its IoU with a better one of its class is greater.
        top: how many of the best of all classes are returned; None for all.
    """

    score_threshold: float | None = None
    top_per_class: int | None = 100
    nms_threshold: float = 0.3
    top: int | None = None

    def __post_init__(self) -> None:
        if self.score_threshold is not None:
            check_number("DetectionSettings", "score_threshold", self.score_threshold)
        check_number("DetectionSettings", "nms_threshold", self.nms_threshold, low=0, high=1)
        check_limit("DetectionSettings", "top_per_class", self.top_per_class)
        check_limit("DetectionSettings", "top", self.top)


def detect_regions(
    scores: Array,
    boxes: Array,
    size: tuple[int, int],
    *,
    settings: DetectionSettings | None = None,
    move: Move | None = None,
    at_least: Array | None = None,
) -> Detected:
    """Return the detections of a picture.

    Args:
        scores: (R, K), float32 or float64, column 0 the background.
        boxes: (R, 4), of the regions, in pixels of the picture.
        size: (height, width) of the picture.
        settings: see `DetectionSettings`.
        move: returns the boxes of some rows, moved by the regressor of a class; None to leave them.
        at_least: (K,), float32 or float64, below which a score of each class is not reported, besides the threshold of
            the settings; NaN lets none of its class through. None for no such bound.

    The second region is a worse view of what the first shows, the third no dog:

    >>> scores = np.array([[0.0, 2.0], [0.0, 1.0], [0.0, -np.inf]])
    >>> boxes = np.array([[0.0, 0, 8, 8], [0, 0, 8, 6], [4, 4, 9, 9]])
    >>> found = detect_regions(scores, boxes, (10, 10))
    >>> found.boxes.tolist(), found.scores.tolist(), found.classes.tolist()
    ([[0.0, 0.0, 8.0, 8.0]], [2.0], [1])
    """
    op, settings = "detect_regions", settings or DetectionSettings()
    check_floating(op, scores=scores)
    check_floating(op, boxes=boxes)
    check_rank(op, "scores", scores, "R, K")
    check_shape(op, "boxes", boxes, (len(scores), 4), "one box per row of scores")
    above = np.isfinite(scores)
    if settings.score_threshold is not None:
        above &= scores > settings.score_threshold
    if at_least is not None:
        check_floating(op, at_least=at_least)
        check_shape(op, "at_least", at_least, (scores.shape[1],), "one score per class")
        above &= scores >= at_least
    above[:, :1] = False
    rows, classes = np.nonzero(above)
    best = best_of_each(scores[rows, classes], classes, settings.top_per_class)
    rows, classes = rows[best], classes[best]

    candidates = boxes[rows].astype(np.float64)
    if move is not None:
        for c in np.unique(classes).tolist():
            candidates[classes == c] = move(rows[classes == c], c)
    finite = np.isfinite(candidates).all(axis=1)
    rows, classes, candidates = rows[finite], classes[finite], candidates[finite]
    clipped = clip_boxes(candidates, height=size[0], width=size[1])
    s = scores[rows, classes].astype(np.float64)
    kept = class_nms(clipped, s, classes, settings.nms_threshold)[: settings.top]
    return Detected(clipped[kept].astype(np.float32), s[kept].astype(np.float32), classes[kept].astype(np.int64))

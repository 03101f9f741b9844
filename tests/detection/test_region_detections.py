"""From scores of regions to detections: the cuts, what moves the boxes, ties, and what is not finite."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.detection.region_detections import DetectionSettings, detect_regions

BOXES = np.array([[0.0, 0, 8, 8], [0, 0, 8, 4], [20, 0, 28, 8], [20, 4, 28, 12]])
SCORES = np.array([[9.0, 4, -1], [9, 3, -2], [9, 2, 1], [9, 1, 0]])  # of the background and two classes
NEVER = DetectionSettings(nms_threshold=1.0)


def found(settings: DetectionSettings, scores: Array = SCORES, **options: Any) -> list[tuple[float, int]]:
    detected = detect_regions(scores, BOXES, (40, 40), settings=settings, **options)
    return list(zip(detected.scores.tolist(), detected.classes.tolist(), strict=True))


def test_all_pairs_the_surest_first() -> None:
    """The background, surer than all, is not reported; of equal scores the earlier region goes first."""
    assert found(NEVER) == [(4, 1), (3, 1), (2, 1), (1, 2), (1, 1), (0, 2), (-1, 2), (-2, 2)]
    tied = detect_regions(SCORES, BOXES, (40, 40), settings=NEVER).boxes[3:5]
    np.testing.assert_array_equal(tied, BOXES[[2, 3]])


def test_cuts() -> None:
    assert found(DetectionSettings(nms_threshold=1.0, score_threshold=1.0)) == [(4, 1), (3, 1), (2, 1)]
    assert found(DetectionSettings(nms_threshold=1.0, top_per_class=1)) == [(4, 1), (1, 2)]
    assert found(DetectionSettings(nms_threshold=1.0, top=3)) == [(4, 1), (3, 1), (2, 1)]


def test_the_least_score_of_each_class() -> None:
    """An equal score is allowed, unlike one equal to the threshold; that of the background says nothing; NaN: never."""
    assert found(NEVER, at_least=np.array([np.inf, 3, 0])) == [(4, 1), (3, 1), (1, 2), (0, 2)]
    assert found(NEVER, at_least=np.full(3, -np.inf)) == found(NEVER)
    assert found(NEVER, at_least=np.array([0, np.nan, 1])) == [(1, 2)]
    both = DetectionSettings(nms_threshold=1.0, score_threshold=1.0)
    assert found(both, at_least=np.array([0, 3.0, 0])) == [(4, 1), (3, 1)]
    assert found(both, at_least=np.zeros(3)) == [(4, 1), (3, 1), (2, 1)]


def test_a_least_score_of_another_dtype_is_not_rounded() -> None:
    """0.1 in float32 is greater than in float64."""
    scores, tenth = np.full((4, 2), 0.1, np.float32), np.array([0.0, 0.1])
    assert len(found(NEVER, scores, at_least=tenth)) == 4
    assert len(found(NEVER, np.full((4, 2), 0.1), at_least=tenth.astype(np.float32))) == 0


def test_bad_least_scores() -> None:
    with pytest.raises(
        ValueError, match=r"detect_regions: at_least must have shape \(3,\) \(one score per class\), got \(2"
    ):
        found(NEVER, at_least=np.zeros(2))
    with pytest.raises(TypeError, match="detect_regions: at_least must be float32 or float64, got int64"):
        found(NEVER, at_least=np.zeros(3, np.int64))
    with pytest.raises(TypeError, match="detect_regions: at_least must be an array, got float"):
        found(NEVER, at_least=0.5)


@pytest.mark.parametrize(("threshold", "n"), [(0.5, 8), (0.49, 6), (0.33, 4)])
def test_suppression(threshold: float, n: int) -> None:
    """IoU ½ of the first two regions, ⅓ of the others, in each of two classes; equality does not suppress."""
    assert len(found(DetectionSettings(nms_threshold=threshold))) == n


def test_the_cut_comes_before_the_suppression() -> None:
    """Of two per class the second is suppressed by the first, and no third takes its place."""
    assert found(DetectionSettings(nms_threshold=0.3, top_per_class=2)) == [(4, 1), (1, 2)]


def test_boxes_are_moved_by_their_class_then_clipped_then_suppressed() -> None:
    """Class 1 moves everything to one place, half of it outside the picture; class 2 leaves all as it is."""
    asked = []

    def move(rows: Array, c: int) -> Array:
        asked.append((rows.tolist(), c))
        return np.tile([30.0, 30, 50, 36], (len(rows), 1)) if c == 1 else BOXES[rows]

    detected = detect_regions(SCORES, BOXES, (40, 40), settings=DetectionSettings(nms_threshold=0.6), move=move)
    assert sorted((sorted(rows), c) for rows, c in asked) == [([0, 1, 2, 3], 1), ([0, 1, 2, 3], 2)]
    assert detected.classes.tolist() == [1, 2, 2, 2, 2]
    np.testing.assert_array_equal(detected.boxes, [[30, 30, 40, 36], *BOXES[[2, 3, 0, 1]]])


def test_what_is_not_finite_is_not_detected() -> None:
    scores = SCORES.copy()
    scores[:, 1] = [np.inf, np.nan, -np.inf, 1]
    assert found(NEVER, scores) == [(1, 2), (1, 1), (0, 2), (-1, 2), (-2, 2)]
    moved = found(NEVER, move=lambda rows, c: np.where(rows[:, None] == 0, np.nan, BOXES[rows]))
    assert moved == [(3, 1), (2, 1), (1, 2), (1, 1), (0, 2), (-2, 2)]


def test_a_box_that_is_moved_out_of_the_picture_has_no_area() -> None:
    scores, boxes = np.array([[0.0, 1.0]]), np.array([[0.0, 0, 5, 5]])
    found = detect_regions(scores, boxes, (10, 10), move=lambda rows, c: np.array([[20.0, 20, 30, 30]]))
    assert found.boxes.tolist() == [[10, 10, 10, 10]]


def test_settings_refuse_what_no_picture_can_have() -> None:
    with pytest.raises(ValueError, match=r"DetectionSettings: nms_threshold must lie in \[0, 1\], got 7"):
        DetectionSettings(nms_threshold=7.0)
    with pytest.raises(ValueError, match="DetectionSettings: score_threshold must be a finite number, got nan"):
        DetectionSettings(score_threshold=float("nan"))


def test_no_regions() -> None:
    detected = detect_regions(np.zeros((0, 3)), np.zeros((0, 4)), (4, 4))
    assert (detected.boxes.shape, len(detected.scores), len(detected.classes)) == ((0, 4), 0, 0)

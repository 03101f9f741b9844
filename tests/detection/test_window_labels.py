"""Labels of windows by their central pixel and by overlap: by hand, and against loops from the definitions."""

from __future__ import annotations

import numpy as np
import pytest

from refdet.core.check import Array
from refdet.detection.window_labels import centre_labels, overlap_labels


def test_the_central_pixel_decides() -> None:
    """Windows of 3 × 3 have their middle one, of 4 × 4 the one below and to the right; the object covers (2 … 3)²."""
    windows = np.array(
        [
            [1, 1, 4, 4],  # pixel (2, 2): inside
            [2, 1, 5, 4],  # row 2, column 3: inside
            [3, 1, 6, 4],  # column 4: beside
            [0, 0, 4, 4],  # pixel (2, 2), the first of the object
            [-1, 0, 3, 4],  # column 1: beside
            [0, 0, 40, 40],  # pixel (20, 20): the window contains the object, and shows background all the same
            [2, 2, 3, 3],  # pixel (2, 2): a window of one pixel
        ],
        np.float32,
    )
    labels = centre_labels(windows, np.array([[2, 2, 4, 4]], np.float32), np.array([7]))
    assert labels.tolist() == [7, 7, 0, 7, 0, 0, 7]
    assert labels.dtype == np.int64


def test_a_pixel_lies_in_a_box_if_its_centre_does() -> None:
    """Pixel 2 has its centre at 2.5, which [2.5, 4) contains and [2.6, 4) and [0, 2.5) do not."""
    window = np.array([[2.0, 2, 3, 3]])
    for x1, x2, label in [(2.5, 4.0, 1), (2.6, 4.0, 0), (0.0, 2.5, 0), (0.0, 2.6, 1)]:
        assert centre_labels(window, np.array([[x1, 0, x2, 9.0]]), np.array([1])).tolist() == [label]
        assert centre_labels(window, np.array([[0, x1, 9.0, x2]]), np.array([1])).tolist() == [label]


def test_the_smallest_box_wins_and_of_equal_ones_the_first() -> None:
    window = np.array([[4.0, 4, 5, 5]])
    boxes = np.array([[0.0, 0, 9, 9], [3, 3, 6, 6], [4, 3, 7, 6], [4, 4, 4.2, 4.2]])
    assert centre_labels(window, boxes, np.array([1, 2, 3, 4])).tolist() == [2]
    assert centre_labels(window, boxes[::-1].copy(), np.array([1, 2, 3, 4])).tolist() == [2]
    assert centre_labels(window, boxes[[0]], np.array([1])).tolist() == [1]


def test_masks_take_the_place_of_boxes() -> None:
    """The central pixel (1, 1) is in both boxes, but belongs to the larger object alone."""
    masks = np.zeros((2, 4, 4), bool)
    masks[0, :3, :3] = True
    masks[1, 1, 2] = True
    masks[0, 1, 2] = False
    boxes = np.array([[0.0, 0, 3, 3], [1, 1, 3, 2]])
    windows = np.array([[0.0, 0, 3, 3], [1, 0, 4, 3], [2, 2, 4, 4]])
    assert centre_labels(windows, boxes, np.array([4, 5]), masks=masks).tolist() == [4, 5, 0]
    assert centre_labels(windows, boxes, np.array([4, 5])).tolist() == [5, 5, 0]


def test_a_pixel_outside_the_picture_belongs_to_no_mask() -> None:
    """Pixels (−1, 1), (1, −1), (4, 1), (1, 4) of a picture of 4 × 4 that is all object; then (1, 1) and (3, 3)."""
    corners = np.array([[1, -1], [-1, 1], [1, 4], [4, 1], [1, 1], [3, 3]])  # x, y
    windows = np.concatenate([corners, corners + 1], axis=1).astype(float)
    masks = np.ones((1, 4, 4), bool)
    labels = centre_labels(windows, np.array([[0.0, 0, 4, 4]]), np.array([3]), masks=masks)
    assert labels.tolist() == [0, 0, 0, 0, 3, 3]


def naive_centre(window: Array, boxes: Array, classes: Array) -> int:
    row, column = int((window[1] + window[3]) // 2), int((window[0] + window[2]) // 2)
    best, label = np.inf, 0
    for (x1, y1, x2, y2), c in zip(boxes, classes, strict=True):
        if x1 <= column + 0.5 < x2 and y1 <= row + 0.5 < y2 and (x2 - x1) * (y2 - y1) < best:
            best, label = (x2 - x1) * (y2 - y1), int(c)
    return label


def naive_overlap(window: Array, boxes: Array, classes: Array, low: float, high: float, positive: float) -> int:
    best, label = 0.0, 0
    for (x1, y1, x2, y2), c in zip(boxes, classes, strict=True):
        w = max(0.0, min(window[2], x2) - max(window[0], x1))
        h = max(0.0, min(window[3], y2) - max(window[1], y1))
        area = (window[2] - window[0]) * (window[3] - window[1])
        iou = w * h / (area + (x2 - x1) * (y2 - y1) - w * h)
        if iou > best:
            best, label = iou, int(c)
    return label if best >= positive else 0 if low <= best < high else -1


@pytest.mark.parametrize("seed", range(5))
def test_against_the_definitions(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 20, (60, 2))
    windows = np.concatenate([corners, corners + rng.integers(1, 12, (60, 2))], axis=1).astype(float)
    corners = rng.integers(0, 20, (4, 2))
    boxes = np.concatenate([corners, corners + rng.integers(3, 12, (4, 2))], axis=1).astype(float)
    classes = rng.integers(1, 9, 4)
    assert centre_labels(windows, boxes, classes).tolist() == [naive_centre(w, boxes, classes) for w in windows]
    found = overlap_labels(windows, boxes, classes, positive=0.4, negative_low=0.05, negative_high=0.3)
    assert found.tolist() == [naive_overlap(w, boxes, classes, 0.05, 0.3, 0.4) for w in windows]


def test_ends_of_the_bands() -> None:
    """IoU 1/2 is positive, 1/4 no longer background below 1/4."""
    windows = np.array([[0.0, 0, 4, 2], [0, 0, 4, 1], [0, 0, 2, 1], [9, 9, 10, 10]])
    box, label = np.array([[0.0, 0, 4, 4]]), np.array([3])
    assert overlap_labels(windows, box, label, negative_high=0.25).tolist() == [3, -1, 0, 0]
    assert overlap_labels(windows, box, label, negative_low=0.125, negative_high=0.5).tolist() == [3, 0, 0, -1]


def test_nothing_there() -> None:
    windows, no_boxes, no_classes = np.array([[0.0, 0, 4, 4]]), np.zeros((0, 4)), np.zeros(0, np.int64)
    assert centre_labels(windows, no_boxes, no_classes).tolist() == [0]
    assert centre_labels(windows, no_boxes, no_classes, masks=np.zeros((0, 5, 5), bool)).tolist() == [0]
    assert overlap_labels(windows, no_boxes, no_classes).tolist() == [0]
    box, label = np.array([[0.0, 0, 4, 4]]), np.array([3])
    assert centre_labels(no_boxes, box, label).shape == overlap_labels(no_boxes, box, label).shape == (0,)


def test_bad_input() -> None:
    windows, boxes, classes = np.zeros((2, 4)), np.ones((3, 4)), np.ones(2, np.int64)
    for name, rule in (("centre_labels", centre_labels), ("overlap_labels", overlap_labels)):
        with pytest.raises(ValueError, match=rf"{name}: classes must have shape \(3,\) \(one class per box\)"):
            rule(windows, boxes, classes)
    with pytest.raises(ValueError, match=r"centre_labels: masks must have shape \(3, 8, 8\) \(one mask per object\)"):
        centre_labels(windows, boxes, np.ones(3, np.int64), masks=np.zeros((2, 8, 8), bool))
    with pytest.raises(ValueError, match="centre_labels: masks must have rank 3"):
        centre_labels(windows, boxes, np.ones(3, np.int64), masks=np.zeros((3, 8), bool))

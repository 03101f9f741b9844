"""Ground truths and detections: columns, the areas that loadRes gives, selections, and what is refused by its row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from refdet.masks.rle import RLE
from refdet.metrics.records import Detections, GroundTruths, Task

MASK = RLE(np.array([4, 2]), (3, 2))  # the last two of column 1


def truths(**changed: Any) -> GroundTruths:
    """Return two annotations, with some columns replaced."""
    columns = {
        "ids": [5, 3],
        "image_ids": [1, 2],
        "category_ids": [7, 7],
        "boxes_xywh": [[0, 0, 3, 4], [1, 1, 2, 2]],
        "areas": [10, 4],
        "is_crowd": [False, True],
    }
    return GroundTruths(**{**columns, **changed})


def detections(**changed: Any) -> Detections:
    """Return two boxes, with some columns replaced."""
    columns = {
        "image_ids": [1, 2],
        "category_ids": [7, 7],
        "scores": [0.5, 1],
        "boxes_xywh": [[0, 0, 3, 4], [1, 1, 2, 2]],
        "areas": [12, 4],
    }
    return Detections(**{**columns, **changed})


def test_columns_are_read_only_copies_of_one_dtype() -> None:
    areas = np.array([10, 4], np.int32)
    record = truths(areas=areas)
    areas[0] = 99
    assert record.areas.tolist() == [10, 4]
    assert [record.ids.dtype, record.areas.dtype, record.is_crowd.dtype] == [np.int64, np.float64, np.bool_]
    with pytest.raises(ValueError, match="read-only"):
        record.areas[0] = 1
    big_endian = truths(boxes_xywh=np.array([[0, 0, 3, 4], [1, 1, 2, 2]], ">f4")).boxes_xywh
    assert big_endian.dtype == np.float64
    assert big_endian.dtype.isnative


def test_no_rows() -> None:
    names = ("ids", "image_ids", "category_ids", "boxes_xywh", "areas", "is_crowd")
    nothing = truths(**{name: [] for name in names}, masks=(), keypoints=np.zeros((0, 17, 3)))
    assert len(nothing) == 0
    assert nothing.boxes_xywh.shape == (0, 4)
    assert nothing.ids.dtype == nothing.n_keypoints.dtype == np.int64  # type: ignore[union-attr]
    for found in (
        Detections.of_boxes([], [], [], []),
        Detections.of_masks([], [], [], []),
        Detections.of_keypoints([], [], [], []),
    ):
        assert len(found) == len(found.areas) == 0
        assert found.boxes_xywh.shape == (0, 4)


def test_areas_of_boxes() -> None:
    assert Detections.of_boxes([1], [7], [0.5], [[1, 2, 3, 4]]).areas.tolist() == [12]


def test_areas_of_masks_are_their_pixels() -> None:
    found = Detections.of_masks([1], [7], [0.5], [RLE(np.array([0, 1, 4, 1]), (3, 2))])
    assert found.areas.tolist() == [2]
    assert found.boxes_xywh.tolist() == [[0, 0, 2, 3]]


def test_areas_of_keypoints_are_those_of_the_box_around_all() -> None:
    """From (1, 2) to (5, 9), whatever the third numbers are."""
    found = Detections.of_keypoints([1], [7], [0.5], [[[1, 9, 0], [5, 2, 0], [3, 3, 2]]])
    assert found.boxes_xywh.tolist() == [[1, 2, 4, 7]]
    assert found.areas.tolist() == [28]
    assert Detections.of_keypoints([1], [7], [0.5], np.zeros((1, 0, 3))).areas.tolist() == [0]


def test_labelled_keypoints_are_counted_unless_given() -> None:
    points = [[[0, 0, 2], [0, 0, 0]], [[0, 0, 1], [0, 0, 2]]]
    assert truths(keypoints=points).n_keypoints.tolist() == [1, 2]  # type: ignore[union-attr]
    assert truths(keypoints=points, n_keypoints=[0, 9]).n_keypoints.tolist() == [0, 9]  # type: ignore[union-attr]


def test_flags_may_be_zeros_and_ones() -> None:
    """As COCO's files have them."""
    for flags in ([0, 1], np.array([0, 1], np.uint8), np.array([0, 1]), [False, 1], (False, True)):
        found = truths(is_crowd=flags).is_crowd
        assert found.dtype == np.bool_
        assert found.tolist() == [False, True]


def test_select() -> None:
    record = truths(masks=(MASK, RLE(np.array([6]), (3, 2))), keypoints=np.arange(12).reshape(2, 2, 3))
    second = record.select([1])
    assert (second.ids.tolist(), second.areas.tolist()) == ([3], [4])
    assert second.masks is not None
    assert second.masks[0].counts.tolist() == [6]
    assert second.keypoints is not None
    assert second.keypoints.tolist() == [[[6, 7, 8], [9, 10, 11]]]
    assert record.select(record.ids == 5).ids.tolist() == [5]
    assert len(detections().select([])) == 0
    assert detections().select([1, 0]).scores.tolist() == [1, 0.5]


def test_task_sorts_its_ids() -> None:
    task = Task((3, 1), (np.int64(9), 2), {2: "cat", 9: "dog"})  # type: ignore[arg-type]
    assert (task.image_ids, task.category_ids) == ((1, 3), (2, 9))
    with pytest.raises(ValueError, match="Task: image_ids holds an id twice"):
        Task((3, 3), ())
    with pytest.raises(TypeError, match=r"Task: category_ids must hold integers, got \(1.5,\)"):
        Task((3,), (1.5,))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Task: image_ids must be a sequence, got 3"):
        Task(3, (1,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"ids": [5, 5]}, ValueError, r"ids of row 1 stands in an earlier row too: 5"),
        ({"ids": np.array([5, 2**63], np.uint64)}, ValueError, r"ids must fit into int64, got 9223372036854775808"),
        ({"boxes_xywh": [[0, 0, 1, 1], [0]]}, ValueError, r"the rows of boxes_xywh must be of one shape: "),
        ({"n_keypoints": [1, -1]}, ValueError, r"n_keypoints of row 1 is negative: -1"),
        ({"ids": [5.0, 3.0]}, TypeError, r"ids must hold integers, got float64"),
        ({"areas": [1]}, ValueError, r"areas has 1 rows, ids 2"),
        ({"areas": [1, -4]}, ValueError, r"areas of row 1 is negative: -4.0"),
        ({"areas": [1, np.inf]}, ValueError, r"areas of row 1 is not finite: inf"),
        (
            {"boxes_xywh": [[0, 0, 1, 1], [0, 0, -1, 1]]},
            ValueError,
            r"boxes_xywh of row 1 has a negative size: \[0.0, ",
        ),
        ({"boxes_xywh": [[0, 0, 1], [0, 0, 1]]}, ValueError, r"boxes_xywh must have shape \(rows, 4\), got \(2, 3\)"),
        ({"boxes_xywh": [[0, 0, 1, np.nan], [0, 0, 1, 1]]}, ValueError, r"boxes_xywh of row 0 is not finite: \[0.0, "),
        ({"is_crowd": [0, 2]}, ValueError, r"is_crowd of row 1 must be 0 or 1, or a boolean, got 2"),
        ({"is_crowd": [-1, 1]}, ValueError, r"is_crowd of row 0 must be 0 or 1, or a boolean, got -1"),
        ({"is_crowd": [0.0, 1.0]}, TypeError, r"is_crowd must hold booleans, or integers that are 0 or 1, got float64"),
        ({"masks": 1}, TypeError, r"masks must be a sequence of RLE, got int"),
        ({"masks": (MASK,)}, ValueError, r"masks has 1 rows, ids 2"),
        ({"masks": (MASK, RLE(np.array([4]), (3, 2)))}, ValueError, r"the counts of the mask of row 1 must sum to H·W"),
        ({"keypoints": np.zeros((2, 3))}, ValueError, r"keypoints must have shape \(rows, any, 3\), got \(2, 3\)"),
        ({"n_keypoints": ["a", "b"]}, TypeError, r"n_keypoints must hold integers, got str"),
    ],
)
def test_bad_ground_truths(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"GroundTruths: {message}"):
        truths(**changed)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"scores": [0.5, np.nan]}, ValueError, r"scores of row 1 is not finite: nan"),
        ({"scores": [0.5]}, ValueError, r"scores has 1 rows, image_ids 2"),
        ({"scores": [True, False]}, TypeError, r"scores must hold numbers, got bool"),
        ({"image_ids": ["1", "2"]}, TypeError, r"image_ids must hold integers, got str"),
        ({"boxes_xywh": [[0, 0, 1, -2], [0, 0, 1, 1]]}, ValueError, r"boxes_xywh of row 0 has a negative size"),
        ({"areas": [-1, 1]}, ValueError, r"areas of row 0 is negative"),
        ({"keypoints": np.full((2, 1, 3), np.nan)}, ValueError, r"keypoints of row 0 is not finite"),
    ],
)
def test_bad_detections(changed: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=f"Detections: {message}"):
        detections(**changed)


def test_bad_keypoints() -> None:
    with pytest.raises(ValueError, match=r"Detections: keypoints must have shape \(rows, any, 3\), got \(2, 6\)"):
        Detections.of_keypoints([1, 2], [7, 7], [0.5, 0.6], np.ones((2, 6)))


def test_bad_masks() -> None:
    with pytest.raises(TypeError, match=r"Detections: the mask of row 1 must be an RLE \(counts, size\), got list"):
        Detections.of_masks([1, 2], [7, 7], [0.5, 0.6], [MASK, [6]])  # type: ignore[list-item]


def test_bad_boxes() -> None:
    with pytest.raises(ValueError, match=r"Detections: boxes_xywh must have shape \(rows, 4\), got \(2, 6\)"):
        Detections.of_boxes([1, 2], [7, 7], [0.5, 0.6], np.ones((2, 6)))

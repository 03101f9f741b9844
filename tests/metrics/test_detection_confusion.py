"""What each object is taken for: examples by hand, a loop written from the definition, and what must add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refdet.core.check import Array
from refdet.metrics import Detections, GroundTruths, coco_box_iou
from refdet.metrics.detection_confusion import detection_confusion
from tests.metrics.coco_data_sets import data_set

CAT, DOG = 3, 5
HERE, THERE, NOWHERE = [0, 0, 10, 10], [50, 0, 10, 10], [90, 0, 10, 10]


def confusion(objects: list[tuple[int, Any]], found: list[tuple[int, Any, float]], **options: Any) -> list[list[int]]:
    n, crowd = len(objects), options.pop("crowd", [])
    boxes = np.array([b for _, b in objects], float).reshape(-1, 4)
    truths = GroundTruths(
        np.arange(1, n + 1), np.ones(n, int), np.array([c for c, _ in objects], np.int64), boxes,
        boxes[:, 2] * boxes[:, 3], np.isin(np.arange(n), crowd),
    )  # fmt: skip
    detections = Detections.of_boxes(
        np.ones(len(found), int),
        np.array([c for c, *_ in found], np.int64),
        [s for *_, s in found],
        [b for _, b, _ in found],
    )
    found_as: Array = detection_confusion(truths, detections, **{"category_ids": [DOG, CAT], **options})
    matrix: list[list[int]] = found_as.tolist()
    return matrix


def test_right_wrong_missed_and_false() -> None:
    """Rows: background, cat, dog; the categories are sorted."""
    found = [(CAT, HERE, 0.9), (CAT, THERE, 0.8), (DOG, NOWHERE, 0.7)]
    assert confusion([(CAT, HERE), (DOG, THERE), (DOG, [0, 50, 9, 9])], found) == [[0, 0, 1], [0, 1, 0], [1, 1, 0]]


def test_the_higher_score_takes_the_object_whatever_its_class() -> None:
    assert confusion([(CAT, HERE)], [(CAT, HERE, 0.8), (DOG, HERE, 0.9)]) == [[0, 1, 0], [0, 0, 1], [0, 0, 0]]


def test_low_scores_do_not_count() -> None:
    found = [(CAT, HERE, 0.5), (DOG, NOWHERE, 0.49)]
    assert confusion([(CAT, HERE)], found) == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion([(CAT, HERE)], found, min_score=0.6) == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]
    assert confusion([(CAT, HERE)], found, min_score=-np.inf) == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_half_an_overlap_is_enough() -> None:
    found = [(CAT, [0, 0, 5, 10], 0.9)]
    assert confusion([(CAT, HERE)], found)[1] == [0, 1, 0]
    assert confusion([(CAT, HERE)], found, threshold=0.51)[1] == [1, 0, 0]


def test_crowds_swallow_detections_of_their_class() -> None:
    found = [(CAT, HERE, 0.9), (CAT, HERE, 0.8), (DOG, HERE, 0.7)]
    assert confusion([(CAT, HERE)], found, crowd=[0]) == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]


def test_objects_that_need_not_be_found() -> None:
    found = [(CAT, HERE, 0.9), (CAT, HERE, 0.8)]
    assert confusion([(CAT, HERE)], found, ignored=np.array([True])) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_nothing_at_all() -> None:
    assert confusion([], []) == [[0] * 3] * 3
    assert confusion([], [(CAT, HERE, 0.9)]) == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert confusion([(CAT, HERE)], []) == [[0, 0, 0], [1, 0, 0], [0, 0, 0]]


def by_the_definition(data: Any, min_score: float) -> Array:
    g, d = data.ground_truths, data.detections
    categories = sorted(data.category_ids)
    n = np.zeros((len(categories) + 1, len(categories) + 1), int)
    iou = np.array(coco_box_iou(d.boxes_xywh, g.boxes_xywh, g.is_crowd))
    taken: dict[int, int] = {}
    for i in sorted((i for i in range(len(d)) if d.scores[i] >= min_score), key=lambda i: -d.scores[i]):
        near = [j for j in range(len(g)) if g.image_ids[j] == d.image_ids[i] and iou[i, j] >= 0.5]
        free = [j for j in near if not g.is_crowd[j] and j not in taken]
        if free:
            taken[max(free, key=lambda j: (iou[i, j], j))] = i
        elif not any(g.is_crowd[j] and g.category_ids[j] == d.category_ids[i] for j in near):
            n[0, 1 + categories.index(d.category_ids[i])] += 1
    for j in range(len(g)):
        if not g.is_crowd[j]:
            column = 1 + categories.index(d.category_ids[taken[j]]) if j in taken else 0
            n[1 + categories.index(g.category_ids[j]), column] += 1
    return n


@given(st.integers(0, 2**32), st.sampled_from([0, 0.5, 0.6]))
def test_any_data_set(seed: int, min_score: float) -> None:
    data = data_set(np.random.default_rng(seed), "bbox")
    matrix = detection_confusion(
        data.ground_truths, data.detections, category_ids=data.category_ids, min_score=min_score
    )
    assert np.array_equal(matrix, by_the_definition(data, min_score))
    counted = data.ground_truths.category_ids[~data.ground_truths.is_crowd]
    assert matrix[1:].sum(axis=1).tolist() == [np.count_nonzero(counted == c) for c in sorted(data.category_ids)]


@pytest.mark.parametrize("kind", ["segm", "keypoints"])
def test_masks_and_keypoints(kind: str) -> None:
    """Every object detected as itself is on the diagonal."""
    truths = data_set(np.random.default_rng(3), kind).ground_truths
    truths = truths.select(~truths.is_crowd & (True if truths.n_keypoints is None else truths.n_keypoints > 0))
    assert len(truths) > 3
    scores = np.linspace(0.9, 0.6, len(truths))
    same = Detections(
        truths.image_ids, truths.category_ids, scores, truths.boxes_xywh, truths.areas, truths.masks, truths.keypoints
    )
    categories = np.unique(truths.category_ids)
    matrix = detection_confusion(truths, same, category_ids=categories.tolist(), kind=kind, threshold=1)
    assert matrix.trace() == matrix.sum() == len(truths)


def test_progress() -> None:
    said = []
    data = data_set(np.random.default_rng(7), "bbox")
    shared = set(data.ground_truths.image_ids.tolist()) & set(data.detections.image_ids.tolist())
    detection_confusion(
        data.ground_truths, data.detections, category_ids=data.category_ids, min_score=0,
        progress=lambda done, total: said.append((done, total)),
    )  # fmt: skip
    assert said[-1] == (len(shared), len(shared))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "box"}, "detection_confusion: kind must be one of"),
        ({"threshold": -1}, "detection_confusion: threshold must lie in"),
        ({"min_score": np.nan}, "detection_confusion: min_score must be a number, got nan"),
        ({"min_score": None}, "detection_confusion: min_score must be a number, got None"),
        ({"min_score": "0.5"}, "detection_confusion: min_score must be a number, got '0.5'"),
        ({"max_detections": 0}, "detection_confusion: max_detections must be at least 1, got 0"),
        ({"max_detections": -1}, "detection_confusion: max_detections must be at least 1, got -1"),
        ({"category_ids": [CAT, CAT]}, "detection_confusion: category_ids must be different, got 3 more than once"),
        ({"ignored": np.zeros((1, 1), bool)}, "detection_confusion: ignored must be one boolean for each of 1"),
    ],
)
def test_bad_input(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        confusion([(CAT, HERE)], [], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_detections": np.nan}, "detection_confusion: max_detections must be an integer, got nan"),
        ({"max_detections": True}, "detection_confusion: max_detections must be an integer, got True"),
        ({"max_detections": 1.5}, r"detection_confusion: max_detections must be an integer, got 1\.5"),
        ({"category_ids": [3.7]}, r"detection_confusion: category_ids must hold integers, got \[3\.7\]"),
        ({"category_ids": ["3"]}, r"detection_confusion: category_ids must hold integers, got \['3'\]"),
        ({"ignored": [False]}, "detection_confusion: ignored must be an array, got list"),
    ],
)
def test_settings_of_another_type(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        confusion([(CAT, HERE)], [], **options)


def test_records_in_the_place_of_others() -> None:
    data = data_set(np.random.default_rng(7), "bbox")
    with pytest.raises(TypeError, match="detection_confusion: ground_truths must be GroundTruths, got Detections"):
        detection_confusion(data.detections, data.ground_truths, category_ids=data.category_ids)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="detection_confusion: detections must be Detections, got list"):
        detection_confusion(data.ground_truths, [], category_ids=data.category_ids)  # type: ignore[arg-type]


def test_an_unknown_category() -> None:
    with pytest.raises(ValueError, match="detection_confusion: detections row 0 has category_id 9"):
        confusion([], [(9, HERE, 0.9)])

"""The machines of all classes: what they learn from, what they score, and how scores become detections."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
import pytest

from refdet.boxes.iou import box_iou
from refdet.core.check import Array
from refdet.detection.hard_negative_mining import MiningSettings
from refdet.detection.linear_svm import train_linear_svm
from refdet.detection.region_detections import DetectionSettings, detect_regions
from refdet.detection.svm_head import RegionFeatures, SVMHead

EAGER = MiningSettings(C=0.01, retrain_after=0)


def regions(seed: int, *, classes: tuple[int, ...] = (1, 2), n: int = 12, F: int = 6) -> RegionFeatures:
    """Return a picture with an object of each class: its feature c is high, that of background is low."""
    rng = np.random.default_rng(seed)
    G = len(classes)
    truth_boxes = np.array([[40.0 * i, 0, 40 * i + 30, 30] for i in range(G)]).reshape(G, 4)
    boxes = np.concatenate([rng.uniform(0, 40, (n, 2)), rng.uniform(50, 90, (n, 2))], axis=1)
    boxes[:, 1::2] += 50
    truth_features = rng.uniform(0, 1, (G, F)) + 3 * np.eye(F)[np.array(classes, np.int64)]
    return RegionFeatures(
        rng.uniform(0, 1, (n, F)).astype(np.float32),
        boxes.astype(np.float32),
        truth_boxes.astype(np.float32),
        np.array(classes, np.int64),
        truth_features.astype(np.float32),
        np.zeros(G, bool),
    )


@pytest.mark.parametrize("with_objects", [True, False])
def test_it_is_the_machine_of_its_examples(with_objects: bool) -> None:
    """One picture, so that all negatives are there at once: features times 20 / mean norm, objects against the rest.

    The rest are all regions, and the object of the other class.
    """
    picture = regions(0)
    head = SVMHead(3, 6, mining=dataclasses.replace(EAGER, objects_as_negatives=with_objects), dtype=np.float64)
    head.fit([picture])
    scale = 20 / np.linalg.norm(picture.features.astype(np.float64), axis=1).mean()
    assert float(head.feature_scale) == pytest.approx(scale, rel=1e-12)
    for c, other in ((1, 2), (2, 1)):
        rest = np.concatenate([picture.truth_features[[other - 1] if with_objects else []], picture.features])
        machine = train_linear_svm(
            scale * picture.truth_features[[c - 1]].astype(np.float64), scale * rest.astype(np.float64), C=0.01
        )
        expected = scale * picture.features @ machine.weight + machine.bias
        np.testing.assert_allclose(head.score(picture.features.astype(np.float64))[:, c], expected, rtol=0, atol=1e-9)


def test_it_tells_objects_from_background() -> None:
    head = SVMHead(3, 6, mining=EAGER)
    head.fit([regions(seed) for seed in range(6)])
    unseen = regions(99)
    objects, background = head.score(unseen.truth_features), head.score(unseen.features)
    assert (objects[:, 1:].argmax(axis=1) == [0, 1]).all()
    assert (np.diag(objects[:, 1:]) > background[:, 1:].max(axis=0) + 1).all()


def test_a_class_without_objects_has_no_machine() -> None:
    head = SVMHead(4, 6, mining=EAGER)
    head.fit([regions(0), regions(1, classes=())])
    scores = head.score(regions(2).features)
    np.testing.assert_array_equal(head.known, [False, True, True, False])
    assert (scores[:, [0, 3]] == -np.inf).all()
    assert np.isfinite(scores[:, 1:3]).all()
    found = head.detections(regions(2).features, regions(2).boxes, (200, 200))
    assert set(found.classes.tolist()) == {1, 2}


def with_overlap(iou: float, c: int = 1, *, difficult: bool = False) -> tuple[RegionFeatures, Array]:
    """Return a picture with an object of class c, and which of its regions overlap it by `iou`, of ten rows."""
    picture = regions(3, classes=(c,))
    boxes = picture.boxes.copy()
    boxes[4] = [0, 0, 10, round(10 * iou)]
    truth = np.array([[0.0, 0, 10, 10]], np.float32)
    assert box_iou(boxes[[4]].astype(np.float64), truth.astype(np.float64))[0, 0] == pytest.approx(iou)
    return picture._replace(boxes=boxes, truth_boxes=truth, difficult=np.array([difficult])), boxes


@pytest.mark.parametrize(("iou", "is_negative"), [(0.2, True), (0.3, False), (0.5, False), (0.9, False)])
def test_what_is_a_negative(iou: float, is_negative: bool) -> None:
    """IoU 0.3 itself is none, for the class of the object; for another class any region is one."""
    picture, _ = with_overlap(iou)
    head = SVMHead(3, 6)
    assert head._is_negative(picture.boxes, picture, 1).tolist() == [True] * 4 + [is_negative] + [True] * 7
    assert head._is_negative(picture.boxes, picture, 2).all()


def test_difficult_objects() -> None:
    """They are no positives, and what overlaps them is no negative."""
    picture, _ = with_overlap(0.9, difficult=True)
    head = SVMHead(3, 6)
    assert not head._is_negative(picture.boxes, picture, 1)[4]
    head.fit([picture])
    assert not head.known.any()


def test_truths_apart_give_the_same() -> None:
    """The first walk has the regions of one picture alone, whose norms are those of all: the same machines."""
    pictures = [regions(seed)._replace(features=regions(0).features) for seed in range(4)]
    without = [pictures[0]] + [p._replace(features=p.features[:0], boxes=p.boxes[:0]) for p in pictures[1:]]
    seen = []
    one, other = SVMHead(3, 6, mining=EAGER), SVMHead(3, 6, mining=EAGER)
    one.fit(pictures)
    other.fit(pictures, truths=without, also=lambda r: seen.append(len(r.boxes)))
    np.testing.assert_allclose(one.weight, other.weight, rtol=0, atol=1e-6)
    assert seen == [12] * 4


def test_without_any_region_the_objects_give_the_norm() -> None:
    picture = regions(0)
    empty = picture._replace(features=picture.features[:0], boxes=picture.boxes[:0])
    head = SVMHead(3, 6)
    head.fit([empty])
    mean = np.linalg.norm(picture.truth_features.astype(np.float64), axis=1).mean()
    assert float(head.feature_scale) == pytest.approx(20 / mean, rel=1e-6)
    head.fit([])
    assert not head.known.any()
    assert float(head.feature_scale) == 1


def test_the_state_holds_all() -> None:
    head, other = SVMHead(3, 6, mining=EAGER), SVMHead(3, 6)
    head.fit([regions(0), regions(1)])
    other.load_state_dict(head.state_dict())
    np.testing.assert_array_equal(other.score(regions(2).features), head.score(regions(2).features))


def test_it_is_deterministic() -> None:
    one, other = SVMHead(3, 6), SVMHead(3, 6)
    one.fit([regions(0), regions(1)])
    other.fit([regions(0), regions(1)])
    np.testing.assert_array_equal(one.weight, other.weight)


# from scores to detections

THREE = np.array([[0.0, 0, 10, 10], [0, 0, 10, 3], [0, 0, 10, 4]])  # IoU with the first: 0.3 and 0.4


def test_suppression_at_exactly_0_3() -> None:
    scores = np.array([[9.0, 3, 3], [9, 2, 2], [9, 1, 4]])
    found = detect_regions(scores, THREE, (20, 20))
    # class 1: row 0 suppresses row 2 (0.4), not row 1 (0.3); class 2: row 2 goes first, and suppresses both
    assert list(zip(found.scores.tolist(), found.classes.tolist(), strict=True)) == [(4, 2), (3, 1), (2, 1)]


def test_what_is_not_detected() -> None:
    scores = np.array([[0.0, -np.inf], [0, np.nan], [0, 0.5]])
    assert detect_regions(scores, THREE, (20, 20)).scores.tolist() == [0.5]
    assert not len(detect_regions(scores, THREE, (20, 20), settings=DetectionSettings(score_threshold=0.5)))
    for empty in (np.zeros((0, 3)), np.zeros((0, 0))):
        found = detect_regions(empty, np.zeros((0, 4)), (20, 20))
        assert (found.boxes.shape, found.scores.shape) == ((0, 4), (0,))
        assert found.classes.dtype == np.int64


def test_limits() -> None:
    """The best of each class enter the suppression, and the best of all leave."""
    apart = np.array([[20.0 * i, 0, 20 * i + 10, 10] for i in range(4)])
    scores = np.array([[0, 1, 5], [0, 2, 6], [0, 3, 7], [0, 4, 8]], np.float64)
    found = detect_regions(scores, apart, (10, 100), settings=DetectionSettings(top_per_class=2, top=3))
    assert (found.scores.tolist(), found.classes.tolist()) == ([8, 7, 4], [2, 2, 1])
    assert found.boxes[0].tolist() == [60, 0, 70, 10]


def test_boxes_are_moved_and_clipped_before_the_suppression() -> None:
    apart = np.array([[0.0, 0, 10, 10], [50, 0, 60, 10], [80, 0, 90, 10]])
    scores = np.array([[0, 3.0, 0.5], [0, 2, -np.inf], [0, 1, -np.inf]])

    def move(rows: Array, c: int) -> Array:
        if c == 2:
            return np.full((len(rows), 4), np.nan)  # not finite: not detected
        moved: Array = apart[rows] - [[5, 5, 5, 5]]
        moved[rows == 1] = [-5, -5, 5, 5]
        return moved

    found = detect_regions(scores, apart, (20, 100), move=move)
    assert found.boxes.tolist() == [[0, 0, 5, 5], [75, 0, 85, 5]]
    assert found.scores.tolist() == [3, 1]


def test_bad_input() -> None:
    def once() -> Iterator[RegionFeatures]:
        yield regions(0)

    head = SVMHead(3, 6)
    with pytest.raises(TypeError, match="walked over twice; pass a list or the like, not an iterator"):
        head.fit(once())
    with pytest.raises(ValueError, match="truth_classes must lie in 1 … 2, got 3"):
        head.fit([regions(0, classes=(3,))])
    with pytest.raises(ValueError, match=r"SVMHead.fit: features must have shape \(12, 6\)"):
        head.fit([regions(0, F=7)])
    for region in (0, 11):
        spoilt = regions(0)
        spoilt.features[region, 0] = np.nan
        with pytest.raises(ValueError, match="features must be finite, got NaN or an infinity"):
            head.fit([spoilt])
    with pytest.raises(ValueError, match=r"SVMHead.score: features must have shape \(1, 6\)"):
        head.score(np.zeros((1, 5)))
    with pytest.raises(ValueError, match="boxes must have shape"):
        detect_regions(np.zeros((2, 3)), np.zeros((1, 4)), (9, 9))

"""The scores of a detector: hand-made detections whose figures can be counted, and what is not judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from refdet.autograd.tensor import Tensor
from refdet.data import CLASS_NAMES, FIGURE_CLASS_NAMES, Sample, Shapes, StickFigures
from refdet.detection.detected import Detected
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.training.detector_scores import FOURTEEN_SIGMAS, SIGMAS, evaluate_detector

NAMES = ("background", "cat", "dog")


class Remembers:
    """A detector that knows what is in each picture, by the first pixel."""

    def __init__(self, found: Sequence[Detected], class_names: tuple[str, ...] = NAMES) -> None:
        self.found, self.class_names = found, class_names

    def detect(self, image: np.ndarray) -> Detected:
        return self.found[int(image[0, 0, 0])]

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        raise NotImplementedError


def picture(i: int, boxes: list[list[float]], classes: list[int], difficult: Sequence[bool] = ()) -> Sample:
    image = np.full((20, 30, 3), i, np.uint8)
    is_difficult = np.array(difficult or [False] * len(classes), np.bool_)
    return Sample(
        f"{i}.png", image, np.array(boxes, np.float32).reshape(-1, 4), np.array(classes, np.int64), is_difficult
    )


def found(boxes: list[list[float]], scores: list[float], classes: list[int]) -> Detected:
    return Detected(
        np.array(boxes, np.float32).reshape(-1, 4), np.array(scores, np.float32), np.array(classes, np.int64)
    )


def perfect(sample: Sample) -> Detected:
    return Detected(sample.boxes, np.ones(len(sample.boxes), np.float32), sample.classes, sample.masks, sample.joints)


A, B, C = [0.0, 0, 10, 10], [12.0, 0, 22, 10], [0.0, 10, 10, 20]


def test_figures_that_can_be_counted() -> None:
    """Cats: of two one is found, first; a false one follows, precisions 1, 1/2. The dog is found at IoU 0.6."""
    samples = [picture(0, [A, B], [1, 1]), picture(1, [C], [2]), picture(2, [], [])]
    detector = Remembers(
        [
            found([A], [0.9], [1]),
            found([[0, 10, 10, 16]], [0.8], [2]),
            found([B], [0.7], [1]),
        ]
    )
    scores = evaluate_detector(detector, samples)
    assert scores.voc.by_class[1].average_precision == 0.5
    assert scores.voc.by_class[2].average_precision == 1.0
    assert scores.mean_average_precision == 0.75
    figures = scores.figures()
    assert figures["mAP"] == 0.75
    assert figures["box AP50"] == pytest.approx((51 / 101 + 1) / 2)  # COCO's 101 recalls
    assert figures["box AP"] == pytest.approx((51 / 101 + 3 / 10) / 2)  # the dog counts at 0.5, 0.55 and 0.6
    assert scores.n_objects.tolist() == [0, 2, 1]
    assert scores.n_detections.tolist() == [0, 2, 1]
    assert scores.n_images == 3
    assert scores.per_class()["cat"] == {"AP@.5": 0.5, "box AP": pytest.approx(51 / 101)}


def test_difficult_objects_count_neither_way() -> None:
    samples = [picture(0, [A, B], [1, 1], [False, True])]
    both = found([B, A], [0.9, 0.8], [1, 1])
    for detections in (both, found([A], [0.8], [1])):
        scores = evaluate_detector(Remembers([detections]), samples)
        assert scores.figures() == pytest.approx({"mAP": 1.0, "box AP": 1.0, "box AP50": 1.0})
        assert scores.n_objects.tolist() == [0, 1, 0]


def test_a_class_without_objects_is_nan_and_left_out_of_the_mean() -> None:
    scores = evaluate_detector(Remembers([found([A, A], [0.9, 0.8], [1, 2])]), [picture(0, [A], [1])])
    assert scores.mean_average_precision == 1
    assert math.isnan(scores.per_class()["dog"]["AP@.5"])
    assert math.isnan(scores.per_class()["dog"]["box AP"])
    nothing = evaluate_detector(Remembers([found([], [], [])]), [picture(0, [], [])])
    assert all(math.isnan(value) for value in nothing.figures().values())


def test_masks_are_judged_by_their_pixels() -> None:
    """Half of the pixels in the whole box: the box is right at every threshold, the mask at 0.5 alone."""
    samples = Shapes(6, seed=4)[:]
    halves = []
    for i, sample in enumerate(samples):
        sample.image[0, 0] = i
        masks = sample.masks.copy()
        for mask in masks:
            rows, columns = np.nonzero(mask)
            mask[rows[: len(rows) // 2], columns[: len(rows) // 2]] = False  # just over half is left
        halves.append(Detected(sample.boxes, np.ones(len(masks), np.float32), sample.classes, masks))
    figures = evaluate_detector(Remembers(halves, CLASS_NAMES), samples).figures()
    assert (figures["mAP"], figures["box AP"], figures["mask AP50"]) == pytest.approx((1, 1, 1))
    assert figures["mask AP"] == pytest.approx(0.1, abs=0.03)  # some that have few pixels reach 0.55
    whole = evaluate_detector(Remembers([perfect(s) for s in samples], CLASS_NAMES), samples).figures()
    assert whole["mask AP"] == pytest.approx(1)


def test_joints_are_judged_where_they_can_be_seen() -> None:
    samples = StickFigures(4, seed=2)[:]
    detections = []
    for i, sample in enumerate(samples):
        sample.image[0, 0] = i
        assert sample.joints is not None
        assert sample.joints_visible is not None
        joints = np.where(sample.joints_visible[:, :, None], sample.joints, -1000.0)
        detections.append(Detected(sample.boxes, np.ones(1, np.float32), sample.classes, joints=joints))
    assert any(not sample.joints_visible.all() for sample in samples if sample.joints_visible is not None)
    figures = evaluate_detector(Remembers(detections, FIGURE_CLASS_NAMES), samples).figures()
    assert figures["keypoint AP"] == pytest.approx(1)
    assert "mask AP" not in figures  # the detector gives none


def test_sigmas_decide_how_near_is_near() -> None:
    """All joints off by d: the similarity is the mean of exp(−d² / 8σ² / area), which one d puts at 0.7."""
    sample = StickFigures(1, seed=0)[0]
    sample.image[0, 0] = 0
    assert sample.joints is not None
    assert sample.masks is not None
    area, sigma = np.count_nonzero(sample.masks), 0.1
    d = math.sqrt(-math.log(0.7001) * 8 * sigma**2 * area)
    shifted = Detected(
        sample.boxes, np.ones(1, np.float32), sample.classes, joints=sample.joints + np.array([d, 0], np.float32)
    )
    scores = evaluate_detector(Remembers([shifted], FIGURE_CLASS_NAMES), [sample], sigmas=[sigma] * 14)
    assert scores.figures()["keypoint AP"] == pytest.approx(0.5)  # 0.5, 0.55, 0.6, 0.65, 0.7


def test_a_detector_that_finds_nothing_is_judged_in_all_that_it_looks_for() -> None:
    sample = StickFigures(1, seed=0)[0]
    sample.image[0, 0] = 0
    none = np.zeros((0, 14, 2), np.float32)
    nothing = found([], [], [])
    empty = Detected(nothing.boxes, nothing.scores, nothing.classes, np.zeros((0, *sample.size), np.bool_), none)
    assert evaluate_detector(Remembers([empty], FIGURE_CLASS_NAMES), [sample]).figures() == {
        "mAP": 0, "box AP": 0, "box AP50": 0, "mask AP": 0, "mask AP50": 0, "keypoint AP": 0, "keypoint AP50": 0,
    }  # fmt: skip
    assert set(evaluate_detector(Remembers([nothing], FIGURE_CLASS_NAMES), [sample]).figures()) == {
        "mAP", "box AP", "box AP50",
    }  # fmt: skip


def test_sigmas_are_those_of_coco_for_the_same_limbs() -> None:
    ankle, knee, hip, shoulder, elbow, wrist = (COCO_SIGMAS[i] for i in (15, 13, 11, 5, 7, 9))
    limbs = np.repeat([ankle, knee, hip, shoulder, elbow, wrist], 2)
    assert np.allclose(FOURTEEN_SIGMAS, [*limbs, shoulder, shoulder], rtol=1e-12)
    assert SIGMAS[17] == COCO_SIGMAS


def test_progress_is_told_of_every_picture() -> None:
    samples = [picture(0, [A], [1]), picture(0, [A], [1])]
    heard: list[tuple[int, int]] = []
    evaluate_detector(Remembers([perfect(samples[0])]), samples, progress=lambda done, n: heard.append((done, n)))
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_what_is_refused_names_the_picture() -> None:
    with pytest.raises(ValueError, match=r"0\.png: object 1 is of class 3, but the detector has the classes 1 to 2"):
        evaluate_detector(Remembers([found([], [], [])]), [picture(0, [A, B], [1, 3])])
    sample = picture(0, [A], [1])
    wrong = Detected(sample.boxes, np.ones(1, np.float32), sample.classes, np.zeros((1, 10, 10), np.bool_))
    with pytest.raises(ValueError, match=r"masks must have the size of the picture, \(20, 30\), got \(10, 10\)"):
        evaluate_detector(Remembers([wrong]), [sample])


def test_joints_of_an_unknown_kind_need_sigmas() -> None:
    joints = np.zeros((1, 3, 2), np.float32)
    sample = Sample(
        "3.png", np.zeros((20, 30, 3), np.uint8), np.array([A], np.float32), np.ones(1, np.int64),
        np.zeros(1, np.bool_), joints=joints,
    )  # fmt: skip
    detector = Remembers([perfect(sample)])
    with pytest.raises(ValueError, match="objects of 3 joints need sigmas, one for each joint"):
        evaluate_detector(detector, [sample])
    assert evaluate_detector(detector, [sample], sigmas=(0.1, 0.1, 0.1)).figures()["keypoint AP"] == pytest.approx(1)

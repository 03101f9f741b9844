"""The scores of a detector: hand-made detections whose figures can be counted, and what is not judged."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from refdet.autograd.tensor import Tensor
from refdet.data import CLASS_NAMES, FIGURE_CLASS_NAMES, Sample, Shapes, StickFigures
from refdet.data.coco import read_coco, read_coco_results
from refdet.data.coco_images import CocoImages
from refdet.data.limbs import COCO_JOINT_NAMES
from refdet.data.stick_figures import FOURTEEN_SIGMAS, JOINT_NAMES
from refdet.detection.detected import Detected
from refdet.metrics.coco import evaluate_coco
from refdet.metrics.object_keypoint_similarity import COCO_SIGMAS
from refdet.training.detector_scores import evaluate_detector
from refdet.training.joint_sigmas import sigmas_of

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
    detector = Remembers(detections, FIGURE_CLASS_NAMES)
    figures = evaluate_detector(detector, samples, sigmas=FOURTEEN_SIGMAS).figures()
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


def test_the_area_of_an_object_is_what_its_sample_says() -> None:
    """A box of 100 × 100 and an outline of 400 pixels; its joint is off by d: exp(−d² / 8σ² / 400) = 0.7001."""
    d = math.sqrt(-math.log(0.7001) * 8 * 0.1**2 * 400)
    joints, one = np.full((1, 1, 2), 50, np.float32), np.ones(1, np.int64)
    box = np.array([[0, 0, 100, 100]], np.float32)
    sample = Sample("0.png", np.zeros((120, 120, 3), np.uint8), box, one, one == 0, joints=joints)
    shifted = Detected(box, np.ones(1, np.float32), one, joints=joints + np.array([d, 0], np.float32))

    def coco(areas: np.ndarray | None, masks: np.ndarray | None = None) -> dict[str, Mapping[str, float]]:
        known = dataclasses.replace(sample, areas=areas, masks=masks)
        scores = evaluate_detector(Remembers([shifted]), [known], sigmas=[0.1])
        return {kind: found.stats for kind, found in scores.coco.items()}

    mask = np.zeros((1, 120, 120), np.bool_)
    mask[0, :20, :20] = True
    for found in (coco(np.array([400.0])), coco(np.array([400.0]), ~mask), coco(None, mask)):
        assert found["keypoints"]["AP"] == pytest.approx(0.5)  # 0.5, 0.55, 0.6, 0.65, 0.7
        assert [found["bbox"][f"AP-{name}"] for name in ("small", "medium", "large")] == pytest.approx([1, -1, -1])
    for found in (coco(None), coco(None, mask & False)):  # 10,000 pixels: exp(−d² / 8σ² / 10000) = 0.7001^0.04 = 0.986
        assert found["keypoints"]["AP"] == pytest.approx(1)
        assert [found["bbox"][f"AP-{name}"] for name in ("small", "medium", "large")] == pytest.approx([-1, -1, 1])


def test_an_object_without_a_mask_is_not_asked_for_as_a_mask() -> None:
    """Its box of 10 × 10 is a crowd to masks: what lies in it counts neither way."""
    masks = np.zeros((2, 20, 30), np.bool_)
    masks[0, :10, :10] = True
    of_both = np.array([masks[0], np.roll(masks[0], 12, axis=1)])
    boxes = np.array([A, B], np.float32)
    both = Detected(boxes, np.array([0.8, 0.9], np.float32), np.ones(2, np.int64), of_both)
    none = Detected(boxes[:0], both.scores[:0], both.classes[:0], masks[:0])
    first = Detected(boxes[:1], both.scores[:1], both.classes[:1], of_both[:1])
    one_of_two = dataclasses.replace(picture(0, [A, B], [1, 1]), masks=masks)
    for detected, expected in ((both, (1, 1)), (first, (51 / 101, 1)), (none, (0, 0))):
        figures = evaluate_detector(Remembers([detected]), [one_of_two]).figures()
        assert (figures["box AP"], figures["mask AP"]) == pytest.approx(expected)
    alone = dataclasses.replace(picture(0, [B], [1]), masks=masks[1:])
    figures = evaluate_detector(Remembers([none]), [alone]).figures()
    assert figures["box AP"] == 0
    assert math.isnan(figures["mask AP"])


def test_a_detector_s_figures_are_those_of_its_detections_in_a_file(tmp_path: Path) -> None:
    """Two persons of COCO's; of both the area is a tenth of that of the box, or of the mask."""
    names = ["a", "b", "c"]
    persons: list[dict[str, Any]] = [
        {"id": 5, "image_id": 1, "bbox": [10, 10, 100, 100], "area": 1000,
         "keypoints": [20, 20, 2, 50, 60, 1, 0, 0, 0], "segmentation": [[10, 10, 110, 10, 110, 110, 10, 110]]},
        {"id": 6, "image_id": 2, "bbox": [0, 0, 60, 50], "area": 300,
         "keypoints": [10, 10, 2, 30, 20, 2, 50, 40, 2], "segmentation": [[0, 0, 60, 0, 60, 50, 0, 50]]},
    ]  # fmt: skip
    truth = {
        "images": [{"id": i, "width": 150, "height": 120, "file_name": f"{i}.png"} for i in (1, 2)],
        "categories": [{"id": 1, "name": "person", "keypoints": names}],
        "annotations": [person | {"category_id": 1, "iscrowd": 0} for person in persons],
    }
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    for i in (1, 2):
        Image.new("RGB", (150, 120), (i - 1, 0, 0)).save(tmp_path / f"{i}.png")
    samples = CocoImages(tmp_path / "truth.json", masks=True, joints=True)
    shifts, one = ([3, -2], [1, 2]), np.ones(1, np.int64)
    detections, results = [], []
    for i, (sample, shift, score) in enumerate(zip(samples, shifts, (0.75, 0.5), strict=True), start=1):
        assert sample.joints is not None
        joints, box = sample.joints + np.array(shift, np.float32), sample.boxes + np.float32(4)
        detections.append(Detected(box, np.array([score], np.float32), one, joints=joints))
        (x1, y1, x2, y2), points = box[0].tolist(), np.insert(joints[0], 2, 1, axis=1).ravel().tolist()
        shapes = {"bbox": [x1, y1, x2 - x1, y2 - y1], "keypoints": points}
        results.append({"image_id": i, "category_id": 1, "score": score, **shapes})
    (tmp_path / "results.json").write_text(json.dumps(results))
    sigmas = [0.1, 0.07, 0.05]
    by_detector = evaluate_detector(Remembers(detections, FIGURE_CLASS_NAMES), samples, sigmas=sigmas).coco
    assert set(by_detector) == {"bbox", "keypoints"}
    for kind, found in by_detector.items():
        dataset = read_coco(tmp_path / "truth.json", keypoints=kind == "keypoints")
        of_file = read_coco_results(tmp_path / "results.json", dataset, kind=kind)
        task: dict[str, Any] = {"image_ids": (1, 2), "category_ids": (1,), "kind": kind, "sigmas": sigmas}
        assert found.stats == evaluate_coco(dataset.ground_truths, of_file, **task).stats
    assert 0 < by_detector["keypoints"].stats["AP"] < 1  # with the area of the boxes it is 1
    assert by_detector["bbox"].stats["AP-large"] == -1
    assert by_detector["bbox"].stats["AP-small"] > 0


def test_a_detector_that_finds_nothing_is_judged_in_all_that_it_looks_for() -> None:
    sample = StickFigures(1, seed=0)[0]
    sample.image[0, 0] = 0
    none = np.zeros((0, 14, 2), np.float32)
    nothing = found([], [], [])
    empty = Detected(nothing.boxes, nothing.scores, nothing.classes, np.zeros((0, *sample.size), np.bool_), none)
    detector = Remembers([empty], FIGURE_CLASS_NAMES)
    assert evaluate_detector(detector, [sample], sigmas=FOURTEEN_SIGMAS).figures() == {
        "mAP": 0, "box AP": 0, "box AP50": 0, "mask AP": 0, "mask AP50": 0, "keypoint AP": 0, "keypoint AP50": 0,
    }  # fmt: skip
    assert set(evaluate_detector(Remembers([nothing], FIGURE_CLASS_NAMES), [sample]).figures()) == {
        "mAP", "box AP", "box AP50",
    }  # fmt: skip


def test_sigmas_are_those_of_coco_for_the_same_limbs() -> None:
    ankle, knee, hip, shoulder, elbow, wrist = (COCO_SIGMAS[i] for i in (15, 13, 11, 5, 7, 9))
    limbs = np.repeat([ankle, knee, hip, shoulder, elbow, wrist], 2)
    assert np.allclose(FOURTEEN_SIGMAS, [*limbs, shoulder, shoulder], rtol=1e-12)


def test_progress_is_told_of_every_picture() -> None:
    samples = [picture(0, [A], [1]), picture(0, [A], [1])]
    heard: list[tuple[int, int]] = []
    evaluate_detector(Remembers([perfect(samples[0])]), samples, progress=lambda done, n: heard.append((done, n)))
    assert heard == [(0, 2), (1, 2), (2, 2)]


def test_what_is_refused_names_the_picture() -> None:
    for objects, classes, problem in (
        ([A, B], [1, 3], "the class of object 1 must be one of 1 … 2, got 3"),
        ([A, [4.0, 4, 4, 9]], [1, 1], "object 1 must have a finite box of positive area"),
        ([A, [4.0, 4, np.nan, 9]], [1, 1], "object 1 must have a finite box of positive area"),
        ([A, [40.0, 4, 49, 9]], [1, 1], "object 1 must lie in the picture of 20 × 30 pixels, at least in part"),
    ):
        with pytest.raises(ValueError, match=rf"0\.png: {problem}"):
            evaluate_detector(Remembers([]), [picture(0, objects, classes)])  # before it is looked at
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


def test_sigmas_belong_to_the_names_of_the_joints_in_their_order() -> None:
    assert sigmas_of(COCO_JOINT_NAMES) == sigmas_of([name.replace(" ", "_") for name in COCO_JOINT_NAMES])
    assert sigmas_of(COCO_JOINT_NAMES) == COCO_SIGMAS
    assert sigmas_of([name.title() for name in JOINT_NAMES]) == FOURTEEN_SIGMAS
    assert sigmas_of(COCO_JOINT_NAMES[::-1]) is None  # as many, in another order
    assert sigmas_of(["root of tail", *COCO_JOINT_NAMES[1:]]) is None
    assert sigmas_of([]) is None


class Named(list[Sample]):
    """Samples that say how their joints are called."""

    joint_names: tuple[str, ...] = ()


def test_joints_are_judged_by_the_sigmas_of_their_names() -> None:
    """A left foot, σ = 0.089, off by d on 400 pixels: exp(−d² / 8σ² / 400) = 0.7001; a right eye, 0.025, has 0.01."""
    d = math.sqrt(-math.log(0.7001) * 8 * 0.089**2 * 400)
    for names, ap in ((JOINT_NAMES, 0.5), (COCO_JOINT_NAMES[2:], None), (COCO_JOINT_NAMES, 0.0)):
        joints, one = np.full((1, len(names), 2), 50, np.float32), np.ones(1, np.int64)
        is_seen = np.arange(len(names))[None] == (2 if names is COCO_JOINT_NAMES else 0)
        box = np.array([[0, 0, 100, 100]], np.float32)
        sample = Sample(
            "0.png", np.zeros((120, 120, 3), np.uint8), box, one, one == 0,
            joints=joints, joints_visible=is_seen, areas=np.array([400.0]),
        )  # fmt: skip
        shifted = Detected(box, np.ones(1, np.float32), one, joints=joints + np.array([d, 0], np.float32))
        samples = Named([sample])
        samples.joint_names = names
        if ap is None:
            with pytest.raises(ValueError, match="objects of 15 joints need sigmas"):
                evaluate_detector(Remembers([shifted]), samples)
        else:
            assert evaluate_detector(Remembers([shifted]), samples).figures()["keypoint AP"] == pytest.approx(ap)


@pytest.mark.parametrize("names", [(), JOINT_NAMES[::-1]])
def test_as_many_joints_as_known_ones_need_sigmas_too(names: tuple[str, ...]) -> None:
    """At the first picture: the second one is none that the detector has seen."""
    sample = StickFigures(1, seed=0)[0]
    sample.image[0, 0] = 0
    samples = Named([sample, picture(7, [A], [1])])
    samples.joint_names = names
    detector = Remembers([perfect(sample)], FIGURE_CLASS_NAMES)
    with pytest.raises(ValueError, match="objects of 14 joints need sigmas, one for each joint; known are those of"):
        evaluate_detector(detector, samples)


def test_stick_figures_say_whose_sigmas_are_theirs() -> None:
    figures = StickFigures(2, seed=0)

    class Perfect(Remembers):
        def detect(self, image: np.ndarray) -> Detected:
            return next(perfect(figure) for figure in figures if np.array_equal(figure.image, image))

    assert evaluate_detector(Perfect([], FIGURE_CLASS_NAMES), figures).figures()["keypoint AP"] == pytest.approx(1)


def test_joints_of_another_number_are_refused_at_the_first_picture() -> None:
    samples = StickFigures(2, seed=0)[:]
    samples[0].image[0, 0] = 0
    found = perfect(samples[0])
    assert found.joints is not None
    detector = Remembers([dataclasses.replace(found, joints=found.joints[:, :3])], FIGURE_CLASS_NAMES)
    with pytest.raises(ValueError, match=r"the objects of stick figures 0/0 have 14 joints, the detector finds 3"):
        evaluate_detector(detector, samples)

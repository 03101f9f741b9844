"""How good a detector is: it looks at every picture of a test set, and VOC and COCO judge what it finds.

    VOC's mAP at an overlap of 0.5        boxes; difficult objects are left out      `refdet.metrics.voc`, "voc2010"
    COCO's AP, AP50 and the others        boxes, masks, joints                       `refdet.metrics.coco`

Everingham et al., "The PASCAL VOC challenge" (2010); Lin et al., "Microsoft COCO: common objects in context" (2014).

Conventions:

- Masks and joints are judged where both the detector and the samples have them.
- COCO knows no difficult objects. They are crowds to it: nobody has to find them, and what lies in one is not wrong.
- Joints are judged by object keypoint similarity. Those that cannot be seen are not asked for (visibility 0), and an
  object of which no joint can be seen is ignored.
- A picture is refused, by its name, where an object has no finite box of positive area, lies wholly outside the
  picture, or has a class that the detector does not know.
- The area of an object is what its sample says, else that of its mask where there is one, else of its box.
- An object whose mask has no pixel, because its file gives none for instance, is judged by its box and joints alone. In
  the scores of masks it is a crowd that fills the box.
- The sigmas of joints are those that belong to their names, in that order: COCO's for its people, others for stick
  figures (`refdet.training.joint_sigmas`). Where the samples do not tell the names, or others, sigmas must be given.
- A figure of what is not there, of a class without objects for instance, is NaN; COCO's −1 is NaN here too.
- Pictures are looked at one by one, in order. Masks are kept run-length encoded.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.detected import Detected, Detector
from refdet.detection.ground_truth import ground_truth
from refdet.detection.narrow import is_too_narrow
from refdet.masks.rle import RLE, rle_encode
from refdet.metrics.coco import evaluate_coco
from refdet.metrics.coco_evaluation import CocoEvaluation
from refdet.metrics.records import Detections, GroundTruths
from refdet.metrics.voc import LabelledBoxes, ScoredBoxes, VocEvaluation, evaluate_voc
from refdet.training.joint_sigmas import sigmas_of

Progress = Callable[[int, int], object]  # told how many pictures have been looked at, and of how many

VOC_CONVENTION, OVERLAP = "voc2010", 0.5


@dataclass(frozen=True, eq=False)
class DetectorScores:
    """What VOC and COCO say of a detector on a test set.

    Attributes:
        class_names: those of the detector; 0 is the background.
        voc: curve and AP of each class at an overlap of 0.5, by its number.
        coco: by kind, "bbox", "segm" and "keypoints", those that were judged.
        n_objects: (C,) int64, how many there are of each class, 0 for the background; difficult ones left out.
        n_detections: (C,) int64, how many were found, likewise.
        n_images: how many pictures were looked at.
        seconds: how long the detector took for all of them.
    """

    class_names: tuple[str, ...]
    voc: VocEvaluation
    coco: Mapping[str, CocoEvaluation]
    n_objects: Array
    n_detections: Array
    n_images: int
    seconds: float

    @property
    def mean_average_precision(self) -> float:
        """VOC's mAP of the boxes at an overlap of 0.5; NaN where there is nothing to find."""
        return self.voc.mean_average_precision

    def figures(self) -> dict[str, float]:
        """Return the figures that are quoted, by name: mAP, and of each kind AP and AP50, "mask AP50" for instance."""
        figures = {"mAP": self.mean_average_precision}
        for kind, found in self.coco.items():
            figures |= {f"{KINDS[kind]} {name}": _or_nan(found.stats[name]) for name in ("AP", "AP50")}
        return figures

    def per_class(self) -> dict[str, dict[str, float]]:
        """Return for each class VOC's AP ("AP@.5"), and COCO's AP of each kind ("box AP")."""
        table = {
            name: {"AP@.5": self.voc.by_class[i].average_precision}
            for i, name in enumerate(self.class_names)
            if i > 0  # the background
        }
        for kind, found in self.coco.items():
            for i, stats in found.per_class().items():
                table[self.class_names[i]][f"{KINDS[kind]} AP"] = _or_nan(stats["AP"])
        return table


KINDS = {"bbox": "box", "segm": "mask", "keypoints": "keypoint"}


def evaluate_detector(
    detector: Detector,
    samples: Iterable[Sample],
    *,
    progress: Progress | None = None,
    sigmas: Sequence[float] | None = None,
) -> DetectorScores:
    """Let a detector look at all pictures, and judge what it finds.

    Args:
        detector: anything that has `class_names` and `detect`.
        samples: the pictures with their objects, of the detector's classes; a list, or a sequence that reads them.
        progress: called before the first picture and after each with the number that are done, and of all.
        sigmas: one for each joint; None for those that belong to `samples.joint_names`, which `CocoImages` and
            `StickFigures` have.
    """
    n_images = len(samples) if isinstance(samples, Sequence) else 0
    n_classes, seconds = len(detector.class_names), 0.0
    truths, found = _Records(), _Records()
    if sigmas is None:
        sigmas = sigmas_of(getattr(samples, "joint_names", ()))
    if progress is not None:
        progress(0, n_images)
    done = 0
    for done, sample in enumerate(samples, start=1):
        ground_truth(sample, n_classes=n_classes)  # which refuses what nobody can find, by the name of the picture
        start = time.perf_counter()
        try:
            detected = detector.detect(sample.image)
        except ValueError as problem:  # the picture is too small for it, for instance
            if is_too_narrow(detector, sample.image):
                H, W = sample.size
                advice = f"{W} × {H} pixels are too narrow for the detector; crop it"
                raise ValueError(f"{sample.name}: {advice}") from problem
            raise ValueError(f"{sample.name}: the detector cannot look at it: {problem}") from problem
        seconds += time.perf_counter() - start
        _check_joints(sample, detected, sigmas)
        truths.add_sample(done, sample)
        found.add_detected(done, detected, sample.size)
        if progress is not None:
            progress(done, max(n_images, done))
    options: dict[str, Any] = {"images": range(1, done + 1), "classes": range(1, n_classes)}
    labelled = LabelledBoxes(*truths.places, truths.corners, np.array(truths.flags, np.bool_))
    scored = ScoredBoxes(*found.places, np.array(found.scores, np.float64), found.corners)
    voc = evaluate_voc(scored, labelled, convention=VOC_CONVENTION, threshold=OVERLAP, **options)
    coco = {kind: _coco(kind, truths, found, done, n_classes, sigmas) for kind in _kinds(truths, found)}
    to_find = np.array(truths.classes, np.int64)[~np.array(truths.flags, np.bool_)]
    return DetectorScores(
        tuple(detector.class_names),
        voc,
        coco,
        np.bincount(to_find, minlength=n_classes),
        np.bincount(np.array(found.classes, np.int64), minlength=n_classes),
        done,
        seconds,
    )


class _Records:
    """Objects of all pictures, row after row; what some pictures do not have, none has in the end."""

    def __init__(self) -> None:
        self.image_ids: list[int] = []
        self.classes: list[int] = []
        self.boxes: list[Array] = []
        self.scores: list[float] = []
        self.flags: list[bool] = []  # difficult
        self.areas: list[float] = []  # of objects to find
        self.without_mask: list[bool] = []  # likewise: the mask is the box
        self.masks: list[RLE] | None = []
        self.keypoints: list[Array] | None = []  # (n, K, 3) of each picture

    @property
    def places(self) -> tuple[Array, Array]:
        """The picture and the class of each, (n,) int64."""
        return np.array(self.image_ids, np.int64), np.array(self.classes, np.int64)

    @property
    def corners(self) -> Array:
        """(n, 4) float64, x1, y1, x2, y2."""
        return np.concatenate([np.zeros((0, 4)), *self.boxes])

    @property
    def xywh(self) -> Array:
        """(n, 4) float64; no side is below 0."""
        corners = self.corners
        return np.concatenate([corners[:, :2], np.maximum(corners[:, 2:] - corners[:, :2], 0)], axis=1)

    def add_sample(self, image_id: int, sample: Sample) -> None:
        R, masks = len(sample.classes), sample.masks
        lacks: Array = np.zeros(R, np.bool_) if masks is None else ~np.any(masks, axis=(1, 2))
        if masks is not None and lacks.any():
            masks = np.where(lacks[:, None, None], _filled(sample), masks)
        self._add(image_id, sample.classes, sample.boxes, masks, is_unknown=sample.masks is None and R > 0)
        self.flags += sample.difficult.tolist()
        self.without_mask += lacks.tolist()
        self.areas += _areas(sample).tolist()
        seen = sample.joints_visible
        if seen is None and sample.joints is not None:
            seen = np.ones(sample.joints.shape[:2], np.bool_)
        self._add_joints(
            sample.joints, None if seen is None else 2.0 * seen, is_unknown=sample.joints is None and R > 0
        )

    def add_detected(self, image_id: int, found: Detected, size: tuple[int, int]) -> None:
        self._add(image_id, found.classes, found.boxes, found.masks, is_unknown=found.masks is None)
        self.scores += found.scores.tolist()
        if found.masks is not None and found.masks.shape[1:] != size:
            raise ValueError(
                f"evaluate_detector: masks must have the size of the picture, {size}, got {found.masks.shape[1:]}"
            )
        certain = None if found.joints is None else np.ones(found.joints.shape[:2])
        self._add_joints(found.joints, certain, is_unknown=found.joints is None)

    def _add(self, image_id: int, classes: Array, boxes: Array, masks: Array | None, *, is_unknown: bool) -> None:
        self.image_ids += [image_id] * len(classes)
        self.classes += classes.tolist()
        self.boxes.append(boxes.reshape(-1, 4).astype(np.float64))
        if is_unknown:
            self.masks = None
        if self.masks is not None and masks is not None:
            self.masks += [rle_encode(mask) for mask in masks]

    def _add_joints(self, joints: Array | None, visibility: Array | None, *, is_unknown: bool) -> None:
        if is_unknown:
            self.keypoints = None
        if self.keypoints is not None and joints is not None and visibility is not None and len(joints):
            self.keypoints.append(np.concatenate([joints, visibility[:, :, None]], axis=2).astype(np.float64))


def _areas(sample: Sample) -> Array:
    """Return the area of each object, (R,) float64: as given, else of its mask, else of its box."""
    if sample.areas is not None:
        return sample.areas.astype(np.float64)
    boxes = sample.boxes.astype(np.float64)
    of_boxes: Array = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(axis=1)
    if sample.masks is None:
        return of_boxes
    of_masks = np.count_nonzero(sample.masks, axis=(1, 2))
    return np.where(of_masks > 0, of_masks, of_boxes)


def _filled(sample: Sample) -> Array:
    """Return masks of all pixels that the boxes touch, (R, H, W)."""
    (H, W), (x1, y1, x2, y2) = sample.size, sample.boxes.T[:, :, None]
    x, y = np.arange(W), np.arange(H)
    columns, rows = (x < x2) & (x + 1 > x1), (y < y2) & (y + 1 > y1)  # (R, W), (R, H)
    filled: Array = rows[:, :, None] & columns[:, None, :]
    return filled


def _kinds(truths: _Records, found: _Records) -> list[str]:
    """Return what can be judged: boxes always, masks and joints where both sides have some."""
    kinds = ["bbox"]
    if truths.masks is not None and found.masks is not None and truths.masks:
        kinds.append("segm")
    if truths.keypoints and found.keypoints is not None:
        kinds.append("keypoints")
    return kinds


def _coco(
    kind: str, truths: _Records, found: _Records, n_images: int, n_classes: int, sigmas: Sequence[float] | None
) -> CocoEvaluation:
    xywh, n = truths.xywh, len(truths.classes)
    masks, is_crowd = truths.masks, np.array(truths.flags, np.bool_)
    if kind == "segm":
        is_crowd |= np.array(truths.without_mask, np.bool_)
    keypoints = np.concatenate(truths.keypoints or []) if kind == "keypoints" else None
    objects = GroundTruths(
        np.arange(1, n + 1),
        *truths.places,
        xywh,
        np.array(truths.areas, np.float64),
        is_crowd,
        masks=None if masks is None else tuple(masks),
        keypoints=keypoints,
    )
    options: dict[str, Any] = {"image_ids": range(1, n_images + 1), "category_ids": range(1, n_classes), "kind": kind}
    rows = (*found.places, found.scores)
    if kind == "segm":
        return evaluate_coco(objects, Detections.of_masks(*rows, found.masks or ()), **options)
    if kind == "keypoints":
        K = objects.keypoints.shape[1] if objects.keypoints is not None else 0
        points = np.concatenate([np.zeros((0, K, 3)), *(found.keypoints or [])])
        return evaluate_coco(objects, Detections.of_keypoints(*rows, points), sigmas=sigmas, **options)
    return evaluate_coco(objects, Detections.of_boxes(*rows, found.xywh), **options)


def _check_joints(sample: Sample, detected: Detected, sigmas: Sequence[float] | None) -> None:
    """Refuse joints that cannot be compared, or not be judged, at the first picture and not after the last."""
    if sample.joints is None or detected.joints is None:
        return
    K, found = sample.joints.shape[1], detected.joints.shape[1]
    if found != K:
        raise ValueError(f"evaluate_detector: the objects of {sample.name} have {K} joints, the detector finds {found}")
    if sigmas is None:
        raise ValueError(
            f"evaluate_detector: objects of {K} joints need sigmas, one for each joint; known are those of joints that "
            "are named as COCO's people or stick figures have them"
        )
    if len(sigmas) != K:
        raise ValueError(f"evaluate_detector: each of the {K} joints needs a sigma, got {len(sigmas)}")


def _or_nan(value: float) -> float:
    return math.nan if value == -1 else value

"""The part of a detector that finds joints, by itself: from the picture to the maps of joints, without the detections.

    pictures → first blocks → crops of the true boxes, stretched and moved → keypoint head → L_keypoint

A figure teaches the head of joints as many places as it has joints, and the rest of the detector one box. By itself the
head sees many figures a step for the price of few. The rest of the detector learns afterwards, with this part frozen.

Conventions: the layers are those of the detector, not copies of them: what is learned here, it knows. Normalisation of
the first blocks is the detector's, which runs by its estimates. An object without a visible joint has no crop; of the
others all have one, however many a picture has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_number
from refdet.data.sample import Sample
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.ground_truth import joined_joints
from refdet.detection.moved_boxes import moved_boxes
from refdet.detection.narrow import maps_to_learn_from
from refdet.detection.roi_training import Regions
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.nn import Module, Sequential


@dataclass(frozen=True)
class CropsOfFigures:
    """How far the boxes that figures are cropped by are from their own; see `refdet.detection.moved_boxes`.

    Attributes:
        stretch: largest change of a side, as a share.
        shift: largest way from the centre, as a share of the stretched side.
    """

    stretch: float = 0.2
    shift: float = 0.08

    def __post_init__(self) -> None:
        for name in ("stretch", "shift"):
            check_number("CropsOfFigures", name, getattr(self, name), low=0, high=1)


class JointFinder(Module):
    """The first blocks of a detector and its head for joints.

    Args:
        detector: one with a head for joints that sees the early maps of an `ImagePyramid`.
        crops: how they are cut out.
    """

    def __init__(self, detector: FasterRCNN, crops: CropsOfFigures | None = None) -> None:
        super().__init__()
        backbone, heads = detector.backbone, detector.roi_heads
        if heads.keypoint_head is None or heads.keypoint_predictor is None:
            raise ValueError("JointFinder: the detector must have a head for joints, got one without")
        if not isinstance(backbone, ImagePyramid):
            raise TypeError(f"JointFinder: the backbone must be an ImagePyramid, got {type(backbone).__name__}")
        if range(len(backbone.strides))[detector.keypoint_maps] != range(len(backbone.scales)):
            raise ValueError("JointFinder: the detector must look for joints in the early maps, got others")
        self.early = Sequential(*backbone.early_layers)
        self.keypoint_head, self.keypoint_predictor = heads.keypoint_head, heads.keypoint_predictor
        self.crops = crops or CropsOfFigures()


def joint_losses(
    detector: FasterRCNN, samples: Sequence[Sample], *, crops: CropsOfFigures, rng: np.random.Generator
) -> dict[str, Tensor]:
    """Return `keypoint`, the mean log loss of the places of all visible joints of a batch; 0 without any.

    Args:
        detector: one that a `JointFinder` can be made of.
        samples: pictures whose objects and joints are known.
        crops: how far they are from the boxes.
        rng: draws the sizes of the pictures, then how the boxes are moved, picture by picture.
    """
    as_given = detector.known(samples)
    prepared = detector.preparation(samples, rng=rng)
    truths = detector.known_in_batch(as_given, prepared)
    backbone: Any = detector.backbone
    predictor: Any = detector.roi_heads.keypoint_predictor
    maps = maps_to_learn_from(backbone.early_maps, prepared, prepared.images_for(detector), rng=rng)
    heads = detector.roi_heads
    joints = joined_joints(prepared.samples, truths, predictor.n_joints)
    figures = []
    for truth, (_, visible) in zip(truths, joints, strict=True):
        known = np.flatnonzero(visible.any(axis=1))
        boxes = moved_boxes(truth.boxes[known], stretch=crops.stretch, shift=crops.shift, rng=rng)
        figures.append(Regions(boxes, truth.classes[known], known))
    logits = heads.keypoint_logits(detector.keypoint_crops(maps, [f.boxes for f in figures]), training=True, rng=rng)
    return heads.keypoint_losses(logits, figures, joints)

"""What is known of the pictures of a batch, checked before anything is learned from it.

A picture is refused, by its name, where an object has no finite box of positive area, lies wholly outside the picture,
or has a class that the detector does not know. A box that reaches over the border is taken as it is. Objects that are
`difficult` may be left out, as in py-faster-rcnn; they are then background like everything else that is no object.
Of a picture without objects nobody has to know masks or joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array
from refdet.data.sample import Sample, require_usable


class GroundTruth(NamedTuple):
    """The G objects of one picture, in its pixels or those of the batch; what is not known is None."""

    boxes: Array  # (G, 4) float32
    classes: Array  # (G,) int64, from 1 on
    masks: Array | None  # (G, H, W) bool
    joints: Array | None  # (G, K, 2) float32
    joints_visible: Array | None  # (G, K) bool

    def only(self, chosen: Array) -> GroundTruth:
        """Return those of the objects that are chosen, (G,) bool."""
        known = (None if x is None else x[chosen] for x in (self.masks, self.joints, self.joints_visible))
        return GroundTruth(self.boxes[chosen], self.classes[chosen], *known)


def ground_truth(sample: Sample, *, n_classes: int, with_difficult: bool = True) -> GroundTruth:
    """Return the objects of a picture; `n_classes` counts the background.

    >>> image, one = np.zeros((4, 4, 3), np.uint8), np.ones(1, np.int64)
    >>> sample = Sample("a.jpg", image, np.array([[5, 1, 9, 3]], np.float32), one, one == 0)
    >>> ground_truth(sample, n_classes=2)
    Traceback (most recent call last):
    ValueError: a.jpg: object 0 must lie in the picture of 4 × 4 pixels, at least in part, got [5.0, 1.0, 9.0, 3.0]
    """
    require_usable(sample)
    (H, W), (x1, y1, x2, y2) = sample.size, sample.boxes.T
    for i in np.flatnonzero((x1 >= W) | (y1 >= H) | (x2 <= 0) | (y2 <= 0))[:1].tolist():
        raise ValueError(
            f"{sample.name}: object {i} must lie in the picture of {H} × {W} pixels, at least in part, "
            f"got {sample.boxes[i].tolist()}"
        )
    for i in np.flatnonzero((sample.classes < 1) | (sample.classes >= n_classes))[:1].tolist():
        raise ValueError(
            f"{sample.name}: the class of object {i} must be one of 1 … {n_classes - 1}, got {int(sample.classes[i])}"
        )
    boxes, classes = sample.boxes.astype(np.float32), sample.classes.astype(np.int64)
    truth = GroundTruth(boxes, classes, sample.masks, sample.joints, sample.joints_visible)
    return truth if with_difficult else truth.only(~sample.difficult)


def joined_masks(samples: Sequence[Sample], truths: Sequence[GroundTruth]) -> list[Array]:
    """Return the masks of every picture; refuse a picture whose objects have none, by its name."""
    masks = []
    for sample, truth in zip(samples, truths, strict=True):
        if truth.masks is not None:
            masks.append(truth.masks)
        elif len(truth.boxes) == 0:
            masks.append(np.zeros((0, *sample.size), np.bool_))
        else:
            raise ValueError(f"{sample.name}: has no masks, which the mask head learns from")
    return masks


def joined_joints(samples: Sequence[Sample], truths: Sequence[GroundTruth], n_joints: int) -> list[tuple[Array, Array]]:
    """Return joints and their visibility for every picture; refuse a picture whose objects have none, by its name."""
    joints = []
    for sample, truth in zip(samples, truths, strict=True):
        if truth.joints is not None and truth.joints_visible is not None:
            joints.append((truth.joints, truth.joints_visible))
        elif len(truth.boxes) == 0:
            joints.append((np.zeros((0, n_joints, 2), np.float32), np.zeros((0, n_joints), np.bool_)))
        else:
            raise ValueError(f"{sample.name}: has no joints, which the keypoint head learns from")
    return joints

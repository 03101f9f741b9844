"""What every detector says of a picture, and what every detector can do.

    detect(image)           the objects in a picture
    losses(samples, rng)    what training makes small, on pictures whose objects are known

Conventions: boxes are (x1, y1, x2, y2) in pixels of the picture that was given, whatever the network saw; classes count
from 1, 0 is the background and never reported; scores descend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array
from refdet.data.sample import Sample


@dataclass(frozen=True)
class Detected:
    """D objects in a picture of H × W pixels, the surest first; masks and joints are None where nobody looked.

    Attributes:
        boxes: (D, 4) float32, (x1, y1, x2, y2) in pixels.
        scores: (D,) float32, descending; probabilities, or margins of support vector machines.
        classes: (D,) int64, from 1 on.
        masks: (D, H, W) bool, the pixels of each object.
        joints: (D, K, 2) float32, (x, y) in pixels of the K joints of each object.
        joint_scores: (D, K) float32, how sure each joint is.
    """

    boxes: Array
    scores: Array
    classes: Array
    masks: Array | None = None
    joints: Array | None = None
    joint_scores: Array | None = None

    def __len__(self) -> int:
        return len(self.scores)

    def scored_by_joints(self) -> Detected:
        """Return the same with each score multiplied by the mean of its joint scores, which are shares; descending.

        A joint that is nowhere, of a map that is not finite, counts as 0; without joints scores stay. Equal ones keep
        their order.

        >>> boxes, joints = np.zeros((2, 4), np.float32), np.zeros((2, 1, 2), np.float32)
        >>> scores, joint_scores = np.array([0.75, 0.5], np.float32), np.array([[0.5], [1.0]], np.float32)
        >>> Detected(boxes, scores, np.array([1, 2]), None, joints, joint_scores).scored_by_joints().classes
        array([2, 1])
        """
        if self.joint_scores is None:
            raise ValueError("Detected: there are no joints to score by")
        if self.joint_scores.shape[1] == 0:
            return self
        scores = self.scores * np.nan_to_num(self.joint_scores).mean(axis=1)
        order = np.argsort(-scores, kind="stable")
        known = (None if x is None else x[order] for x in (self.masks, self.joints, self.joint_scores))
        return Detected(self.boxes[order], scores[order], self.classes[order], *known)


@runtime_checkable
class Detector(Protocol):
    """A network, or several, with all that turns a picture into objects."""

    class_names: tuple[str, ...]  # 0 is the background

    def detect(self, image: Array) -> Detected:
        """Find the objects in a picture (H, W, 3), red first, in 0 … 255."""

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch by name, scalars whose sum is trained."""

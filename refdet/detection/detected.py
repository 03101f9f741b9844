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


@runtime_checkable
class Detector(Protocol):
    """A network, or several, with all that turns a picture into objects."""

    class_names: tuple[str, ...]  # 0 is the background

    def detect(self, image: Array) -> Detected:
        """Find the objects in a picture (H, W, 3), red first, in 0 … 255."""

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> Mapping[str, Tensor]:
        """Return the losses of a batch by name, scalars whose sum is trained."""

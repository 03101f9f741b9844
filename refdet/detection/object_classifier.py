"""What a detector's backbone learns before there is a detector: to name objects that are cut out for it.

    object or background → a square around it, resized → features → mean over the map → logits → log loss

Detectors begin with a network that classifies pictures, trained on ImageNet (Girshick et al., 2014, §2.3; decks 000 to
002). Where there is none, the objects of the training pictures themselves will do. They cover a small part of the
pictures, and each is shown at the same size, so that a step costs as much as one of the detector's and sees many more
of them.

Conventions: the square around a box has `context` times its longer side. It is stretched by a factor of 1 ± `stretch`
and moved by up to `shift` of its side, both drawn; what of it lies outside the picture is 0 after preparation, the mean
colour. Crops are mirrored and turned by right angles at random, all crops of a picture alike. A piece of background is
a square of the side of an object of the picture, anywhere in it, with IoU < 0.3 with every object; a place is drawn a
few times, and a picture where none is found gives none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes.iou import box_iou
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.composition import is_learning
from refdet.detection.ground_truth import ground_truth
from refdet.detection.multi_scale_roi_align import as_rois
from refdet.detection.preparation import Preparation
from refdet.features.backbones.maps import last_channels
from refdet.nn import GlobalAvgPool2d, Linear, Module, Sequential
from refdet.ops.roi_align import roi_align
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy

ATTEMPTS = 5


@dataclass(frozen=True)
class CropsOfObjects:
    """How objects are cut out.

    Attributes:
        side: of the crops, in pixels.
        context: side of the square around a box over the box's longer side.
        stretch: largest change of that, as a share.
        shift: largest way from the centre, as a share of the side.
        background: pieces of background of a picture.
    """

    side: int = 32
    context: float = 1.25
    stretch: float = 0.2
    shift: float = 0.1
    background: int = 1


class ObjectClassifier(Module):
    """A network over crops of objects; `features` are what a detector takes over."""

    def __init__(
        self,
        n_classes: int,
        features: Sequential,
        *,
        crops: CropsOfObjects | None = None,
        preparation: Preparation | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.features = features
        self.pool = GlobalAvgPool2d()
        self.fc = Linear(last_channels(features), n_classes, rng=rng, dtype=dtype)
        self.crops = crops or CropsOfObjects()
        self.preparation = preparation or Preparation()

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits (R, n_classes) of crops (R, 3, side, side)."""
        learning = training and is_learning(self.features)  # frozen, they keep their running statistics too
        x = self.pool(self.features(x, training=learning, rng=rng), training=training, rng=rng)
        return self.fc(x, training=training, rng=rng)

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class`, the mean log loss of the objects and pieces of background of a batch; 0 without any."""
        images, classes = self.cut_out(samples, rng=rng)
        logits = self(images, training=len(classes) > 0, rng=rng)  # nothing has no statistics
        return {"class": softmax_cross_entropy(logits, classes)}

    def cut_out(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return crops (R, 3, side, side) of a batch and their classes (R,), 0 for background."""
        prepared = self.preparation(samples)
        squares, classes = [], []
        for sample in prepared.samples:
            truth = ground_truth(sample, n_classes=self.fc.weight.shape[0])
            around = self._around(truth.boxes, rng)
            elsewhere = self._elsewhere(truth.boxes, around, sample.size, rng)
            squares.append(np.concatenate([around, elsewhere]))
            classes.append(np.concatenate([truth.classes, np.zeros(len(elsewhere), np.int64)]))
        seen = prepared.images_for(self)
        rois = as_rois(squares).astype(seen.dtype)
        with no_grad():
            crops = roi_align(seen, rois, self.crops.side, sampling_ratio=1, border="zero_decay").data
        first = 0
        for of_picture in classes:
            last = first + len(of_picture)
            crops[first:last] = _turned(crops[first:last], rng)
            first = last
        return crops, np.concatenate(classes)

    def _around(self, boxes: Array, rng: np.random.Generator) -> Array:
        """Return a square around each box, stretched and moved."""
        s = self.crops
        side = s.context * (boxes[:, 2:] - boxes[:, :2]).max(axis=1, initial=0)
        side = side * (1 + s.stretch * rng.uniform(-1, 1, len(boxes)))
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + s.shift * side[:, None] * rng.uniform(-1, 1, (len(boxes), 2))
        return _squares(centre, side)

    def _elsewhere(self, boxes: Array, around: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
        """Return pieces of background with the sides of squares around objects."""
        found: list[Array] = [np.zeros((0, 4), np.float32)]
        for _ in range(self.crops.background if len(boxes) else 0):
            for _ in range(ATTEMPTS):
                side = around[rng.integers(len(around))]
                piece = _squares(rng.uniform(0, size[::-1], (1, 2)), (side[2] - side[0])[None])
                if box_iou(piece, boxes).max() < 0.3:
                    found.append(piece)
                    break
        return np.concatenate(found)


def _squares(centre: Array, side: Array) -> Array:
    half = side[:, None] / 2
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def _turned(crops: Array, rng: np.random.Generator) -> Array:
    """Return crops (R, 3, S, S), mirrored or not, and turned by some right angles."""
    mirrored = crops[:, :, :, ::-1] if rng.integers(2) else crops
    return np.rot90(mirrored, int(rng.integers(4)), axes=(2, 3))

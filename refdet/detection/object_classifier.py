"""What a detector's backbone learns before there is a detector: to name objects that are cut out for it.

    object or background → the crop of it, resized → features → mean over the map → logits → log loss

Detectors begin with a network that classifies pictures, trained on ImageNet (Girshick et al., 2014, §2.3; decks 000 to
002). Where there is none, the objects of the training pictures themselves will do. They cover a small part of the
pictures, and each is shown at the same size, so that a step costs as much as one of the detector's and sees many more
of them.

Conventions: a crop is what lies in the box, or with `square` in the square of its longer side around its centre, made
`context` times as large. Its sides are stretched by factors of 1 ± `stretch`, the same one with `square`, and it is
moved by up to `shift` of them, all drawn; what of it lies outside the picture is 0 after preparation, the mean colour.
Crops are mirrored and turned by right angles at random, all crops of a picture alike. A piece of background has the
sides of one of the picture's crops, and lies anywhere in it with IoU < 0.3 with every object; a place is drawn a few
times, and a picture where none is found gives none.
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
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.ground_truth import ground_truth
from refdet.detection.late_head import LateHead
from refdet.detection.multi_scale_roi_align import as_rois
from refdet.detection.preparation import Preparation
from refdet.features.backbones.image_pyramid import ImagePyramid
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
        square: whether crops are squares, or boxes whose two sides are resized to one.
        context: sides of the crop over those of the box, or of its square.
        stretch: largest change of that, as a share.
        shift: largest way from the centre, as a share of the side.
        background: pieces of background of a picture.
        sampling_ratio: points of each pixel of a crop along each axis, of which it is the mean.
    """

    side: int = 24
    square: bool = False
    context: float = 1.0
    stretch: float = 0.2
    shift: float = 0.1
    background: int = 1
    sampling_ratio: int = 2


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
            crops = roi_align(
                seen, rois, self.crops.side, sampling_ratio=self.crops.sampling_ratio, border="zero_decay"
            ).data
        first = 0
        for of_picture in classes:
            last = first + len(of_picture)
            crops[first:last] = _turned(crops[first:last], rng)
            first = last
        return crops, np.concatenate(classes)

    def _around(self, boxes: Array, rng: np.random.Generator) -> Array:
        """Return a crop around each box, stretched and moved."""
        s = self.crops
        sides = s.context * (boxes[:, 2:] - boxes[:, :2])
        if s.square:
            sides = np.repeat(sides.max(axis=1, initial=0)[:, None], 2, axis=1)
        sides = sides * (1 + s.stretch * rng.uniform(-1, 1, (len(boxes), 1 if s.square else 2)))
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2 + s.shift * sides * rng.uniform(-1, 1, (len(boxes), 2))
        return _boxes(centres, sides)

    def _elsewhere(self, boxes: Array, around: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
        """Return pieces of background with the sides of crops of objects."""
        found: list[Array] = [np.zeros((0, 4), np.float32)]
        for _ in range(self.crops.background if len(boxes) else 0):
            for _ in range(ATTEMPTS):
                crop = around[rng.integers(len(around))]
                piece = _boxes(rng.uniform(0, size[::-1], (1, 2)), (crop[2:] - crop[:2])[None])
                if box_iou(piece, boxes).max() < 0.3:
                    found.append(piece)
                    break
        return np.concatenate(found)


def begin_as(detector: FasterRCNN, classifier: ObjectClassifier) -> None:
    """Let a detector with the classifier's features begin as it: what it sees in a region, it names as the classifier.

    The backbone takes over the features, and so do the layers of a `LateHead`, whose mean over the crop is then the
    classifier's: so does the layer behind it, but for weights of 0 for the features that the classifier does not have.
    """
    backbone, heads = detector.backbone, detector.roi_heads
    backbone.features.load_state_dict(classifier.features.state_dict())  # type: ignore[attr-defined]
    if isinstance(heads.box_head, LateHead) and isinstance(backbone, ImagePyramid):
        late = Sequential(*backbone.late_layers)
        heads.box_head.convolutions.load_state_dict(late.state_dict())
        score, known = heads.box_predictor.cls_score, classifier.fc
        weight = np.zeros_like(score.weight.data)
        weight[:, : known.weight.shape[1]] = known.weight.data
        score.load_state_dict({"weight": weight, "bias": known.state_dict()["bias"]})


def _boxes(centres: Array, sides: Array) -> Array:
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1).astype(np.float32)


def _turned(crops: Array, rng: np.random.Generator) -> Array:
    """Return crops (R, 3, S, S), mirrored or not, and turned by some right angles."""
    mirrored = crops[:, :, :, ::-1] if rng.integers(2) else crops
    return np.rot90(mirrored, int(rng.integers(4)), axes=(2, 3))

"""What a detector's backbone learns before there is a detector: to name objects that are cut out for it.

    object or background → the crop of it, resized → features → fc6 → relu → fc7 → relu → logits → log loss

Detectors begin with a network that classifies pictures, trained on ImageNet (Girshick et al., 2014, §2.3; decks 000 to
002), its fully connected layers included. Where there is none, the objects of the training pictures themselves will do.
They cover a small part of the pictures, and each is shown at the same size, so that a step costs less than half of one
of the detector's and sees many more of them.

Conventions: of an object the box is seen, or with `square` the square of its longer side around its centre, its sides
stretched by factors of 1 ± `stretch`, the same one with `square`, and moved by up to `shift` of them, all drawn. A crop
is `context` times as large as that, or as a piece of background; what of it lies outside the picture is 0 after
preparation, the mean colour. Crops are mirrored and turned by right angles at random, all crops of a picture alike.

A picture has `background` pieces of background for each object, their number rounded, halves to even. Each is drawn for
one of the objects: the first half of them, rounded up, near it, their centre moved by up to its sides, the others
anywhere in the picture. Its sides are those of the object, each times 2^u, u uniform in −1 … 1. It is cut at the
border, and used if its sides are then at least 4 pixels and its IoU with every object is below 0.5; it is drawn four
times at most. A picture without objects gives no crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor, no_grad
from refdet.boxes.clip import clip_boxes
from refdet.boxes.iou import box_iou
from refdet.core.check import Array, check_number, integer
from refdet.data.sample import Sample
from refdet.detection.composition import is_learning
from refdet.detection.crop_cells import UNKNOWN, CellScores, classes_of_cells
from refdet.detection.fast_rcnn import FastRCNN
from refdet.detection.faster_rcnn import FasterRCNN
from refdet.detection.ground_truth import ground_truth
from refdet.detection.late_head import LateHead
from refdet.detection.moved_boxes import boxes_around, moved_boxes
from refdet.detection.multi_scale_roi_align import as_rois, grown
from refdet.detection.preparation import Preparation
from refdet.detection.roi_heads import BoxHead
from refdet.features.backbones.classifier import Classifier
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import last_channels, without_last_pooling
from refdet.nn import Linear, MaxPool2d, Module, Sequential
from refdet.ops.roi_align import roi_align
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy

ATTEMPTS = 4
SMALLEST_PIECE = 4.0
MOST_OVERLAP = 0.5


@dataclass(frozen=True)
class CropsOfObjects:
    """How objects are cut out.

    Attributes:
        side: of the crops, in pixels.
        square: whether crops are squares, or boxes whose two sides are resized to one.
        context: sides of the crop over those of what is to be named.
        stretch: largest change of that, as a share.
        shift: largest way from the centre, as a share of the side.
        background: pieces of background of a picture over its objects.
        sampling_ratio: points of each pixel of a crop along each axis, of which it is the mean.
        cells: of a crop along each axis, whose classes are learned too; 0 for none.
        cells_weight: of their loss, beside 1 of that of the crop's own class.
    """

    side: int = 24
    square: bool = False
    context: float = 1.0
    stretch: float = 0.2
    shift: float = 0.1
    background: float = 1.0
    sampling_ratio: int = 2
    cells: int = 0
    cells_weight: float = 3.0

    def __post_init__(self) -> None:
        integer("CropsOfObjects", "side", self.side, low=1)
        integer("CropsOfObjects", "cells", self.cells, low=0)
        check_number("CropsOfObjects", "background", self.background, low=0)
        check_number("CropsOfObjects", "cells_weight", self.cells_weight, low=0)


class CutOut(NamedTuple):
    """The R crops of a batch, and what is known of them."""

    images: Array  # (R, 3, side, side)
    classes: Array  # (R,) int64, 0 for background
    cells: Array  # (R, cells, cells) int64, −1 where nothing is known


class ObjectClassifier(Module):
    """A network over crops of objects, all of whose layers a detector can take over.

    Args:
        n_classes: outputs, the background's first.
        features: convolutions and poolings; one at the end is left out.
        fc: widths of fc6 and fc7.
        crops: how objects are cut out.
        preparation: of the pictures.
        rng: source of the weights.
        dtype: of the weights.
    """

    def __init__(
        self,
        n_classes: int,
        features: Sequential,
        *,
        fc: tuple[int, int] = (128, 128),
        crops: CropsOfObjects | None = None,
        preparation: Preparation | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.crops = crops or CropsOfObjects()
        self.preparation = preparation or Preparation()
        self.features = without_last_pooling(features)
        side = self.crops.side >> sum(isinstance(layer, MaxPool2d) for layer in self.features)
        if side == 0:
            raise ValueError(f"ObjectClassifier: crops.side must be enough for all poolings, got {self.crops.side}")
        self.head = BoxHead(last_channels(self.features), side, fc, rng=rng, dtype=dtype)
        self.cls_score = Linear(fc[1], n_classes, rng=rng, dtype=dtype)
        self.cell_scores = (
            CellScores(self.features, self.crops.side, self.crops.cells, n_classes, rng=rng, dtype=dtype)
            if self.crops.cells
            else None
        )

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits (R, n_classes) of crops (R, 3, side, side)."""
        return self._logits(self.maps(x, training=training, rng=rng)[1], training=training, rng=rng)

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, Tensor]:
        """Return the map before the last pooling, and the last one; without `cells` the crops, and the last one."""
        learning = training and is_learning(self.features)  # frozen, they keep their running statistics too
        n = self.cell_scores.last_pooling if self.cell_scores else 0
        before = self.features[:n](x, training=learning, rng=rng)
        return before, self.features[n:](before, training=learning, rng=rng)

    def _logits(self, last: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        return self.cls_score(self.head(last, training=training, rng=rng), training=training, rng=rng)

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class`, the mean log loss of the objects and pieces of background of a batch; 0 without any.

        With `crops.cells` also `cells`: `crops.cells_weight` times the mean log loss of the cells that have a class.
        """
        images, classes, cells = self.cut_out(samples, rng=rng)
        training = len(classes) > 0  # nothing has no statistics
        maps = self.maps(as_tensor("ObjectClassifier", "images", images), training=training, rng=rng)
        losses = {"class": softmax_cross_entropy(self._logits(maps[1], training=training, rng=rng), classes)}
        if self.cell_scores:
            scores = self.cell_scores.scores(*maps, training=training, rng=rng)
            losses["cells"] = self.crops.cells_weight * softmax_cross_entropy(scores, cells, ignore_label=UNKNOWN)
        return losses

    def cut_out(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> CutOut:
        """Return the crops of a batch, their classes and those of their cells."""
        prepared = self.preparation(samples, rng=rng)
        squares, classes, cells = [], [], []
        for sample in prepared.samples:
            truth = ground_truth(sample, n_classes=self.cls_score.weight.shape[0])
            around = self._around(truth.boxes, rng)
            beside = self._beside(truth.boxes, sample.size, rng)
            squares.append(grown(np.concatenate([around, beside]), self.crops.context))
            classes.append(np.concatenate([truth.classes, np.zeros(len(beside), np.int64)]))
            cells.append(classes_of_cells(squares[-1], truth, sample.size, self.crops.cells))
        seen = prepared.images_for(self)
        rois = as_rois(squares).astype(seen.dtype)
        with no_grad():
            crops = roi_align(
                seen, rois, self.crops.side, sampling_ratio=self.crops.sampling_ratio, border="zero_decay"
            ).data
        known = np.concatenate(cells)
        first = 0
        for of_picture in classes:
            last = first + len(of_picture)
            turn = _Turn(bool(rng.integers(2)), int(rng.integers(4)))
            crops[first:last], known[first:last] = turn(crops[first:last]), turn(known[first:last])
            first = last
        return CutOut(crops, np.concatenate(classes), known)

    def _around(self, boxes: Array, rng: np.random.Generator) -> Array:
        """Return each box or its square, stretched and moved."""
        s = self.crops
        return moved_boxes(boxes, stretch=s.stretch, shift=s.shift, square=s.square, rng=rng)

    def _beside(self, boxes: Array, size: tuple[int, int], rng: np.random.Generator) -> Array:
        """Return pieces of background, near the objects and anywhere."""
        n = round(self.crops.background * len(boxes))
        if n == 0:
            return np.zeros((0, 4), np.float32)
        near = np.arange(n) < (n + 1) // 2
        drawn = []
        for _ in range(ATTEMPTS):
            of = boxes[rng.integers(len(boxes), size=n)]
            sides = of[:, 2:] - of[:, :2]
            around = (of[:, :2] + of[:, 2:]) / 2 + sides * rng.uniform(-1, 1, (n, 2))
            centres = np.where(near[:, None], around, rng.uniform(0, size[::-1], (n, 2)))
            drawn.append(boxes_around(centres, sides * 2 ** rng.uniform(-1, 1, (n, 2))))
        pieces = clip_boxes(np.concatenate(drawn), height=size[0], width=size[1])
        is_large = (pieces[:, 2:] - pieces[:, :2]).min(axis=1) >= SMALLEST_PIECE
        fits = (is_large & (box_iou(pieces, boxes).max(axis=1) < MOST_OVERLAP)).reshape(ATTEMPTS, n)
        first = fits.argmax(axis=0)  # of the attempts that fit
        kept: Array = pieces.reshape(ATTEMPTS, n, 4)[first, np.arange(n)][fits.any(axis=0)]
        return kept


def begin_as(detector: FastRCNN | FasterRCNN, classifier: ObjectClassifier) -> None:
    """Let a detector with the classifier's features begin as it: what it sees in a region, it names as the classifier.

    The backbone takes over the features. So does a `LateHead` its part of them and the fully connected layers, and the
    class scores behind it; other heads see another map, and begin anew.
    """
    backbone, head, predictor = detector.backbone, detector.roi_heads.box_head, detector.roi_heads.box_predictor
    if isinstance(head, LateHead):
        if not isinstance(backbone, ImagePyramid):
            raise TypeError(f"begin_as: a LateHead must be behind an ImagePyramid, got {type(backbone).__name__}")
        head.fc6.load_state_dict(classifier.head.fc6.state_dict())
        head.fc7.load_state_dict(classifier.head.fc7.state_dict())
        predictor.cls_score.load_state_dict(classifier.cls_score.state_dict())
    backbone.features.load_state_dict(classifier.features.state_dict())  # type: ignore[attr-defined]
    if isinstance(head, LateHead) and isinstance(backbone, ImagePyramid):
        head.convolutions.load_state_dict(Sequential(*backbone.late_layers).state_dict())


def begin_windows_as(network: Classifier, classifier: ObjectClassifier) -> None:
    """Let the network of a small R-CNN begin as the classifier; windows are as large as its crops, layers as wide."""
    network.features.load_state_dict(classifier.features.state_dict())
    layers = [layer for layer in network.classifier if isinstance(layer, Linear)]
    for layer, known in zip(layers, (classifier.head.fc6, classifier.head.fc7, classifier.cls_score), strict=True):
        layer.load_state_dict(known.state_dict())


class _Turn(NamedTuple):
    """Mirrors crops (R, …, S, S) or does not, then turns them by some right angles."""

    mirrored: bool
    right_angles: int

    def __call__(self, crops: Array) -> Array:
        return np.rot90(crops[..., ::-1] if self.mirrored else crops, self.right_angles, axes=(-2, -1))

"""R-CNN: every proposal is cut out, warped to one size, and shown to a network for classifying pictures.

    picture → about 2000 proposals → each with context, warped to a square → network → fc7
    → a support vector machine per class → box regressor of the class → NMS at 0.3

Training is a course of stages:

    1. a network that classifies whole pictures, trained elsewhere (the paper: on ImageNet)
    2. `losses`   fine-tuning with the background as a further class: IoU ≥ 0.5 is an object; batches of 128 windows, 32
                  of them objects, drawn uniformly whatever the class
    3. `fit`      machines and box regressors, on features that no longer change: `refdet.detection.machines_on_regions`

Girshick, Donahue, Darrell & Malik, "Rich feature hierarchies for accurate object detection and semantic segmentation"
(2014), and its code; decks 000, 001, 002 and 004, which count 47 to 60 s a picture: the network runs once per proposal.
Deck 001 merges the two rules for labels into one (IoU > 0.5 and < 0.3).

The layers: "pool" is what the fully connected layers see, flattened; "fc6" and "fc7" come after their ReLU. With VGG
and AlexNet of their own size "pool" is the last pooled map.

Conventions: regions are the proposals in pixels of the picture, in training with the boxes of the objects. Windows are
drawn without replacement from all pictures of a batch together. Objects that are difficult and not learned take the
regions that are theirs (IoU ≥ `positive`, with none greater) with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes.iou import box_iou
from refdet.boxes.match_rcnn import match_rcnn
from refdet.boxes.sampling import sample_balanced
from refdet.core.check import Array, check_generator
from refdet.data.sample import Sample
from refdet.detection.composition import check_batch, is_learning
from refdet.detection.ground_truth import ground_truth
from refdet.detection.machines_on_regions import MachinesOnRegions, SeenRegions
from refdet.detection.rcnn_settings import RCNNSettings
from refdet.detection.region_warp import warp_regions
from refdet.detection.with_proposals import Propose, proposals_of
from refdet.features.backbones.classifier import Classifier
from refdet.features.backbones.maps import without_last_pooling
from refdet.features.backbones.vgg import vgg
from refdet.nn import ReLU
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy


class Windows(NamedTuple):
    """The regions of a picture from which fine-tuning draws."""

    boxes: Array  # (R, 4)
    classes: Array  # (R,) int64: 0 background, −1 never drawn


class RCNN(MachinesOnRegions):
    """A detector of proposals that others find, trained in stages; a `Detector`."""

    settings: RCNNSettings

    def __init__(
        self,
        class_names: Sequence[str],
        network: Classifier,
        settings: RCNNSettings,
        *,
        propose: Propose | None = None,
        dtype: Any = np.float32,
    ) -> None:
        """Put machines and box regressors behind a network.

        Args:
            class_names: of the background, then of the classes.
            network: that gives a picture as many logits as there are names.
            settings: all numbers.
            propose: finds the proposals of a picture that comes without; None for `settings.search`.
            dtype: of what `fit` learns.
        """
        super().__init__(class_names, settings, propose)
        if not isinstance(network, Classifier):
            raise TypeError(f"RCNN: network must be a Classifier, got {type(network).__name__}")
        self.network = network
        K, blank = len(self.class_names), np.zeros((1, settings.side, settings.side, 3))
        with no_grad():
            widths = {name: layer.shape[1] for name, layer in self.hidden(self._as_batch(blank)).items()}
        if widths["scores"] != K:
            raise ValueError(f"RCNN: the network must have {K} outputs, one per class name, got {widths['scores']}")
        for name in (settings.svm_layer, settings.box_layer):
            if name not in widths:
                raise ValueError(f"RCNN: the network has no layer {name!r}, only {', '.join(map(repr, widths))}")
        self.add_machines(widths[settings.svm_layer], widths[settings.box_layer], dtype=dtype)

    # from pictures to features

    def windows(self, image: Array, boxes: Array) -> Array:
        """Return the regions (R, 4) of a picture (H, W, 3) as the network takes them: (R, 3, side, side)."""
        s = self.settings
        channels = (image if s.preparation.order == "RGB" else image[:, :, ::-1]).astype(np.float32)
        warped = warp_regions(
            channels,
            boxes.astype(np.float64),
            side=s.side,
            padding=s.padding,
            convention=s.convention,
            mean=s.preparation.mean,
        )
        return self._as_batch(warped / np.array(s.preparation.std, np.float32))

    def _as_batch(self, warped: Array) -> Array:
        """Return (R, 3, S, S) of the dtype of the network, from (R, S, S, 3)."""
        return np.ascontiguousarray(warped.transpose(0, 3, 1, 2), self.network.parameters()[0].dtype)

    def hidden(
        self, windows: Array, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """Return what each layer says of windows (R, 3, S, S), by name, and "scores", the logits."""
        learning = training and is_learning(self.network.features)  # frozen, they keep their running statistics too
        x = self.network.features(Tensor(windows), training=learning, rng=rng)
        x = self.network.pool(x, training=training, rng=rng).flatten(1)
        found = {"pool": x}
        for layer in self.network.classifier:
            x = layer(x, training=training, rng=rng)
            if isinstance(layer, ReLU):
                found[f"fc{5 + len(found)}"] = x
        return {**found, "scores": x}

    def layers(self, image: Array, boxes: Array, names: Sequence[str]) -> list[Array]:
        """Return (R, F) for each of the named layers, for the regions (R, 4) of a picture, some at a time."""
        n = self.settings.windows_at_once
        parts: list[list[Array]] = []
        with no_grad():
            for first in range(0, max(len(boxes), 1), n):
                batch = boxes[first : first + n]
                windows = self.windows(image, batch) if len(batch) else self.windows(image, np.zeros((1, 4)))
                found = self.hidden(windows)
                parts.append([found[name].data[: len(batch)] for name in names])
        return [np.concatenate(layer) for layer in zip(*parts, strict=True)]

    # stage 2

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class`, the mean cross-entropy of windows drawn from the regions of a batch, which must have some."""
        check_generator("RCNN.losses", rng)
        check_batch("RCNN.losses", samples)
        s = self.settings
        pool = [self.candidates(sample) for sample in samples]
        classes = np.concatenate([windows.classes for windows in pool])
        of = np.repeat(np.arange(len(pool)), [len(windows.classes) for windows in pool])
        drawn = np.sort(
            np.concatenate(
                sample_balanced(
                    classes, n=s.n_windows, positive_fraction=s.positive_fraction, rng=rng, rounding="floor"
                )
            )
        )
        if not len(drawn):
            raise ValueError(
                f"RCNN.losses: no window can be drawn from {', '.join(sample.name for sample in samples)}: there are "
                "neither proposals nor objects"
            )
        boxes = np.concatenate([windows.boxes for windows in pool])
        seen = [
            self.windows(samples[i].image, boxes[drawn[of[drawn] == i]])
            for i in range(len(samples))
            if (of[drawn] == i).any()
        ]
        x = np.concatenate(seen)
        if s.mirror:
            mirrored = rng.random(len(x)) < 0.5
            x[mirrored] = x[mirrored, :, :, ::-1]
        logits = self.hidden(x, training=True, rng=rng)["scores"]
        return {"class": softmax_cross_entropy(logits, classes[drawn])}

    def candidates(self, sample: Sample) -> Windows:
        """Return the proposals of a picture and the boxes of its objects, each with its class."""
        truth = ground_truth(sample, n_classes=len(self.class_names))
        boxes = np.concatenate([proposals_of(sample), truth.boxes])
        labels, matches = match_rcnn(
            box_iou(boxes, truth.boxes),
            positive=self.settings.positive,
            negative_low=0.0,
            negative_high=self.settings.positive,
        )
        classes = np.zeros(len(boxes), np.int64)
        is_object = labels > 0
        classes[is_object] = truth.classes[matches[is_object]]
        if not self.settings.with_difficult:
            classes[is_object] = np.where(sample.difficult[matches[is_object]], -1, classes[is_object])
        return Windows(boxes, classes)

    # stage 3, and what it finds

    def see_regions(self, image: Array, boxes: Array) -> SeenRegions:
        """Return what `svm_layer`, `box_layer` and the last layer say of regions (R, 4) of a picture."""
        s = self.settings
        return SeenRegions(*self.layers(image, boxes, (s.svm_layer, s.box_layer, "scores")))

    def fit_regions(self, proposals: Array) -> Array:
        """Return `settings.fit_regions` of the proposals, evenly spread over their order."""
        P, limit = len(proposals), self.settings.fit_regions
        n = P if limit is None else min(P, limit)
        return proposals[np.arange(n) * P // max(n, 1)]


def small_rcnn(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: RCNNSettings | None = None,
    dtype: Any = np.float32,
) -> RCNN:
    """Return a small R-CNN with fresh weights.

    Args:
        class_names: of the background, then of the classes.
        rng: source of the weights.
        settings: its numbers; None for those of `RCNNSettings`.
        dtype: of the weights.
    """
    s = settings or RCNNSettings()
    network = vgg(
        s.blocks,
        len(class_names),
        hidden=s.hidden,
        map_size=max(1, s.side >> (len(s.blocks) - 1)),
        batch_norm=s.batch_norm,
        dropout=s.dropout,
        rng=rng,
        dtype=dtype,
    )
    network.features = without_last_pooling(network.features)  # windows are small, and so is their map
    return RCNN(class_names, network, s, dtype=dtype)

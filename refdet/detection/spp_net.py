"""SPP-net: one pass of the convolutions over the picture; each window takes its part of the map as a pyramid of bins.

    picture at the scale of the window → map → projected window → pyramid of 1, 2, 3, 6: 50 bins a channel → fc6 → fc7
    → a support vector machine per class → box regressor of the class → NMS at 0.3

Training is a course of stages, as in R-CNN, and not of one piece:

    1. `pretraining_losses`   convolutions and fully connected layers together, on crops of several sizes, each crop a
                              picture whose whole map is pooled (the paper trains on ImageNet, §2.3)
    2. `freeze_convolutions`, then `losses`   the fully connected layers alone, on pyramids of windows
    3. `fit`                  machines and box regressors, on features that no longer change:
                              `refdet.detection.machines_on_regions`

He, Zhang, Ren & Sun, "Spatial pyramid pooling in deep convolutional networks" (2014), §2.3 and §4; decks 000, 001, 004.
That the convolutions cannot be trained through the pooling is what Fast R-CNN changed.

Conventions: the projection is that of `refdet.features.window_projection`; by the "released" one the first response is
where β of the backbone says, 21 for ZF-5 and for others elsewhere. Windows that fall on the same responses are pooled
once. Proposals need a positive area, may be none, and are in pixels of the picture; stage 3 learns from all of them.

The released code differs in three things. It takes a box to a scale by (x − 1)(s − 1)/(m − 1) + 1 of its pixels, which
begin at 1, for a picture whose shorter side m becomes s; here by the ratio of the sides, so that some windows fall on
other responses (of ZF-5, one in five to twelve, for photographs of 333 × 500 and 375 × 500). Its machines learn from
one of the negatives that fall on the same responses, here from all. And it fine-tunes with each picture at a scale
drawn at random, here with each window at that which suits it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.core.check import Array, check_generator
from refdet.data.sample import Sample
from refdet.detection.composition import check_batch, is_learning
from refdet.detection.ground_truth import GroundTruth, ground_truth
from refdet.detection.machines_on_regions import MachinesOnRegions, SeenRegions
from refdet.detection.multi_scale_roi_align import as_rois
from refdet.detection.roi_training import candidate_regions, draw_regions
from refdet.detection.rpn import start_from_gaussian
from refdet.detection.spp_settings import SPPSettings
from refdet.detection.with_proposals import Propose, proposals_of
from refdet.features.backbones.maps import FeatureMaps, OneMap
from refdet.features.backbones.vgg import vgg_features
from refdet.features.backbones.windows import Windowed
from refdet.features.receptive_field import beta
from refdet.features.window_projection import PAPER_SIDE, choose_scales, project_windows
from refdet.nn import Dropout, Linear, Module
from refdet.ops.activations import relu
from refdet.ops.roi_align import roi_align
from refdet.ops.roi_pool import roi_pool
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy
from refdet.ops.spatial_pyramid_pool import spatial_pyramid_pool

NO_LIMIT = 1 << 20  # pixels of the longer side


class SPPNet(MachinesOnRegions):
    """A detector of proposals that others find, trained in stages; a `Detector`."""

    settings: SPPSettings

    def __init__(
        self,
        class_names: Sequence[str],
        backbone: FeatureMaps,
        settings: SPPSettings,
        *,
        propose: Propose | None = None,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        """Put fully connected layers and machines behind a backbone of one map.

        Args:
            class_names: of the background, then of the K classes.
            backbone: with one map.
            settings: all numbers.
            propose: finds the proposals of a picture that comes without; None for `settings.search`.
            rng: source of the weights.
            dtype: of the weights.
        """
        super().__init__(class_names, settings, propose)
        if not isinstance(backbone, Module):
            raise TypeError(f"SPPNet: backbone must be a Module, got {type(backbone).__name__}")
        if len(backbone.strides) != 1:
            raise ValueError(f"SPPNet: the backbone must have one map, got {len(backbone.strides)}")
        if settings.projection == "released" and not isinstance(backbone, Windowed):
            raise TypeError(
                f"SPPNet: projection 'released' needs a backbone with windows(), got {type(backbone).__name__}"
            )
        self._first_centre = float(beta(backbone.windows())) if isinstance(backbone, Windowed) else 0.0
        K = len(self.class_names)
        n_bins = sum(level * level for level in settings.levels)
        widths = {"pyramid": backbone.out_channels[0] * n_bins, "fc6": settings.fc[0], "fc7": settings.fc[1]}
        self.backbone = backbone
        self.fc6 = Linear(widths["pyramid"], widths["fc6"], rng=rng, dtype=dtype)
        self.fc7 = Linear(widths["fc6"], widths["fc7"], rng=rng, dtype=dtype)
        self.cls_score = Linear(widths["fc7"], K, rng=rng, dtype=dtype)
        self.dropout = Dropout(settings.dropout) if settings.dropout else None
        start_from_gaussian(self.cls_score, 0.01, rng=rng)
        box_width = len(self._box_columns(widths[settings.box_layer]))
        self.add_machines(widths[settings.svm_layer], box_width, dtype=dtype)

    # from pictures to features

    def pyramids(self, image: Array, boxes: Array) -> Array:
        """Return the pyramids (R, F) of boxes (R, 4) in a picture (H, W, 3), scale by scale.

        A box without area is as far from T² at all scales, so that it is seen at the first.
        """
        s, size = self.settings, (int(image.shape[0]), int(image.shape[1]))
        chosen = np.zeros(len(boxes), np.int64)
        if len(s.scales) > 1:
            # |area (s/m)² − T²| is least where |area (224/T)² (s/m)² − 224²| is; the released rule is scaled likewise
            enlarged = boxes * np.asarray(PAPER_SIDE / s.target_side, boxes.dtype)
            has_area = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
            chosen[has_area] = choose_scales(
                enlarged[has_area], image_size=size, scales=s.scales, convention=s.scale_choice
            )
        pyramids = np.zeros((len(boxes), self.fc6.weight.shape[1]), self.fc6.weight.dtype)
        for i in np.unique(chosen).tolist():
            rows = np.flatnonzero(chosen == i)
            pyramids[rows] = self._pyramids_at(image, boxes[rows], s.scales[i])
        return pyramids

    def _pyramids_at(self, image: Array, boxes: Array, scale: int) -> Array:
        prepared = dataclasses.replace(self.settings.preparation, short=scale, long=NO_LIMIT).picture(image)
        with no_grad():
            (x,) = self.backbone.maps(Tensor(prepared.images_for(self)), training=False, rng=None)
        windows = project_windows(
            boxes * prepared.ratio(0).astype(boxes.dtype),
            stride=self.backbone.strides[0],
            size=(x.shape[2], x.shape[3]),
            convention=self.settings.projection,
            first_centre=self._first_centre,
            margin=self.settings.margin,
        )
        distinct, inverse = np.unique(windows, axis=0, return_inverse=True)
        pooled: Array = window_pyramids(x.data, distinct, self.settings.levels)[inverse.reshape(-1)]
        return pooled

    def hidden(
        self, pyramids: Tensor | Array, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> dict[str, Tensor]:
        """Return what each of `LAYERS` says of pyramids (R, F)."""
        x = pyramids if isinstance(pyramids, Tensor) else Tensor(pyramids)
        found = {"pyramid": x}
        for name, layer in (("fc6", self.fc6), ("fc7", self.fc7)):
            x = relu(layer(x, training=training, rng=rng))
            x = found[name] = self.dropout(x, training=training, rng=rng) if self.dropout else x
        return found

    # stages 1 and 2

    def pretraining_losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class` of crops of the regions of a batch, each seen as a picture of its own; for all layers."""
        check_generator("SPPNet.pretraining_losses", rng)
        s = self.settings
        side = int(rng.choice(s.crop_sizes))
        prepared = s.preparation(samples, rng=rng)
        boxes, classes = zip(*(self._drawn(sample, rng) for sample in prepared.samples), strict=True)
        images = prepared.images_for(self)
        rois = as_rois(boxes).astype(images.dtype)
        with no_grad():
            crops = roi_align(images, rois, side, aligned=True, sampling_ratio=0)
        learning = is_learning(self.backbone) and len(rois) > 0  # nothing has no statistics
        (x,) = self.backbone.maps(crops, training=learning, rng=rng)
        return self._loss(spatial_pyramid_pool(x, s.levels)[0], np.concatenate(classes), rng)

    def freeze_convolutions(self) -> None:
        """Ask for no gradient of the backbone, whose running statistics then stay as they are too."""
        self.backbone.freeze()

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class` of the windows of a batch, for the fully connected layers; the backbone gets no gradient."""
        check_generator("SPPNet.losses", rng)
        check_batch("SPPNet.losses", samples)
        pyramids, classes = [], []
        for sample in samples:
            boxes, labels = self._drawn(sample, rng)
            pyramids.append(self.pyramids(sample.image, boxes))
            classes.append(labels)
        return self._loss(Tensor(np.concatenate(pyramids)), np.concatenate(classes), rng)

    def _drawn(self, sample: Sample, rng: np.random.Generator) -> tuple[Array, Array]:
        """Return the regions of a picture that enter the loss, and their classes."""
        candidates = candidate_regions(proposals_of(sample), self.truth(sample), self.settings.sampling)
        drawn = candidates.only(draw_regions(candidates, self.settings.sampling, rng=rng))
        return drawn.boxes, drawn.classes

    def _loss(self, pyramids: Tensor, classes: Array, rng: np.random.Generator) -> dict[str, Tensor]:
        logits = self.cls_score(self.hidden(pyramids, training=True, rng=rng)["fc7"])
        return {"class": softmax_cross_entropy(logits, classes, normalize="full")}

    def truth(self, sample: Sample) -> GroundTruth:
        """Return the objects of a picture, checked."""
        return ground_truth(sample, n_classes=len(self.class_names), with_difficult=self.settings.with_difficult)

    # stage 3, and what it finds

    def see_regions(self, image: Array, boxes: Array) -> SeenRegions:
        """Return what `svm_layer`, `box_layer` with `box_levels`, and the last layer say of regions of a picture."""
        s = self.settings
        with no_grad():
            hidden = self.hidden(self.pyramids(image, boxes))
            logits = self.cls_score(hidden["fc7"]).data
        for_boxes = hidden[s.box_layer].data
        return SeenRegions(hidden[s.svm_layer].data, for_boxes[:, self._box_columns(for_boxes.shape[1])], logits)

    def _box_columns(self, width: int) -> Array:
        """Return the columns of `box_layer`, which has `width` of them, that box regressors look at."""
        s = self.settings
        if s.box_layer != "pyramid":
            return np.arange(width)
        counts = [level * level * self.backbone.out_channels[0] for level in s.levels]
        return np.flatnonzero(np.repeat([level in s.box_levels for level in s.levels], counts))


def window_pyramids(x: Array, windows: Array, levels: Sequence[int]) -> Array:
    """Return the pyramids (R, C·Σk²) of windows (R, 4) of responses of a map (1, C, H, W).

    Row r is what `spatial_pyramid_pool` makes of map[:, y1:y2, x1:x2]. It is computed by RoI pooling, whose k × k bins
    of a region are the same ones where its first and last pixels are those of the window.

    >>> x = np.arange(12.0).reshape(1, 1, 3, 4)
    >>> window_pyramids(x, np.array([[1, 0, 3, 2]]), (1, 2))
    array([[6., 1., 2., 5., 6.]])
    """
    pixels = windows - np.array([0, 0, 1, 1])
    rois = np.concatenate([np.zeros((len(windows), 1)), pixels], axis=1).astype(x.dtype)
    C = int(x.shape[1])
    with no_grad():
        parts = [roi_pool(x, rois, k)[0].data.reshape(len(rois), C * k * k) for k in levels]
    pyramids: Array = np.concatenate(parts, axis=1)
    return pyramids


def small_spp_net(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: SPPSettings | None = None,
    dtype: Any = np.float32,
) -> SPPNet:
    """Return a small SPP-net with fresh weights.

    Args:
        class_names: of the background, then of the classes.
        rng: source of the weights.
        settings: its numbers; None for those of `SPPSettings`.
        dtype: of the weights.
    """
    s = settings or SPPSettings()
    backbone = OneMap(vgg_features(s.blocks, batch_norm=s.batch_norm, rng=rng, dtype=dtype))
    return SPPNet(class_names, backbone, s, rng=rng, dtype=dtype)

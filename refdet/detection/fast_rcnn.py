"""Fast R-CNN: one pass of the convolutions over the picture, RoI pooling of every proposal, one head for class and box.

    picture → map → RoI pooling, 7 × 7 → fc6 → fc7 → softmax of K + 1 classes,  4(K + 1) numbers δ

    L = 1/R · Σ_r −log p_r[u_r]  +  λ · 1/R · Σ_r [u_r ≥ 1] · Σ_{x,y,w,h} smoothL1(δ_r[u_r] − v_r)

over the R regions drawn: of two pictures 64 each, at most a quarter of them objects (IoU ≥ 0.5), the rest background
(0.1 ≤ IoU < 0.5); the objects' own boxes are among the candidates. Both losses are divided by R, the regions drawn,
objects or not. Girshick, "Fast R-CNN" (2015); decks 001, 002 and 004. Deck 002 has a convex combination of the two,
α L_cls + (1 − α) L_loc, which is α times this one with λ = (1 − α)/α. Proposals come from outside (Selective Search).

Targets: v = (t − mean)/std, class by class and number by number. `fit_targets` takes mean and std from the training set
(the released code does, over all candidates with IoU ≥ 0.5, the objects themselves included), or both are given. They
are buffers, so that a file is complete either way; `folded` moves them into the last layer, as the released code does
when it saves.

Detection: softmax, boxes from all proposals, then `refdet.detection.detections`; NMS at 0.3. With RoI pooling, regions
that fall on the same pixels of the map are passed through the head once (`merge_duplicates`). The released code merges
those with equal round(corner / 16), halves to even; here halves go where RoI pooling rounds them, away from 0, so that
merging changes no result.

Conventions: the head, its names, the drawing of regions and the losses are Faster R-CNN's, of
`refdet.detection.roi_heads` and `roi_training`, with the numbers of `FAST_RCNN_HEAD`. Without an object a picture has
no background either, because 0 < 0.1; where no region can be drawn at all both losses are 0. Proposals are constants,
in pixels of the picture, and may be none. Standard deviations are those of the targets as a population; a class without
targets keeps mean 0 and std 1, and a std of 0 becomes 1. Where `preparation` has several sizes of pictures, training
draws them first of all.

Samples, proposals from outside and detections are half-open; within, boxes are counted as `coordinates` says, see
`refdet.detection.last_pixel`. Regions are labelled and encoded in pixels of the picture as it was given, as in the
released code, and enlarged with it for the crops. That code has no "+ 1" in its transform: a box of one pixel has no
width, whose logarithm it avoids by adding 1e-14. Here training leaves out such proposals and such objects.

`FAST_RCNN_HEAD` has the detections of the paper's release: at most 100 regions of a class enter the suppression. What
came after it takes all that score more than 0.05, and keeps the best 100 of the picture, which is done here as well.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes.check import Four
from refdet.boxes.regressor import fold_normalization
from refdet.core.check import Array, check_generator
from refdet.data.sample import Sample
from refdet.detection.composition import is_learning
from refdet.detection.detected import Detected
from refdet.detection.ground_truth import GroundTruth, ground_truth
from refdet.detection.last_pixel import to_last_pixel
from refdet.detection.multi_scale_roi_align import CropSettings, check_strides, grown
from refdet.detection.narrow import maps_to_learn_from
from refdet.detection.preparation import Preparation, Prepared
from refdet.detection.roi_heads import BoxOutput, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.roi_training import Regions, box_losses, candidate_regions, draw_regions, region_deltas
from refdet.detection.with_proposals import Propose, SelectiveSearch, checked_proposals, proposals_of
from refdet.features.backbones.maps import FeatureMaps
from refdet.nn import Linear, Module
from refdet.ops.roi_pool import round_half_away
from refdet.ops.shaping import index

FAST_RCNN_HEAD = HeadSettings(
    crops=CropSettings(crop="pool"),
    negative_low=0.1,
    n_drawn=64,
    rounding="round",
    coordinates=1,
    weights=(1.0, 1.0, 1.0, 1.0),
    beta=1.0,
    clamp=None,
    clip="legacy",
    frame="picture",
    min_size=None,
    pre_nms=100,
    nms_threshold=0.3,
)
FASTER_STD = (0.1, 0.1, 0.2, 0.2)  # of the targets, in Faster R-CNN's code


class FastRCNN(Module):
    """A detector of proposals that others find; names as torchvision's: `backbone`, `roi_heads.box_head.fc6`, …"""

    def __init__(
        self,
        class_names: Sequence[str],
        backbone: FeatureMaps,
        roi_heads: RoIHeads,
        preparation: Preparation,
        *,
        propose: Propose | None = None,
        target_mean: Four = (0.0, 0.0, 0.0, 0.0),
        target_std: Four = FASTER_STD,
        with_difficult: bool = True,
        merge_duplicates: bool = True,
    ) -> None:
        """Put the parts together.

        Args:
            class_names: of the background, then of the K classes.
            backbone: with one map, or several of which each region is cropped from the one that suits it.
            roi_heads: whose settings say how regions are drawn, learned and reported.
            preparation: of the pictures.
            propose: finds the proposals of a picture that comes without; None for Selective Search, fast mode.
            target_mean: of the targets of every class, until `fit_targets`.
            target_std: likewise.
            with_difficult: whether difficult objects are learned.
            merge_duplicates: whether equal crops are passed through the head once, in detection by RoI pooling.
        """
        super().__init__()
        if not isinstance(backbone, Module):
            raise TypeError(f"FastRCNN: backbone must be a Module, got {type(backbone).__name__}")
        if len(backbone.strides) != 1 and roi_heads.settings.crops.crop == "pool" and merge_duplicates:
            n = len(backbone.strides)
            raise ValueError(f"FastRCNN: merge_duplicates must be False for RoI pooling of several maps, got {n} maps")
        check_strides("FastRCNN", backbone.strides)
        self.class_names = tuple(class_names)
        self.backbone, self.roi_heads, self.preparation = backbone, roi_heads, preparation
        self.propose: Propose = SelectiveSearch() if propose is None else propose
        self.with_difficult, self.merge_duplicates = with_difficult, merge_duplicates
        self.target_mean: Any
        self.target_std: Any
        dtype = roi_heads.box_predictor.bbox_pred.weight.dtype
        self.add_buffer("target_mean", np.tile(np.array(target_mean, dtype), len(self.class_names)))  # (4(K + 1),)
        self.add_buffer("target_std", np.tile(np.array(target_std, dtype), len(self.class_names)))

    # what it learns

    def losses(self, samples: Sequence[Sample], *, rng: np.random.Generator) -> dict[str, Tensor]:
        """Return `class` and `box` of a batch, whose samples bring their proposals."""
        check_generator("FastRCNN.losses", rng)
        prepared = self.preparation(samples, rng=rng)
        truths = [self.truth(sample) for sample in samples]
        regions = [
            self.draw(self.training_proposals(sample), truth, rng=rng)
            for sample, truth in zip(samples, truths, strict=True)
        ]
        images, training = prepared.images_for(self), is_learning(self.backbone)
        maps = maps_to_learn_from(self.backbone.maps, prepared, images, training=training, rng=rng)
        return self.region_losses(maps, regions, truths, prepared, rng=rng)

    def truth(self, sample: Sample) -> GroundTruth:
        """Return the objects of a picture, in its pixels, as the detector counts boxes."""
        truth = ground_truth(sample, n_classes=len(self.class_names), with_difficult=self.with_difficult)
        truth = truth._replace(boxes=self._counted(truth.boxes))
        return truth.only(self._has_area(truth.boxes))

    def training_proposals(self, sample: Sample) -> Array:
        """Return the proposals that a picture brings, in its pixels, as the detector counts boxes."""
        boxes = self._counted(proposals_of(sample))
        return boxes[self._has_area(boxes)]

    def _counted(self, boxes: Array) -> Array:
        return to_last_pixel(boxes, self.roi_heads.settings.coordinates)

    def _has_area(self, boxes: Array) -> Array:
        """Return which boxes have a width and a height by the transform of the detector."""
        sides = boxes[:, 2:] - boxes[:, :2] + (self.roi_heads.settings.transform != "continuous")
        has: Array = np.all(sides > 0, axis=1)
        return has

    def draw(self, proposals: Array, truth: GroundTruth, *, rng: np.random.Generator) -> Regions:
        """Return the regions of a picture that enter the loss; all in its pixels, and counted as in the detector."""
        settings = self.roi_heads.settings
        candidates = candidate_regions(proposals, truth, settings)
        return candidates.only(draw_regions(candidates, settings, rng=rng))

    def region_losses(
        self,
        maps: Sequence[Tensor],
        regions: Sequence[Regions],
        truths: Sequence[GroundTruth],
        prepared: Prepared,
        *,
        rng: np.random.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Return `class` and `box` for the regions of every picture that were drawn."""
        heads, strides = self.roi_heads, self.backbone.strides
        boxes = [(r.boxes * prepared.ratio(i)).astype(r.boxes.dtype) for i, r in enumerate(regions)]
        crops = heads.features(maps, strides, boxes, heads.settings.side, heads.settings.context)
        output = heads.box_output(crops, training=is_learning(heads), rng=rng)
        classes = np.concatenate([r.classes for r in regions])
        targets = [region_deltas(r, t, heads.settings) for r, t in zip(regions, truths, strict=True)]
        own = classes[classes > 0]
        normalised = (np.concatenate(targets) - self._by_class("target_mean")[own]) / self._by_class("target_std")[own]
        return box_losses(*output, classes, normalised, heads.settings)

    def fit_targets(self, samples: Sequence[Sample]) -> None:
        """Take mean and std of the targets of every class from samples with proposals, before training begins."""
        settings, C = self.roi_heads.settings, len(self.class_names)
        found: list[list[Array]] = [[] for _ in range(C)]
        for sample in samples:
            truth = self.truth(sample)
            candidates = candidate_regions(self.training_proposals(sample), truth, settings)
            deltas, classes = region_deltas(candidates, truth, settings), candidates.objects().classes
            for c in np.unique(classes).tolist():
                found[c].append(deltas[classes == c].astype(np.float64))
        mean, std = np.zeros((C, 4)), np.ones((C, 4))
        for c, rows in enumerate(found):
            if rows:
                targets = np.concatenate(rows)
                mean[c], std[c] = targets.mean(axis=0), targets.std(axis=0)
        std[std == 0] = 1
        self.target_mean = mean.ravel().astype(self.target_mean.dtype)
        self.target_std = std.ravel().astype(self.target_std.dtype)

    def _by_class(self, name: str) -> Array:
        values: Array = getattr(self, name).reshape(-1, 4)
        return values

    # what it finds

    def detect(self, image: Array, proposals: Array | None = None) -> Detected:
        """Find the objects in a picture (H, W, 3), red first, in 0 … 255, among proposals (P, 4) in its pixels."""
        proposals = checked_proposals("FastRCNN.detect", self.propose(image) if proposals is None else proposals)
        prepared = self.preparation.picture(image)
        boxes = (self._counted(proposals) * prepared.ratio(0)).astype(np.float32)
        with no_grad():
            maps = self.backbone.maps(Tensor(prepared.images_for(self)), training=False, rng=None)
            output = self.output(maps, boxes)
        found, at = self.roi_heads.detections_in(output, boxes, prepared)
        return Detected(at.astype(np.float32), found.scores.astype(np.float32), found.classes)

    def output(self, maps: Sequence[Tensor], boxes: Array) -> BoxOutput:
        """Return logits and transforms t = δ · std + mean of boxes (P, 4) in the only picture of a batch."""
        heads, strides = self.roi_heads, self.backbone.strides
        chosen, inverse = self.merged(boxes)
        crops = heads.features(maps, strides, [boxes[chosen]], heads.settings.side, heads.settings.context)
        logits, deltas = heads.box_output(crops)
        return BoxOutput(index(logits, inverse), index(deltas * self.target_std + self.target_mean, inverse))

    def merged(self, boxes: Array) -> tuple[Array, Array]:
        """Return which boxes (P, 4) pass through the head in detection, and for every box which of these has its crop.

        With `merge_duplicates` and RoI pooling they are those with crops of their own (`distinct_crops`), else all.
        """
        settings = self.roi_heads.settings
        if self.merge_duplicates and settings.crops.crop == "pool":
            return distinct_crops(grown(boxes, settings.context), self.backbone.strides[0])
        return np.arange(len(boxes)), np.arange(len(boxes))


def distinct_crops(boxes: Array, stride: int) -> tuple[Array, Array]:
    """Return which boxes RoI pooling crops differently, and for every box which of these has its crop.

    Two boxes whose corners round to the same pixels of the map, and one that does not:

    >>> distinct_crops(np.array([[0.0, 0, 16, 16], [1.0, 3, 15, 17], [0.0, 0, 24, 16]]), 16)
    (array([0, 2]), array([0, 0, 1]))
    """
    corners = round_half_away(boxes.astype(np.float64) * (1 / stride))
    _, first, inverse = np.unique(corners, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts the corners; boxes keep their order
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return first[order], rank[inverse.reshape(-1)]


def folded(model: FastRCNN) -> FastRCNN:
    """Return a copy that predicts t itself: mean and std of the targets are in its last layer, and are now 0 and 1."""
    new = copy.deepcopy(model)
    layer = new.roi_heads.box_predictor.bbox_pred
    if not isinstance(layer, Linear) or layer.bias is None:
        raise TypeError(f"folded: bbox_pred must be a Linear with a bias, got {type(layer).__name__}")
    layer.weight.data, layer.bias.data = fold_normalization(
        layer.weight.data, layer.bias.data, mean=new.target_mean, std=new.target_std
    )
    new.target_mean, new.target_std = np.zeros_like(new.target_mean), np.ones_like(new.target_std)
    return new

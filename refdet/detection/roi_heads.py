"""The second stage: what is in a region, where exactly, and, where asked for, its mask and its joints.

    crop → fc6 → relu → fc7 → relu → class scores, one transform per class
    crop → convolutions → mask of each class         of regions that are objects; at test of the detections
    crop → convolutions → map of each joint           likewise; this crop may be larger (`keypoint_context`)

Girshick, "Fast R-CNN" (2015); He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017). Each stage is a method that takes
the arrays of the one before.

Conventions: parameter names are torchvision's (box_head.fc6, box_predictor.cls_score, mask_head, …). Class scores start
from N(0, 0.01²), transforms from N(0, 0.001²), fully connected layers as He et al. (2015), biases at 0. Column 0 is the
background; its transform is not read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.boxes.clip import clip_boxes
from refdet.boxes.transform import decode_boxes
from refdet.core.check import Array
from refdet.detection.detections import detections
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.keypoint_coding import encode_keypoints
from refdet.detection.keypoint_head import keypoint_loss
from refdet.detection.last_pixel import to_half_open
from refdet.detection.mask_head import mask_loss, mask_targets
from refdet.detection.multi_scale_roi_align import as_rois, grown, region_features
from refdet.detection.preparation import Prepared
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.roi_training import Regions, box_losses, region_deltas
from refdet.detection.rpn import start_from_gaussian
from refdet.nn import Dropout, Flatten, Linear, Module
from refdet.ops.activations import relu
from refdet.ops.softmax import softmax

Size = tuple[int, int]


class BoxOutput(NamedTuple):
    """What the head says of R regions and C classes, the background included."""

    logits: Tensor  # (R, C)
    deltas: Tensor  # (R, 4C)


class BoxDetections(NamedTuple):
    """The D detections of one picture, in descending order of score."""

    boxes: Array  # (D, 4)
    scores: Array  # (D,)
    classes: Array  # (D,) int64, from 1 on


class BoxHead(Module):
    """Two fully connected layers on a crop: (R, C, side, side) → (R, F)."""

    def __init__(
        self,
        in_channels: int,
        side: int,
        widths: tuple[int, int],
        *,
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.flatten = Flatten()
        self.fc6 = Linear(in_channels * side * side, widths[0], rng=rng, dtype=dtype)
        self.fc7 = Linear(widths[0], widths[1], rng=rng, dtype=dtype)
        self.dropout = Dropout(dropout) if dropout else None
        self.widths, self.out_features = widths, widths[1]

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the features of every region."""
        return self.fully_connected(x, training=training, rng=rng)

    def fully_connected(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return what fc6 and fc7 make of maps (R, C, side, side)."""
        x = self.flatten(x)
        for layer in (self.fc6, self.fc7):
            x = relu(layer(x, training=training, rng=rng))
            x = self.dropout(x, training=training, rng=rng) if self.dropout else x
        return x


class BoxPredictor(Module):
    """Class scores and transforms from features (R, F)."""

    def __init__(self, in_features: int, n_classes: int, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        super().__init__()
        self.cls_score = Linear(in_features, n_classes, rng=rng, dtype=dtype)
        self.bbox_pred = Linear(in_features, 4 * n_classes, rng=rng, dtype=dtype)
        start_from_gaussian(self.cls_score, 0.01, rng=rng)
        start_from_gaussian(self.bbox_pred, 0.001, rng=rng)

    def both(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> BoxOutput:
        """Return logits (R, C) and deltas (R, 4C)."""
        return BoxOutput(self.cls_score(x, training=training, rng=rng), self.bbox_pred(x, training=training, rng=rng))


class RoIHeads(Module):
    """The heads of the second stage; masks and joints are looked for if there is a head for them."""

    def __init__(
        self,
        settings: HeadSettings,
        box_head: Module,
        box_predictor: BoxPredictor,
        *,
        mask_head: Module | None = None,
        mask_predictor: Module | None = None,
        keypoint_head: Module | None = None,
        keypoint_predictor: Module | None = None,
    ) -> None:
        super().__init__()
        if settings.coordinates and (mask_head is not None or keypoint_head is not None):
            raise ValueError("RoIHeads: coordinates must be 0 with a head for masks or joints, got 1")
        self.settings = settings
        self.box_head, self.box_predictor = box_head, box_predictor
        self.mask_head, self.mask_predictor = mask_head, mask_predictor
        self.keypoint_head, self.keypoint_predictor = keypoint_head, keypoint_predictor

    def features(
        self, maps: Sequence[Tensor], strides: Sequence[int], boxes: Sequence[Array], side: int, context: float = 1.0
    ) -> Tensor:
        """Crop the boxes (R_n, 4) of every picture n, with what is around them: (R, C, side, side)."""
        return region_features(maps, strides, as_rois(boxes), side, self.settings.crops, context=context)

    def box_output(self, crops: Tensor, *, training: bool = False, rng: np.random.Generator | None = None) -> BoxOutput:
        """Return what the box head says of crops (R, C, side, side)."""
        return self.box_predictor.both(self.box_head(crops, training=training, rng=rng), training=training, rng=rng)

    def box_losses(
        self, output: BoxOutput, regions: Sequence[Regions], truths: Sequence[GroundTruth]
    ) -> dict[str, Tensor]:
        """Return `class` and `box` for the regions of every picture, in the order of the rows of `output`."""
        classes = np.concatenate([r.classes for r in regions])
        deltas = np.concatenate([region_deltas(r, t, self.settings) for r, t in zip(regions, truths, strict=True)])
        return box_losses(*output, classes, deltas, self.settings)

    def box_detections(self, output: BoxOutput, proposals: Array, size: Size) -> BoxDetections:
        """Return the detections of one picture of (height, width) = `size` from what the head says of its proposals."""
        s = self.settings
        found = detections(
            proposals.astype(output.deltas.dtype, copy=False),
            output.deltas.data,
            softmax(output.logits, axis=1).data,
            height=size[0],
            width=size[1],
            transform_convention=s.transform,
            weights=s.weights,
            mean=s.mean,
            std=s.std,
            clamp=s.clamp,
            clip_convention=s.clip,
            score_threshold=s.score_threshold,
            min_size=s.min_size,
            pre_nms=s.pre_nms,
            nms_threshold=s.nms_threshold,
            offset=s.coordinates,
            post_nms=s.n_detections,
        )
        return BoxDetections(*found)

    def detections_in(self, output: BoxOutput, proposals: Array, prepared: Prepared) -> tuple[BoxDetections, Array]:
        """Return the detections in the only picture of a batch, and their boxes in pixels of that picture as given.

        Proposals and detections are in pixels of the batch, in whichever `frame` they are found, and counted as
        `coordinates` says; the boxes in pixels of the picture are half-open. They are clipped again: rounding of the
        ratio may have moved them; and where the last pixel was counted, in a batch it is a part of one of the picture,
        and `clip` may be for half-open boxes.
        """
        ratio, size = prepared.ratio(0).astype(proposals.dtype), prepared.original_sizes[0]
        if self.settings.frame == "picture":
            found = self.box_detections(output, proposals / ratio, size)
            found, boxes = found._replace(boxes=found.boxes * ratio), found.boxes
        else:
            found = self.box_detections(output, proposals, prepared.sizes[0])
            boxes = found.boxes / ratio
        return found, self._in_picture(boxes, size)

    def in_picture(self, boxes: Array, prepared: Prepared) -> Array:
        """Return boxes in the only picture of a batch in pixels of that picture as given, half-open and clipped."""
        return self._in_picture(boxes / prepared.ratio(0).astype(boxes.dtype), prepared.original_sizes[0])

    def _in_picture(self, boxes: Array, size: Size) -> Array:
        boxes = to_half_open(boxes, self.settings.coordinates)
        return clip_boxes(boxes, height=size[0], width=size[1])

    def again(self, output: BoxOutput, found: BoxDetections) -> BoxDetections:
        """Return detections by what the head says of their own boxes, which are not clipped; classes and order stay."""
        s, (R, C) = self.settings, output.logits.shape
        own = np.arange(R), found.classes
        boxes = decode_boxes(
            found.boxes,
            output.deltas.data.reshape(R, C, 4)[own],
            convention=s.transform,
            weights=s.weights,
            mean=s.mean,
            std=s.std,
            clamp=s.clamp,
        )
        return BoxDetections(boxes, softmax(output.logits, axis=1).data[own], found.classes)

    def mask_logits(self, crops: Tensor, *, training: bool = False, rng: np.random.Generator | None = None) -> Tensor:
        """Return masks (R, C, m, m) from crops (R, C', mask_side, mask_side)."""
        return _both(self.mask_head, self.mask_predictor, crops, training, rng)

    def keypoint_logits(
        self, crops: Tensor, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> Tensor:
        """Return maps of joints (R, K, m, m) from crops (R, C', keypoint_side, keypoint_side)."""
        return _both(self.keypoint_head, self.keypoint_predictor, crops, training, rng)

    def mask_losses(self, logits: Tensor, objects: Sequence[Regions], masks: Sequence[Array]) -> dict[str, Tensor]:
        """Return `mask` for the objects among the regions of every picture, whose masks are (G_n, H, W)."""
        side, convention = logits.shape[-1], self.settings.mask_convention
        targets = [
            mask_targets(m, r.boxes, r.matches, side, convention=convention)
            for m, r in zip(masks, objects, strict=True)
        ]
        classes = np.concatenate([r.classes for r in objects])
        return {"mask": mask_loss(logits, np.concatenate(targets).astype(logits.dtype), classes)}

    def keypoint_losses(
        self, logits: Tensor, objects: Sequence[Regions], joints: Sequence[tuple[Array, Array]]
    ) -> dict[str, Tensor]:
        """Return `keypoint` for the objects among the regions; joints are (G_n, K, 2), those visible (G_n, K)."""
        side, context = logits.shape[-1], self.settings.keypoint_context
        coded = [
            encode_keypoints(
                at[r.matches].astype(r.boxes.dtype), visible[r.matches], grown(r.boxes, context), side=side
            )
            for (at, visible), r in zip(joints, objects, strict=True)
        ]
        positions, valid = (np.concatenate(x) for x in zip(*coded, strict=True))
        return {"keypoint": keypoint_loss(logits, positions, valid)}


def _both(
    head: Module | None, predictor: Module | None, x: Tensor, training: bool, rng: np.random.Generator | None
) -> Tensor:
    if head is None or predictor is None:
        raise ValueError("RoIHeads: there is no head for this")
    return predictor(head(x, training=training, rng=rng), training=training, rng=rng)

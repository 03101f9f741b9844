"""Faster R-CNN, and what is built on it: a backbone, a region proposal network, and a second stage on the same maps.

    picture → maps → proposals → crops → class and box → detections (→ masks, joints)

    L = L_rpn_objectness + L_rpn_box + L_class + L_box (+ L_mask + L_keypoint)        all with weight 1

Ren, He, Girshick & Sun, "Faster R-CNN" (2015); He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017); decks 001 and 002.

Conventions:

- `losses` is approximate joint training: one step on the sum, with the proposals taken as constants. For training in
  turns the losses of the two stages are also there by themselves (`refdet.detection.alternating_training`).
- The order of what chance decides: the size of every picture, if `preparation` has several; the anchors of every
  picture, then the regions of every picture, each drawn from `rng`; dropout in between, where it occurs.
- The backbone runs as in training unless all of its parameters are frozen: then it runs as at test, so that running
  statistics stay as they are too. The RPN likewise, and the heads of the second stage together.
- Where a logit of an anchor or its decoded box is not finite, joint training stops with an error that names the
  picture; detection goes on without that anchor, and without such a region. Whatever else is not finite comes to a
  loss, at which `refdet.training` stops.
- Both stages count boxes alike (`coordinates`, see `refdet.detection.last_pixel`). Samples and detections are
  half-open; within, objects, anchors and proposals are as they are counted.
- Not every map need be seen by both stages: a pyramid's coarsest is for proposals alone (`roi_maps`), those of an
  `ImagePyramid` are early ones for the heads and late ones for proposals. Joints may be looked for in other maps than
  boxes (`keypoint_maps`), and in more than the region (`keypoint_context`).
- Detections are found in pixels of the batch and brought back by the ratio of the sides, axis by axis; with `frame`
  "picture" the proposals are brought back, and detections found among them. Masks are pasted at the picture's own size.
  Joints are read from their crop of the batch and brought back with it.
- With `mirrored` each detection is looked at again where it is in the mirrored picture: box and score are the mean of
  the detection and of what the second stage makes of its box there, masks and joints of the probabilities in both. A
  detection stays of its class, and is neither suppressed nor left out for its new score. Joints are looked for in the
  picture turned by the angles of `expected_joints` as well, and in its mirror image turned by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor, no_grad
from refdet.boxes.transform import decode_boxes
from refdet.core.check import Array
from refdet.data.sample import Sample
from refdet.detection.composition import is_learning
from refdet.detection.detected import Detected
from refdet.detection.ground_truth import GroundTruth, ground_truth, joined_joints, joined_masks
from refdet.detection.keypoint_coding import decode_keypoints
from refdet.detection.keypoint_similarity import decode_keypoints_by_similarity
from refdet.detection.last_pixel import to_last_pixel
from refdet.detection.mask_head import mask_probabilities
from refdet.detection.mirror_image import MirrorImage, mean_of_softmax
from refdet.detection.multi_scale_roi_align import check_strides, grown
from refdet.detection.narrow import maps_to_learn_from
from refdet.detection.preparation import Preparation, Prepared
from refdet.detection.roi_heads import BoxDetections, RoIHeads
from refdet.detection.roi_training import Regions, candidate_regions, draw_regions
from refdet.detection.rpn import RPN, Proposals, RPNOutput
from refdet.detection.rpn_training import draw_anchors, drawn_anchors, rpn_losses, rpn_targets
from refdet.detection.turned_views import keypoint_logits_in_views
from refdet.detection.with_proposals import proposals_of
from refdet.features.backbones.maps import FeatureMaps
from refdet.masks.paste import paste_masks
from refdet.nn import Module

Rng = np.random.Generator
ALL = slice(None)


class Seen(NamedTuple):
    """A batch after the backbone."""

    prepared: Prepared
    maps: tuple[Tensor, ...]

    @property
    def batch_size(self) -> tuple[int, int]:
        """(height, width) of the batch."""
        return int(self.prepared.images.shape[2]), int(self.prepared.images.shape[3])

    @property
    def scales(self) -> list[float]:
        """By how much each picture was enlarged."""
        return [min(new) / min(old) for new, old in zip(self.prepared.sizes, self.prepared.original_sizes, strict=True)]


class FasterRCNN(Module):
    """A detector of two stages; with heads for them also Mask R-CNN and keypoint R-CNN."""

    def __init__(
        self,
        class_names: Sequence[str],
        backbone: FeatureMaps,
        rpn: RPN,
        roi_heads: RoIHeads,
        preparation: Preparation,
        *,
        rpn_maps: slice = ALL,
        roi_maps: slice = ALL,
        keypoint_maps: slice | None = None,
        with_difficult: bool = True,
    ) -> None:
        super().__init__()
        keypoint_maps = roi_maps if keypoint_maps is None else keypoint_maps
        for maps in (roi_maps, keypoint_maps):
            check_strides("FasterRCNN", backbone.strides[maps])
        first, second = rpn.settings.coordinates, roi_heads.settings.coordinates
        if first != second:
            raise ValueError(f"FasterRCNN: coordinates must be the same in both stages, got {first} and {second}")
        if first and "continuous" in (rpn.settings.transform, roi_heads.settings.transform):
            raise ValueError("FasterRCNN: with coordinates 1 transform must be py-faster or detectron1, got continuous")
        self.class_names = tuple(class_names)
        self.backbone, self.rpn, self.roi_heads = backbone, rpn, roi_heads
        self.preparation = preparation
        self.rpn_maps, self.roi_maps, self.keypoint_maps = rpn_maps, roi_maps, keypoint_maps
        self.with_difficult = with_difficult

    # what it learns

    def losses(self, samples: Sequence[Sample], *, rng: Rng) -> dict[str, Tensor]:
        """Return all losses of a batch by name, for one step on their sum."""
        return self._losses(samples, rng=rng)

    def _losses(self, samples: Sequence[Sample], *, only_boxes: bool = False, rng: Rng) -> dict[str, Tensor]:
        seen, truths = self.see_known(samples, rng=rng)
        output = self.rpn_output(seen, training=is_learning(self.rpn), rng=rng)
        losses = self.rpn_losses(output, seen, truths, rng=rng)
        proposals = [p.boxes for p in self.training_proposals(output, seen)]
        return losses | self.head_losses(seen, proposals, truths, only_boxes=only_boxes, rng=rng)

    def losses_of_boxes(self, samples: Sequence[Sample], *, rng: Rng) -> dict[str, Tensor]:
        """Return all losses but those of masks and joints."""
        return self._losses(samples, only_boxes=True, rng=rng)

    def losses_of_rpn(self, samples: Sequence[Sample], *, rng: Rng) -> dict[str, Tensor]:
        """Return the losses of the first stage alone."""
        seen, truths = self.see_known(samples, rng=rng)
        output = self.rpn_output(seen, training=is_learning(self.rpn), rng=rng)
        return self.rpn_losses(output, seen, truths, rng=rng)

    def losses_of_heads(self, samples: Sequence[Sample], *, rng: Rng) -> dict[str, Tensor]:
        """Return the losses of the second stage alone, on proposals that come with the samples."""
        seen, truths = self.see_known(samples, rng=rng)
        proposals = [self.in_batch(proposals_of(sample), seen.prepared, i) for i, sample in enumerate(samples)]
        return self.head_losses(seen, proposals, truths, rng=rng)

    def see_known(self, samples: Sequence[Sample], *, rng: Rng | None = None) -> tuple[Seen, list[GroundTruth]]:
        """Check what is known of the pictures, pass them through the backbone, and bring what is known to the batch."""
        as_given = self.known(samples)
        seen = self.see(samples, rng=rng)
        return seen, self.known_in_batch(as_given, seen.prepared)

    def known(self, samples: Sequence[Sample]) -> list[GroundTruth]:
        """Check what is known of the pictures, in their own pixels, which are those that their owner understands."""
        return [ground_truth(s, n_classes=len(self.class_names), with_difficult=self.with_difficult) for s in samples]

    def known_in_batch(self, as_given: Sequence[GroundTruth], prepared: Prepared) -> list[GroundTruth]:
        """Bring what is known of the pictures to the batch: boxes as they were given, masks and joints as resized."""
        boxes = [self.in_batch(t.boxes, prepared, i) for i, t in enumerate(as_given)]
        return [t._replace(boxes=b) for t, b in zip(self.known(prepared.samples), boxes, strict=True)]

    def rpn_losses(
        self, output: RPNOutput, seen: Seen, truths: Sequence[GroundTruth], *, rng: Rng
    ) -> dict[str, Tensor]:
        """Label the anchors, draw some, and return `rpn_objectness` and `rpn_box`."""
        settings, boxes = self.rpn.settings, [t.boxes for t in truths]
        targets = [
            rpn_targets(output.anchors, b, size, settings) for b, size in zip(boxes, seen.prepared.sizes, strict=True)
        ]
        chosen = draw_anchors(targets, settings, rng=rng)
        return rpn_losses(output, drawn_anchors(output.anchors, boxes, targets, *chosen, settings), settings)

    def head_losses(
        self,
        seen: Seen,
        proposals: Sequence[Array],
        truths: Sequence[GroundTruth],
        *,
        only_boxes: bool = False,
        rng: Rng,
    ) -> dict[str, Tensor]:
        """Label the proposals of every picture, draw some, and return the losses of the heads, or of boxes alone."""
        settings = self.roi_heads.settings
        regions = []
        for boxes, truth in zip(proposals, truths, strict=True):
            candidates = candidate_regions(boxes, truth, settings)
            regions.append(candidates.only(draw_regions(candidates, settings, rng=rng)))
        return self.region_losses(seen, regions, truths, only_boxes=only_boxes, rng=rng)

    def region_losses(
        self,
        seen: Seen,
        regions: Sequence[Regions],
        truths: Sequence[GroundTruth],
        *,
        only_boxes: bool = False,
        rng: Rng | None = None,
    ) -> dict[str, Tensor]:
        """Return the losses of the heads for regions that were drawn, or of boxes alone."""
        heads, samples, training = self.roi_heads, seen.prepared.samples, is_learning(self.roi_heads)
        crops = self.crops(seen.maps, [r.boxes for r in regions], heads.settings.side, heads.settings.context)
        losses = heads.box_losses(heads.box_output(crops, training=training, rng=rng), regions, truths)
        if only_boxes:
            return losses
        objects = [r.objects() for r in regions]
        if heads.mask_head is not None:
            masks = joined_masks(samples, truths)
            outlined = [r.with_masks(m) for r, m in zip(objects, masks, strict=True)]
            crops = self.crops(seen.maps, [r.boxes for r in outlined], heads.settings.mask_side)
            logits = heads.mask_logits(crops, training=training, rng=rng)
            losses |= heads.mask_losses(logits, outlined, masks)
        if heads.keypoint_head is not None:
            crops = self.keypoint_crops(seen.maps, [r.boxes for r in objects])
            logits = heads.keypoint_logits(crops, training=training, rng=rng)
            losses |= heads.keypoint_losses(logits, objects, joined_joints(samples, truths, logits.shape[1]))
        return losses

    # the stages of both

    def in_batch(self, boxes: Array, prepared: Prepared, i: int) -> Array:
        """Return half-open boxes (B, 4) of picture i as it was given, in pixels of the batch, counted as here."""
        counted = to_last_pixel(boxes, self.roi_heads.settings.coordinates) * prepared.ratio(i)
        return counted.astype(np.float32)

    def see(self, samples: Sequence[Sample], *, rng: Rng | None = None) -> Seen:
        """Prepare a batch, and pass it through the backbone as in training; `rng` draws sizes and what is dropped."""
        prepared = self.preparation(samples, rng=rng)
        images, training = prepared.images_for(self), is_learning(self.backbone)
        return Seen(prepared, maps_to_learn_from(self.backbone.maps, prepared, images, training=training, rng=rng))

    def rpn_output(self, seen: Seen, *, training: bool = False, rng: Rng | None = None) -> RPNOutput:
        """Return what the first stage says of a batch."""
        maps, strides = seen.maps[self.rpn_maps], self.backbone.strides[self.rpn_maps]
        return self.rpn.outputs(maps, seen.batch_size, strides, training=training, rng=rng)

    def training_proposals(self, output: RPNOutput, seen: Seen) -> list[Proposals]:
        """Return the proposals of every picture by the limits of training; refuse what is not finite."""
        for i, sample in enumerate(seen.prepared.samples):
            logits, deltas = output.logits.data[i], output.deltas.data[i]
            s = self.rpn.settings
            boxes = decode_boxes(output.anchors, deltas, convention=s.transform, clamp=s.clamp)
            if not (np.isfinite(logits).all() and np.isfinite(boxes).all()):
                n = int(np.count_nonzero(~(np.isfinite(logits) & np.isfinite(boxes).all(axis=1))))
                raise FloatingPointError(f"{sample.name}: {n} of {len(boxes)} proposals are not finite")
        return self.rpn.proposals(output, seen.prepared.sizes, training=True, scales=seen.scales)

    def crops(self, maps: Sequence[Tensor], boxes: Sequence[Array], side: int, context: float = 1.0) -> Tensor:
        """Crop the boxes of every picture, with what is around them, from the maps that the heads see."""
        return self.roi_heads.features(maps[self.roi_maps], self.backbone.strides[self.roi_maps], boxes, side, context)

    def keypoint_crops(self, maps: Sequence[Tensor], boxes: Sequence[Array]) -> Tensor:
        """Crop the boxes of every picture, with what is around them, from the maps that joints are looked for in."""
        chosen, s = self.keypoint_maps, self.roi_heads.settings
        strides = self.backbone.strides[chosen]
        return self.roi_heads.features(maps[chosen], strides, boxes, s.keypoint_side, s.keypoint_context)

    # what it finds

    def detect(self, image: Array) -> Detected:
        """Find the objects in a picture (H, W, 3), red first, in 0 … 255."""
        with no_grad():
            prepared = self.preparation.picture(image)
            seen = Seen(prepared, self.backbone.maps(Tensor(prepared.images_for(self)), training=False, rng=None))
            return self.detect_in(seen, self.propose(seen)[0].boxes)

    def propose(self, seen: Seen) -> list[Proposals]:
        """Return the proposals of every picture by the limits of testing."""
        return self.rpn.proposals(self.rpn_output(seen), seen.prepared.sizes, training=False, scales=seen.scales)

    def detect_in(self, seen: Seen, proposals: Array) -> Detected:
        """Find the objects in the only picture of a batch, given its proposals."""
        heads, prepared = self.roi_heads, seen.prepared
        crops = self.crops(seen.maps, [proposals], heads.settings.side, heads.settings.context)
        output = heads.box_output(crops)
        found, boxes = heads.detections_in(output, proposals, prepared)
        mirror = MirrorImage(self, seen) if heads.settings.mirrored and len(boxes) else None
        if mirror is not None:
            found = mirror.mean(found)
            boxes = heads.in_picture(found.boxes, prepared)
        masks = None if heads.mask_head is None else self.masks(seen, found, boxes, mirror)
        joints, joint_scores = (None, None) if heads.keypoint_head is None else self.joints(seen, found, mirror)
        scores = found.scores.astype(np.float32)
        detected = Detected(boxes.astype(np.float32), scores, found.classes, masks, joints, joint_scores)
        return detected if joints is None or heads.settings.expected_joints is None else detected.scored_by_joints()

    def masks(self, seen: Seen, found: BoxDetections, boxes: Array, mirror: MirrorImage | None = None) -> Array:
        """Return the masks (D, H, W) of detections, whose `boxes` are in pixels of the picture as it was given."""
        heads, s = self.roi_heads, self.roi_heads.settings
        logits = heads.mask_logits(self.crops(seen.maps, [found.boxes], s.mask_side))
        p = mask_probabilities(logits.data, found.classes)
        if mirror is not None:
            p = (p + mirror.mask_probabilities(found)) / 2
        size = seen.prepared.original_sizes[0]
        return paste_masks(p, boxes, size, convention=s.paste, threshold=s.mask_threshold)

    def joints(self, seen: Seen, found: BoxDetections, mirror: MirrorImage | None = None) -> tuple[Array, Array]:
        """Return joints (D, K, 2) in pixels of the picture as it was given, and scores (D, K), of detections."""
        s, images = self.roi_heads.settings, seen.prepared.images_for(self)
        by = s.expected_joints
        turned = () if by is None else by.turned
        logits = keypoint_logits_in_views(self, images, seen.maps, found.boxes, turned=turned)
        if mirror is not None and by is not None and by.swapped is not None:
            logits = mean_of_softmax(logits, mirror.keypoint_logits(found, by.swapped, turned=turned))
        seen_in = grown(found.boxes, s.keypoint_context)
        if by is None:
            joints, scores = decode_keypoints(logits, seen_in, convention=s.decode_joints)
        else:
            areas = by.area * (found.boxes[:, 2:] - found.boxes[:, :2]).prod(axis=1)
            joints, scores = decode_keypoints_by_similarity(logits, seen_in, areas, sigmas=by.sigmas, finer=by.finer)
        return (joints / seen.prepared.ratio(0)[:2]).astype(np.float32), scores.astype(np.float32)

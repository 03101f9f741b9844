"""A picture and its mirror image: where things are in the other one, and what both say together.

    box                 (x1, y1, x2, y2)  ↔  (W − x2, y1, W − x1, y2)
    score, box, mask    the mean of both
    maps of joints      softmax = ½ (softmax of the one + softmax of the other)

A network that was trained on pictures and their mirror images should say the same of both, and what it says of one by
mistake it says less often of the other. The mean of both is better than either: Krizhevsky, Sutskever & Hinton (2012),
§4.1, for classes; Newell, Yang & Deng (2016), §4.2, for joints; Detectron's test-time augmentation, for all of them.

Conventions: W is the width of the batch, whose padding is on the left in the mirror. A detection is looked at again in
pixels of the batch. Where what is said of it there is not finite, it stays as it is. Equal scores keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.boxes.clip import clip_boxes
from refdet.boxes.mirrored import mirrored_boxes
from refdet.core.check import Array
from refdet.detection.mask_head import mask_probabilities
from refdet.detection.roi_heads import BoxDetections
from refdet.detection.turned_views import keypoint_logits_in_views
from refdet.ops.softmax import log_softmax

if TYPE_CHECKING:
    from refdet.detection.faster_rcnn import FasterRCNN, Seen


class MirrorImage:
    """What a detector sees of the only picture of a batch in a mirror, turned back.

    Args:
        detector: with the heads that look.
        seen: the batch.
    """

    def __init__(self, detector: FasterRCNN, seen: Seen) -> None:
        self.detector, self.prepared = detector, seen.prepared
        self.images = np.ascontiguousarray(seen.prepared.images_for(detector)[..., ::-1])
        self.maps = detector.backbone.maps(Tensor(self.images), training=False, rng=None)
        self.width = int(self.images.shape[3])

    def mean(self, found: BoxDetections) -> BoxDetections:
        """Return the mean of detections and of what is said of their boxes here, the surest first."""
        heads, s = self.detector.roi_heads, self.detector.roi_heads.settings
        there = found._replace(boxes=mirrored_boxes(found.boxes, self.width))
        again = heads.again(heads.box_output(self.detector.crops(self.maps, [there.boxes], s.side, s.context)), there)
        height, width = self.prepared.sizes[0]
        boxes = mirrored_boxes(again.boxes, self.width)
        boxes = clip_boxes(boxes, height=height, width=width, convention=s.clip)
        return mean_detections(found, again._replace(boxes=boxes))

    def mask_probabilities(self, found: BoxDetections) -> Array:
        """Return the masks (D, m, m) of detections, each of its class."""
        there = mirrored_boxes(found.boxes, self.width)
        crops = self.detector.crops(self.maps, [there], self.detector.roi_heads.settings.mask_side)
        return mask_probabilities(self.detector.roi_heads.mask_logits(crops).data, found.classes)[..., ::-1]

    def keypoint_logits(self, found: BoxDetections, swapped: tuple[int, ...], *, turned: Sequence[float] = ()) -> Array:
        """Return the maps of joints (D, K, m, m) of detections, also `turned`; here, joint k is joint swapped[k]."""
        there = mirrored_boxes(found.boxes, self.width)
        logits = keypoint_logits_in_views(self.detector, self.images, self.maps, there, turned=turned)
        return logits[:, list(swapped), :, ::-1]


def mean_detections(a: BoxDetections, b: BoxDetections) -> BoxDetections:
    """Return the mean of the boxes and scores of the same detections, the surest first; classes are those of `a`."""
    is_finite = np.isfinite(b.scores) & np.isfinite(b.boxes).all(axis=1)
    boxes = np.where(is_finite[:, None], (a.boxes + b.boxes) / 2, a.boxes)
    scores = np.where(is_finite, (a.scores + b.scores) / 2, a.scores)
    order = np.argsort(-scores, kind="stable")
    return BoxDetections(boxes[order], scores[order], a.classes[order])


def mean_of_softmax(a: Array, b: Array) -> Array:
    """Return maps of logits (D, K, m, m) whose softmax over the places is the mean of those of a and b.

    >>> maps = mean_of_softmax(np.log([[[[0.5, 0.5]]]]), np.log([[[[0.25, 0.75]]]]))
    >>> np.exp(maps).round(3)
    array([[[[0.375, 0.625]]]])
    """
    D, K, height, width = a.shape
    logs = (log_softmax(x.reshape(D, K, height * width), axis=2).data for x in (a, b))
    mean: Array = np.logaddexp(*logs) - np.log(2).astype(a.dtype)
    return mean.reshape(a.shape)

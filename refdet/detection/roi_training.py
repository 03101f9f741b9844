"""What the second stage learns: classes of regions, transforms to their objects, and two losses.

    L = 1/R · Σ_r −log p_r[u_r]  +  λ · 1/R · Σ_r [u_r ≥ 1] · Σ_{x,y,w,h} smoothL1(t_r[u_r] − v_r)

over the R regions that were drawn, of all pictures. Girshick, "Fast R-CNN" (2015), eq. 1 to 3 and §2.3.

Conventions: the candidates of a picture are the proposals, then its objects. A candidate's class is that of the object
it overlaps most, 0 for background, −1 where it is neither. In a picture without objects all are background, or none
where background must overlap an object a little (`negative_low`). Where no region can be drawn at all, the losses are
0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.boxes.iou import box_iou
from refdet.boxes.match_rcnn import match_rcnn
from refdet.boxes.sampling import sample_balanced
from refdet.boxes.transform import encode_boxes
from refdet.core.check import Array
from refdet.detection.ground_truth import GroundTruth
from refdet.detection.roi_settings import HeadSettings
from refdet.ops.regression_losses import smooth_l1
from refdet.ops.shaping import reshape
from refdet.ops.softmax_cross_entropy import softmax_cross_entropy


class Regions(NamedTuple):
    """Regions of one picture, with what they should become."""

    boxes: Array  # (R, 4)
    classes: Array  # (R,) int64: an object's class, 0 for background, −1 for neither
    matches: Array  # (R,) int64, each region's own object; −1 without objects

    def only(self, indices: Array) -> Regions:
        """Return some of them."""
        return Regions(self.boxes[indices], self.classes[indices], self.matches[indices])

    def objects(self) -> Regions:
        """Return those that are objects."""
        return self.only(np.flatnonzero(self.classes > 0))

    def with_masks(self, masks: Array) -> Regions:
        """Return those whose object has a pixel in its mask, of `masks` (G, H, W)."""
        has_pixel = np.array([mask.any() for mask in masks], np.bool_)
        return self.only(np.flatnonzero(has_pixel[self.matches]))


def candidate_regions(proposals: Array, truth: GroundTruth, settings: HeadSettings) -> Regions:
    """Label the proposals of a picture, and its objects themselves.

    >>> truth = GroundTruth(np.array([[0, 0, 8, 8]], np.float32), np.array([3]), None, None, None)
    >>> candidate_regions(np.array([[0, 0, 8, 6], [4, 0, 12, 8]], np.float32), truth, HeadSettings()).classes
    array([3, 0, 3])
    """
    boxes = np.concatenate([proposals, truth.boxes.astype(proposals.dtype)])
    iou = box_iou(boxes, truth.boxes.astype(boxes.dtype), offset=settings.coordinates)
    labels, matches = match_rcnn(
        iou,
        positive=settings.positive,
        negative_low=settings.negative_low,
        negative_high=settings.negative_high,
    )
    is_object = labels > 0
    classes = labels.copy()
    classes[is_object] = truth.classes[matches[is_object]]
    return Regions(boxes, classes, matches)


def draw_regions(candidates: Regions, settings: HeadSettings, *, rng: np.random.Generator) -> Array:
    """Return the indices of the candidates that enter the loss, ascending."""
    chosen = sample_balanced(
        candidates.classes,
        n=settings.n_drawn,
        positive_fraction=settings.positive_fraction,
        rng=rng,
        rounding=settings.rounding,
    )
    return np.sort(np.concatenate(chosen))


def region_deltas(regions: Regions, truth: GroundTruth, settings: HeadSettings) -> Array:
    """Return the transform (P, 4) from each region that is an object to that object."""
    objects = regions.objects()
    targets = truth.boxes[objects.matches].astype(regions.boxes.dtype)
    s = settings
    return encode_boxes(objects.boxes, targets, convention=s.transform, weights=s.weights, mean=s.mean, std=s.std)


def box_losses(
    logits: Tensor, deltas: Tensor, classes: Array, target_deltas: Array, settings: HeadSettings
) -> dict[str, Tensor]:
    """Return `class` and `box` for logits (R, C), deltas (R, 4C), classes (R,) and targets (P, 4) of the P objects."""
    R, C = logits.shape
    objects = np.flatnonzero(classes > 0)
    own = reshape(deltas, (R, C, 4))[objects, classes[objects]]  # (P, 4)
    box = smooth_l1(own, target_deltas.astype(deltas.dtype), beta=settings.beta, reduction="sum")
    return {
        "class": softmax_cross_entropy(logits, classes, normalize="full"),
        "box": box * (settings.box_weight / max(R, 1)),
    }

"""The mask head of Mask R-CNN: for every region and every class a map of m × m logits, trained on the true class alone.

    head:        convolutions 3 × 3, ReLU after each           256, 256, 256, 256
    predictor:   transposed convolution 2 × 2 by 2, ReLU; convolution 1 × 1 to a map per class      14 × 14 → 28 × 28
    L_mask = 1/(P·m²) · Σ_p Σ_ij −[t_pij · log σ(x_p,k_p,ij) + (1 − t_pij) · log(1 − σ(x_p,k_p,ij))]

over the P regions that are an object of class k_p, with t_p the object's mask as the region sees it. Classes do not
compete: the maps of other classes have no part in the loss. He, Gkioxari, Dollár & Girshick, "Mask R-CNN" (2017), §3;
deck 002. Parts are named as in torchvision: `mask_head.0.0.weight`, `mask_predictor.conv5_mask.weight`.

| convention | target t |
|---|---|
| torchvision | RoIAlign of the mask, adaptive, with pixel centres at whole numbers (aligned=False): soft |
| detectron2 | RoIAlign of the mask, adaptive, with centres at halves (aligned=True) ≥ ½: 0 or 1 |

`HeadSettings.mask_convention` chooses one for training. By torchvision's a target lies half a pixel above and to the
left of its object, and so do the masks that are learned from it, where they are pasted by halves: the smaller the
object, the more it matters. `HeadSettings` have halves in both places. Detectron, and Detectron2 where it has them,
draw the target from the polygons of the annotation, which a mask of pixels no longer has, nor a `Sample`: what they
come to is told by `refdet.detection.polygon_mask_targets`.

Conventions: without regions the loss is 0, with gradients of 0. Class 0 is the background; its map is never trained.
An object without a pixel in its mask has no mask, as one of COCO without a segmentation: its regions are not among the
P. Torchvision, which does not ask, teaches that they are empty.
Weights begin as `refdet.nn` has it (He's fan_in; torchvision takes fan_out), biases at 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor, as_tensor
from refdet.boxes.check import check_boxes
from refdet.core.check import (
    Array,
    check_booleans,
    check_choice,
    check_integer,
    check_rank,
    check_shape,
    integer,
    shape_of,
)
from refdet.nn import Conv2d, ConvTranspose2d, ReLU, Sequential
from refdet.ops.activations import sigmoid
from refdet.ops.binary_cross_entropy import binary_cross_entropy_with_logits
from refdet.ops.roi_align import roi_align

CONVENTIONS = ("torchvision", "detectron2")


def mask_head(
    in_channels: int,
    channels: Sequence[int] = (256, 256, 256, 256),
    *,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Sequential:
    """Return the convolutions 3 × 3, which keep the size of the crops, with a ReLU after each."""
    counts = [in_channels, *channels]
    return Sequential(
        *(Sequential(Conv2d(n, n_next, 3, padding=1, rng=rng, dtype=dtype), ReLU()) for n, n_next in pairwise(counts))
    )


def mask_predictor(
    in_channels: int, hidden: int, n_classes: int, *, rng: np.random.Generator, dtype: Any = np.float32
) -> Sequential:
    """Return what doubles the size and gives a map of logits for each class, the background included."""
    return Sequential(
        conv5_mask=ConvTranspose2d(in_channels, hidden, 2, stride=2, rng=rng, dtype=dtype),
        relu=ReLU(),
        mask_fcn_logits=Conv2d(hidden, n_classes, 1, rng=rng, dtype=dtype),
    )


def mask_targets(masks: Array, boxes: Array, matches: Array, side: int, *, convention: str = "torchvision") -> Array:
    """Return what the head should predict: the mask of each region's object, as the region sees it.

    Args:
        masks: (G, H, W), booleans, of the objects.
        boxes: (P, 4), the regions, float32 or float64.
        matches: (P,), integers, which of the objects each region is.
        side: m.
        convention: "torchvision" (soft) or "detectron2" (0 or 1), see the module.

    Returns:
        (P, m, m) of the dtype of the boxes, in [0, 1].

    The left half of a picture is the object; the region is the picture.

    >>> masks, boxes = np.array([[[True, False]] * 2]), np.array([[0.0, 0, 2, 2]])
    >>> mask_targets(masks, boxes, np.array([0]), 2, convention="detectron2")
    array([[[1., 0.],
            [1., 0.]]])
    """
    op = "mask_targets"
    check_booleans(op, masks=masks)
    check_rank(op, "masks", masks, "G, H, W")
    check_boxes(op, boxes=boxes)
    check_integer(op, matches=matches)
    check_shape(op, "matches", matches, (len(boxes),), "one object per region")
    check_choice(op, "convention", convention, CONVENTIONS)
    side = integer(op, "side", side, low=1)
    if len(matches) and (matches.min() < 0 or matches.max() >= len(masks)):
        raise ValueError(f"{op}: matches must name one of {len(masks)} masks, got {matches.min()} … {matches.max()}")
    rois = np.concatenate([matches[:, None].astype(boxes.dtype), boxes], axis=1)
    bitmaps = masks[:, None].astype(boxes.dtype)  # (G, 1, H, W)
    seen = roi_align(bitmaps, rois, side, sampling_ratio=0, aligned=convention == "detectron2").data[:, 0]
    if convention == "torchvision":
        return np.minimum(seen, 1)  # weights that are rounded may add up to a little more
    return (seen >= 0.5).astype(seen.dtype)


def mask_loss(logits: Tensor | Array, targets: Array, classes: Array) -> Tensor:
    """Return the mean cross-entropy of the maps of the true classes.

    Args:
        logits: (P, C, m, m), one map for each class.
        targets: (P, m, m) of the same dtype, in [0, 1]; they get no gradient.
        classes: (P,), integers, the true class of each region.

    Returns:
        A scalar; 0 without regions.

    Of two classes the second is true, and undecided; that the first is certain does not matter:

    >>> round(mask_loss(np.array([[[[9.0]], [[0.0]]]]), np.array([[[1.0]]]), np.array([1])).item(), 3)
    0.693
    """
    logits = as_tensor("mask_loss", "logits", logits)
    chosen = _of_class("mask_loss", logits, classes)
    check_shape("mask_loss", "targets", targets, chosen.shape, "one map per region")
    if not chosen.size:
        return (logits * 0.0).sum()
    return binary_cross_entropy_with_logits(chosen, targets)


def mask_probabilities(logits: Tensor | Array, classes: Array) -> Array:
    """Return the probabilities of the maps of the predicted classes.

    Args:
        logits: (D, C, m, m). classes: (D,), integers, the class that each detection has.

    Returns:
        (D, m, m).

    >>> mask_probabilities(np.array([[[[9.0]], [[0.0]]]]), np.array([1]))
    array([[[0.5]]])
    """
    logits = as_tensor("mask_probabilities", "logits", logits)
    return sigmoid(_of_class("mask_probabilities", logits.detach(), classes)).data


def _of_class(op: str, logits: Tensor, classes: Array) -> Tensor:
    """Return the map of each region's class, (P, m, m)."""
    check_rank(op, "logits", logits.data, "P, C, m, m")
    check_integer(op, classes=classes)
    n_regions, n_classes = shape_of(logits.data)[:2]
    check_shape(op, "classes", classes, (n_regions,), "one per region")
    if len(classes) and (classes.min() < 0 or classes.max() >= n_classes):
        raise ValueError(f"{op}: classes must lie in [0, {n_classes}), got {classes.min()} … {classes.max()}")
    return logits[np.arange(n_regions), classes]

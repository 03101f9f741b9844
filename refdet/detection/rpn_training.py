"""What a region proposal network learns: labels of anchors, transforms to their objects, and two losses.

    L = 1/N_cls · Σ_i L_cls(p_i, p*_i)  +  λ · 1/N_reg · Σ_i p*_i · L_reg(t_i, t*_i)

over the anchors that were drawn. L_cls is the log loss of two classes, L_reg smooth L1 summed over the four numbers.
Ren, He, Girshick & Sun, "Faster R-CNN" (2015), eq. 1. What N_cls and N_reg are is a setting:

| normaliser | N |
|---|---|
| drawn | the anchors drawn of all pictures (py-faster-rcnn, torchvision); at least 1 |
| fixed | the anchors that are to be drawn, `n_drawn`, times the pictures (N_cls of the paper, 256; Detectron2) |
| positions | the positions of all maps, times the pictures (N_reg of the paper, about 2400) |

Conventions:

- Labels are those of `refdet.boxes.match_rpn`; a picture without objects makes every anchor background. An anchor is
  inside the picture if 0 ≤ x1, 0 ≤ y1, x2 < W and y2 < H.
- Indices of anchors that were drawn refer to the N · A anchors of the whole batch, picture by picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.boxes.iou import box_iou
from refdet.boxes.match_rpn import match_rpn
from refdet.boxes.sampling import sample_balanced
from refdet.boxes.transform import encode_boxes
from refdet.core.check import Array
from refdet.detection.rpn import RPNOutput, Size
from refdet.detection.rpn_settings import RPNSettings
from refdet.ops.binary_cross_entropy import binary_cross_entropy_with_logits
from refdet.ops.regression_losses import smooth_l1
from refdet.ops.shaping import reshape


class RPNTargets(NamedTuple):
    """What the anchors of one picture should say."""

    labels: Array  # (A,) int64: 1, 0 or −1
    matches: Array  # (A,) int64, each anchor's own object; −1 without objects


class DrawnAnchors(NamedTuple):
    """The anchors of a batch that enter the loss, as indices into N · A."""

    positives: Array  # (P,) int64, ascending
    negatives: Array  # (M,) int64, ascending
    deltas: Array  # (P, 4), the transform from each positive to its object


def rpn_targets(anchors: Array, boxes: Array, size: Size, settings: RPNSettings) -> RPNTargets:
    """Label the anchors (A, 4) of a picture of (height, width) = `size` with objects (G, 4).

    The first anchor is the object's best; the second overlaps it by a third:

    >>> anchors = np.array([[0.0, 0, 8, 8], [4, 0, 12, 8], [16, 0, 24, 8]])
    >>> rpn_targets(anchors, np.array([[0.0, 0, 8, 8]]), (8, 32), RPNSettings(sizes=((8.0,),))).labels
    array([ 1, -1,  0])
    """
    height, width = size
    inside = None
    if settings.inside_only:
        inside = (anchors[:, :2] >= 0).all(axis=1) & (anchors[:, 2] < width) & (anchors[:, 3] < height)
    iou = box_iou(anchors, boxes.astype(anchors.dtype), offset=settings.coordinates)
    labels, matches = match_rpn(
        iou, inside, positive=settings.positive, negative=settings.negative, guard_zero=settings.guard_zero
    )
    return RPNTargets(labels, matches)


def draw_anchors(
    targets: Sequence[RPNTargets], settings: RPNSettings, *, rng: np.random.Generator
) -> tuple[Array, Array]:
    """Return the positives and the negatives of the whole batch that were drawn, as indices into N · A."""
    positives, negatives = [], []
    for i, target in enumerate(targets):
        chosen = sample_balanced(
            target.labels,
            n=settings.n_drawn,
            positive_fraction=settings.positive_fraction,
            rng=rng,
            rounding="floor",
        )
        positives.append(chosen[0] + i * len(target.labels))
        negatives.append(chosen[1] + i * len(target.labels))
    return np.concatenate(positives), np.concatenate(negatives)


def drawn_anchors(
    anchors: Array,
    boxes: Sequence[Array],
    targets: Sequence[RPNTargets],
    positives: Array,
    negatives: Array,
    settings: RPNSettings,
) -> DrawnAnchors:
    """Return the anchors that were drawn with what the positives should become; `boxes` are those of each picture."""
    picture, anchor = np.divmod(positives, len(anchors))
    own = [boxes[n][targets[n].matches[a]] for n, a in zip(picture.tolist(), anchor.tolist(), strict=True)]
    truth = np.array(own, anchors.dtype).reshape(-1, 4)
    return DrawnAnchors(positives, negatives, encode_boxes(anchors[anchor], truth, convention=settings.transform))


def rpn_losses(output: RPNOutput, drawn: DrawnAnchors, settings: RPNSettings) -> dict[str, Tensor]:
    """Return `rpn_objectness` and `rpn_box` for the anchors that were drawn."""
    indices = np.concatenate([drawn.positives, drawn.negatives])
    labels = np.repeat([1.0, 0.0], [len(drawn.positives), len(drawn.negatives)]).astype(output.logits.dtype)
    logits = reshape(output.logits, (-1,))[indices]
    deltas = reshape(output.deltas, (-1, 4))[drawn.positives]
    n_pictures = output.logits.shape[0]
    n = {
        "drawn": max(len(indices), 1),
        "fixed": settings.n_drawn * n_pictures,
        "positions": output.n_positions * n_pictures,
    }
    objectness = binary_cross_entropy_with_logits(logits, labels, reduction="sum")
    box = smooth_l1(deltas, drawn.deltas, beta=settings.beta, reduction="sum")
    return {
        "rpn_objectness": objectness / n[settings.class_normaliser],
        "rpn_box": box * (settings.box_weight / n[settings.box_normaliser]),
    }

"""Fast R-CNN on VGG-16, as its author's program has it.

    picture, short side 600, long side at most 1000, blue first, less the mean colour
    → VGG-16 up to relu5_3, a sixteenth of the size → RoI pooling 7 × 7 of about 2000 proposals
    → fc6, fc7 of VGG-16, with dropout → 21 classes of VOC and a transform for each

Girshick, "Fast R-CNN" (2015), §2 and §3; the numbers of the head are those of `FAST_RCNN_HEAD`. conv1_1 to conv2_2 keep
what classification has taught them (§4.5). Class scores start from N(0, 0.01²), transforms from N(0, 0.001²). Difficult
objects are not learned. Mean and std of the targets are those of the training set: call `fit_targets` before training.

Names are those of `refdet.detection.vgg_faster_rcnn`, whose `from_vgg16` brings VGG-16's weights here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from refdet.detection.fast_rcnn import FAST_RCNN_HEAD, FastRCNN
from refdet.detection.preparation import FAST_RCNN_PREPARATION, Preparation
from refdet.detection.roi_heads import BoxHead, BoxPredictor, RoIHeads
from refdet.detection.roi_settings import HeadSettings
from refdet.detection.vgg_faster_rcnn import freeze_blocks
from refdet.detection.with_proposals import SelectiveSearch
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.vgg import VGG16, vgg_features
from refdet.features.backbones.width import scaled


@dataclass(frozen=True)
class VGGFastRCNNSettings:
    """The numbers of the detector; the defaults are the author's.

    Attributes:
        blocks: of the backbone, (channels, convolutions); the last pooling is left out.
        width: factor of all channels and hidden units.
        n_frozen_blocks: whose convolutions are not trained.
        hidden: outputs of fc6 and fc7.
        dropout: share of them that training drops.
        preparation: of the pictures.
        head: how regions are drawn, learned and reported.
        search: finds the proposals of a picture that comes without.
    """

    blocks: tuple[tuple[int, int], ...] = VGG16
    width: float = 1.0
    n_frozen_blocks: int = 2
    hidden: int = 4096
    dropout: float = 0.5
    preparation: Preparation = FAST_RCNN_PREPARATION
    head: HeadSettings = field(default_factory=lambda: FAST_RCNN_HEAD)
    search: SelectiveSearch = field(default_factory=SelectiveSearch)


def fastrcnn_vgg16(
    class_names: Sequence[str],
    *,
    rng: np.random.Generator,
    settings: VGGFastRCNNSettings | None = None,
    dtype: Any = np.float32,
) -> FastRCNN:
    """Return the detector with fresh weights, its first blocks frozen; `class_names` begin with the background."""
    s = settings or VGGFastRCNNSettings()
    backbone = OneMap(vgg_features(s.blocks, width=s.width, rng=rng, dtype=dtype))
    freeze_blocks(backbone, s.n_frozen_blocks)
    hidden = scaled(s.hidden, s.width)
    box_head = BoxHead(backbone.out_channels[0], s.head.side, (hidden, hidden), dropout=s.dropout, rng=rng, dtype=dtype)
    return FastRCNN(
        class_names,
        backbone,
        RoIHeads(s.head, box_head, BoxPredictor(hidden, len(class_names), rng=rng, dtype=dtype)),
        s.preparation,
        propose=s.search,
        with_difficult=False,
    )

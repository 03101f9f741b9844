"""What Fast and Faster R-CNN take from VGG-16: the convolutions as the backbone, fc6 and fc7 as the head on a region.

    picture, short side 600, long side at most 1000, blue first, less the mean colour
    → VGG-16 up to relu5_3, a sixteenth of the size → (regions, 7 × 7 each) → fc6, fc7, with dropout

The layers conv1_1 to conv2_2 keep what classification has taught them (Girshick, "Fast R-CNN", 2015, §4.5).

Names: `backbone.features.N` are torchvision's of VGG-16, and `from_vgg16` puts its classifier where fc6 and fc7 are.
Weights that were trained on red-first pictures of mean 0 and deviation 1 need another `preparation`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.core.check import Array
from refdet.detection.preparation import FAST_RCNN_PREPARATION, Preparation
from refdet.detection.roi_heads import BoxHead
from refdet.features.backbones.maps import OneMap
from refdet.features.backbones.vgg import VGG16, vgg_features
from refdet.features.backbones.width import scaled
from refdet.nn import Conv2d, MaxPool2d

CLASSIFIER = {"classifier.0.": "roi_heads.box_head.fc6.", "classifier.3.": "roi_heads.box_head.fc7."}


@dataclass(frozen=True)
class VGGSettings:
    """The numbers of these parts; the defaults are the authors'.

    Attributes:
        blocks: of the backbone, (channels, convolutions); the last pooling is left out.
        width: factor of all channels and hidden units.
        n_frozen_blocks: whose convolutions are not trained.
        hidden: outputs of fc6 and fc7.
        dropout: share of them that training drops.
        preparation: of the pictures.
    """

    blocks: tuple[tuple[int, int], ...] = VGG16
    width: float = 1.0
    n_frozen_blocks: int = 2
    hidden: int = 4096
    dropout: float = 0.5
    preparation: Preparation = FAST_RCNN_PREPARATION


def vgg_parts(
    settings: VGGSettings, *, side: int, rng: np.random.Generator, dtype: Any = np.float32
) -> tuple[OneMap, BoxHead, int]:
    """Return backbone and head with fresh weights, the first blocks frozen, and the width of fc7.

    Args:
        settings: all numbers but one.
        side: of the pooled regions.
        rng: source of the weights.
        dtype: of the weights.
    """
    s = settings
    backbone = OneMap(vgg_features(s.blocks, width=s.width, rng=rng, dtype=dtype))
    freeze_blocks(backbone, s.n_frozen_blocks)
    (channels,), hidden = backbone.out_channels, scaled(s.hidden, s.width)
    return backbone, BoxHead(channels, side, (hidden, hidden), dropout=s.dropout, rng=rng, dtype=dtype), hidden


def freeze_blocks(backbone: OneMap, n_blocks: int) -> None:
    """Freeze the convolutions in front of the pooling that ends block `n_blocks`."""
    block = 1
    for layer in backbone.features:
        if isinstance(layer, Conv2d) and block <= n_blocks:
            layer.freeze()
        block += isinstance(layer, MaxPool2d)


def from_vgg16(state: Mapping[str, Array]) -> dict[str, Array]:
    """Return the arrays of a VGG-16 that classifies, under the names of the detector, which has others besides.

    >>> list(from_vgg16({"features.0.bias": np.zeros(64), "classifier.3.bias": np.zeros(4096),
    ...     "classifier.6.bias": np.zeros(1000)}))
    ['backbone.features.0.bias', 'roi_heads.box_head.fc7.bias']
    """
    renamed = {}
    for name, array in state.items():
        if name.startswith("features."):
            renamed[f"backbone.{name}"] = array
        for old, new in CLASSIFIER.items():
            if name.startswith(old):
                renamed[new + name.removeprefix(old)] = array
    return renamed

"""VGG: blocks of 3 × 3 convolutions, each block ended by a pooling, then three fully connected layers.

| | 64 | 128 | 256 | 512 | 512 | parameters |
|---|---|---|---|---|---|---|
| VGG-11 | 1 | 1 | 2 | 2 | 2 | 132 863 336 |
| VGG-13 | 2 | 2 | 2 | 2 | 2 | 133 047 848 |
| VGG-16 | 2 | 2 | 3 | 3 | 3 | 138 357 544 |
| VGG-19 | 2 | 2 | 4 | 4 | 4 | 143 667 240 |

Simonyan & Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), table 1: columns A,
B, D and E. Convolutions pad by 1 and keep the size; poolings are 2 × 2 with stride 2, so that 224 pixels become 7; the
fully connected layers have 4096, 4096 and n_classes outputs; a ReLU follows every layer but the last, and dropout the
two hidden ones.

Names are torchvision's: features.0.weight … features.28.bias and classifier.0.weight … classifier.6.bias, with
`batch_norm` further ones between them; its files load unchanged. As there, dropout stands behind the ReLU, a
convolution in front of a normalisation keeps its bias, and pictures of any size are taken (`AverageBins`).

`vgg` takes any blocks, for small networks. Weights start from He's initialiser and biases from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from refdet.core.check import check_flag, integer, sequence
from refdet.features.backbones.average_bins import AverageBins
from refdet.features.backbones.classifier import Classifier
from refdet.features.backbones.width import scaled
from refdet.features.backbones.windows import windows
from refdet.features.receptive_field import Window
from refdet.nn import BatchNorm2d, Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential

Blocks = Sequence[tuple[int, int]]  # (channels, number of convolutions) of each block, from the picture on

VGG11 = ((64, 1), (128, 1), (256, 2), (512, 2), (512, 2))
VGG13 = ((64, 2), (128, 2), (256, 2), (512, 2), (512, 2))
VGG16 = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
VGG19 = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))


def vgg_features(
    blocks: Blocks,
    *,
    in_channels: int = 3,
    width: float = 1.0,
    batch_norm: bool = False,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Sequential:
    """Return the convolutions and poolings, numbered as torchvision's; `OneMap` makes a detector's backbone of them.

    >>> features = vgg_features([(8, 1), (16, 2)], rng=np.random.default_rng(0))
    >>> [type(layer).__name__ for layer in features]
    ['Conv2d', 'ReLU', 'MaxPool2d', 'Conv2d', 'ReLU', 'Conv2d', 'ReLU', 'MaxPool2d']
    >>> features(np.zeros((1, 3, 32, 32), np.float32)).shape
    (1, 16, 8, 8)
    """
    normalise = check_flag("vgg", "batch_norm", batch_norm)
    layers: list[Module] = []
    before = integer("vgg", "in_channels", in_channels, low=1)
    for channels, n_convolutions in _checked(blocks):
        C = scaled(channels, width)
        for _ in range(n_convolutions):
            layers.append(Conv2d(before, C, 3, padding=1, rng=rng, dtype=dtype))
            layers += [BatchNorm2d(C, dtype=dtype), ReLU()] if normalise else [ReLU()]
            before = C
        layers.append(MaxPool2d(2))
    return Sequential(*layers)


def vgg(
    blocks: Blocks,
    n_classes: int = 1000,
    *,
    hidden: int = 4096,
    map_size: int = 7,
    in_channels: int = 3,
    width: float = 1.0,
    batch_norm: bool = False,
    dropout: float = 0.5,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return a network of any blocks that gives a picture its logits.

    Args:
        blocks: (channels, number of convolutions) of each block.
        n_classes: outputs of the last layer.
        hidden: outputs of the two layers before it.
        map_size: side of the map that the first of them sees, whatever the picture.
        in_channels: channels of the picture.
        width: factor of all channels and of `hidden`.
        batch_norm: normalise after every convolution.
        dropout: share of the hidden values that training drops.
        rng: source of the initial weights.
        dtype: float32 or float64.
    """
    n_classes = integer("vgg", "n_classes", n_classes, low=1)
    features = vgg_features(blocks, in_channels=in_channels, width=width, batch_norm=batch_norm, rng=rng, dtype=dtype)
    P, H = integer("vgg", "map_size", map_size, low=1), scaled(hidden, width)
    classifier = Sequential(
        Linear(scaled(blocks[-1][0], width) * P * P, H, rng=rng, dtype=dtype),
        ReLU(),
        Dropout(dropout),
        Linear(H, H, rng=rng, dtype=dtype),
        ReLU(),
        Dropout(dropout),
        Linear(H, n_classes, rng=rng, dtype=dtype),
    )
    return Classifier(features, AverageBins(P), classifier)


def vgg11(
    n_classes: int = 1000,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return VGG-11: column A of the paper's table."""
    return vgg(VGG11, n_classes, width=width, batch_norm=batch_norm, rng=rng, dtype=dtype)


def vgg13(
    n_classes: int = 1000,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return VGG-13: column B of the paper's table."""
    return vgg(VGG13, n_classes, width=width, batch_norm=batch_norm, rng=rng, dtype=dtype)


def vgg16(
    n_classes: int = 1000,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return VGG-16: column D of the paper's table."""
    return vgg(VGG16, n_classes, width=width, batch_norm=batch_norm, rng=rng, dtype=dtype)


def vgg19(
    n_classes: int = 1000,
    *,
    width: float = 1.0,
    batch_norm: bool = False,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return VGG-19: column E of the paper's table."""
    return vgg(VGG19, n_classes, width=width, batch_norm=batch_norm, rng=rng, dtype=dtype)


def vgg_windows(features: Sequential) -> dict[str, Window]:
    """Return the windows of `vgg_features` by the paper's names: conv1_1, …, pool1, conv2_1, …

    >>> list(vgg_windows(vgg_features([(8, 1), (16, 2)], rng=np.random.default_rng(0))))
    ['conv1_1', 'pool1', 'conv2_1', 'conv2_2', 'pool2']
    """
    named: dict[str, Window] = {}
    block, i = 1, 0
    for layer in features:
        for window in windows(layer):
            if isinstance(layer, MaxPool2d):
                named[f"pool{block}"] = window
                block, i = block + 1, 0
            else:
                i += 1
                named[f"conv{block}_{i}"] = window
    return named


def _checked(blocks: Blocks) -> list[tuple[int, int]]:
    """Return the blocks as pairs of integers; refuse anything else."""
    pairs = sequence("vgg", "blocks", blocks)
    if not pairs or not all(isinstance(block, (tuple, list)) and len(block) == 2 for block in pairs):
        raise ValueError(f"vgg: blocks must be pairs (channels, number of convolutions), one or more, got {blocks!r}")
    return [
        (
            integer("vgg", "the channels of a block", channels, low=1),
            integer("vgg", "the convolutions of a block", n_convolutions, low=1),
        )
        for channels, n_convolutions in pairs
    ]

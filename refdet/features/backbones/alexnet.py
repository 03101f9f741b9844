"""AlexNet, and the three networks that bear its name.

| variant | convolutions | groups | after conv1 and conv2 | normalisation | picture → map |
|---|---|---|---|---|---|
| `"paper"` | 96, 256, 384, 384, 256 | 2 in conv2, 4, 5 | norm, pool | k = 2, α' = 1e-4 | 227 → 6 |
| `"bvlc_alexnet"` | the same | the same | norm, pool | k = 1, α' = 1e-4/5 | 227 → 6 |
| `"caffenet"` | the same | the same | pool, norm | k = 1, α' = 1e-4/5 | 227 → 6 |
| `"torchvision"` | 64, 192, 384, 256, 256 | none | pool | none | any; 224 → 6 |

Krizhevsky, Sutskever & Hinton, "ImageNet classification with deep convolutional neural networks" (2012), §3: filters of
11 with stride 4, of 5 and three times of 3; n = 5 and β = 0.75 (`refdet.ops.local_response_norm`); poolings of 3 with
stride 2 after conv1, 2 and 5; fully connected layers of 4096, 4096 and n_classes. The paper says 224 pixels, from which
its filters do not make its 55; 227 do. The first two files of Caffe (`models/bvlc_alexnet`, `bvlc_reference_caffenet`)
differ by where they normalise, and from the paper by k and α', as Caffe divides α by n; R-CNN uses the second. The last
is that of Krizhevsky's "One weird trick" (2014), as torchvision has it. They have 60 965 224 parameters; the last,
61 100 840.

Names are Caffe's, features.conv1.weight … classifier.fc8.bias; torchvision's for its own, features.0.weight …
classifier.6.bias, so that its file loads unchanged. Caffe's poolings round sizes up, which 227 pixels do not need.
Weights start from He's initialiser and biases from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.core.check import check_choice, integer
from refdet.features.backbones.average_bins import AverageBins
from refdet.features.backbones.classifier import Classifier, SameSize
from refdet.features.backbones.stages import Stage, fully_connected, stage_windows, stages
from refdet.features.backbones.width import scaled
from refdet.features.receptive_field import Window
from refdet.nn import Conv2d, Dropout, Linear, LocalResponseNorm, MaxPool2d, Module, ReLU, Sequential

VARIANTS = ("paper", "bvlc_alexnet", "caffenet", "torchvision")
MAP_SIDE = 6  # after the last pooling
LRN = {
    "paper": {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 2.0, "convention": "paper"},
    "bvlc_alexnet": {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0, "convention": "caffe"},
    "caffenet": {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0, "convention": "caffe"},
}


def alexnet(
    n_classes: int = 1000,
    *,
    variant: str = "paper",
    width: float = 1.0,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return the network that gives pictures (N, 3, H, W) their logits.

    Args:
        n_classes: outputs of the last layer.
        variant: one of the table; all but "torchvision" take pictures of 227 × 227 alone.
        width: factor of all channels and of the 4096 hidden units; grouped convolutions keep even numbers.
        rng: source of the initial weights.
        dtype: float32 or float64.

    >>> net = alexnet(10, width=1 / 48, rng=np.random.default_rng(0))
    >>> net(np.zeros((1, 3, 227, 227), np.float32)).shape
    (1, 10)
    """
    n_classes = integer("alexnet", "n_classes", n_classes, low=1)
    features = alexnet_features(variant=variant, width=width, rng=rng, dtype=dtype)
    hidden = scaled(4096, width)
    if variant == "torchvision":
        in_features = scaled(256, width) * MAP_SIDE**2
        return Classifier(
            features, AverageBins(MAP_SIDE), _torchvision_head(in_features, n_classes, hidden, rng, dtype)
        )
    in_features = scaled(256, width, multiple=2) * MAP_SIDE**2
    head = fully_connected(in_features, n_classes, hidden=hidden, rng=rng, dtype=dtype)
    return Classifier(features, SameSize(MAP_SIDE), head)


def alexnet_features(
    *, variant: str = "paper", width: float = 1.0, rng: np.random.Generator, dtype: Any = np.float32
) -> Sequential:
    """Return the layers up to the last pooling; `OneMap` makes a detector's backbone of them."""
    check_choice("alexnet", "variant", variant, VARIANTS)
    if variant == "torchvision":
        return _torchvision_features(width, rng, dtype)
    norm, pool = LocalResponseNorm(**LRN[variant]), MaxPool2d(3, stride=2, ceil_mode=True)
    after = {"pool": pool, "norm": norm} if variant == "caffenet" else {"norm": norm, "pool": pool}
    plan = (
        Stage(96, 11, stride=4, after=after),
        Stage(256, 5, padding=2, groups=2, after=after),
        Stage(384, 3, padding=1),
        Stage(384, 3, padding=1, groups=2),
        Stage(256, 3, padding=1, groups=2, after={"pool": pool}),
    )
    return stages(plan, width=width, rng=rng, dtype=dtype)


def alexnet_windows(features: Sequential) -> dict[str, Window]:
    """Return the windows of `alexnet_features` by the paper's names.

    >>> list(alexnet_windows(alexnet_features(width=1 / 48, rng=np.random.default_rng(0))))
    ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5', 'pool5']
    """
    return stage_windows(features)


def _torchvision_features(width: float, rng: np.random.Generator, dtype: Any) -> Sequential:
    """Return convolutions (channels, filter, stride, padding, whether a pooling follows) as numbered layers."""
    layers: list[Module] = []
    before = 3
    for channels, kernel, stride, padding, pooled in (
        (64, 11, 4, 2, True),
        (192, 5, 1, 2, True),
        (384, 3, 1, 1, False),
        (256, 3, 1, 1, False),
        (256, 3, 1, 1, True),
    ):
        C = scaled(channels, width)
        layers += [Conv2d(before, C, kernel, stride=stride, padding=padding, rng=rng, dtype=dtype), ReLU()]
        layers += [MaxPool2d(3, stride=2)] if pooled else []
        before = C
    return Sequential(*layers)


def _torchvision_head(
    in_features: int, n_classes: int, hidden: int, rng: np.random.Generator, dtype: Any
) -> Sequential:
    """Return the fully connected layers, where dropout stands in front of the layer that it concerns."""
    return Sequential(
        Dropout(0.5),
        Linear(in_features, hidden, rng=rng, dtype=dtype),
        ReLU(),
        Dropout(0.5),
        Linear(hidden, hidden, rng=rng, dtype=dtype),
        ReLU(),
        Linear(hidden, n_classes, rng=rng, dtype=dtype),
    )

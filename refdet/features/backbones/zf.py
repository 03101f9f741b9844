"""ZF-5: five convolutions, as SPP-net and Faster R-CNN take them over from Zeiler and Fergus.

| variant | conv1 96 × 7/2 | pool1 3/2 | conv2 256 × 5/2 | pool2 3/2 | conv3 to 5: 384, 384, 256 × 3 | 224 pixels |
|---|---|---|---|---|---|---|
| `"spp"` | pads 1 | 0 | 0 | 0 | 1 | 110, 55, 26, 13 |
| `"faster"` | pads 3 | 1 | 2 | 1 | 1 | 112, 57, 29, 15 |

Zeiler & Fergus, "Visualizing and understanding convolutional networks" (2014); He, Zhang, Ren & Sun, "Spatial pyramid
pooling" (2014), table 1; the authors' files of SPP-net and py-faster-rcnn for the paddings. After the ReLU of conv1 and
conv2 stands local response normalisation within each channel, over 3 × 3 pixels with α = 5e-5, β = 0.75 and k = 1, then
the pooling, which rounds sizes up. Padding every layer by half its filter, as Faster R-CNN does, puts response (x, y)
at pixel (16x, 16y).

After conv5 stands spatial pyramid pooling: of one level of 6 × 6 bins, which on 13 × 13 pixels are the 3 × 3 windows
with stride 2 of the plain network; SPP-net's own pyramids are 6, 3, 2, 1 and 4, 3, 2, 1. Then fully connected layers
of 4096, 4096 and n_classes; with 6 × 6 bins the network has 62 357 608 parameters.

Names are Caffe's: features.conv1.weight … classifier.fc8.bias. Weights start from He's initialiser, biases from 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.core.check import check_choice, integer
from refdet.features.backbones.classifier import Classifier, Pyramid
from refdet.features.backbones.stages import Stage, fully_connected, stage_windows, stages
from refdet.features.backbones.width import scaled
from refdet.features.receptive_field import Window
from refdet.nn import Apply, MaxPool2d, Sequential
from refdet.ops.local_response_norm_within_channel import local_response_norm_within_channel

PADDINGS = {"spp": (1, 0, 0, 0), "faster": (3, 1, 2, 1)}  # of conv1, pool1, conv2, pool2


def zf(
    n_classes: int = 1000,
    *,
    variant: str = "spp",
    pyramid: Sequence[int] = (6,),
    width: float = 1.0,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> Classifier:
    """Return the network that gives pictures (N, 3, H, W) of any size their logits.

    Args:
        n_classes: outputs of the last layer.
        variant: "spp" or "faster", which differ by their paddings.
        pyramid: the levels of spatial pyramid pooling; level k has k × k bins.
        width: factor of all channels and of the 4096 hidden units.
        rng: source of the initial weights.
        dtype: float32 or float64.

    >>> net = zf(10, pyramid=(6, 3, 2, 1), width=1 / 64, rng=np.random.default_rng(0))
    >>> net(np.zeros((1, 3, 100, 80), np.float32)).shape, net.classifier[0].weight.shape
    ((1, 10), (64, 200))
    """
    n_classes = integer("zf", "n_classes", n_classes, low=1)
    features = zf_features(variant=variant, width=width, rng=rng, dtype=dtype)
    pool = Pyramid(pyramid)
    in_features = scaled(256, width) * pool.n_bins
    head = fully_connected(in_features, n_classes, hidden=scaled(4096, width), rng=rng, dtype=dtype)
    return Classifier(features, pool, head)


def zf_features(
    *, variant: str = "spp", width: float = 1.0, rng: np.random.Generator, dtype: Any = np.float32
) -> Sequential:
    """Return the layers up to conv5 and its ReLU; `OneMap` makes a detector's backbone of them."""
    check_choice("zf", "variant", variant, PADDINGS)
    pad1, pool1, pad2, pool2 = PADDINGS[variant]
    norm = Apply(local_response_norm_within_channel, size=3, alpha=5e-5, beta=0.75, k=1.0)
    pool = partial(MaxPool2d, 3, stride=2, ceil_mode=True)
    plan = (
        Stage(96, 7, stride=2, padding=pad1, after={"norm": norm, "pool": pool(padding=pool1)}),
        Stage(256, 5, stride=2, padding=pad2, after={"norm": norm, "pool": pool(padding=pool2)}),
        Stage(384, 3, padding=1),
        Stage(384, 3, padding=1),
        Stage(256, 3, padding=1),
    )
    return stages(plan, width=width, rng=rng, dtype=dtype)


def zf_windows(features: Sequential) -> dict[str, Window]:
    """Return the windows of `zf_features` by name.

    >>> list(zf_windows(zf_features(width=1 / 96, rng=np.random.default_rng(0))))
    ['conv1', 'pool1', 'conv2', 'pool2', 'conv3', 'conv4', 'conv5']
    """
    return stage_windows(features)

"""Networks of single convolutions, each with what follows it: the layers of AlexNet and ZF under Caffe's names.

conv1, relu1, norm1, pool1, conv2, …   then   fc6, relu6, drop6, fc7, relu7, drop7, fc8
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from refdet.features.backbones.width import scaled
from refdet.features.backbones.windows import windows
from refdet.features.receptive_field import Window
from refdet.nn import Conv2d, Dropout, Linear, MaxPool2d, Module, ReLU, Sequential


class Stage(NamedTuple):
    """A convolution and a ReLU, then the layers of `after`, which have no parameters, by name and in order."""

    channels: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    after: Mapping[str, Module] = {}


def stages(
    plan: Sequence[Stage],
    *,
    width: float,
    rng: np.random.Generator,
    dtype: Any,
) -> Sequential:
    """Return the layers of all stages, from three channels on.

    Args:
        plan: the stages, from the picture on.
        width: factor of the channels, which stay multiples of the largest number of groups.
        rng: source of the initial weights.
        dtype: float32 or float64.
    """
    multiple = max(stage.groups for stage in plan)
    layers: dict[str, Module] = {}
    before = 3
    for i, stage in enumerate(plan, start=1):
        C = scaled(stage.channels, width, multiple=multiple)
        layers[f"conv{i}"] = Conv2d(
            before,
            C,
            stage.kernel,
            stride=stage.stride,
            padding=stage.padding,
            groups=stage.groups,
            rng=rng,
            dtype=dtype,
        )
        layers[f"relu{i}"] = ReLU()
        layers |= {f"{name}{i}": layer for name, layer in stage.after.items()}
        before = C
    return Sequential(**layers)


def fully_connected(
    in_features: int, n_classes: int, *, hidden: int, rng: np.random.Generator, dtype: Any
) -> Sequential:
    """Return fc6 and fc7, each with its ReLU and dropout of one half, and fc8."""
    return Sequential(
        fc6=Linear(in_features, hidden, rng=rng, dtype=dtype),
        relu6=ReLU(),
        drop6=Dropout(0.5),
        fc7=Linear(hidden, hidden, rng=rng, dtype=dtype),
        relu7=ReLU(),
        drop7=Dropout(0.5),
        fc8=Linear(hidden, n_classes, rng=rng, dtype=dtype),
    )


def stage_windows(features: Sequential) -> dict[str, Window]:
    """Return the windows of layers that are numbered by the convolutions: conv1, pool1, conv2, …

    >>> rng = np.random.default_rng(0)
    >>> list(stage_windows(Sequential(Conv2d(3, 2, 3, rng=rng), Conv2d(2, 2, 3, rng=rng), ReLU(), MaxPool2d(2))))
    ['conv1', 'conv2', 'pool2']
    """
    named: dict[str, Window] = {}
    i = 0
    for layer in features:
        for window in windows(layer):
            i += not isinstance(layer, MaxPool2d)
            named[f"{'pool' if isinstance(layer, MaxPool2d) else 'conv'}{i}"] = window
    return named

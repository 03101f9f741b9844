"""What a detector asks of a backbone: a batch of pictures in, one or several feature maps out.

Fast and Faster R-CNN of the papers look at one map: that of the last convolution, before the pooling that would follow
it (Girshick, "Fast R-CNN", 2015, §2.1: RoI pooling takes the place of the last pooling). A feature pyramid gives
several.

Conventions: maps are (N, C, H, W), finest first. Pictures are (N, 3, H, W) as `refdet.detection.preparation` makes
them. The stride of a map is how many pixels of the batch lie between the centres of two neighbouring responses.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.features.backbones.windows import windows
from refdet.features.receptive_field import Window, alpha
from refdet.nn import Conv2d, MaxPool2d, Module, Sequential


@runtime_checkable
class FeatureMaps(Protocol):
    """A Module that turns a batch into one or several maps, finest first.

    Attributes:
        out_channels: one number per map.
        strides: pixels of the batch between neighbouring responses, one per map.
    """

    out_channels: tuple[int, ...]
    strides: tuple[int, ...]

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return the maps (N, C, H, W) of a batch (N, 3, H, W)."""


class OneMap(Module):
    """The layers of a classification network, without the max pooling that may end them, as a backbone with one map.

    The layers are shared with the network that they come from, and keep their names below `features`. Of VGG-16 it is
    the map of relu5_3, a sixteenth of the picture's size; here is one of two blocks:

    >>> from refdet import nn
    >>> rng = np.random.default_rng(0)
    >>> block = (nn.Conv2d(3, 4, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2))
    >>> other = (nn.Conv2d(4, 8, 3, padding=1, rng=rng), nn.ReLU(), nn.MaxPool2d(2))
    >>> backbone = OneMap(nn.Sequential(*block, *other))
    >>> backbone.out_channels, backbone.strides, backbone(np.zeros((1, 3, 16, 16), np.float32)).shape
    ((8,), (2,), (1, 8, 8, 8))
    """

    def __init__(self, features: Sequential) -> None:
        super().__init__()
        if not isinstance(features, Sequential):
            raise TypeError(f"OneMap: features must be a Sequential, got {type(features).__name__}")
        self.features = without_last_pooling(features)
        self.out_channels: tuple[int, ...] = (last_channels(self.features),)
        self.strides: tuple[int, ...] = (alpha(self.windows()),)

    def windows(self) -> list[Window]:
        """Return what the layers slide over the picture."""
        return windows(self.features)

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor]:
        """Return the one map."""
        return (self.forward(x, training=training, rng=rng),)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the map (N, C, H, W)."""
        return self.features(x, training=training, rng=rng)


def without_last_pooling(features: Sequential) -> Sequential:
    """Return the layers, sharing them, but for a max pooling at the very end."""
    return features[:-1] if len(features) and isinstance(features[-1], MaxPool2d) else features


def last_channels(features: Sequential) -> int:
    """Return how many channels the layers give: what the last of them that changes their number makes of it."""
    channels = _out_channels(features)
    if channels is None:
        raise ValueError("OneMap: features must contain a convolution, whose channels the map has")
    return channels


def _out_channels(layer: Module) -> int | None:
    """Return the channels of a convolution, or of a part that says so; None of a layer that keeps their number."""
    if isinstance(layer, Conv2d):
        return int(layer.weight.shape[0])
    if isinstance(layer, Sequential):
        return next((C for part in reversed(list(layer)) if (C := _out_channels(part)) is not None), None)
    channels = getattr(layer, "out_channels", None)
    return channels if isinstance(channels, int) else None

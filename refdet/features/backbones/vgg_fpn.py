"""A feature pyramid over a VGG: its maps are what comes before each pooling, from one on.

    image → block 1 → pool → block 2 → pool → block 3 → …
                                 C_2              C_3          → `fpn`: P_2, P_3, …

Lin et al., "Feature pyramid networks for object detection" (2017), have a ResNet's stages below; nothing else differs.
Block b has stride 2^(b − 1). Parameter names: `features` as a VGG's, `fpn` as torchvision's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import integer
from refdet.features.backbones.fpn import FPN
from refdet.features.backbones.maps import without_last_pooling
from refdet.features.backbones.vgg import Blocks, vgg_features
from refdet.nn import MaxPool2d, Module, Sequential


class VGGFPN(Module):
    """The last blocks of a VGG with a pyramid over them.

    Args:
        blocks: (channels, convolutions) of each block, as for `vgg_features`.
        first: the first block, counted from 1, whose map the pyramid takes.
        out_channels: of every map of the pyramid.
        batch_norm: whether every convolution of the VGG is followed by a batch normalisation.

    >>> net = VGGFPN([(4, 1), (4, 1), (8, 1)], first=2, out_channels=4, rng=np.random.default_rng(0))
    >>> net.strides, [p.shape for p in net.maps(Tensor(np.zeros((1, 3, 16, 16), np.float32)), training=False, rng=None)]
    ((2, 4), [(1, 4, 8, 8), (1, 4, 4, 4)])
    """

    def __init__(
        self,
        blocks: Blocks,
        *,
        first: int,
        out_channels: int,
        batch_norm: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.features = without_last_pooling(vgg_features(blocks, batch_norm=batch_norm, rng=rng, dtype=dtype))
        self.first = integer("VGGFPN", "first", first, low=1)
        if first > len(blocks):
            raise ValueError(f"VGGFPN: first must be one of the {len(blocks)} blocks, got {first}")
        channels = [C for C, _ in blocks[self.first - 1 :]]
        self.fpn = FPN(channels, out_channels, extra="none", rng=rng, dtype=dtype)
        self.out_channels = self.fpn.out_channels
        self.strides = tuple(1 << b for b in range(self.first - 1, len(blocks)))

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return the maps of the pyramid, finest first, all (N, out_channels, H, W), of a batch (N, 3, H, W)."""
        return self.fpn.pyramid(maps_of_blocks(self.features, x, training=training, rng=rng)[self.first - 1 :])


def maps_of_blocks(features: Sequential, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> list[Tensor]:
    """Return what comes before each pooling, and what comes last."""
    maps = []
    for layer in features:
        if isinstance(layer, MaxPool2d):
            maps.append(x)
        x = layer(x, training=training, rng=rng)
    return [*maps, x]

"""An hourglass: maps of the size of a crop, in which every place knows all of the crop.

    C_1 = crop,    C_{i+1} = convolutions of the max pooling of C_i
    M_i = conv1×1(C_i) + up(M_{i+1}),    the result is M_1

Newell, Yang & Deng, "Stacked hourglass networks for human pose estimation" (2016), §3.1: to say which hand is the left
one takes the whole figure, and where it is, single pixels. Poolings bring the figure together; each size of the maps is
kept, and added to the next coarser one, repeated, on the way back. Their residual modules are, on the way down, a VGG's
convolutions here, and on the way back a feature pyramid's sums (Lin et al., 2017; `refdet.features.backbones.fpn`).

Conventions: sides need not be powers of 2; a pooling leaves out the last row or column of an odd number. Normalisation
takes the statistics of the crops of a training step, and its estimates where these have less than two places: those of
no crops at all, or of one on a single place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.features.backbones.fpn import linear_conv, top_down
from refdet.features.backbones.maps import without_last_pooling
from refdet.features.backbones.vgg import Blocks, vgg_features
from refdet.features.backbones.vgg_fpn import maps_of_blocks
from refdet.nn import MaxPool2d, Module, Sequential


class Hourglass(Module):
    """(R, C, s, s) → (R, D, s, s).

    Args:
        in_channels: C, of the crops.
        blocks: (channels, convolutions) of each coarser size.
        out_channels: D.
        batch_norm: whether every convolution of the blocks is normalised.
        rng: source of the weights.
        dtype: of the weights.

    >>> head = Hourglass(3, [(4, 1), (6, 1)], 5, rng=np.random.default_rng(0))
    >>> head(np.zeros((2, 3, 14, 14), np.float32)).shape
    (2, 5, 14, 14)
    """

    def __init__(
        self,
        in_channels: int,
        blocks: Blocks,
        out_channels: int,
        *,
        batch_norm: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        convolutions = vgg_features(blocks, in_channels=in_channels, batch_norm=batch_norm, rng=rng, dtype=dtype)
        self.features = Sequential(MaxPool2d(2), *without_last_pooling(convolutions))
        channels = (in_channels, *(C for C, _ in blocks))
        self.inner_blocks = Sequential(*(linear_conv(C, out_channels, 1, rng, dtype) for C in channels))

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the finest sum."""
        n = len(self.inner_blocks) - 1
        if min(x.shape[2:]) >> n == 0:
            raise ValueError(f"Hourglass: crops must have a place left after {n} poolings, got shape {x.shape}")
        smallest = x.shape[0] * (x.shape[2] >> n) * (x.shape[3] >> n)
        maps = maps_of_blocks(self.features, x, training=training and smallest > 1, rng=rng)
        return top_down([inner(c) for inner, c in zip(self.inner_blocks, maps, strict=True)])[0]

"""A box head that is the rest of the network: all that is behind the map that regions are cropped from.

    crop → last blocks of the backbone → (R, C, side / 4, side / 4) for two blocks → fc6 → relu → fc7 → relu

He et al., "Deep residual learning" (2016), have such a head in their Faster R-CNN: stage 5 of the network, on every
region; the fully connected layers behind it are those of Girshick's "Fast R-CNN" (2015). A region of an early map, of
about the size at which the network knows its objects, is what a picture of that object is to the classifier that the
network was before; `object_classifier.begin_as` starts it as that.

Conventions: the blocks are a copy of their own, that learns apart from the backbone's. Normalisation runs by its
estimates, as in `ImagePyramid`, whose crops these are.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.detection.roi_heads import BoxHead
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import last_channels
from refdet.nn import MaxPool2d, Sequential


class LateHead(BoxHead):
    """The late layers of a backbone and two fully connected ones: (R, C', side, side) → (R, F).

    Args:
        convolutions: the late layers, from a pooling on.
        side: of what they make of a crop.
        widths: of fc6 and fc7.
        dropout: share of their values that training drops.
        rng: source of the weights.
        dtype: of the weights.
    """

    def __init__(
        self,
        convolutions: Sequential,
        side: int,
        widths: tuple[int, int],
        *,
        dropout: float = 0.0,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__(last_channels(convolutions), side, widths, dropout=dropout, rng=rng, dtype=dtype)
        self.convolutions = convolutions

    def late_maps(self, x: Tensor, rng: np.random.Generator | None = None) -> Tensor:
        """Return what the fully connected layers see of every region."""
        return self.convolutions(x, training=False, rng=rng)  # of which only the normalisation takes notice

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the features of every region."""
        return self.fully_connected(self.late_maps(x, rng), training=training, rng=rng)


def late_head(
    backbone: ImagePyramid,
    side: int,
    widths: tuple[int, int],
    *,
    dropout: float = 0.0,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> LateHead:
    """Return a head with a copy of the late layers of a backbone, for crops of side × side."""
    late = copy.deepcopy(Sequential(*backbone.late_layers))
    n_poolings = sum(isinstance(layer, MaxPool2d) for layer in late)
    if side >> n_poolings == 0:
        raise ValueError(f"late_head: crops of {side} × {side} are too small for {n_poolings} poolings")
    return LateHead(late, side >> n_poolings, widths, dropout=dropout, rng=rng, dtype=dtype)

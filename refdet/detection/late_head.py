"""A box head that is the rest of the network: the blocks behind the map that regions are cropped from.

    crop → last blocks of the backbone → m                       (R, C, side / 4, side / 4) for two blocks
    features = [ mean of m over the crop,  relu(fc(m)) ]         what it is, and where it is in the crop

He et al., "Deep residual learning" (2016), have such a head in their Faster R-CNN: stage 5 of the network, on every
region. A region of an early map, of about the size at which the network knows its objects, is what a picture of that
object is to the classifier that the network was before; `object_classifier.begin_as` starts it as that.

Conventions: the blocks are a copy of their own, that learns apart from the backbone's. Normalisation runs by its
estimates, as in `ImagePyramid`, whose crops these are.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.features.backbones.image_pyramid import ImagePyramid
from refdet.features.backbones.maps import last_channels
from refdet.nn import Linear, MaxPool2d, Module, Sequential
from refdet.ops.activations import relu
from refdet.ops.shaping import concat


class LateHead(Module):
    """The late layers of a backbone, the mean, and one fully connected layer: (R, C', side, side) → (R, C + F).

    Args:
        convolutions: the late layers, from a pooling on.
        map_shape: of what they make of a crop, (C, height, width).
        width: F.
        rng: source of the weights.
        dtype: of the weights.
    """

    def __init__(
        self,
        convolutions: Sequential,
        map_shape: tuple[int, int, int],
        width: int,
        *,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.map_shape = map_shape
        self.fc = Linear(math.prod(map_shape), width, rng=rng, dtype=dtype)
        self.out_features = map_shape[0] + width

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the features of every region."""
        m = self.convolutions(x, training=False, rng=rng)  # of which only the normalisation takes notice
        where = relu(self.fc(m.reshape((m.shape[0], math.prod(self.map_shape))), training=training, rng=rng))
        return concat([m.mean((2, 3)), where], axis=1)


def late_head(
    backbone: ImagePyramid, side: int, width: int, *, rng: np.random.Generator, dtype: Any = np.float32
) -> LateHead:
    """Return a head with a copy of the late layers of a backbone, for crops of side × side."""
    late = copy.deepcopy(Sequential(*backbone.late_layers))
    n_poolings = sum(isinstance(layer, MaxPool2d) for layer in late)
    if side >> n_poolings == 0:
        raise ValueError(f"late_head: crops of {side} × {side} are too small for {n_poolings} poolings")
    return LateHead(late, (last_channels(late), side >> n_poolings, side >> n_poolings), width, rng=rng, dtype=dtype)

"""One network for several sizes of the picture: what is large in one of them is as large as what is small in another.

    for each scale s:    picture, resized by s → first blocks → E_s → last blocks → L_s

    maps: E of every scale, the largest picture first, then L of every scale, where asked for

He et al., "Spatial pyramid pooling" (2014), §4.1, and Girshick, "Fast R-CNN" (2015), §2.4: each region is seen in the
picture in which it has about the size that the network knows best. Regions are cropped from E, early, where little of
the network is behind them and little detail is lost; the rest of it can then be applied to the crop. Proposals are made
from L, late, from all that the network knows.

Conventions: pictures are resized bilinearly, half-pixel centres, to ⌊s · side⌋ pixels that are 1/s apart, whatever the
side, so that what is left over beyond the last of them is not seen. Strides are those of the picture as it is given,
stride / s, and must be whole. Normalisation has the same statistics at every scale: those of a
training batch would differ from one to the other, so that it always runs by its estimates, whose scale and shift still
learn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_flag, integer
from refdet.features.backbones.maps import last_channels, without_last_pooling
from refdet.nn import MaxPool2d, Module, Sequential
from refdet.ops.resize import resize_bilinear


class ImagePyramid(Module):
    """The blocks of a VGG over a picture of several sizes.

    Args:
        features: convolutions and poolings, each of which ends a block and halves the map.
        early: how many blocks there are before the maps that regions are cropped from.
        scales: of the picture, the largest first.
        with_late: whether the late maps are made; a detector of given proposals needs none. Their layers stay, for a
            head to copy.

    >>> from refdet.features.backbones.vgg import vgg_features
    >>> features = vgg_features([(4, 1), (6, 1), (8, 1)], rng=np.random.default_rng(0))
    >>> net = ImagePyramid(features, early=2, scales=(2.0, 1.0))
    >>> maps = net.maps(Tensor(np.zeros((1, 3, 16, 16), np.float32)), training=False, rng=None)
    >>> net.strides, [x.shape for x in maps]
    ((1, 2, 2, 4), [(1, 6, 16, 16), (1, 6, 8, 8), (1, 8, 8, 8), (1, 8, 4, 4)])
    """

    def __init__(self, features: Sequential, *, early: int, scales: Sequence[float], with_late: bool = True) -> None:
        super().__init__()
        self.features = without_last_pooling(features)
        poolings = [i for i, layer in enumerate(self.features) if isinstance(layer, MaxPool2d)]
        if integer("ImagePyramid", "early", early, low=1) > len(poolings):
            raise ValueError(f"ImagePyramid: early must be one of the first {len(poolings)} blocks, got {early}")
        if not scales or sorted(scales, reverse=True) != list(scales) or min(scales) <= 0:
            raise ValueError(f"ImagePyramid: scales must be positive, the largest first, got {tuple(scales)}")
        self.split = poolings[early - 1]  # the layer after the early map
        self.scales = tuple(float(s) for s in scales)
        self.with_late = check_flag("ImagePyramid", "with_late", with_late)
        depths = (early - 1, len(poolings)) if with_late else (early - 1,)
        strides = [2**depth / s for depth in depths for s in self.scales]
        if any(stride != int(stride) for stride in strides):
            raise ValueError(f"ImagePyramid: strides must be whole numbers of pixels, got {strides}")
        self.strides = tuple(int(stride) for stride in strides)
        n = len(self.scales)
        first, last = last_channels(Sequential(*self.early_layers)), last_channels(self.features)
        self.out_channels = (first,) * n + ((last,) * n if with_late else ())

    @property
    def early_layers(self) -> list[Module]:
        """The layers up to the early map."""
        return list(self.features)[: self.split]

    @property
    def late_layers(self) -> list[Module]:
        """The layers behind it; the first is a pooling."""
        return list(self.features)[self.split :]

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return the early maps (N, C, H, W) of every scale, then the late ones, of a batch (N, 3, H, W)."""
        early = self.early_maps(x, rng=rng)
        late = [self._through(self.late_layers, y, rng) for y in early] if self.with_late else []
        return (*early, *late)

    def early_maps(self, x: Tensor, *, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return the early maps alone, of every scale."""
        resized = (x if s == 1 else resize_bilinear(x, scale=s) for s in self.scales)
        return tuple(self._through(self.early_layers, y, rng) for y in resized)

    def _through(self, layers: Sequence[Module], x: Tensor, rng: np.random.Generator | None) -> Tensor:
        for layer in layers:
            x = layer(x, training=False, rng=rng)  # of which only the normalisation takes notice
        return x

"""The feature pyramid network: maps of every stage, each with what the coarser ones have understood.

    M_l = conv1×1(C_l) + up(M_{l+1}),    P_l = conv3×3(M_l)

from the coarsest map, which has nothing above it, to the finest; up repeats pixels until the size is that of C_l. P6
takes every second pixel of P5, for the largest anchors alone. Lin, Dollár, Girshick, He, Hariharan & Belongie, "Feature
pyramid networks for object detection" (2017), §3 and footnote 2.

Conventions: pixel (i, j) of a map of size n above one of size m is repeated at those positions k with ⌊k·n/m⌋ = i
(torch's "nearest"), so that sides that are not multiples of each other fit: 13 above 25. The convolutions have a bias,
no normalisation and no ReLU; their weights start from N(0, 1/fan_in), which keeps the variance through a linear layer.
Names are torchvision's: `inner_blocks.i.0` is the 1 × 1 convolution of map i and `layer_blocks.i.0` the 3 × 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_choice, check_generator, integer, integers
from refdet.features.backbones.resnet import ResNet, resnet50
from refdet.features.backbones.width import scaled
from refdet.nn import Conv2d, Module, Sequential, init
from refdet.ops.max_pool2d import max_pool2d
from refdet.ops.resize import resize_nearest

EXTRA = ("pool", "none")
PYRAMID_CHANNELS = 256  # §3 of the paper


class FPN(Module):
    """The pyramid over any maps, finest first.

    Args:
        in_channels: of every map below.
        out_channels: of every map of the pyramid.
        extra: "pool" adds a coarser map, every second pixel of the coarsest; "none" does not.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = PYRAMID_CHANNELS,
        *,
        extra: str = "pool",
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        channels = integers("FPN", "in_channels", in_channels, count=max(1, np.size(in_channels)), low=1)
        D = integer("FPN", "out_channels", out_channels, low=1)
        check_choice("FPN", "extra", extra, EXTRA)
        self.inner_blocks = Sequential(*(Sequential(linear_conv(C, D, 1, rng, dtype)) for C in channels))
        self.layer_blocks = Sequential(*(Sequential(linear_conv(D, D, 3, rng, dtype)) for _ in channels))
        self.extra = extra
        self.out_channels = (D,) * (len(channels) + (extra == "pool"))

    def pyramid(self, below: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return P_2, P_3, ... of C_2, C_3, ..., all (N, C, H, W), finest first."""
        if len(below) != len(self.inner_blocks):
            raise ValueError(f"FPN: expected {len(self.inner_blocks)} maps, got {len(below)}")
        merged = top_down([inner(c) for inner, c in zip(self.inner_blocks, below, strict=True)])
        maps = [layer(m) for layer, m in zip(self.layer_blocks, merged, strict=True)]
        if self.extra == "pool":
            maps.append(max_pool2d(maps[-1], 1, stride=2)[0])
        return tuple(maps)


class ResNetFPN(Module):
    """A residual network with a pyramid over its four stages, as detectors use it: P2 to P5, and P6 if `extra`.

    Args:
        body: the network; `fc` is not used, so that it is best left out.
        out_channels, extra: of the pyramid, as for `FPN`.
    """

    def __init__(
        self,
        body: ResNet,
        out_channels: int = PYRAMID_CHANNELS,
        *,
        extra: str = "pool",
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        if not isinstance(body, ResNet):
            raise TypeError(f"ResNetFPN: body must be a ResNet, got {type(body).__name__}")
        self.body = body
        self.fpn = FPN(body.out_channels, out_channels, extra=extra, rng=rng, dtype=dtype)
        self.out_channels = self.fpn.out_channels
        self.strides = (*body.strides, 2 * body.strides[-1])[: len(self.out_channels)]

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return the maps of the pyramid, finest first, all (N, out_channels, H, W), of a batch (N, 3, H, W)."""
        return self.fpn.pyramid(self.body.maps(x, training=training, rng=rng))


def resnet_fpn(
    resnet: Callable[..., ResNet] = resnet50,
    *,
    width: float = 1.0,
    extra: str = "pool",
    frozen_norm: bool = True,
    rng: np.random.Generator,
    dtype: Any = np.float32,
    **options: Any,
) -> ResNetFPN:
    """Make the backbone of torchvision's `..._resnet50_fpn` detectors.

    Args:
        resnet: `resnet18` to `resnet152`.
        width: factor of every number of channels, those of the pyramid among them.
        extra: "pool" or "none" (see `FPN`).
        frozen_norm: batch normalisation is a constant.
        options: the others of `ResNet`; torchvision's detectors trained on COCO have norm_eps=0.0.

    >>> backbone = resnet_fpn(width=1 / 32, rng=np.random.default_rng(0))
    >>> maps = backbone.maps(Tensor(np.zeros((1, 3, 64, 96), np.float32)), training=False, rng=None)
    >>> [m.shape for m in maps]
    [(1, 8, 16, 24), (1, 8, 8, 12), (1, 8, 4, 6), (1, 8, 2, 3), (1, 8, 1, 2)]
    >>> backbone.strides
    (4, 8, 16, 32, 64)
    """
    check_generator("resnet_fpn", rng)
    body = resnet(None, width=width, frozen_norm=frozen_norm, rng=rng, dtype=dtype, **options)
    return ResNetFPN(body, scaled(PYRAMID_CHANNELS, width), extra=extra, rng=rng, dtype=dtype)


def top_down(laterals: Sequence[Tensor]) -> list[Tensor]:
    """Return the sums M_l of maps of the same channels, finest first: each with all coarser ones, repeated.

    >>> fine, coarse = Tensor(np.zeros((1, 1, 2, 4))), Tensor(np.array([[[[1.0, 2.0]]]]))
    >>> top_down([fine, coarse])[0].data[0, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    *finer, coarsest = laterals
    merged = [coarsest]
    for lateral in reversed(finer):
        height, width = lateral.shape[2:]
        merged.insert(0, lateral + resize_nearest(merged[0], (height, width)))
    return merged


def linear_conv(in_channels: int, out_channels: int, side: int, rng: np.random.Generator, dtype: Any) -> Conv2d:
    """Return a convolution that keeps the size and, at first, the variance."""
    conv = Conv2d(in_channels, out_channels, side, padding=side // 2, rng=rng, dtype=dtype)
    shape = conv.weight.shape
    conv.weight.data = init.gaussian(shape, std=math.sqrt(1 / init.fans(shape)[0]), rng=rng, dtype=dtype)
    return conv

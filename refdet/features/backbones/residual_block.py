"""Residual blocks: what a few convolutions compute is added to what they were given.

    y = relu(F(x) + s(x))

s is the identity or, where F changes the shape, the "projection": a 1 × 1 convolution with batch normalisation. In F,
batch normalisation follows every convolution, then ReLU; after the last, ReLU waits for the sum. He, Zhang, Ren & Sun,
"Deep residual learning for image recognition" (2016), eq. 1 and 2, figure 5 and option B of §4.1.

`stride_on` says which convolution of a bottleneck takes the stride: "3x3" as torchvision (known as ResNet v1.5), or
"1x1", the first, as the authors' prototxt. The parameters are the same, the function is not.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.features.backbones.frozen_norm import FrozenBatchNorm2d
from refdet.nn import BatchNorm2d, Conv2d, Module, Sequential
from refdet.ops.activations import relu

STRIDE_ON = ("3x3", "1x1")

Norm = BatchNorm2d | FrozenBatchNorm2d
MakeNorm = Callable[[int], Norm]
MakeConv = Callable[..., Conv2d]


class Block(Module):
    """relu(F(x) + s(x)); a subclass defines F, whose last normalisation is `last_norm`."""

    downsample: Sequential | None

    def residual(self, x: Tensor, *, training: bool) -> Tensor:
        """Compute F(x)."""
        raise NotImplementedError(f"{type(self).__name__} does not define residual")

    @property
    def last_norm(self) -> Norm:
        """The normalisation before the sum."""
        raise NotImplementedError(f"{type(self).__name__} does not define last_norm")

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Add F(x) to x or its projection."""
        shortcut = x if self.downsample is None else self.downsample(x, training=training)
        return relu(self.residual(x, training=training) + shortcut)


class BasicBlock(Block):
    """Two 3 × 3 convolutions, the first with the stride."""

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        *,
        stride: int,
        conv: MakeConv,
        norm: MakeNorm,
    ) -> None:
        super().__init__()
        self.conv1 = conv(in_channels, inner_channels, 3, stride=stride, padding=1)
        self.bn1 = norm(inner_channels)
        self.conv2 = conv(inner_channels, out_channels, 3, padding=1)
        self.bn2 = norm(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride, conv, norm)

    def residual(self, x: Tensor, *, training: bool) -> Tensor:
        """Compute F(x)."""
        y = relu(self.bn1(self.conv1(x), training=training))
        return self.bn2(self.conv2(y), training=training)

    @property
    def last_norm(self) -> Norm:
        """The normalisation before the sum."""
        return self.bn2


class Bottleneck(Block):
    """1 × 1 to few channels, 3 × 3 among them, 1 × 1 back to many."""

    def __init__(
        self,
        in_channels: int,
        inner_channels: int,
        out_channels: int,
        *,
        stride: int,
        stride_on: str,
        conv: MakeConv,
        norm: MakeNorm,
    ) -> None:
        super().__init__()
        stride1, stride2 = (stride, 1) if stride_on == "1x1" else (1, stride)
        self.conv1 = conv(in_channels, inner_channels, 1, stride=stride1)
        self.bn1 = norm(inner_channels)
        self.conv2 = conv(inner_channels, inner_channels, 3, stride=stride2, padding=1)
        self.bn2 = norm(inner_channels)
        self.conv3 = conv(inner_channels, out_channels, 1)
        self.bn3 = norm(out_channels)
        self.downsample = _projection(in_channels, out_channels, stride, conv, norm)

    def residual(self, x: Tensor, *, training: bool) -> Tensor:
        """Compute F(x)."""
        y = relu(self.bn1(self.conv1(x), training=training))
        y = relu(self.bn2(self.conv2(y), training=training))
        return self.bn3(self.conv3(y), training=training)

    @property
    def last_norm(self) -> Norm:
        """The normalisation before the sum."""
        return self.bn3


def _projection(in_channels: int, out_channels: int, stride: int, conv: MakeConv, norm: MakeNorm) -> Sequential | None:
    """Return the shortcut of a block that changes the shape; None is the identity."""
    if stride == 1 and in_channels == out_channels:
        return None
    return Sequential(conv(in_channels, out_channels, 1, stride=stride), norm(out_channels))

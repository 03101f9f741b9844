"""The backbone of FCN: blocks of 3 × 3 convolutions with a pooling after each, of any width and number.

VGG-16 (Simonyan & Zisserman, 2015) has the blocks 64 × 2, 128 × 2, 256 × 3, 512 × 3, 512 × 3 (channels × convolutions)
and two fully connected layers of 4096, the first on 7 × 7 pixels. Two things differ where FCN takes it over (Long,
Shelhamer & Darrell, 2015, and their files): the very first convolution pads by 100 instead of 1, so that even an image
of one pixel leaves a map for the 7 × 7 layer, and pooling rounds sizes up, as in Caffe.

Convolutions keep the size (padding 1), the first excepted; poolings are 2 × 2 with stride 2; each convolution and each
fully connected layer is followed by a ReLU. Weights start from He's initialiser, biases at 0.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_number, integer
from refdet.nn import Conv2d, Dropout, Flatten, Linear, MaxPool2d, Module, ReLU, Sequential

VGG16_BLOCKS = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))


@dataclass(frozen=True)
class VGGPlan:
    """The numbers of a VGG-like network; without arguments, those of FCN on VGG-16.

    Attributes:
        blocks: (channels, number of convolutions) of each block, from the image on.
        in_channels: channels of the image.
        padding: of the very first convolution, in pixels.
        fc_channels: channels of fc6 and fc7.
        fc_kernel: side of fc6's window in pixels of the last pooled map.
        dropout: share of the values of fc6 and of fc7 that training drops.
    """

    blocks: tuple[tuple[int, int], ...] = VGG16_BLOCKS
    in_channels: int = 3
    padding: int = 100
    fc_channels: int = 4096
    fc_kernel: int = 7
    dropout: float = 0.5

    def __post_init__(self) -> None:
        blocks = self.blocks
        if not isinstance(blocks, tuple) or not blocks or not all(isinstance(b, tuple) and len(b) == 2 for b in blocks):
            raise TypeError(f"VGGPlan: blocks must be a tuple of pairs (channels, convolutions), got {blocks!r}")
        for channels, n_convolutions in blocks:
            integer("VGGPlan", "channels of a block", channels, low=1)
            integer("VGGPlan", "convolutions of a block", n_convolutions, low=1)
        for name, low in (("in_channels", 1), ("padding", 0), ("fc_channels", 1), ("fc_kernel", 1)):
            integer("VGGPlan", name, getattr(self, name), low=low)
        check_number("VGGPlan", "dropout", self.dropout, low=0, high=1)

    @property
    def stride(self) -> int:
        """By how many pixels of the image two pixels of the last map are apart: 2 to the number of blocks."""
        return 1 << len(self.blocks)

    def narrowed(self, divisor: int) -> VGGPlan:
        """Return the plan with all widths divided, rounded down, at least 1.

        >>> VGGPlan().narrowed(16).blocks
        ((4, 2), (8, 2), (16, 3), (32, 3), (32, 3))
        """
        d = integer("VGGPlan.narrowed", "divisor", divisor, low=1)
        blocks = tuple((max(1, channels // d), n) for channels, n in self.blocks)
        return replace(self, blocks=blocks, fc_channels=max(1, self.fc_channels // d))


def checked_plan(op: str, plan: VGGPlan | None) -> VGGPlan:
    """Return the plan, or VGG-16's for None; refuse anything else."""
    if plan is None:
        return VGGPlan()
    if not isinstance(plan, VGGPlan):
        raise TypeError(f"{op}: plan must be a VGGPlan, got {type(plan).__name__}")
    return plan


class VGG(Module):
    """The convolutional part: layers conv1_1, relu1_1, …, pool1, conv2_1, …, as attributes in this order."""

    def __init__(self, plan: VGGPlan, *, rng: np.random.Generator, dtype: Any = np.float32) -> None:
        super().__init__()
        plan = checked_plan("VGG", plan)
        before, padding = plan.in_channels, plan.padding
        for b, (channels, n_convolutions) in enumerate(plan.blocks, start=1):
            for i in range(1, n_convolutions + 1):
                setattr(self, f"conv{b}_{i}", Conv2d(before, channels, 3, padding=padding, rng=rng, dtype=dtype))
                setattr(self, f"relu{b}_{i}", ReLU())
                before, padding = channels, 1
            setattr(self, f"pool{b}", MaxPool2d(2, ceil_mode=True))

    def pools(self, x: Tensor, *, training: bool = False, rng: np.random.Generator | None = None) -> list[Tensor]:
        """Return the map after each pooling, (N, C_b, H_b, W_b), finest first."""
        pools = []
        for _, layer in self.parts():
            x = layer(x, training=training, rng=rng)
            if isinstance(layer, MaxPool2d):
                pools.append(x)
        return pools

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the last map."""
        return self.pools(x, training=training, rng=rng)[-1]


class VGGClassifier(Module):
    """One label per image: the network that FCN is made from, for images of one size.

    Its parts bear FCN's names, so that `transplant` finds them. `plan.padding` is not read, the first convolution pads
    by 1; an image must leave `plan.fc_kernel` × `plan.fc_kernel` pixels after the last pooling (VGG-16: 224 × 224).
    """

    def __init__(
        self, n_classes: int, *, plan: VGGPlan | None = None, rng: np.random.Generator, dtype: Any = np.float32
    ) -> None:
        super().__init__()
        C = integer("VGGClassifier", "n_classes", n_classes, low=1)
        plan = checked_plan("VGGClassifier", plan)
        features, width = plan.blocks[-1][0] * plan.fc_kernel**2, plan.fc_channels
        self.plan = plan
        self.backbone = VGG(replace(plan, padding=1), rng=rng, dtype=dtype)
        self.head = Sequential(
            flatten=Flatten(),
            fc6=Linear(features, width, rng=rng, dtype=dtype),
            relu6=ReLU(),
            drop6=Dropout(plan.dropout),
            fc7=Linear(width, width, rng=rng, dtype=dtype),
            relu7=ReLU(),
            drop7=Dropout(plan.dropout),
        )
        self.fc8 = Linear(width, C, rng=rng, dtype=dtype)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits (N, C)."""
        features, K = self.backbone(x, training=training, rng=rng), self.plan.fc_kernel
        if features.shape[2:] != (K, K):
            raise ValueError(
                f"VGGClassifier: images must leave {K} × {K} pixels after the last pooling, got "
                f"{features.shape[2]} × {features.shape[3]} of an image of {x.shape[2]} × {x.shape[3]}"
            )
        return self.fc8(self.head(features, training=training, rng=rng))


def convolutional_head(plan: VGGPlan, *, rng: np.random.Generator, dtype: Any = np.float32) -> Sequential:
    """Return fc6 and fc7 as convolutions: fc_kernel × fc_kernel without padding, then 1 × 1."""
    width = plan.fc_channels
    return Sequential(
        fc6=Conv2d(plan.blocks[-1][0], width, plan.fc_kernel, rng=rng, dtype=dtype),
        relu6=ReLU(),
        drop6=Dropout(plan.dropout),
        fc7=Conv2d(width, width, 1, rng=rng, dtype=dtype),
        relu7=ReLU(),
        drop7=Dropout(plan.dropout),
    )

"""ResNet: four stages of residual blocks.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition" (2016), table 1:

| stage | output | basic blocks | bottlenecks | blocks of 18, 34, 50, 101, 152 |
|---|---|---|---|---|
| conv1, maxpool | 1/2, 1/4 | 7 × 7, 64, stride 2; 3 × 3 maximum, stride 2 | the same | |
| layer1 | 1/4 | 3 × 3, 64; 3 × 3, 64 | 1 × 1, 64; 3 × 3, 64; 1 × 1, 256 | 2, 3, 3, 3, 3 |
| layer2 | 1/8 | twice the channels | twice the channels | 2, 4, 4, 4, 8 |
| layer3 | 1/16 | again | again | 2, 6, 6, 23, 36 |
| layer4 | 1/32 | again | again | 2, 3, 3, 3, 3 |

then the mean of every map, and a fully connected layer `fc`. The first block of a stage takes its stride. 18 and 34
have basic blocks, the others bottlenecks. Batch normalisation and ReLU follow every convolution, which has no bias.

Conventions:

- `stride_on` says which convolution of a bottleneck takes the stride (see `residual_block`).
- `stem_pooling`: "padded" pads the map by one before the maximum, as torchvision; "ceil" does not and lets the last
  window overhang, as the authors' prototxt in Caffe. Both make 56 of 112, from windows that lie one pixel apart.
- `frozen_norm`: batch normalisation is a constant (see the module of that name), for detectors.
- `zero_last_gamma`: every block starts as its shortcut (Goyal et al. 2017, §5.1), an option of torchvision.
- Names of parameters are torchvision's. Weights start from He's initialiser by fan_in; torchvision takes fan_out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import check_choice, check_flag, integer, integers
from refdet.features.backbones.frozen_norm import FrozenBatchNorm2d
from refdet.features.backbones.residual_block import STRIDE_ON, BasicBlock, Block, Bottleneck, MakeConv, MakeNorm
from refdet.features.backbones.width import scaled
from refdet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, Sequential
from refdet.ops.activations import relu
from refdet.ops.global_pool import global_avg_pool2d

BLOCKS = ("basic", "bottleneck")
STEM_POOLING: dict[str, dict[str, Any]] = {"padded": {"padding": 1}, "ceil": {"ceil_mode": True, "convention": "caffe"}}
STAGE_CHANNELS = (64, 128, 256, 512)
EXPANSION = 4  # channels out of a bottleneck over those inside it


class ResNet(Module):
    """A residual network; `resnet18` to `resnet152` are the published ones.

    Args:
        block: "basic" or "bottleneck".
        n_blocks: of each of the four stages.
        n_classes: outputs of `fc`; None leaves it out, and the network returns the mean of every map of C5.
        width: factor of every number of channels.
        stride_on, stem_pooling, frozen_norm, zero_last_gamma: see the module.
        norm_eps: ε of the batch normalisations; 0 needs `frozen_norm`.

    As `FeatureMaps` it returns what layer1 to layer4 compute, C2 to C5 of the literature.
    """

    layer1: Sequential
    layer2: Sequential
    layer3: Sequential
    layer4: Sequential
    strides: tuple[int, ...] = (4, 8, 16, 32)

    def __init__(
        self,
        block: str,
        n_blocks: Sequence[int],
        n_classes: int | None = 1000,
        *,
        width: float = 1.0,
        stride_on: str = "3x3",
        stem_pooling: str = "padded",
        frozen_norm: bool = False,
        norm_eps: float = 1e-5,
        zero_last_gamma: bool = False,
        rng: np.random.Generator,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        check_choice("ResNet", "block", block, BLOCKS)
        check_choice("ResNet", "stride_on", stride_on, STRIDE_ON)
        check_choice("ResNet", "stem_pooling", stem_pooling, STEM_POOLING)
        counts = integers("ResNet", "n_blocks", n_blocks, count=len(STAGE_CHANNELS), low=1)
        layer = FrozenBatchNorm2d if check_flag("ResNet", "frozen_norm", frozen_norm) else BatchNorm2d
        norm: MakeNorm = partial(layer, eps=norm_eps, dtype=dtype)
        conv: MakeConv = partial(Conv2d, bias=False, rng=rng, dtype=dtype)
        make: Callable[..., Block] = BasicBlock if block == "basic" else partial(Bottleneck, stride_on=stride_on)

        channels = scaled(STAGE_CHANNELS[0], width)
        self.conv1 = conv(3, channels, 7, stride=2, padding=3)
        self.bn1 = norm(channels)
        self.maxpool = MaxPool2d(3, stride=2, **STEM_POOLING[stem_pooling])
        self.out_channels: tuple[int, ...] = ()
        for i, (unscaled, count) in enumerate(zip(STAGE_CHANNELS, counts, strict=True)):
            inner = scaled(unscaled, width)
            outer = inner if block == "basic" else scaled(EXPANSION * unscaled, width)
            blocks = []
            for stride in [1 if i == 0 else 2] + [1] * (count - 1):
                blocks.append(make(channels, inner, outer, stride=stride, conv=conv, norm=norm))
                channels = outer
            setattr(self, f"layer{i + 1}", Sequential(*blocks))
            self.out_channels += (outer,)
        self.fc = None if n_classes is None else Linear(channels, n_classes, rng=rng, dtype=dtype)
        if check_flag("ResNet", "zero_last_gamma", zero_last_gamma):
            self._zero_last_gammas()

    def maps(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> tuple[Tensor, ...]:
        """Return C2, C3, C4 and C5, all (N, C, H, W), of a batch (N, 3, H, W)."""
        x = self.maxpool(relu(self.bn1(self.conv1(x), training=training)))
        found = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x, training=training)
            found.append(x)
        return tuple(found)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits (N, n_classes), or the means (N, C) of a network without `fc`."""
        means = global_avg_pool2d(self.maps(x, training=training, rng=rng)[-1])
        return means if self.fc is None else self.fc(means)

    def freeze_all_but_last(self, n_trainable: int) -> None:
        """Freeze the parameters of the first stages; conv1 with bn1, layer1, ... layer4 are five.

        torchvision's detectors train the last three of a pretrained backbone.
        """
        n = integer("freeze_all_but_last", "n_trainable", n_trainable, low=0)
        stages = ((self.conv1, self.bn1), (self.layer1,), (self.layer2,), (self.layer3,), (self.layer4,))
        if n > len(stages):
            raise ValueError(f"freeze_all_but_last: n_trainable must be at most {len(stages)} stages, got {n}")
        for parts in stages[: len(stages) - n]:
            for part in parts:
                part.freeze()

    def _zero_last_gammas(self) -> None:
        for _, module in self.named_modules():
            if isinstance(module, Block):
                gamma = module.last_norm.weight
                (gamma.data if isinstance(gamma, Tensor) else gamma)[:] = 0


def resnet18(n_classes: int | None = 1000, *, rng: np.random.Generator, **options: Any) -> ResNet:
    """Make ResNet-18; options are those of `ResNet`.

    With a twentieth of the channels:

    >>> net = resnet18(10, width=0.05, rng=np.random.default_rng(0))
    >>> net(np.zeros((2, 3, 32, 32), np.float32)).shape, net.out_channels
    ((2, 10), (3, 6, 13, 26))
    """
    return ResNet("basic", (2, 2, 2, 2), n_classes, rng=rng, **options)


def resnet34(n_classes: int | None = 1000, *, rng: np.random.Generator, **options: Any) -> ResNet:
    """Make ResNet-34; options are those of `ResNet`."""
    return ResNet("basic", (3, 4, 6, 3), n_classes, rng=rng, **options)


def resnet50(n_classes: int | None = 1000, *, rng: np.random.Generator, **options: Any) -> ResNet:
    """Make ResNet-50; options are those of `ResNet`."""
    return ResNet("bottleneck", (3, 4, 6, 3), n_classes, rng=rng, **options)


def resnet101(n_classes: int | None = 1000, *, rng: np.random.Generator, **options: Any) -> ResNet:
    """Make ResNet-101; options are those of `ResNet`."""
    return ResNet("bottleneck", (3, 4, 23, 3), n_classes, rng=rng, **options)


def resnet152(n_classes: int | None = 1000, *, rng: np.random.Generator, **options: Any) -> ResNet:
    """Make ResNet-152; options are those of `ResNet`."""
    return ResNet("bottleneck", (3, 8, 36, 3), n_classes, rng=rng, **options)

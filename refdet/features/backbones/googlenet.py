"""GoogLeNet: nine inception modules, each four ways of looking at a map, side by side.

    inception(x) = concat(1×1,  1×1 → 3×3,  1×1 → 5×5,  3×3 maximum → 1×1)

| | paper | torchvision |
|---|---|---|
| the third way | 1×1 → 5×5 | 1×1 → 3×3, which torchvision calls a known bug and keeps |
| a convolution | bias, ReLU | batch normalisation with ε = 0.001, ReLU |
| the stem | local response normalisation after pool1 and before pool2 | none |
| pool4 | 3 × 3, stride 2 | 2 × 2, stride 2 |
| auxiliary heads | mean of 5 × 5, stride 3, for maps of 14 × 14 | mean of 4 × 4 bins, for any map |
| dropout before the logits | 0.4 | 0.2 |
| parameters | 6 998 552, with auxiliary heads 13 378 280 | 6 624 904, with auxiliary heads 13 004 888 |

Szegedy et al., "Going deeper with convolutions" (2015), table 1 and §5; Caffe's `models/bvlc_googlenet` for what the
paper leaves open: the normalisation is AlexNet's with k = 1 and α' = 1e-4/5, and poolings round sizes up, so that 224
pixels become 112, 56, 28, 14 and 7. The mean before the logits is taken over the whole map, 7 × 7 of 224 pixels.

Auxiliary heads classify the maps of inception4a and 4d, for training alone: the paper adds 0.3 of their losses to that
of the logits. They cost nothing where only the logits are asked for. `transform_input` is for torchvision's published
weights, which expect (x − 0.5)/0.5 where pictures were normalised by the channels' means and deviations.

Names are torchvision's: conv1.conv.weight, inception3a.branch2.1.bn.weight, aux1.fc1.weight, fc.bias; its file loads
unchanged. Without normalisation the names of the convolutions stay. Weights start from He's initialiser, biases from 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_choice, check_flag, integer
from refdet.features.backbones.average_bins import AverageBins
from refdet.features.backbones.classifier import SameSize
from refdet.features.backbones.width import scaled
from refdet.features.backbones.windows import windows
from refdet.features.receptive_field import Window, receptive_field_size
from refdet.nn import AvgPool2d, BatchNorm2d, Conv2d, Dropout, Linear, LocalResponseNorm, MaxPool2d, Module, Sequential
from refdet.ops.activations import relu
from refdet.ops.global_pool import global_avg_pool2d
from refdet.ops.shaping import concat

VARIANTS = ("paper", "torchvision")
INCEPTIONS = {  # 1×1; reduction and 3×3; reduction and 5×5; projection after the pooling: table 1
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # torchvision's, of the channels


class Unit(Module):
    """A convolution that keeps the size but for its stride, normalised in torchvision's variant, and a ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, normalised: bool, **drawn: Any
    ) -> None:
        super().__init__()
        padding = kernel // 2
        self.conv = Conv2d(
            in_channels, out_channels, kernel, stride=stride, padding=padding, bias=not normalised, **drawn
        )
        self.bn = BatchNorm2d(out_channels, eps=1e-3, dtype=drawn["dtype"]) if normalised else None
        self.out_channels = out_channels

    def windows(self) -> list[Window]:
        """Return the window of the convolution."""
        return windows(self.conv)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Convolve, normalise, rectify."""
        x = self.conv(x)
        return relu(x if self.bn is None else self.bn(x, training=training))


class Inception(Module):
    """Four branches, whose maps lie one behind the other in the result."""

    def __init__(
        self, in_channels: int, channels: tuple[int, ...], *, large_kernel: int, normalised: bool, **drawn: Any
    ) -> None:
        super().__init__()
        C, (c1, r3, c3, r5, c5, projected) = in_channels, channels
        drawn = {**drawn, "normalised": normalised}
        self.branch1 = Unit(C, c1, 1, **drawn)
        self.branch2 = Sequential(Unit(C, r3, 1, **drawn), Unit(r3, c3, 3, **drawn))
        self.branch3 = Sequential(Unit(C, r5, 1, **drawn), Unit(r5, c5, large_kernel, **drawn))
        self.branch4 = Sequential(MaxPool2d(3, stride=1, padding=1), Unit(C, projected, 1, **drawn))
        self.out_channels = c1 + c3 + c5 + projected

    def windows(self) -> list[Window]:
        """Return the windows of the branch that sees most; all see the same centre."""
        return max((windows(branch) for _, branch in self.parts()), key=receptive_field_size)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Look at the map in all four ways."""
        return concat([branch(x, training=training) for _, branch in self.parts()], axis=1)


class AuxiliaryHead(Module):
    """The logits of a map half-way: mean of 4 × 4 bins, 1 × 1 convolution, two fully connected layers."""

    def __init__(
        self, in_channels: int, n_classes: int, *, width: float, normalised: bool, rng: np.random.Generator, dtype: Any
    ) -> None:
        super().__init__()
        C, H = scaled(128, width), scaled(1024, width)
        self.pool: Module = AverageBins(4) if normalised else Sequential(AvgPool2d(5, stride=3), SameSize(4))
        self.conv = Unit(in_channels, C, 1, normalised=normalised, rng=rng, dtype=dtype)
        self.fc1 = Linear(C * 4 * 4, H, rng=rng, dtype=dtype)
        self.dropout = Dropout(0.7)
        self.fc2 = Linear(H, n_classes, rng=rng, dtype=dtype)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits (N, n_classes)."""
        x = self.conv(self.pool(x), training=training)
        x = self.dropout(relu(self.fc1(x.flatten(1))), training=training, rng=rng)
        return self.fc2(x)


class GoogLeNet(Module):
    """The network that gives pictures (N, 3, H, W) their logits; `googlenet` explains the arguments."""

    def __init__(
        self,
        n_classes: int,
        *,
        variant: str,
        auxiliary: bool,
        transform_input: bool,
        width: float,
        rng: np.random.Generator,
        dtype: Any,
    ) -> None:
        super().__init__()
        n_classes = integer("googlenet", "n_classes", n_classes, low=1)
        check_choice("googlenet", "variant", variant, VARIANTS)
        paper = variant == "paper"
        drawn = {"normalised": not paper, "rng": rng, "dtype": dtype}
        C = scaled(64, width)
        self.conv1 = Unit(3, C, 7, stride=2, **drawn)
        self.maxpool1 = MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = _lrn() if paper else None
        self.conv2 = Unit(C, C, 1, **drawn)
        self.conv3 = Unit(C, scaled(192, width), 3, **drawn)
        self.norm2 = _lrn() if paper else None
        self.maxpool2 = MaxPool2d(3, stride=2, ceil_mode=True)
        C = scaled(192, width)
        channels_of = {}
        for name, numbers in INCEPTIONS.items():
            if name == "4a":
                self.maxpool3 = MaxPool2d(3, stride=2, ceil_mode=True)
            if name == "5a":
                self.maxpool4 = MaxPool2d(3 if paper else 2, stride=2, ceil_mode=True)
            module = Inception(C, tuple(scaled(n, width) for n in numbers), large_kernel=5 if paper else 3, **drawn)
            setattr(self, f"inception{name}", module)
            C = channels_of[name] = module.out_channels
        self._n_trunk = sum(1 for _ in self.parts())
        self.aux1 = self.aux2 = None
        if check_flag("googlenet", "auxiliary", auxiliary):
            self.aux1 = AuxiliaryHead(channels_of["4a"], n_classes, width=width, **drawn)
            self.aux2 = AuxiliaryHead(channels_of["4d"], n_classes, width=width, **drawn)
        self.dropout = Dropout(0.4 if paper else 0.2)
        self.fc = Linear(C, n_classes, rng=rng, dtype=dtype)
        self.transform_input = check_flag("googlenet", "transform_input", transform_input)

    def trunk(self, last: str = "inception5b") -> Sequential:
        """Return the layers from the picture to the one named `last`, sharing them.

        `OneMap(net.trunk("inception4e"))` is a detector's backbone with stride 16, and `windows(net.trunk("conv3"))`
        says what the layers up to conv3 slide over the picture.
        """
        layers = dict(list(self.parts())[: self._n_trunk])
        names = list(layers)
        check_choice("GoogLeNet.trunk", "last", last, names)
        return Sequential(**{name: layers[name] for name in names[: names.index(last) + 1]})

    def all_logits(
        self, x: Tensor | Array, *, training: bool = False, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor | None, Tensor | None]:
        """Return the logits and those of the auxiliary heads, of inception4a and 4d; None where there are none."""
        auxiliary: dict[str, Tensor] = {}
        x = self._transformed(x if isinstance(x, Tensor) else Tensor(x))
        for name, layer in self.trunk().parts():
            x = layer(x, training=training, rng=rng)
            head = {"inception4a": self.aux1, "inception4d": self.aux2}.get(name)
            if head is not None:
                auxiliary[name] = head(x, training=training, rng=rng)
        return self._logits(x, training, rng), auxiliary.get("inception4a"), auxiliary.get("inception4d")

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Return the logits alone; the auxiliary heads are not computed."""
        return self._logits(self.trunk()(self._transformed(x), training=training, rng=rng), training, rng)

    def _logits(self, x: Tensor, training: bool, rng: np.random.Generator | None) -> Tensor:
        return self.fc(self.dropout(global_avg_pool2d(x), training=training, rng=rng))

    def _transformed(self, x: Tensor) -> Tensor:
        """Return (original − 0.5)/0.5 of x = (original − mean)/std, if that is asked for."""
        if not self.transform_input:
            return x
        factor, shift = (np.array(v, x.dtype).reshape(1, 3, 1, 1) for v in (np.divide(STD, 0.5), np.divide(MEAN, 0.5)))
        return x * Tensor(factor) + Tensor(shift - np.ones((), x.dtype))


def googlenet(
    n_classes: int = 1000,
    *,
    variant: str = "paper",
    auxiliary: bool = True,
    transform_input: bool = False,
    width: float = 1.0,
    rng: np.random.Generator,
    dtype: Any = np.float32,
) -> GoogLeNet:
    """Return the network.

    Args:
        n_classes: outputs of the last layers.
        variant: "paper" or "torchvision": the table of this module.
        auxiliary: with the two auxiliary heads.
        transform_input: pictures come normalised as torchvision's, weights expect (x − 0.5)/0.5.
        width: factor of all channels and of the auxiliary heads' 1024 hidden units.
        rng: source of the initial weights.
        dtype: float32 or float64.

    >>> net = googlenet(10, width=1 / 16, rng=np.random.default_rng(0))
    >>> net(np.zeros((1, 3, 64, 64), np.float32)).shape, net.trunk("inception4e")[-1].out_channels
    ((1, 10), 52)
    """
    return GoogLeNet(
        n_classes,
        variant=variant,
        auxiliary=auxiliary,
        transform_input=transform_input,
        width=width,
        rng=rng,
        dtype=dtype,
    )


def _lrn() -> LocalResponseNorm:
    return LocalResponseNorm(size=5, alpha=1e-4, beta=0.75, k=1.0, convention="caffe")

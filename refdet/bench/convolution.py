"""Convolutions to time: those of VGG-16, the other kinds that detectors use, and their gradients.

Layers are those of Simonyan & Zisserman (2015) for VGG-16, Krizhevsky, Sutskever & Hinton (2012) for AlexNet, He et al.
(2016) for ResNet-50, Xie et al. (2017) for ResNeXt, Howard et al. (2017) for MobileNet, Chen et al. (2015) for dilation
in the last stage of VGG-16. Batch 1, float32, with bias where the network has one.

Inputs are standard normal and weights normal with variance 1/(number of terms), so that outputs have variance 1
whatever the layer. The tolerance leaves room for Winograd's F(4×4, 3×3), whose error is about 5e-5 at variance 1; the
largest output of such a map is 4 to 5.

Work is counted by the definition: 2 · k² · C/groups · O · H' · W' operations for an output O × H' × W', twice that for
both gradients. Winograd's way needs a quarter of the multiplications, so that its effective rate may exceed the peak.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from refdet.bench.workloads import Group, Inputs, Target, Work, Workload, n_bytes
from refdet.core.check import Array
from refdet.core.geometry import Pair, conv_output_size
from refdet.ops.conv2d import conv2d_backward, conv2d_forward

TOLERANCE = 5e-5


@dataclass(frozen=True)
class Layer:
    """A convolution with a square kernel on a map of size × size."""

    name: str
    channels: Pair  # in, out
    kernel_size: int
    size: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True
    count: int = 1

    @property
    def what(self) -> str:
        stride = f"/{self.stride}" if self.stride > 1 else ""
        dilation = f", dilation {self.dilation}" if self.dilation > 1 else ""
        groups = f", {self.groups} groups" if self.groups > 1 else ""
        (C, O), k = self.channels, self.kernel_size
        return f"{k}×{k}{stride}, {C} → {O} at {self.size}²{dilation}{groups}"

    @property
    def params(self) -> dict[str, Any]:
        s, p, d = self.stride, self.padding, self.dilation
        return {"stride": (s, s), "padding": ((p, p), (p, p)), "dilation": (d, d), "groups": self.groups}

    def arrays(self, rng: np.random.Generator) -> dict[str, Array | None]:
        """Draw x, weight and bias."""
        C, O = self.channels
        weight_shape = (O, C // self.groups, self.kernel_size, self.kernel_size)
        deviation = np.float32(1 / math.sqrt(math.prod(weight_shape[1:])))
        return {
            "x": rng.standard_normal((1, C, self.size, self.size), dtype=np.float32),
            "weight": rng.standard_normal(weight_shape, dtype=np.float32) * deviation,
            "bias": rng.standard_normal(O, dtype=np.float32) if self.bias else None,
        }

    @property
    def output_shape(self) -> tuple[int, ...]:
        size = conv_output_size(
            self.size,
            self.kernel_size,
            stride=self.stride,
            before=self.padding,
            after=self.padding,
            dilation=self.dilation,
        )
        return (1, self.channels[1], size, size)

    def arrays_and_gradient(self, rng: np.random.Generator) -> Inputs:
        """Draw x, weight, bias and dy."""
        return {**self.arrays(rng), "dy": rng.standard_normal(self.output_shape, dtype=np.float32)}

    @property
    def flops(self) -> int:
        """Products and sums of the definition."""
        return 2 * self.kernel_size**2 * (self.channels[0] // self.groups) * math.prod(self.output_shape)

    def forward_work(self, inputs: Inputs) -> Work:
        return Work(self.flops, n_bytes(*inputs.values()) + 4 * math.prod(self.output_shape))

    def backward_work(self, inputs: Inputs) -> Work:
        """Both gradients; x, weight and dy are read, the gradients for x, weight and bias written."""
        x, weight, bias, dy = inputs.values()
        return Work(2 * self.flops, 2 * n_bytes(x, weight) + n_bytes(bias, dy))

    def forward(self) -> Workload:
        return Workload(
            self.name,
            self.what,
            conv2d_forward.name,
            self.arrays,
            self.params,
            TOLERANCE,
            self.count,
            self.forward_work,
        )

    def backward(self) -> Workload:
        return Workload(
            self.name,
            self.what,
            conv2d_backward.name,
            self.arrays_and_gradient,
            {**self.params, "needs": (True, True, self.bias)},
            TOLERANCE,
            work=self.backward_work,
        )


_VGG16 = (
    Layer("vgg16/conv1_1", (3, 64), 3, 224, padding=1),
    Layer("vgg16/conv1_2", (64, 64), 3, 224, padding=1),
    Layer("vgg16/conv2_1", (64, 128), 3, 112, padding=1),
    Layer("vgg16/conv2_2", (128, 128), 3, 112, padding=1),
    Layer("vgg16/conv3_1", (128, 256), 3, 56, padding=1),
    Layer("vgg16/conv3_2-3", (256, 256), 3, 56, padding=1, count=2),
    Layer("vgg16/conv4_1", (256, 512), 3, 28, padding=1),
    Layer("vgg16/conv4_2-3", (512, 512), 3, 28, padding=1, count=2),
    Layer("vgg16/conv5_1-3", (512, 512), 3, 14, padding=1, count=3),
)
_OTHER = (
    Layer("alexnet/conv1", (3, 96), 11, 227, stride=4),
    Layer("alexnet/conv2", (96, 256), 5, 27, padding=2, groups=2),
    Layer("resnet50/conv1", (3, 64), 7, 224, stride=2, padding=3, bias=False),
    Layer("resnet50/3x3-stride2", (128, 128), 3, 56, stride=2, padding=1, bias=False),
    Layer("resnet50/1x1-down", (256, 64), 1, 56, bias=False),
    Layer("resnet50/1x1-up", (64, 256), 1, 56, bias=False),
    Layer("resnet50/1x1-stride2", (256, 512), 1, 56, stride=2, bias=False),
    Layer("deeplab/conv5", (512, 512), 3, 28, padding=2, dilation=2),
    Layer("resnext50/grouped", (128, 128), 3, 56, padding=1, groups=32, bias=False),
    Layer("mobilenet/depthwise", (128, 128), 3, 56, padding=1, groups=128, bias=False),
)

VGG16 = Group(
    "conv-vgg16",
    "The 13 convolutions of VGG-16 at 224², batch 1, float32",
    tuple(layer.forward() for layer in _VGG16),
    (
        Target("reference", "torch", total=2.0, each=3.0, peak_bytes=64 * 10**6),
        Target("numba-cpu", "torch", total=0.5, geometric_mean=0.5),
        Target("numba-cuda", "torch", total=1.0),
    ),
)
OTHER = Group(
    "conv-other",
    "Convolutions other than 3×3 with stride 1, batch 1, float32",
    tuple(layer.forward() for layer in _OTHER),
    (Target("numba-cpu", "torch", each=1.0), Target("numba-cuda", "torch", total=1.0)),
)
BACKWARD = Group(
    "conv-backward",
    "Gradients of convolutions for x, weight and bias, batch 1, float32",
    tuple(layer.backward() for layer in (*_VGG16[1::2], _VGG16[-1], *_OTHER)),
    (Target("numba-cpu", "torch", each=1.0), Target("numba-cuda", "torch", total=1.0)),
)

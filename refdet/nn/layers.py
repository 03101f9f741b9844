"""Layers: ops that own their parameters, and `Sequential`.

Parameters are float32 unless `dtype` says otherwise. Weights come from He's initialiser and biases from 0
(`refdet.nn.init` has the others); each layer that has weights therefore needs a generator. A layer without parameters
that a network names (Fig. 2 of so many papers) is a module as well, so that networks can be written as lists.

BatchNorm2d keeps running statistics as buffers. Its forward pass with `training=True` replaces them; nothing else in
this package changes state in a forward pass. `frozen=True` always uses the stored statistics, whatever `training` says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.geometry import Pair, pair
from refdet.nn import init
from refdet.nn.module import Module, Parameter
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.avg_pool2d import avg_pool2d
from refdet.ops.batch_norm import batch_norm
from refdet.ops.conv2d import conv2d
from refdet.ops.conv_transpose2d import conv_transpose2d
from refdet.ops.dropout import dropout
from refdet.ops.global_pool import global_avg_pool2d
from refdet.ops.l2_normalize import l2_normalize
from refdet.ops.linear import linear
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.max_pool2d import max_pool2d


class Conv2d(Module):
    """`ops.conv2d` with weight (O, C/groups, kh, kw) and bias (O,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        *,
        rng: np.random.Generator,
        stride: int | Pair = 1,
        padding: Any = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        _check_groups("Conv2d", in_channels, out_channels, groups)
        shape = (out_channels, in_channels // groups, *pair("Conv2d", "kernel_size", kernel_size, low=1))
        self.weight = Parameter(init.he(shape, rng=rng, dtype=dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype)) if bias else None
        self.options: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "dilation": dilation,
            "groups": groups,
        }

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Convolve."""
        return conv2d(x, self.weight, self.bias, **self.options)


class ConvTranspose2d(Module):
    """`ops.conv_transpose2d` with weight (Cin, Cout/groups, kh, kw) and bias (Cout,)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Pair,
        *,
        rng: np.random.Generator,
        stride: int | Pair = 1,
        padding: Any = 0,
        output_padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        _check_groups("ConvTranspose2d", in_channels, out_channels, groups)
        shape = (in_channels, out_channels // groups, *pair("ConvTranspose2d", "kernel_size", kernel_size, low=1))
        self.weight = Parameter(init.he(shape, rng=rng, dtype=dtype))
        self.bias = Parameter(np.zeros(out_channels, dtype)) if bias else None
        self.options: dict[str, Any] = {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "dilation": dilation,
            "groups": groups,
        }

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Spread every pixel over its window."""
        return conv_transpose2d(x, self.weight, self.bias, **self.options)


def _check_groups(layer: str, in_channels: int, out_channels: int, groups: int) -> None:
    if in_channels % groups or out_channels % groups:
        raise ValueError(
            f"{layer}: groups must divide in_channels {in_channels} and out_channels {out_channels}, got {groups}"
        )


class Linear(Module):
    """`ops.linear` with weight (out_features, in_features) and bias (out_features,)."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        rng: np.random.Generator,
        bias: bool = True,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.weight = Parameter(init.he((out_features, in_features), rng=rng, dtype=dtype))
        self.bias = Parameter(np.zeros(out_features, dtype)) if bias else None

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Multiply by the transposed weight and add the bias."""
        return linear(x, self.weight, self.bias)


class BatchNorm2d(Module):
    """`ops.batch_norm` with weight, bias and, as buffers, running_mean and running_var, all (C,)."""

    def __init__(
        self,
        n_channels: int,
        *,
        momentum: float = 0.1,
        eps: float = 1e-5,
        convention: str = "torch",
        frozen: bool = False,
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.weight = Parameter(np.ones(n_channels, dtype))
        self.bias = Parameter(np.zeros(n_channels, dtype))
        self.running_mean: Any
        self.running_var: Any
        self.add_buffer("running_mean", np.zeros(n_channels, dtype))
        self.add_buffer("running_var", np.ones(n_channels, dtype))
        self.momentum, self.eps, self.convention, self.frozen = momentum, eps, convention, frozen

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Normalise by the batch's statistics when training, else by the running ones."""
        y, self.running_mean, self.running_var = batch_norm(
            x,
            self.weight,
            self.bias,
            self.running_mean,
            self.running_var,
            training=training and not self.frozen,
            momentum=self.momentum,
            eps=self.eps,
            convention=self.convention,
        )
        return y


class L2Normalize(Module):
    """`ops.l2_normalize` with one learned scale per channel (SSD: 20)."""

    def __init__(
        self,
        n_channels: int,
        *,
        scale: float = 20.0,
        eps: float = 1e-10,
        convention: str = "inside",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.scale = Parameter(np.full(n_channels, scale, dtype))
        self.eps, self.convention = eps, convention

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Divide by the norm over channels and scale."""
        return l2_normalize(x, self.scale, eps=self.eps, convention=self.convention)


class Dropout(Module):
    """`ops.dropout`, drawing from the generator that the forward pass is given."""

    def __init__(self, p: float = 0.5, *, convention: str = "inverted") -> None:
        super().__init__()
        self.p, self.convention = p, convention

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Drop elements when training."""
        return dropout(x, p=self.p, rng=rng, training=training, convention=self.convention)


class Apply(Module):
    """A function of one tensor as a layer; keyword options are passed on."""

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Apply the function."""
        return self.function(x, **self.options)


class ReLU(Apply):
    """`ops.relu`."""

    def __init__(self) -> None:
        super().__init__(relu)


class LeakyReLU(Apply):
    """`ops.leaky_relu`."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__(leaky_relu, negative_slope=negative_slope)


class Sigmoid(Apply):
    """`ops.sigmoid`."""

    def __init__(self) -> None:
        super().__init__(sigmoid)


class Tanh(Apply):
    """`ops.tanh`."""

    def __init__(self) -> None:
        super().__init__(tanh)


class LocalResponseNorm(Apply):
    """`ops.local_response_norm`; the options are the op's."""

    def __init__(self, **options: Any) -> None:
        super().__init__(local_response_norm, **options)


class AvgPool2d(Apply):
    """`ops.avg_pool2d`; the options are the op's."""

    def __init__(self, kernel_size: int | Pair, **options: Any) -> None:
        super().__init__(avg_pool2d, kernel_size=kernel_size, **options)


class GlobalAvgPool2d(Apply):
    """`ops.global_avg_pool2d`: (N, C, H, W) → (N, C)."""

    def __init__(self) -> None:
        super().__init__(global_avg_pool2d)


class Flatten(Apply):
    """Every axis but the first becomes one: (N, C, H, W) → (N, C·H·W)."""

    def __init__(self) -> None:
        super().__init__(Tensor.flatten, start_axis=1)


class MaxPool2d(Module):
    """`ops.max_pool2d` without its switches; the options are the op's."""

    def __init__(self, kernel_size: int | Pair, **options: Any) -> None:
        super().__init__()
        self.kernel_size, self.options = kernel_size, options

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Take the maximum of every window."""
        return max_pool2d(x, self.kernel_size, **self.options)[0]


class Sequential(Module):
    """Modules one after another, named by their position or, if given by keyword, by their keyword."""

    def __init__(self, *modules: Module, **named: Module) -> None:
        super().__init__()
        for name, module in [(str(i), module) for i, module in enumerate(modules)] + list(named.items()):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: part {name} must be a Module, got {type(module).__name__}")
            setattr(self, name, module)

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Pass x through all parts in order."""
        for _, module in self.parts():
            x = module(x, training=training, rng=rng)
        return x

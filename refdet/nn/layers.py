"""Layers: ops that own their parameters.

Parameters are float32 unless `dtype` says otherwise. Weights come from He's initialiser and biases from 0
(`refdet.nn.init` has the others); each layer that has weights therefore needs a generator.

BatchNorm2d keeps running statistics as buffers. Its forward pass with `training=True` replaces them; nothing else in
this package changes state in a forward pass. `frozen=True` always uses the stored statistics, whatever `training` says.

Options are refused where they are given (`refdet.nn.dry_run`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_generator, check_number, integer
from refdet.core.geometry import Pair, padding_pairs, pair
from refdet.nn import init
from refdet.nn.dry_run import dry_run, one_window
from refdet.nn.init import check_dtype
from refdet.nn.module import Module, Parameter
from refdet.ops.batch_norm import batch_norm
from refdet.ops.conv2d import conv2d
from refdet.ops.conv_transpose2d import conv_transpose2d
from refdet.ops.l2_normalize import l2_normalize
from refdet.ops.linear import linear


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
        C, O, G = _channels("Conv2d", in_channels, out_channels, groups)
        check_generator("Conv2d", rng)
        dtype = check_dtype("Conv2d", dtype)
        options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        kernel = pair("Conv2d", "kernel_size", kernel_size, low=1)
        dry_run(conv2d, one_window("Conv2d", kernel, dilation), np.zeros((1, 1, *kernel)), **options)
        self.weight = Parameter(init.he((O, C // G, *kernel), rng=rng, dtype=dtype))
        self.bias = Parameter(np.zeros(O, dtype)) if bias else None
        self.options: dict[str, Any] = {**options, "groups": G}

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Convolve."""
        return conv2d(x, self.weight, self.bias, **self.options)


class ConvTranspose2d(Module):
    """`ops.conv_transpose2d` with weight (Cin, Cout/groups, kh, kw) and bias (Cout,).

    He's fan_in is Cin/groups · kh · kw / (sh · sw), the number of products that meet, on average and away from the
    borders, in one output element (torch takes Cout/groups · kh · kw).
    """

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
        C, O, G = _channels("ConvTranspose2d", in_channels, out_channels, groups)
        check_generator("ConvTranspose2d", rng)
        dtype = check_dtype("ConvTranspose2d", dtype)
        options = {"stride": stride, "padding": padding, "output_padding": output_padding, "dilation": dilation}
        kh, kw = kernel = pair("ConvTranspose2d", "kernel_size", kernel_size, low=1)
        sh, sw = pair("ConvTranspose2d", "stride", stride, low=1)
        dry_run(conv_transpose2d, _uncropped(padding, (sh, sw)), np.zeros((1, 1, *kernel)), **options)
        fan_in = C / G * kh * kw / (sh * sw)
        self.weight = Parameter(init.he((C, O // G, *kernel), rng=rng, fan_in=fan_in, dtype=dtype))
        self.bias = Parameter(np.zeros(O, dtype)) if bias else None
        self.options: dict[str, Any] = {**options, "groups": G}

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Spread every pixel over its window."""
        return conv_transpose2d(x, self.weight, self.bias, **self.options)


def _channels(layer: str, in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    """Return the numbers of channels and of groups, once they are integers that divide."""
    C = integer(layer, "in_channels", in_channels, low=1)
    O = integer(layer, "out_channels", out_channels, low=1)
    G = integer(layer, "groups", groups, low=1)
    if C % G or O % G:
        raise ValueError(f"{layer}: groups must divide in_channels {C} and out_channels {O}, got {G}")
    return C, O, G


def _uncropped(padding: Any, stride: Pair) -> Array:
    """Return zeros (1, 1, H, W) so large that a transposed convolution cannot crop all of its output."""
    if isinstance(padding, str):
        return np.zeros((1, 1, 1, 1))  # the op refuses it
    pads = padding_pairs("ConvTranspose2d", padding, size=(1, 1), kernel_size=(1, 1), stride=(1, 1), dilation=(1, 1))
    return np.zeros((1, 1, *(1 + -(-sum(pad) // s) for pad, s in zip(pads, stride, strict=True))))


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
        F = integer("Linear", "in_features", in_features, low=1)
        O = integer("Linear", "out_features", out_features, low=1)
        check_generator("Linear", rng)
        dtype = check_dtype("Linear", dtype)
        self.weight = Parameter(init.he((O, F), rng=rng, dtype=dtype))
        self.bias = Parameter(np.zeros(O, dtype)) if bias else None

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
        C = integer("BatchNorm2d", "n_channels", n_channels, low=1)
        dtype = check_dtype("BatchNorm2d", dtype)
        options: dict[str, Any] = {"momentum": momentum, "eps": eps, "convention": convention}
        dry_run(batch_norm, np.zeros((2, 1)), None, None, None, None, training=True, **options)
        self.weight = Parameter(np.ones(C, dtype))
        self.bias = Parameter(np.zeros(C, dtype))
        self.running_mean: Any
        self.running_var: Any
        self.add_buffer("running_mean", np.zeros(C, dtype))
        self.add_buffer("running_var", np.ones(C, dtype))
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
        C = integer("L2Normalize", "n_channels", n_channels, low=1)
        scale = check_number("L2Normalize", "scale", scale)
        dry_run(l2_normalize, np.ones((1, 1)), eps=eps, convention=convention)  # a length of 0 would be 0/0 at eps = 0
        self.scale = Parameter(np.full(C, scale, check_dtype("L2Normalize", dtype)))
        self.eps, self.convention = eps, convention

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Divide by the norm over channels and scale."""
        return l2_normalize(x, self.scale, eps=self.eps, convention=self.convention)

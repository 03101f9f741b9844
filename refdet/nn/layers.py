"""Layers: ops that own their parameters, and `Sequential`.

Parameters are float32 unless `dtype` says otherwise. Weights come from He's initialiser and biases from 0
(`refdet.nn.init` has the others); each layer that has weights therefore needs a generator. A layer without parameters
that a network names (Fig. 2 of so many papers) is a module as well, so that networks can be written as lists.

BatchNorm2d keeps running statistics as buffers. Its forward pass with `training=True` replaces them; nothing else in
this package changes state in a forward pass. `frozen=True` always uses the stored statistics, whatever `training` says.

Options are refused where they are given, by the op itself: a constructor runs the op once on the smallest tensor of one
channel that has an output.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, overload

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.check import Array, check_number, integers
from refdet.core.geometry import Pair, padding_pairs, pair, window_extent
from refdet.core.kernel import use_backend
from refdet.nn import init
from refdet.nn.init import check_dtype, check_generator
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
        C, O, G = _channels("Conv2d", in_channels, out_channels, groups)
        check_generator("Conv2d", rng)
        dtype = check_dtype("Conv2d", dtype)
        options: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
        kernel = pair("Conv2d", "kernel_size", kernel_size, low=1)
        _dry_run(conv2d, _one_window("Conv2d", kernel, dilation), np.zeros((1, 1, *kernel)), **options)
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
        _dry_run(conv_transpose2d, _uncropped(padding, (sh, sw)), np.zeros((1, 1, *kernel)), **options)
        fan_in = C / G * kh * kw / (sh * sw)
        self.weight = Parameter(init.he((C, O // G, *kernel), rng=rng, fan_in=fan_in, dtype=dtype))
        self.bias = Parameter(np.zeros(O, dtype)) if bias else None
        self.options: dict[str, Any] = {**options, "groups": G}

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Spread every pixel over its window."""
        return conv_transpose2d(x, self.weight, self.bias, **self.options)


def _channels(layer: str, in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    """Return the numbers of channels and of groups, once they are integers that divide."""
    (C,) = integers(layer, "in_channels", in_channels, count=1, low=1)
    (O,) = integers(layer, "out_channels", out_channels, count=1, low=1)
    (G,) = integers(layer, "groups", groups, count=1, low=1)
    if C % G or O % G:
        raise ValueError(f"{layer}: groups must divide in_channels {C} and out_channels {O}, got {G}")
    return C, O, G


def _dry_run(op: Callable[..., Any], *arguments: Any, **options: Any) -> None:
    """Let the op check its options; the reference runs, so that no other backend compiles anything for it."""
    with use_backend("reference"):
        op(*arguments, **options)


def _one_window(layer: str, kernel: Pair, dilation: Any = 1) -> Array:
    """Return zeros (1, 1, H, W) of the extent of one window."""
    distances = pair(layer, "dilation", dilation, low=1)
    return np.zeros((1, 1, *(window_extent(k, d) for k, d in zip(kernel, distances, strict=True))))


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
        (F,) = integers("Linear", "in_features", in_features, count=1, low=1)
        (O,) = integers("Linear", "out_features", out_features, count=1, low=1)
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
        (C,) = integers("BatchNorm2d", "n_channels", n_channels, count=1, low=1)
        dtype = check_dtype("BatchNorm2d", dtype)
        options: dict[str, Any] = {"momentum": momentum, "eps": eps, "convention": convention}
        _dry_run(batch_norm, np.zeros((2, 1)), None, None, None, None, training=True, **options)
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
        (C,) = integers("L2Normalize", "n_channels", n_channels, count=1, low=1)
        scale = check_number("L2Normalize", "scale", scale)
        _dry_run(l2_normalize, np.ones((1, 1)), eps=eps, convention=convention)  # a length of 0 would be 0/0 at eps = 0
        self.scale = Parameter(np.full(C, scale, check_dtype("L2Normalize", dtype)))
        self.eps, self.convention = eps, convention

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Divide by the norm over channels and scale."""
        return l2_normalize(x, self.scale, eps=self.eps, convention=self.convention)


class Dropout(Module):
    """`ops.dropout`, drawing from the generator that the forward pass is given."""

    def __init__(self, p: float = 0.5, *, convention: str = "inverted") -> None:
        super().__init__()
        _dry_run(dropout, np.zeros(1), p=p, training=False, convention=convention)
        self.p, self.convention = p, convention

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Drop elements when training."""
        return dropout(x, p=self.p, rng=rng, training=training, convention=self.convention)


class Apply(Module):
    """A function of one tensor as a layer; keyword options are passed on."""

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        if not callable(function):
            raise TypeError(f"Apply: function must be callable, got {type(function).__name__}")
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
        _dry_run(leaky_relu, np.zeros(1), negative_slope=negative_slope)
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
        _dry_run(local_response_norm, np.ones((1, 1)), **options)  # at k = 0 a zero would be 0/0
        super().__init__(local_response_norm, **options)


class AvgPool2d(Apply):
    """`ops.avg_pool2d`; the options are the op's."""

    def __init__(self, kernel_size: int | Pair, **options: Any) -> None:
        kernel = pair("AvgPool2d", "kernel_size", kernel_size, low=1)
        _dry_run(avg_pool2d, _one_window("AvgPool2d", kernel), kernel, **options)
        super().__init__(avg_pool2d, kernel_size=kernel, **options)


class GlobalAvgPool2d(Apply):
    """`ops.global_avg_pool2d`: (N, C, H, W) → (N, C)."""

    def __init__(self) -> None:
        super().__init__(global_avg_pool2d)


class Flatten(Apply):
    """Every axis but the first becomes one: (N, C, H, W) → (N, C·H·W); the rank must be 2 or more."""

    def __init__(self) -> None:
        super().__init__(_flatten)


def _flatten(x: Tensor) -> Tensor:
    if x.ndim < 2:
        raise ValueError(f"Flatten: x must have rank 2 or more (N, ...), got rank {x.ndim} with shape {x.shape}")
    return x.flatten(start_axis=1)


class MaxPool2d(Module):
    """`ops.max_pool2d` without its switches; the options are the op's."""

    def __init__(self, kernel_size: int | Pair, **options: Any) -> None:
        super().__init__()
        kernel = pair("MaxPool2d", "kernel_size", kernel_size, low=1)
        _dry_run(max_pool2d, _one_window("MaxPool2d", kernel, options.get("dilation", 1)), kernel, **options)
        self.kernel_size, self.options = kernel, options

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Take the maximum of every window."""
        return max_pool2d(x, self.kernel_size, **self.options)[0]


class Sequential(Module):
    """Modules one after another, named by their position or, if given by keyword, by their keyword.

    `net[0]` is a module; `net[:3]` is a Sequential that shares the modules and keeps their names.
    """

    def __init__(self, *modules: Module, **named: Module) -> None:
        super().__init__()
        for name, module in [(str(i), module) for i, module in enumerate(modules)] + list(named.items()):
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: part {name} must be a Module, got {type(module).__name__}")
            if not (name.isidentifier() or (name.isascii() and name.isdecimal())):
                raise ValueError(f"Sequential: the name of a part must be an identifier or digits, got {name!r}")
            if hasattr(self, name):
                raise ValueError(f"Sequential: a part cannot be named {name}, which is an attribute of every Module")
            setattr(self, name, module)

    def __len__(self) -> int:
        return sum(1 for _ in self.parts())

    def __iter__(self) -> Iterator[Module]:
        return (module for _, module in self.parts())

    @overload
    def __getitem__(self, key: int) -> Module: ...
    @overload
    def __getitem__(self, key: slice) -> Sequential: ...
    def __getitem__(self, key: int | slice) -> Module | Sequential:
        parts = list(self.parts())
        if isinstance(key, slice):
            return Sequential(**dict(parts[key]))
        if isinstance(key, bool) or not hasattr(key, "__index__"):
            raise TypeError(f"Sequential: the position must be an integer or a slice, got {key!r}")
        i = operator.index(key)
        if not -len(parts) <= i < len(parts):
            raise IndexError(f"Sequential: position {i} does not exist among {len(parts)} parts")
        return parts[i][1]

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Pass x through all parts in order."""
        for _, module in self.parts():
            x = module(x, training=training, rng=rng)
        return x

"""Layers without parameters: ops as modules, so that networks can be written as lists.

Options are refused where they are given (`refdet.nn.dry_run`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from refdet.autograd.tensor import Tensor
from refdet.core.geometry import Pair, pair
from refdet.nn.dry_run import dry_run, one_window
from refdet.nn.module import Module
from refdet.ops.activations import leaky_relu, relu, sigmoid, tanh
from refdet.ops.avg_pool2d import avg_pool2d
from refdet.ops.dropout import dropout
from refdet.ops.global_pool import global_avg_pool2d
from refdet.ops.local_response_norm import local_response_norm
from refdet.ops.max_pool2d import max_pool2d


class Dropout(Module):
    """`ops.dropout`, drawing from the generator that the forward pass is given."""

    def __init__(self, p: float = 0.5, *, convention: str = "inverted") -> None:
        super().__init__()
        dry_run(dropout, np.zeros(1), p=p, training=False, convention=convention)
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
        dry_run(leaky_relu, np.zeros(1), negative_slope=negative_slope)
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
        dry_run(local_response_norm, np.ones((1, 1)), **options)  # at k = 0 a zero would be 0/0
        super().__init__(local_response_norm, **options)


class AvgPool2d(Apply):
    """`ops.avg_pool2d`; the options are the op's."""

    def __init__(self, kernel_size: int | Pair, **options: Any) -> None:
        kernel = pair("AvgPool2d", "kernel_size", kernel_size, low=1)
        dry_run(avg_pool2d, one_window("AvgPool2d", kernel), kernel, **options)
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
        dry_run(max_pool2d, one_window("MaxPool2d", kernel, options.get("dilation", 1)), kernel, **options)
        self.kernel_size, self.options = kernel, options

    def forward(self, x: Tensor, *, training: bool, rng: np.random.Generator | None) -> Tensor:
        """Take the maximum of every window."""
        return max_pool2d(x, self.kernel_size, **self.options)[0]

"""Initial values of parameters.

| name | distribution | source |
|---|---|---|
| gaussian | N(0, std²) | Krizhevsky, Sutskever & Hinton (2012): std = 0.01 |
| xavier | U(−a, a), a = √(6 / (fan_in + fan_out)) | Glorot & Bengio (2010), eq. 16 |
| he | N(0, 2 / fan_in) | He, Zhang, Ren & Sun (2015), eq. 10 |
| bilinear | (1 − |t − c|/f) ⊗ (1 − |t − c|/f), f = ⌊(k + 1)/2⌋, c = f − 1 (k odd) or f − 0.5 | Long et al. (2015) |

fan_in = C/g · kh · kw and fan_out = O/g · kh · kw for convolutions (O, C/g, kh, kw) of g groups; the numbers of inputs
and outputs for linear layers (O, F). Normals are drawn in float64 and rounded to `dtype`, so one seed gives the same
float32 values everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.core.check import Array, check_number, integers


def gaussian(shape: tuple[int, ...], *, std: float, rng: np.random.Generator, dtype: Any = np.float32) -> Array:
    """Return values from N(0, std²)."""
    check_number("gaussian", "std", std, low=0)
    return (std * rng.standard_normal(shape)).astype(dtype)


def xavier(shape: tuple[int, ...], *, rng: np.random.Generator, groups: int = 1, dtype: Any = np.float32) -> Array:
    """Return values from U(−a, a), which keeps the variance of signals and gradients through a linear layer."""
    fan_in, fan_out = fans(shape, groups=groups)
    a = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-a, a, shape).astype(dtype)


def he(shape: tuple[int, ...], *, rng: np.random.Generator, dtype: Any = np.float32) -> Array:
    """Return values from N(0, 2/fan_in), which keeps the variance of signals through a layer followed by relu."""
    fan_in, _ = fans(shape)
    return gaussian(shape, std=math.sqrt(2 / fan_in), rng=rng, dtype=dtype)


def bilinear(kernel_size: int, *, dtype: Any = np.float32) -> Array:
    """Return the k × k weights with which a transposed convolution of stride ⌊(k + 1)/2⌋ interpolates linearly.

    >>> bilinear(4)[0]
    array([0.0625, 0.1875, 0.1875, 0.0625], dtype=float32)
    """
    (k,) = integers("bilinear", "kernel_size", kernel_size, count=1, low=1)
    f = (k + 1) // 2
    c = f - 1 if k % 2 else f - 0.5
    w = 1 - np.abs(np.arange(k) - c) / f
    return np.outer(w, w).astype(dtype)


def bilinear_upsampling(n_channels: int, kernel_size: int, *, dtype: Any = np.float32) -> Array:
    """Return weights (C, C, k, k) that upsample each channel by itself: `bilinear` on the diagonal, 0 elsewhere."""
    weight = np.zeros((n_channels, n_channels, kernel_size, kernel_size), dtype)
    weight[np.arange(n_channels), np.arange(n_channels)] = bilinear(kernel_size, dtype=dtype)
    return weight


def fans(shape: tuple[int, ...], *, groups: int = 1) -> tuple[int, int]:
    """Return (fan_in, fan_out) of weights (O, C/g, kh, kw) or (O, F).

    >>> fans((64, 3, 7, 7))
    (147, 3136)
    """
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"fans: needs weights (O, F) or (O, C/groups, kh, kw) without a length of 0, got shape {shape}"
        )
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] // groups * taps

"""Initial values of parameters.

| name | distribution | source |
|---|---|---|
| gaussian | N(0, std²) | Krizhevsky, Sutskever & Hinton (2012): std = 0.01 |
| xavier | U(−a, a), a = √(6 / (fan_in + fan_out)) | Glorot & Bengio (2010), eq. 16 |
| he | N(0, 2 / fan_in) | He, Zhang, Ren & Sun (2015), eq. 10 |
| bilinear | (1 − |t − c|/f) ⊗ (1 − |t − c|/f), f = ⌊(k + 1)/2⌋, c = f − 1 (k odd) or f − 0.5 | Long et al. (2015) |

fan_in is the number of products that meet in one output element, and fan_out the number of output elements that one
input element meets. For convolutions (O, C/g, kh, kw) of g groups they are C/g · kh · kw and O/g · kh · kw, for linear
layers (O, F) the numbers of inputs and outputs. Weights of a transposed convolution lie the other way round,
(Cin, Cout/g, kh, kw), which their shape does not tell: its layer computes the fan_in, Cin/g · kh · kw / (sh · sw), and
passes it to `he` (only one in sh · sw taps meets an output pixel; torch takes Cout/g · kh · kw instead).

Normals are drawn in float64 and rounded to `dtype`, float32 or float64, so one seed gives the same float32 values
everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from refdet.core.check import Array, check_generator, check_number, integer


def check_dtype(op: str, dtype: Any) -> np.dtype[Any]:
    """Return `dtype` as NumPy's object; refuse all but float32 and float64 in native byte order.

    >>> check_dtype("he", "float32")
    dtype('float32')
    """
    try:
        found: np.dtype[Any] | None = None if dtype is None else np.dtype(dtype)  # NumPy would take None for float64
    except (TypeError, ValueError):
        found = None
    if found is None or found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise TypeError(f"{op}: dtype must be float32 or float64, got {dtype if found is None else found}")
    return found


def gaussian(shape: tuple[int, ...], *, std: float, rng: np.random.Generator, dtype: Any = np.float32) -> Array:
    """Return values from N(0, std²)."""
    std = check_number("gaussian", "std", std, low=0)
    check_generator("gaussian", rng)
    return (std * rng.standard_normal(shape)).astype(check_dtype("gaussian", dtype))


def xavier(shape: tuple[int, ...], *, rng: np.random.Generator, groups: int = 1, dtype: Any = np.float32) -> Array:
    """Return values from U(−a, a), which keeps the variance of signals and gradients through a linear layer."""
    check_generator("xavier", rng)
    fan_in, fan_out = fans(shape, groups=groups)
    a = math.sqrt(6 / (fan_in + fan_out))
    return rng.uniform(-a, a, shape).astype(check_dtype("xavier", dtype))


def he(
    shape: tuple[int, ...], *, rng: np.random.Generator, fan_in: float | None = None, dtype: Any = np.float32
) -> Array:
    """Return values from N(0, 2/fan_in), which keeps the variance of signals through a layer followed by relu.

    Without `fan_in` it is that of a convolution or a linear layer; it need not be an integer.
    """
    check_generator("he", rng)
    n_products = fans(shape)[0] if fan_in is None else check_number("he", "fan_in", fan_in, low=0, open_low=True)
    return gaussian(shape, std=math.sqrt(2 / n_products), rng=rng, dtype=check_dtype("he", dtype))


def bilinear(kernel_size: int, *, dtype: Any = np.float32) -> Array:
    """Return the k × k weights with which a transposed convolution of stride ⌊(k + 1)/2⌋ interpolates linearly.

    >>> bilinear(4)[0]
    array([0.0625, 0.1875, 0.1875, 0.0625], dtype=float32)
    """
    k = integer("bilinear", "kernel_size", kernel_size, low=1)
    f = (k + 1) // 2
    c = f - 1 if k % 2 else f - 0.5
    w = 1 - np.abs(np.arange(k) - c) / f
    return np.outer(w, w).astype(check_dtype("bilinear", dtype))


def bilinear_upsampling(n_channels: int, kernel_size: int, *, dtype: Any = np.float32) -> Array:
    """Return weights (C, C, k, k) that upsample each channel by itself: `bilinear` on the diagonal, 0 elsewhere."""
    C = integer("bilinear_upsampling", "n_channels", n_channels, low=1)
    plane = bilinear(kernel_size, dtype=dtype)
    weight = np.zeros((C, C, *plane.shape), plane.dtype)
    weight[np.arange(C), np.arange(C)] = plane
    return weight


def fans(shape: tuple[int, ...], *, groups: int = 1) -> tuple[int, int]:
    """Return (fan_in, fan_out) of weights (O, C/g, kh, kw) or (O, F); `groups` must divide O.

    >>> fans((64, 3, 7, 7))
    (147, 3136)
    """
    if len(shape) < 2 or 0 in shape:
        raise ValueError(
            f"fans: needs weights (O, F) or (O, C/groups, kh, kw) without a length of 0, got shape {shape}"
        )
    g = integer("fans", "groups", groups, low=1)
    if shape[0] % g:
        raise ValueError(f"fans: groups must divide the {shape[0]} outputs, got {g} (shape {shape})")
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] // g * taps

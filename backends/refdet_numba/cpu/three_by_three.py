"""Convolutions rewritten as 3 × 3 convolutions with stride 1, which Winograd's algorithm computes (`winograd`).

A stride s, and a kernel larger than 3. Tap a belongs to phase p = a mod s; within its phase it is tap u = ⌊a / s⌋, and
u = 3q + r. So with the maps

    x[p, q](i) = padded x((i + 3q)·s + p)    and the weights    w[p, q](r) = w((3q + r)·s + p), 0 beyond the kernel,

    y(i) = Σ_a w(a) · x(i·s + a) = Σ_{p, q} Σ_{r < 3} w[p, q](r) · x[p, q](i + r)

along both axes: a 3 × 3 convolution of (s·⌈k / 3s⌉)² as many channels. AlexNet's 11 × 11 with stride 4 has 36/16 · 16
products for every 121.

A dilation d. Outputs and pixels with the same remainders modulo d are a convolution of their own: d² images.

Workspace: the rewritten maps, ⌈k / 3s⌉² times x at a stride of s, at most `MAPS_BYTES` (larger ones go the direct way);
the rewritten weights, 9·(s·⌈k / 3s⌉)² / k² times theirs; for a dilation, y once more; and that of `winograd`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange

from refdet.core.check import Array
from refdet.core.geometry import Padding, Pair
from refdet.ops.correlation import Geometry
from refdet_numba.cpu.compiling import compiled_parallel
from refdet_numba.cpu.direct import lay_out
from refdet_numba.cpu.winograd import correlate_3x3, pays

MAPS_BYTES = 8 << 20
WORTH = 4  # taps for each map of a channel, at least: for a map, Winograd multiplies 36/16 times and transforms
NO_PADDING = ((0, 0), (0, 0))


def correlate_as_3x3(x: Array, weight: Array, bias: Array | None, size: Pair, geometry: Geometry) -> Array | None:
    """Return y from native arrays; None if it would not pay, or an answer is not finite."""
    (kh, kw), (sh, sw), padding, (dh, dw), groups = geometry
    (N, C, H, W), O = x.shape, weight.shape[0]
    (top, bottom), (left, right) = padding
    of_three = -(-kh // (3 * sh)), -(-kw // (3 * sw))  # q, along each axis
    if (kh, kw, sh, sw) == (3, 3, 1, 1):
        maps_size = -(-size[0] // dh), -(-size[1] // dw)
        if not pays((N * dh * dw, C // groups, *maps_size), (O // groups, C // groups, 3, 3)):
            return None
        if (dh, dw) == (1, 1) and size == (H + top + bottom - 2, W + left + right - 2):
            return _each_group(x, weight, bias, padding, groups)
        starts = [(p, q) for p in range(dh) for q in range(dw)]
        maps = _maps(x, starts, (dh, dw), padding, (maps_size[0] + 2, maps_size[1] + 2), by_image=True)
        parts = None if maps is None else _each_group(maps, weight, bias, NO_PADDING, groups)
        return None if parts is None else _interleaved(parts, N, (dh, dw), size)
    n_maps = sh * of_three[0] * sw * of_three[1]
    of_group = n_maps * C // groups
    if (dh, dw) != (1, 1) or kh * kw < WORTH * n_maps:
        return None
    if not pays((N, of_group, *size), (O // groups, of_group, 3, 3)):
        return None
    starts = [
        (p + 3 * sh * q, p_ + 3 * sw * q_)
        for p in range(sh)
        for q in range(of_three[0])
        for p_ in range(sw)
        for q_ in range(of_three[1])
    ]
    maps = _maps(x, starts, (sh, sw), padding, (size[0] + 2, size[1] + 2), by_image=False)
    if maps is None:
        return None
    weights = np.empty((O, of_group, 3, 3), weight.dtype)
    _fold(weight.reshape(-1, kh, kw), weights.reshape(-1, n_maps, 9), np.array(starts), (sh, sw))
    return _each_group(maps, weights, bias, NO_PADDING, groups)


def _each_group(x: Array, weight: Array, bias: Array | None, padding: Padding, groups: int) -> Array | None:
    """Return the 3 × 3 convolution."""
    if groups == 1:
        return correlate_3x3(x, weight, bias, padding)
    biases = [None] * groups if bias is None else np.split(bias, groups)
    parts = []
    for part in zip(np.split(x, groups, axis=1), np.split(weight, groups), biases, strict=True):
        y = correlate_3x3(*part, padding)
        if y is None:
            return None
        parts.append(y)
    return np.concatenate(parts, axis=1)


def _maps(x: Array, starts: list[Pair], stride: Pair, padding: Padding, size: Pair, *, by_image: bool) -> Array | None:
    """Return the maps of x that begin at the padded pixels `starts`, as images (N·maps, C) or channels (N, C·maps)."""
    (N, C), P = x.shape[:2], len(starts)
    if N * C * P * math.prod(size) * x.itemsize > MAPS_BYTES:
        return None
    maps = np.empty((N * P, C, *size) if by_image else (N, C * P, *size), x.dtype)
    offsets = np.array(starts) - [padding[0][0], padding[1][0]]
    _lay_out_all(x, maps.reshape(-1), offsets, stride, size, (1, C) if by_image else (P, 1))
    return maps


@compiled_parallel
def _lay_out_all(x: Any, maps: Any, offsets: Any, stride: Any, size: Any, steps: Any) -> None:
    N, C, H, W = x.shape
    P = offsets.shape[0]
    pixels = x.reshape(x.size)
    for channel in prange(N * C):
        n, c = divmod(np.int64(channel), C)
        for p in range(P):
            at = (n * C * P + c * steps[0] + p * steps[1]) * size[0] * size[1]
            image = np.int64(channel) * H * W
            lay_out(pixels, image, (H, W), offsets[p, 0], offsets[p, 1], stride, size[0], size[1], maps, at, False)


@compiled_parallel
def _fold(weight: Any, folded: Any, starts: Any, stride: Any) -> None:
    """Write folded[·, map, 3r + r'] = tap (start + r·s, start' + r'·s') of weight (·, kh, kw), 0 if there is none."""
    _, kh, kw = weight.shape
    for i in prange(weight.shape[0]):
        folded[i] = 0
        for p in range(starts.shape[0]):
            row, column = starts[p, 0], starts[p, 1]
            for a in range(min(3, -((row - kh) // stride[0]))):
                for b in range(min(3, -((column - kw) // stride[1]))):
                    folded[i, p, 3 * a + b] = weight[i, row + a * stride[0], column + b * stride[1]]


def _interleaved(parts: Array, n_images: int, dilation: Pair, size: Pair) -> Array:
    """Return y (N, O, Ho, Wo), of which every (dh, dw)-th output is an image of `parts`."""
    (dh, dw), (Ho, Wo), O = dilation, size, parts.shape[1]
    y = np.empty((n_images, O, Ho, Wo), parts.dtype)
    of_image = parts.reshape(n_images, dh, dw, O, *parts.shape[2:])
    for p in range(dh):
        for q in range(dw):
            target = y[:, :, p::dh, q::dw]
            target[...] = of_image[:, p, q, :, : target.shape[2], : target.shape[3]]
    return y

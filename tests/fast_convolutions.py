"""Convolutions by other algorithms than a sum in order: what a correct implementation may do.

They take x (N, C, H, W) and weight (O, C/groups, k, k), and know nothing of refdet's kernels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from refdet.core.check import Array

# Winograd's minimal filtering by Lavin & Gray (2016), in float32: y = Aᵀ [(G g Gᵀ) ∘ (Bᵀ d B)] A, summed over channels.
F2: tuple[Any, Any, Any] = (
    [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
    [[1, 1, 1, 0], [0, 1, -1, -1]],
)
F4: tuple[Any, Any, Any] = (
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    [
        [1 / 4, 0, 0],
        [-1 / 6, -1 / 6, -1 / 6],
        [-1 / 6, 1 / 6, -1 / 6],
        [1 / 24, 1 / 12, 1 / 6],
        [1 / 24, -1 / 12, 1 / 6],
        [0, 0, 1],
    ],
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
)


def winograd(x: Array, weight: Array, transforms: tuple[Any, Any, Any]) -> Array:
    """Return the 3 × 3 convolution with padding 1, by tiles."""
    Bt, G, At = (np.array(t, np.float32) for t in transforms)
    m, (N, _, H, W) = len(At), x.shape
    rows, columns = -(-H // m), -(-W // m)
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1 + rows * m - H), (1, 1 + columns * m - W)))
    U = np.einsum("ia,ocab,jb->ocij", G, weight, G)
    y = np.zeros((N, len(weight), rows * m, columns * m), np.float32)
    for i in range(rows):
        for j in range(columns):
            tile = padded[:, :, i * m : i * m + m + 2, j * m : j * m + m + 2]
            V = np.einsum("ia,ncab,jb->ncij", Bt, tile, Bt)
            M = np.einsum("ocij,ncij->noij", U, V)
            y[:, :, i * m : (i + 1) * m, j * m : (j + 1) * m] = np.einsum("pi,noij,qj->nopq", At, M, At)
    assert y.dtype == np.float32
    return y[:, :, :H, :W]


def by_fft(x: Array, weight: Array, params: Mapping[str, Any]) -> Array:
    """Return the convolution by the theorem of convolution, in the dtype of x and weight, rounded to float32."""
    from scipy import fft

    (top, bottom), (left, right) = params["padding"]
    (sy, sx), (dy, dx) = params["stride"], params["dilation"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    taps = np.zeros((*weight.shape[:2], dy * (weight.shape[2] - 1) + 1, dx * (weight.shape[3] - 1) + 1), weight.dtype)
    taps[:, :, ::dy, ::dx] = weight
    size = [n + k - 1 for n, k in zip(padded.shape[2:], taps.shape[2:], strict=True)]
    X, W = fft.rfft2(padded, size), fft.rfft2(taps[:, :, ::-1, ::-1], size)
    groups, n_out = params["groups"], len(weight) // params["groups"]
    parts = [
        np.einsum(
            "nchw,ochw->nohw", X[:, g * weight.shape[1] : (g + 1) * weight.shape[1]], W[g * n_out : (g + 1) * n_out]
        )
        for g in range(groups)
    ]
    y: Array = fft.irfft2(np.concatenate(parts, axis=1), size)
    first_y, first_x = taps.shape[2] - 1, taps.shape[3] - 1
    last_y, last_x = padded.shape[2], padded.shape[3]
    return y[:, :, first_y:last_y:sy, first_x:last_x:sx].astype(np.float32)


def in_shuffled_order(x: Array, weight: Array, params: Mapping[str, Any], rng: np.random.Generator) -> Array:
    """Return the convolution in float32, its products added one by one in a random order."""
    (top, bottom), (left, right) = params["padding"]
    (sy, sx), (dy, dx) = params["stride"], params["dilation"]
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    n_in, (ky, kx) = weight.shape[1], weight.shape[2:]
    height = (padded.shape[2] - dy * (ky - 1) - 1) // sy + 1
    width = (padded.shape[3] - dx * (kx - 1) - 1) // sx + 1
    y = np.zeros((len(x), len(weight), height, width), np.float32)
    n_out = len(weight) // params["groups"]
    for i in rng.permutation(n_in * ky * kx):
        c, a, b = np.unravel_index(i, (n_in, ky, kx))
        rows, columns = (
            slice(a * dy, a * dy + sy * (height - 1) + 1, sy),
            slice(b * dx, b * dx + sx * (width - 1) + 1, sx),
        )
        for g in range(params["groups"]):
            pixels = padded[:, g * n_in + c, None, rows, columns]
            y[:, g * n_out : (g + 1) * n_out] += pixels * weight[g * n_out : (g + 1) * n_out, c, a, b][:, None, None]
    return y

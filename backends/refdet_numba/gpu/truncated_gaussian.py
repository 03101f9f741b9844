"""A truncated Gaussian filter over the pixels of an image: down the columns, then along the rows.

    for each of the two axes, for each pixel and channel (a thread each):
        y = x, then for t = 1 … radius:   y += k(t) · x[t before];   y += k(t) · x[t after]

The weights are computed on the host, once for each σ, and rounded to the dtype of x. Workspace: one more image.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numba import float32, float64

from refdet.crf.truncated_gaussian import Sigma, TruncatedGaussianResidual
from refdet_numba.gpu.assembly import Assembled, array
from refdet_numba.gpu.device import blocks_for, contiguous, launch, to_device
from refdet_numba.gpu.shim import IN_SIMULATOR, cuda, jit

THREADS = 8 if IN_SIMULATOR else 256


def forward(
    values: Any, *, sigma: Sigma, truncate: float, keep_residual: bool
) -> tuple[Any, TruncatedGaussianResidual | None]:
    """Return the filtered values, (H, W, V)."""
    return filtered(values, sigma, truncate), TruncatedGaussianResidual(values) if keep_residual else None


def backward(
    residual: TruncatedGaussianResidual, dy: Any, *, needs: tuple[bool], sigma: Sigma, truncate: float
) -> tuple[Any | None, ...]:
    """The transpose of a symmetric filter is the filter."""
    return (filtered(dy, sigma, truncate),)


def filtered(image: Any, sigma: Sigma, truncate: float) -> Any:
    """Filter every channel of (H, W, V) down the columns, then along the rows."""
    H, W, V = image.shape
    y = contiguous(image)
    for axis, shape in enumerate(((1, H, W * V), (H, W, V))):  # (lines, pixels of a line, numbers of a pixel)
        radius = math.ceil(min(truncate * sigma[axis], shape[1] - 1))
        x, y = y.reshape(shape), np.empty_like(y, shape=shape)
        taps = weights(sigma[axis], max(radius, 0), y.dtype.name)
        launch(_filter, blocks_for(y.size, THREADS), THREADS, x, taps, y)
    return y.reshape(H, W, V)


@functools.lru_cache(maxsize=64)
def weights(sigma: float, radius: int, dtype: str) -> Any:
    """Return k(0) … k(radius) on the device."""
    deviations = [t / sigma for t in range(radius + 1)]
    return to_device(np.array([math.exp(-0.5 * x * x) for x in deviations], dtype))


@jit()
def _filter(x: Any, weights: Any, y: Any) -> None:
    _, length, inner = x.shape
    place = cuda.grid(1)
    if place < y.size:
        line, at, c = place // (length * inner), place // inner % length, place % inner
        total = x[line, at, c]
        for t in range(1, len(weights)):
            if at - t >= 0:
                total += weights[t] * x[line, at - t, c]
            if at + t < length:
                total += weights[t] * x[line, at + t, c]
        y[line, at, c] = total


ASSEMBLED = [
    Assembled(_filter, [array(t, 3), array(t, 1), array(t, 3)], registers=44, float64=t is float64)
    for t in (float32, float64)
]

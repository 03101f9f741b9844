"""The Gaussian and its derivative, sampled.

    g(t) = exp(−t² / 2σ²) / Σ,    |t| ≤ ⌈4σ⌉         smooth:      y(x) = Σ_t g(t) f(x + t)
    d(t) = t g(t) / σ²                               derivative:  y(x) = Σ_t d(t) f(x + t)

Along one axis; a filter of the plane applies one to the rows and one to the columns. The border repeats the last pixel,
as in the code of Felzenszwalb and Huttenlocher. Below σ = 1/100, where g(±1) is 0 in float64, nothing is smoothed.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array


def smooth(field: Array, sigma: float) -> Array:
    """Return a field (H, W, C) smoothed along both axes.

    >>> smooth(np.full((2, 3, 1), 7.0), 0.8)[:, :, 0].round(12)
    array([[7., 7., 7.],
           [7., 7., 7.]])
    """
    if sigma < 0.01:
        return field
    _, weights = _gaussian(sigma)
    return _correlate(_correlate(field, weights, 0), weights, 1)


def gradient(field: Array, sigma: float) -> tuple[Array, Array]:
    """Return ∂/∂x and ∂/∂y of a field (H, W, C) smoothed by a Gaussian of that σ > 0; x counts columns.

    A unit step gives at most 1 / (σ √2π), the peak of the Gaussian.
    """
    t, weights = _gaussian(sigma)
    slopes = t * weights / sigma**2
    along_x = _correlate(_correlate(field, weights, 0), slopes, 1)
    along_y = _correlate(_correlate(field, slopes, 0), weights, 1)
    return along_x, along_y


def _gaussian(sigma: float) -> tuple[Array, Array]:
    """Return the offsets t and the weights g(t)."""
    radius = math.ceil(4 * sigma)
    t = np.arange(-radius, radius + 1, dtype=np.float64)
    weights = np.exp(-(t**2) / (2 * sigma**2))
    return t, weights / weights.sum()


def _correlate(field: Array, taps: Array, axis: int) -> Array:
    """Return Σ_t taps(t) · field(x + t) along one of the first two axes, added from the first tap to the last."""
    n, radius = field.shape[axis], len(taps) // 2
    if n == 0:
        return field
    padded = np.pad(field, [(radius, radius) if a == axis else (0, 0) for a in range(field.ndim)], mode="edge")
    y = np.zeros_like(field)
    for i, tap in enumerate(taps):
        y += tap * (padded[i : i + n] if axis == 0 else padded[:, i : i + n])
    return y

"""A plain edge detector, so that EdgeBoxes runs on any picture.

    E(p)  = σ √(2π) · |∇ (g_σ ∗ f)(p)|     where it is largest along the gradient, else 0
    θ(p)  = direction of that gradient, modulo π

g_σ is a Gaussian and f the picture, in [0, 1]. A step from a to b in f has E ≈ |b − a|: its smoothed slope is at most
|b − a| / (σ √(2π)). So E is a contrast, in [0, 1], and means the same in every picture. Zitnick & Dollár (ECCV 2014)
take the edges of a structured forest, which has to be learned; those of Canny, "A computational approach to edge
detection" (1986), are thinned as here.

Conventions:

- A colour picture has the gradient of the channel in which it is longest, the first of equal ones.
- Thinning: p stays if E(p) is > that one pixel further along the gradient, and ≥ that one pixel back. Both are
  interpolated bilinearly; beyond the border the last pixel is repeated. So of two equal pixels across an edge the
  brighter one stays, and a plateau has none. Differences of gradients up to 2⁻⁴⁰ are rounding, and count as none.
- θ is that of the normal of the edge, from 0 to below π, x to the right and y downwards; 0 where there is no gradient.
- Sampled at the pixel next to it, a sharp step from a to b has E = 0.54 |b − a| at σ = ½, 0.91 |b − a| at σ = 1, and
  more above. Smaller σ are refused, as hardly a slope is left, and σ > 100, which leave nothing of a picture.
- uint8 counts as 0 … 255 of 255, floats have to lie in [0, 1]. Everything is computed in float64; the sampled Gaussian
  may exceed 1 by a little, and is cut there. The maps are float64 for a float64 picture, else float32.
"""

from __future__ import annotations

import math

import numpy as np

from refdet.core.check import Array, check_number
from refdet.proposals.gaussian import gradient
from refdet.proposals.intensities import intensities

ROUNDING = 2.0**-40


def gradient_edges(image: Array, *, sigma: float = 1.5) -> tuple[Array, Array]:
    """Find the edges of a picture, one pixel wide.

    Args:
        image: (H, W) or (H, W, C), uint8, or float32 or float64 in [0, 1].
        sigma: of the Gaussian, in pixels, in [0.5, 100].

    Returns:
        The magnitudes in [0, 1], (H, W), and the orientations in [0, π), (H, W).

    Of a step from 0 to 1 the brighter pixel stays:

    >>> edges, orientation = gradient_edges(np.array([[0.0, 0, 0, 1, 1, 1]]))
    >>> (edges > 0.1).astype(int), orientation.max()
    (array([[0, 0, 0, 1, 0, 0]]), np.float64(0.0))
    """
    op = "gradient_edges"
    check_number(op, "sigma", sigma, low=0.5, high=100)
    picture = intensities(op, image) / 255  # (H, W, C)
    dx, dy = _longest(*gradient(picture, sigma))
    flat = np.hypot(dx, dy) <= ROUNDING
    dx[flat], dy[flat] = 0, 0
    length = np.hypot(dx, dy)
    edges = np.where(_is_ridge(length, dx, dy), np.minimum(length * sigma * math.sqrt(2 * math.pi), 1), 0)
    dtype = np.float64 if image.dtype.kind == "f" and image.dtype.itemsize == 8 else np.float32
    angle = np.arctan2(dy, dx)
    orientation = np.where(angle < 0, angle + math.pi, angle).astype(dtype)
    orientation[orientation >= dtype(math.pi)] = 0
    return edges.astype(dtype), orientation


def _longest(dx: Array, dy: Array) -> tuple[Array, Array]:
    """Return the longest gradient of the channels, (H, W, C) → (H, W)."""
    channel = np.hypot(dx, dy).argmax(axis=2)[:, :, None]
    longest_dx, longest_dy = (np.take_along_axis(d, channel, 2)[:, :, 0] for d in (dx, dy))
    return longest_dx, longest_dy


def _is_ridge(length: Array, dx: Array, dy: Array) -> Array:
    """Say where `length` is largest along the gradient."""
    step_x, step_y = (np.divide(d, length, out=np.zeros_like(d), where=length > 0) for d in (dx, dy))
    further, back = (_interpolated(length, sign * step_x, sign * step_y) for sign in (1, -1))
    ridge: Array = (length > further + ROUNDING) & (length >= back - ROUNDING)
    return ridge


def _interpolated(field: Array, step_x: Array, step_y: Array) -> Array:
    """Return the field a step away from each pixel, at most one pixel."""
    H, W = field.shape
    y, x = (
        np.clip(i + step, 0, n - 1) for i, step, n in zip(np.indices((H, W)), (step_y, step_x), (H, W), strict=True)
    )
    top, left = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    bottom, right = np.minimum(top + 1, H - 1), np.minimum(left + 1, W - 1)
    down, across = y - top, x - left
    values, top_row, bottom_row = field.ravel(), top * W, bottom * W
    above = values[top_row + left] * (1 - across) + values[top_row + right] * across
    below = values[bottom_row + left] * (1 - across) + values[bottom_row + right] * across
    interpolated: Array = above * (1 - down) + below * down
    return interpolated

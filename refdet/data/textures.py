"""Textures of the synthetic pictures: patterns with values in [0, 1], and colours laid over them.

Everything is made of additions, products, comparisons and `floor`, so that the bits are the same everywhere; no float
is ever summed over an array, since the order of such a sum is NumPy's own affair.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from refdet.core.check import Array
from refdet.data.random_stream import RandomStream


def pixel_centres(height: int, width: int) -> tuple[Array, Array]:
    """Return y as a column and x as a row: pixel (r, c) has its centre at (r + ½, c + ½)."""
    return np.arange(height)[:, None] + 0.5, np.arange(width)[None, :] + 0.5


def value_noise(stream: RandomStream, height: int, width: int) -> Array:
    """Clouds: random values on two square lattices, the finer one at half the height, interpolated smoothly."""
    total = np.zeros((height, width))
    cell = stream.integer(6, 28)
    for amplitude, pitch in ((2 / 3, cell), (1 / 3, max(cell // 3, 2))):
        lattice = stream.uniforms(height // pitch + 2, width // pitch + 2)
        y, x = (centre / pitch for centre in pixel_centres(height, width))
        row, column = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
        b, a = _smoothstep(y - row), _smoothstep(x - column)
        upper = lattice[row, column] * (1 - a) + lattice[row, column + 1] * a
        lower = lattice[row + 1, column] * (1 - a) + lattice[row + 1, column + 1] * a
        total += amplitude * (upper * (1 - b) + lower * b)
    return total


def stripes(stream: RandomStream, height: int, width: int) -> Array:
    """Parallel bars of equal width, in any direction."""
    (y, x), (c, s), period = pixel_centres(height, width), stream.rotation(), stream.uniform(4, 14)
    return _odd((x * c + y * s) / period)


def checks(stream: RandomStream, height: int, width: int) -> Array:
    """A chessboard, in any direction."""
    (y, x), (c, s), period = pixel_centres(height, width), stream.rotation(), stream.uniform(4, 12)
    differ: Array = np.abs(_odd((x * c + y * s) / period) - _odd((y * c - x * s) / period))
    return differ


def dots(stream: RandomStream, height: int, width: int) -> Array:
    """Round spots on a square lattice, in any direction."""
    (y, x), (c, s), period = pixel_centres(height, width), stream.rotation(), stream.uniform(5, 12)
    u, v = (x * c + y * s) / period, (y * c - x * s) / period
    u, v = u - np.floor(u) - 0.5, v - np.floor(v) - 0.5
    return (u * u + v * v < 0.09).astype(np.float64)


def plain(stream: RandomStream, height: int, width: int) -> Array:
    """One colour."""
    return np.zeros((height, width))


PATTERNS: tuple[Callable[[RandomStream, int, int], Array], ...] = (value_noise, stripes, checks, dots, plain)


def coloured(pattern: Array, first: Array, second: Array) -> Array:
    """Return an image (H, W, 3) that has the first colour where the pattern is 0, the second where it is 1."""
    image: Array = first + (second - first) * pattern[:, :, None]
    return image


def _smoothstep(t: Array) -> Array:
    eased: Array = t * t * (3 - 2 * t)
    return eased


def _odd(t: Array) -> Array:
    """Return 1 where ⌊t⌋ is odd, else 0."""
    floor: Array = np.floor(t)
    odd: Array = floor - 2 * np.floor(floor / 2)
    return odd

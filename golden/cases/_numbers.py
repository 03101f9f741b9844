"""Inputs: numbers from a fixed stream, of the kinds that golden cases need.

The stream is that of the bit generator PCG64, which NumPy keeps the same from version to version; its distributions it
does not, so that the bits are turned into numbers here.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


def integers(seed: str, shape: Shape, low: int, high: int) -> Integers:
    """Return integers between `low` and `high`, both included."""
    return (_bits(seed, shape) % np.uint64(high - low + 1)).astype(np.int64).reshape(shape) + low


def dyadic(seed: str, shape: Shape, low: int = -4, high: int = 4, unit: float = 1.0) -> Floats:
    """Return multiples k · unit with low ≤ k ≤ high; `unit` is a power of two, or a small multiple of one."""
    return (integers(seed, shape, low, high) * unit).astype(np.float64)


def reals(seed: str, shape: Shape, low: float = -1.0, high: float = 1.0) -> Floats:
    """Return numbers in [low, high) that use all 24 bits of float32's significand, so that products get rounded."""
    fraction = (_bits(seed, shape) >> np.uint64(40)).astype(np.float64) / 2**24
    return (low + (high - low) * fraction).astype(np.float32).astype(np.float64).reshape(shape)


def distinct(seed: str, shape: Shape, unit: float = 1.0) -> Floats:
    """Return the multiples 1, 2, 3 ... of `unit`, shuffled: no two are equal."""
    order = np.argsort(_bits(seed, shape), kind="stable")
    return ((order + 1) * unit).astype(np.float64).reshape(shape)


def count(shape: Shape) -> Floats:
    """Return 0, 1, 2 ... in row-major order."""
    return np.arange(math.prod(shape), dtype=np.float64).reshape(shape)


def _bits(seed: str, shape: Shape) -> NDArray[np.uint64]:
    generator = np.random.PCG64(zlib.crc32(seed.encode()))
    return np.array([int(generator.random_raw()) for _ in range(math.prod(shape))], np.uint64)


def winograd(seed: str, shape: Shape) -> Floats:
    """Return multiples of 576/2⁹, which Winograd's F(2×2, 3×3) and F(4×4, 3×3) transform without rounding.

    Their transforms of a 3 × 3 kernel divide by 4 and by 576 = 24²; the nine in 576 has to be in the number.
    """
    return dyadic(seed, shape, -2, 2, 576 / 2**9)

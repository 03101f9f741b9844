"""Random numbers whose bits are the same on every machine and under every version of NumPy.

NumPy keeps the raw output of its bit generator PCG64 and of SeedSequence from version to version; the distributions
built on them it may change. Here the bits are turned into numbers by hand.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from refdet.core.check import Array

T = TypeVar("T")

STEP = 1 / 2**53
TAN_22_5 = math.sqrt(2) - 1  # tan(45°/2)


class RandomStream:
    """Draws from one stream; the same seeds give the same draws, in the same order.

    >>> first, again = RandomStream(7, 0), RandomStream(7, 0)
    >>> [first.integer(1, 6) for _ in range(5)] == [again.integer(1, 6) for _ in range(5)]
    True
    """

    def __init__(self, *seeds: int) -> None:
        self._bits = np.random.PCG64(np.random.SeedSequence(seeds))

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return low + (high − low)·u, rounded, with u a multiple of 2⁻⁵³ in [0, 1): `high` itself only by rounding."""
        return low + (high - low) * (int(self._bits.random_raw()) >> 11) * STEP

    def uniforms(self, *shape: int) -> Array:
        """Return numbers in [0, 1), in row-major order."""
        raw = self._bits.random_raw(math.prod(shape))
        return (np.asarray(raw, np.uint64) >> np.uint64(11)).astype(np.float64).reshape(shape) * STEP

    def integer(self, low: int, high: int) -> int:
        """Return an integer between `low` and `high`, both included (with a bias of less than 2⁻⁴⁰ for small spans)."""
        return low + int(self._bits.random_raw()) % (high - low + 1)

    def choice(self, values: Sequence[T]) -> T:
        """Return one of `values`."""
        return values[self.integer(0, len(values) - 1)]

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.uniform() < probability

    def tilt(self, largest: float) -> tuple[float, float]:
        """Return cosine and sine of a small random angle φ, |tan(φ/2)| ≤ `largest`.

        With t = tan(φ/2): cos φ = (1 − t²)/(1 + t²) and sin φ = 2t/(1 + t²). Drawing t evenly prefers small angles a
        little.
        """
        t = self.uniform(-largest, largest)
        return (1 - t * t) / (1 + t * t), 2 * t / (1 + t * t)

    def rotation(self) -> tuple[float, float]:
        """Return cosine and sine of a random angle, computed without trigonometry, which differs between machines.

        A tilt of up to 45° either way, then up to three quarter turns.
        """
        c, s = self.tilt(TAN_22_5)
        for _ in range(self.integer(0, 3)):
            c, s = -s, c
        return c, s

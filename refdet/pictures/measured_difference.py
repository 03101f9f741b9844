"""How far an answer is from the right one, element by element, as the pictures of differences show it.

An element is measured in tolerances: up to 1 it passes. Where nothing is tolerated it is measured as it is. A NaN or an
infinity that should not be there, or that is missing, is infinitely far away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from refdet.core.check import Array

LARGEST = 1e300  # beyond it, differences of what is drawn would overflow


@dataclass(frozen=True)
class Difference:
    """An answer beside the right one."""

    tensor: str
    expected: Array
    got: Array
    allowed: Array | None  # tolerances; None where nothing is tolerated

    @property
    def has_form(self) -> bool:
        """Whether the shapes agree, so that elements can be compared."""
        return self.expected.shape == self.got.shape

    @property
    def unit(self) -> str:
        """What `measured` counts."""
        return "tolerances" if self.allowed is not None else "distance"

    @property
    def limit(self) -> float:
        """The largest measure that passes."""
        return 1.0 if self.allowed is not None else 0.0

    def measured(self) -> NDArray[np.float64]:
        """Return the distance of every element from the right one, in `unit`s."""
        y, wanted = self.got.astype(np.float64), self.expected.astype(np.float64)
        with np.errstate(all="ignore"):
            distance = np.abs(y - wanted)
            if self.allowed is not None:
                distance = np.where(distance == 0, 0.0, distance / self.allowed)
        same = (self.got == self.expected) | (np.isnan(y) & np.isnan(wanted))
        return np.where(same, 0.0, np.where(np.isfinite(y) & np.isfinite(wanted), distance, np.inf))

    def worst(self) -> tuple[int, ...]:
        """Return the index of the element that is furthest away, the first of equals."""
        if not self.has_form or not self.expected.size:
            return (0,) * self.expected.ndim
        distance = self.measured()
        return tuple(int(i) for i in np.unravel_index(int(np.argmax(distance)), distance.shape))


def drawable(x: Array) -> NDArray[np.float64]:
    """Return values that can be drawn: in float64, NaN where they are not finite."""
    values = x.astype(np.float64)
    return np.clip(np.where(np.isfinite(values), values, np.nan), -LARGEST, LARGEST)


def window(centre: int, length: int, most: int) -> slice:
    """Return at most so many places around one.

    >>> window(5, 100, 4), window(99, 100, 4), window(0, 3, 4)
    (slice(3, 7, None), slice(96, 100, None), slice(0, 3, None))
    """
    start = max(0, min(centre - most // 2, length - most))
    return slice(start, min(length, start + most))


def short(value: float, digits: int = 3) -> str:
    """Return a number in a few letters.

    >>> short(0.12345), short(1234.5), short(123456.0), short(-1e-9, 2), short(float("inf"))
    ('0.123', '1234', '1.23e5', '−1e−9', '∞')
    """
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "∞" if value > 0 else "−∞"
    if 100 <= abs(value) < 10_000:
        return f"{value:.0f}".replace("-", "−")
    mantissa, e, exponent = f"{value:.{digits}g}".partition("e")
    return f"{mantissa}{e}{int(exponent) if e else ''}".replace("-", "−")

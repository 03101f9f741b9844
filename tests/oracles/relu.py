"""Rectified linear unit.

    y = max(0, x),    dy/dx = 1 if x > 0, else 0 (so 0 at the kink x = 0)

A NaN stays a NaN; its gradient is 0, since it is not x > 0.

Source: Krizhevsky, Sutskever and Hinton, "ImageNet Classification with Deep Convolutional Neural Networks", section
3.1.
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._sums import Array, Float64Array


def forward(x: Array) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x)


def backward(x: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy)


def _value(x: float) -> float:
    return 0.0 if x <= 0 else x


def _by_x(x: float) -> float:
    return 1.0 if x > 0 else 0.0

"""Leaky rectified linear unit with slope a below 0.

    y = x if x > 0, else a x,    dy/dx = 1 if x > 0, else a (so a at the kink x = 0)

Source: Maas, Hannun and Ng, "Rectifier Nonlinearities Improve Neural Network Acoustic Models", section 2.
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, negative_slope: float) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x, negative_slope=negative_slope)


def backward(x: Array, *, dy: Array, negative_slope: float) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy, negative_slope=negative_slope)


def _value(x: float, negative_slope: float) -> float:
    return x if x > 0 else negative_slope * x


def _by_x(x: float, negative_slope: float) -> float:
    return 1.0 if x > 0 else negative_slope

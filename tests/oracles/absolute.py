"""Absolute value: y = |x|, dy/dx = sign(x), and 0 at the kink x = 0 and at NaN."""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._sums import Array, Float64Array


def forward(x: Array) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x)


def backward(x: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy)


def _value(x: float) -> float:
    return abs(x)


def _by_x(x: float) -> float:
    return float(x > 0) - float(x < 0)

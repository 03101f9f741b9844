"""Logistic function.

    y = s(x) = 1 / (1 + e^-x),    dy/dx = s(x) s(-x)

since 1 - s(x) = s(-x), which cancels nothing at large x. The denominator may overflow to inf: y is then 0.
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._ieee import exp
from tests.oracles._sums import Array, Float64Array


def forward(x: Array) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x)


def backward(x: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy)


def _value(x: float) -> float:
    return 1.0 / (1.0 + exp(-x))


def _by_x(x: float) -> float:
    return _value(x) * _value(-x)

"""A constant power: y = x^p, dy/dx = p x^(p - 1), and 0 everywhere for p = 0."""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._ieee import power
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, *, exponent: float) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(power, x, exponent=exponent)


def backward(x: Array, *, dy: Array, exponent: float) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy, exponent=exponent)


def _by_x(x: float, exponent: float) -> float:
    return exponent * power(x, exponent - 1.0) if exponent != 0 else 0.0

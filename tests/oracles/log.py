"""Natural logarithm: y = ln x, dy/dx = 1 / x. -inf at 0, NaN below."""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._ieee import log, quotient
from tests.oracles._sums import Array, Float64Array


def forward(x: Array) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x)


def backward(x: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return (dx,)."""
    return pull_back((_by_x,), x, dy=dy)


def _value(x: float) -> float:
    return log(x)


def _by_x(x: float) -> float:
    return quotient(1.0, x)

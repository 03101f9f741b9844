"""Division, broadcast as in NumPy; x / 0 is ±inf and 0 / 0 is NaN.

z = x / y,    dz/dx = 1 / y,    dz/dy = -x / y^2
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._ieee import quotient
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, y: Array) -> Float64Array:
    """Return z, the broadcast shape."""
    return map_scalars(_value, x, y)


def backward(x: Array, y: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return the gradients of x and y; `dy` belongs to z."""
    return pull_back((_by_x, _by_y), x, y, dy=dy)


def _value(x: float, y: float) -> float:
    return quotient(x, y)


def _by_x(x: float, y: float) -> float:
    return quotient(1.0, y)


def _by_y(x: float, y: float) -> float:
    return quotient(-x, y * y)

"""The smaller of two, broadcast as in NumPy. A NaN on either side is the result.

    z = x if x wins, else y,    dz/dx = 1 if x wins, else 0,    dz/dy = 1 - dz/dx

x wins if it is smaller, a tie, or NaN: a tie sends the whole gradient to the first argument.
"""

import math

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, y: Array) -> Float64Array:
    """Return z, the broadcast shape."""
    return map_scalars(_value, x, y)


def backward(x: Array, y: Array, *, dy: Array) -> tuple[Float64Array | None, ...]:
    """Return the gradients of x and y; `dy` belongs to z."""
    return pull_back((_by_x, _by_y), x, y, dy=dy)


def _value(x: float, y: float) -> float:
    return x if _x_wins(x, y) else y


def _by_x(x: float, y: float) -> float:
    return 1.0 if _x_wins(x, y) else 0.0


def _by_y(x: float, y: float) -> float:
    return 0.0 if _x_wins(x, y) else 1.0


def _x_wins(x: float, y: float) -> bool:
    return x <= y or math.isnan(x)

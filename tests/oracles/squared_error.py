"""Squared difference, without a factor 1/2.

l = d^2,    d = x - target,    dl/dx = 2 d,    dl/dtarget = -2 d
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._losses import reduce, spread
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, target: Array, *, reduction: str) -> Float64Array:
    """Return the reduced loss."""
    return reduce(map_scalars(_value, x, target), reduction)


def backward(x: Array, target: Array, *, dy: Array, reduction: str) -> tuple[Float64Array | None, ...]:
    """Return (dx, dtarget)."""
    upstream = spread(dy, x.shape, reduction)
    return pull_back((_by_x, _by_target), x, target, dy=upstream)


def _value(x: float, target: float) -> float:
    return (x - target) * (x - target)


def _by_x(x: float, target: float) -> float:
    return 2 * (x - target)


def _by_target(x: float, target: float) -> float:
    return -2 * (x - target)

"""Smooth L1: a parabola near 0, continued by straight lines of slope ±1.

    l = d^2 / (2 beta) if |d| < beta, else |d| - beta / 2,    d = x - target
    dl/dx = d / beta if |d| < beta, else sign(d),    dl/dtarget = -dl/dx

For beta = 0 it is |d|, with gradient 0 at d = 0.

Source: Girshick, "Fast R-CNN", equation 3, where beta = 1.
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._losses import reduce, spread
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, target: Array, *, beta: float, reduction: str) -> Float64Array:
    """Return the reduced loss."""
    return reduce(map_scalars(_value, x, target, beta=beta), reduction)


def backward(x: Array, target: Array, *, dy: Array, beta: float, reduction: str) -> tuple[Float64Array | None, ...]:
    """Return (dx, dtarget)."""
    upstream = spread(dy, x.shape, reduction)
    return pull_back((_by_x, _by_target), x, target, dy=upstream, beta=beta)


def _value(x: float, target: float, beta: float) -> float:
    d = x - target
    return d * d / (2 * beta) if abs(d) < beta else abs(d) - beta / 2


def _by_x(x: float, target: float, beta: float) -> float:
    d = x - target
    return d / beta if abs(d) < beta else float(d > 0) - float(d < 0)


def _by_target(x: float, target: float, beta: float) -> float:
    return -_by_x(x, target, beta)

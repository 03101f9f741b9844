"""Binary cross-entropy of a logistic unit, from its logit x, with target t in 0 ... 1 and weight w.

    l = -w (t ln s(x) + (1 - t) ln s(-x)),    s(x) = 1 / (1 + e^-x)
    dl/dx = w ((1 - t) s(x) - t s(-x)),    dl/dt = -w x

since 1 - s(x) = s(-x), d ln s(x)/dx = s(-x), and ln s(x) - ln s(-x) = x. Neither overflow nor cancellation:
-ln s(x) = ln(1 + e^-x) = max(0, -x) + log1p(e^-|x|). Without a weight, w = 1; it does not enter the mean's divisor.
"""

import math

import numpy as np

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._ieee import exp
from tests.oracles._losses import reduce, spread
from tests.oracles._sums import Array, Float64Array


def forward(logits: Array, targets: Array, weight: Array | None, *, reduction: str) -> Float64Array:
    """Return the reduced loss."""
    weight = np.ones(logits.shape) if weight is None else weight
    return reduce(map_scalars(_value, logits, targets, weight), reduction)


def backward(
    logits: Array, targets: Array, weight: Array | None, *, dy: Array, reduction: str
) -> tuple[Float64Array | None, ...]:
    """Return (dlogits, dtargets, None)."""
    weight = np.ones(logits.shape) if weight is None else weight
    upstream = spread(dy, logits.shape, reduction)
    return pull_back((_by_x, _by_t, None), logits, targets, weight, dy=upstream)


def _value(x: float, t: float, w: float) -> float:
    return w * (t * _minus_log_sigmoid(x) + (1 - t) * _minus_log_sigmoid(-x))


def _by_x(x: float, t: float, w: float) -> float:
    return w * ((1 - t) * _sigmoid(x) - t * _sigmoid(-x))


def _by_t(x: float, t: float, w: float) -> float:
    return -w * x


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + exp(-x))


def _minus_log_sigmoid(x: float) -> float:
    return max(0.0, -x) + math.log1p(math.exp(-abs(x)))

"""Hinge loss of a score s with sign t = ±1.

    l = max(0, v)^power,    v = margin - t s,    power 1 or 2
    dl/ds = -t power v^(power - 1), and 0 where v <= 0 (so also at the kink v = 0)

Source: Cortes and Vapnik, "Support-Vector Networks" (power 1); power 2 is the L2-loss SVM.
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._losses import reduce, spread
from tests.oracles._sums import Array, Float64Array


def forward(scores: Array, signs: Array, *, margin: float, power: int, reduction: str) -> Float64Array:
    """Return the reduced loss."""
    return reduce(map_scalars(_value, scores, signs, margin=margin, power=power), reduction)


def backward(
    scores: Array, signs: Array, *, dy: Array, margin: float, power: int, reduction: str
) -> tuple[Float64Array | None, ...]:
    """Return (dscores, None)."""
    upstream = spread(dy, scores.shape, reduction)
    return pull_back((_by_score, None), scores, signs, dy=upstream, margin=margin, power=power)


def _value(score: float, sign: float, margin: float, power: int) -> float:
    violation = margin - sign * score
    if violation <= 0:
        return 0.0
    return violation if power == 1 else violation * violation


def _by_score(score: float, sign: float, margin: float, power: int) -> float:
    violation = margin - sign * score
    if violation <= 0:
        return 0.0
    return -sign if power == 1 else -sign * 2 * violation

"""Dropout: multiply every element by a factor that depends on whether it is kept.

                    training            inference
    "inverted"      keep / (1 - p)      1               p = 1 in training: 0, kept or not
    "original"      keep                1 - p

    y = factor x,    dy/dx = factor

Source: Srivastava et al., "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", sections 4 and 10
(the inverted form is a remark there; their p is the probability to keep, ours to drop).
"""

from tests.oracles._elementwise import map_scalars, pull_back
from tests.oracles._sums import Array, Float64Array


def forward(x: Array, keep: Array, *, p: float, training: bool, convention: str) -> Float64Array:
    """Return y, the shape of x."""
    return map_scalars(_value, x, keep, p=p, training=training, convention=convention)


def backward(
    x: Array, keep: Array, *, dy: Array, p: float, training: bool, convention: str
) -> tuple[Float64Array | None, ...]:
    """Return (dx, None): `keep` has no gradient."""
    return pull_back((_factor, None), x, keep, dy=dy, p=p, training=training, convention=convention)


def _value(x: float, keep: float, p: float, training: bool, convention: str) -> float:
    return x * _factor(x, keep, p, training, convention)


def _factor(x: float, keep: float, p: float, training: bool, convention: str) -> float:
    if convention == "original":
        return keep if training else 1.0 - p
    if not training:
        return 1.0
    return keep / (1.0 - p) if p < 1 else 0.0

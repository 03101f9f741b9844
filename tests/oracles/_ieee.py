"""Scalar functions as IEEE 754 has them: inf and NaN where Python's own raise an exception."""

import math

import numpy as np


def quotient(x: float, y: float) -> float:
    """Return x / y; x / 0 is ±inf, 0 / 0 is NaN."""
    with np.errstate(all="ignore"):
        return float(np.float64(x) / np.float64(y))


def exp(x: float) -> float:
    """Return e^x; inf beyond the largest float."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def log(x: float) -> float:
    """Return ln x; -inf at 0, NaN below."""
    if x == 0:
        return -math.inf
    return math.nan if x < 0 else math.log(x)


def sqrt(x: float) -> float:
    """Return the square root of x; NaN below 0."""
    return math.nan if x < 0 else math.sqrt(x)


def power(x: float, exponent: float) -> float:
    """Return x^exponent; 0 to a negative power is inf, a negative x to a fractional one is NaN."""
    try:
        return math.pow(x, exponent)
    except (ValueError, OverflowError):
        with np.errstate(all="ignore"):
            return float(np.float64(x) ** np.float64(exponent))

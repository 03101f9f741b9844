"""Exactly rounded sums, so that an oracle's only rounding errors are those of its single terms."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Float64Array = NDArray[np.float64]
Index = tuple[int, ...]


def exact_sum(terms: Iterable[float]) -> float:
    """Return the correctly rounded sum; inf, nan and overflow as plain addition has them."""
    terms = list(terms)
    try:
        return math.fsum(terms)
    except (ValueError, OverflowError):  # fsum refuses inf - inf, and partial sums beyond the largest float
        return sum(terms)


def scatter_sum(shape: Index, contributions: Iterable[tuple[Index, float]]) -> Float64Array:
    """Return the array whose element at `index` is the exact sum of all terms contributed there, or 0."""
    terms: dict[Index, list[float]] = {}
    for index, term in contributions:
        terms.setdefault(index, []).append(term)
    total = np.zeros(shape)
    for index, terms_here in terms.items():
        total[index] = exact_sum(terms_here)
    return total

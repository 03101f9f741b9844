"""What the matching rules share: an overlap that is NaN counts as 0, and the first of equal overlaps is the best."""

import math

from tests.oracles._sums import Array


def overlaps(iou: Array) -> list[list[float]]:
    """Return the matrix as Python floats, with 0 for NaN."""
    return [[0.0 if math.isnan(value) else float(value) for value in row] for row in iou]


def best(values: list[float]) -> tuple[float, int]:
    """Return the largest value and its first index; (0, -1) if there is no value."""
    if not values:
        return 0.0, -1
    largest = max(values)
    return largest, values.index(largest)


def reaches(overlap: float, threshold: float, comparison: str) -> bool:
    """Return overlap >= threshold, or overlap > threshold."""
    return overlap >= threshold if comparison == ">=" else overlap > threshold

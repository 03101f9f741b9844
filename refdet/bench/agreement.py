"""Whether two sides computed the same thing, which comes before any comparison of how fast they did.

The difference of two outputs is max|Δ| over the largest finite magnitude in either; an output of zeros has magnitude 0,
and then any Δ ≠ 0 is infinitely large. Integers and booleans must be equal. Where one output is infinite or NaN the
other must be the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from refdet.core.check import Array


class Agreement(NamedTuple):
    difference: float | None  # the largest of all outputs; None where it has no meaning
    problem: str | None  # what is wrong, None if the sides agree


def compare(ours: Sequence[Array], theirs: Sequence[Array], tolerance: float) -> Agreement:
    """Compare all outputs of one call.

    >>> compare([np.array([1.0, 4.0])], [np.array([1.0, 3.0])], tolerance=0.5)
    Agreement(difference=0.25, problem=None)
    """
    if len(ours) != len(theirs):
        return Agreement(None, f"{len(ours)} outputs against {len(theirs)}")
    largest = 0.0
    for i, (y, z) in enumerate(zip(ours, theirs, strict=True)):
        if y.shape != z.shape or y.dtype != z.dtype:
            return Agreement(None, f"output {i} is {y.dtype} {y.shape} against {z.dtype} {z.shape}")
        if y.dtype.kind != "f":
            if not np.array_equal(y, z):
                return Agreement(None, f"output {i} differs in {np.count_nonzero(y != z)} of {y.size} elements")
            continue
        difference, worst = _difference(y, z)
        if difference > tolerance:
            where = tuple(int(k) for k in np.unravel_index(worst, y.shape))
            text = (
                f"output {i} differs by {difference:.2g} of its magnitude, allowed is {tolerance:g}, "
                f"worst at {where}: {float(y.flat[worst])} and {float(z.flat[worst])}"
            )
            return Agreement(difference if np.isfinite(difference) else None, text)
        largest = max(largest, difference)
    return Agreement(largest, None)


def _difference(y: Array, z: Array) -> tuple[float, int]:
    """Return max|Δ| over the magnitude, and the flat index of the first element that reaches it."""
    if y.size == 0:
        return 0.0, 0
    finite = np.isfinite(y) & np.isfinite(z)
    same = (y == z) | (np.isnan(y) & np.isnan(z))
    delta = np.full(y.shape, np.inf)
    delta[same] = 0
    np.subtract(y, z, out=delta, where=finite, dtype=np.float64)
    delta = np.abs(delta)
    magnitude = max((float(np.abs(a[np.isfinite(a)]).max(initial=0.0)) for a in (y, z)), default=0.0)
    worst = int(np.argmax(delta))
    largest = float(delta.flat[worst])
    if largest == 0:
        return 0.0, worst
    return (largest / magnitude if magnitude else float("inf")), worst

"""Numbers that meet an array and take its dtype."""

from __future__ import annotations

import numpy as np

from refdet.core.check import Array, check_number


def check_number_in_dtype(
    op: str, name: str, value: float, x: Array, *, low: float = 0.0, open_low: bool = False
) -> float:
    """Return `value` as a float; refuse what the dtype of `x` rounds to ∞, or to 0 unless it is 0.

    >>> check_number_in_dtype("f", "eps", 0.5, np.zeros(1, np.float32))
    0.5
    """
    number = check_number(op, name, value, low=low, open_low=open_low)
    limits = np.finfo(x.dtype.name)
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(limits.dtype.type(number))
    if not np.isfinite(rounded) or (rounded == 0) != (number == 0):
        raise ValueError(f"{op}: {name} = {number!r} becomes {rounded:g} in {x.dtype.name}, the dtype of the input")
    return number

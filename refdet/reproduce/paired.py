"""Is one method better than another? The mean of their paired differences, and how far it can be trusted.

    d_s = a_s − b_s for each seed s,    d̄ = 1/n Σ d_s,    s² = 1/(n − 1) Σ (d_s − d̄)²
    interval: d̄ ± t · s/√n,    t the (1 + level)/2 quantile of Student's distribution with n − 1 degrees of freedom

Student, "The probable error of a mean" (1908). Both methods of a pair have seen the same scenes and, where one starts
from the other, the same network: what a seed does to both cancels in the difference.

Conventions: a claim "a > b" holds where the whole interval lies above 0. A claim "a ≥ b" holds where the mean of the
differences is at least 0: it is a statement about this mean alone, and the interval says how sure it is. One pair has
an infinite interval; differences that are all the same have an interval of no width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple


class PairedDifference(NamedTuple):
    """The mean of n differences, and the interval around it."""

    mean: float
    low: float
    high: float
    n: int


def paired_difference(better: Sequence[float], worse: Sequence[float], *, level: float = 0.95) -> PairedDifference:
    """Return the mean of `better` − `worse` over the pairs, with Student's interval.

    Args:
        better: one finite number per seed.
        worse: as many, in the same order of seeds.
        level: how often such an interval contains the mean of all differences there could be, in (0, 1).

    The differences 1, 2, 3 have mean 2 and s = 1; t = 4.303 for two degrees of freedom, and 4.303/√3 = 2.484:

    >>> mean, low, high, n = paired_difference([11, 12, 13], [10, 10, 10])
    >>> mean, round(low, 3), round(high, 3), n
    (2.0, -0.484, 4.484, 3)
    """
    if len(better) != len(worse) or not len(better):
        raise ValueError(f"paired_difference: needs pairs, at least one, got {len(better)} and {len(worse)} numbers")
    if not 0 < level < 1:
        raise ValueError(f"paired_difference: level must lie in (0, 1), got {level!r}")
    differences = [float(a) - float(b) for a, b in zip(better, worse, strict=True)]
    if not all(map(math.isfinite, differences)):
        raise ValueError(f"paired_difference: the numbers must be finite, got differences {differences}")
    n = len(differences)
    mean = math.fsum(differences) / n
    if n == 1:
        return PairedDifference(mean, -math.inf, math.inf, n)
    from scipy.stats import t

    deviation = math.sqrt(math.fsum((d - mean) ** 2 for d in differences) / (n - 1))
    half = float(t.ppf((1 + level) / 2, n - 1)) * deviation / math.sqrt(n)
    return PairedDifference(mean, mean - half, mean + half, n)
